"""What a producer uses: the publisher, files of events, and the journal of what the bus accepted."""
