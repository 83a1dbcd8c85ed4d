"""People compare two models: `compare` shows one prompt's two answers, `judge` is a blind page with votes."""
