"""Numbered steps of the database's form, each applied once and in one transaction."""
