"""The training recipes: one complete base, what each role changes, and what makes and checks a run of them."""
