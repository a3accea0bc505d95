"""What the processor is compared with: each a whole handler, written as its documentation shows it.

They parse the event, keep its numbers exact, write it with key, status and time to live, never overwrite one
that is there, and report failed records. They do not validate, quarantine, count or log, which ours does.
"""
