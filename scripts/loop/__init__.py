"""The loop: look where a role is weak, get examples of that kind, train on them, and let the gate decide.

`python -m scripts.loop iterate ROLE` makes one round, `python -m scripts.loop auto start ROLE` makes rounds on
thresholds. The rooms do the work, each step as a `python -m` command; here is only their order.
"""
