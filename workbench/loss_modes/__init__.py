"""Our own rules: each known way in which such a pipeline loses events is an error of the template."""
