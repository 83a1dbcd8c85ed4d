"""A language model small enough to train on a CPU in four minutes: the base of `make smoke`.

`python -m scripts.tiny_base --data output/smoke/town --out output/smoke/base` reads the pipeline's rows,
trains a tokenizer and a Qwen2 of under two million parameters on them, and leaves a directory that Axolotl,
lm-eval and the pipeline take as a base model. It can speak and copy values into tool calls; it does not
know any role.
"""
