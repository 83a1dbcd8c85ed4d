"""role_bench for the lm-eval command line; see task.py."""
