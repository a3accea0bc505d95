"""Local engine, feed, audit and mutants."""
