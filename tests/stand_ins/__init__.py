"""Stand-ins for AWS services, which behave as AWS documents."""
