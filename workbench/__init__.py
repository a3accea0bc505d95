"""What only a clone has: the local engine, the drill, the feed, the audit of the template, the mutants."""
