"""What an operator asks: is the pipeline healthy, what became of an event, and send a window again."""
