"""Packs: one YAML says what a domain is, from its sources to how it is served."""
