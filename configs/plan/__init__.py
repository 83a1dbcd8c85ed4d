"""What a training will need before anything is rented: tokens, steps, memory by part, hours, money."""
