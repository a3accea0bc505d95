"""The Lambda function that stores events."""
