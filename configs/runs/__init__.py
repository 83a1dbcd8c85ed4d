"""One run of a recipe, from the preflight to the adapter in its place, and what is kept of it."""
