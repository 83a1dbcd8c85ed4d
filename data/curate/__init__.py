"""Curation: people read single examples and decide about them, and the pipeline does as they decided.

`python -m data.curate` opens the page; `data/transform/curate.py` is the stage that applies the decisions.
"""
