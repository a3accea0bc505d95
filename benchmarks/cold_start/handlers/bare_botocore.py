"""The same with botocore alone."""

import botocore.session

client = botocore.session.get_session().create_client("dynamodb")


def handler(_event: object, _context: object) -> None:
    """Do nothing."""
