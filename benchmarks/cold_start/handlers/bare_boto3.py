"""A handler that makes a boto3 client and does nothing else."""

import boto3

client = boto3.client("dynamodb")


def handler(_event: object, _context: object) -> None:
    """Do nothing."""
