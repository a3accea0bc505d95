"""Dead letters: their reasons, and how to read, correct, redrive or discard them."""
