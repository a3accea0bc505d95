"""The default boto3 session, and the clients that a session makes."""

import os
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A person waits for the answer. With botocore's defaults, a wrong endpoint would fail only after minutes.
CLIENT_CONFIG: Final = Config(
    connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
)


def aws_session() -> boto3.Session:
    """A session with boto3's credentials and region; ``AWS_REGION`` takes precedence.

    boto3 does not read that variable. The AWS CLI and the other SDKs read it first.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)


class Clients:
    """Makes the clients of one session, all with the same configuration. Several threads may use it."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        """Use ``session``; by default :func:`aws_session`, which is created when it is first used."""
        self._given_session = session
        # Threads may share a client, but not the session that makes it.
        # https://docs.aws.amazon.com/boto3/latest/guide/session.html#multithreading-or-multiprocessing-with-sessions
        self._making = Lock()

    @cached_property
    def session(self) -> boto3.Session:
        """The session that makes the clients."""
        return self._given_session or aws_session()

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The client of DynamoDB, which several parts of a stage share."""
        client: DynamoDBClient = self.make("dynamodb")
        return client

    def make(self, service: Any) -> Any:
        """A new client of this AWS service."""
        with self._making:
            return self.session.client(service, config=CLIENT_CONFIG)
