"""Training with mlx-lm in place of Axolotl: the same recipe and rows, on Apple silicon (or, slowly, any CPU)."""
