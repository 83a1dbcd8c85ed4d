"""Brings a trained adapter to where it is used: the Hub and the servers that load it."""
