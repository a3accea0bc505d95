"""The tracker beside a textbook's: GetItem and PutItem a record."""
