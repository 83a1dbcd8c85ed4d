"""The sample town: invented transcripts of every agent role, in Claude Code's on-disk format and with its oddities.

`python -m data.sample --out DIR` writes a town; `data.sample.town.build_town` builds the same files in memory.
Nothing here comes from a real session, and the same seed gives the same bytes.
"""
