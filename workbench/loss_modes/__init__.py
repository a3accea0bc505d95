"""Rules of our own: each known way in which such a pipeline loses events, as an error of the template."""
