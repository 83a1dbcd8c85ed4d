"""What a person would bring to `make packs-smoke`, or do in it: a life to learn from, decisions, a stronger model."""
