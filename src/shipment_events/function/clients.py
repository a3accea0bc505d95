"""The AWS clients of a function, which are made once per container."""

from typing import Any

import botocore.session
from botocore.config import Config


class FunctionClients:
    """Makes clients with the same timeouts.

    botocore makes a client in three quarters of the time of boto3, and Lambda's runtime includes it.

    Args:
        connect_timeout: seconds.
        read_timeout: seconds without a byte of the response.
    """

    def __init__(self, *, connect_timeout: float, read_timeout: float) -> None:
        self.session = botocore.session.get_session()
        self._config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            tcp_keepalive=True,
            # Typed code makes the parameters, and the validation needs much of a batch's CPU time.
            parameter_validation=False,
        )

    def make(self, service: str, *, attempts: int = 1) -> Any:
        """A client of a service.

        Args:
            attempts: 1 if our own code retries, as it does for all requests of which a part can fail:
                botocore does not retry statements and entries that fail with HTTP 200.
        """
        retries = Config(retries={"mode": "standard", "total_max_attempts": attempts})
        return self.session.create_client(service, config=self._config.merge(retries))
