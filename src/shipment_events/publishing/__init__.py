"""For producers: the publisher, files of events, and the journal of accepted events."""
