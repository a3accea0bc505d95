"""What AWS, files and users' settings may answer, as a sentence and what to do next."""

import errno
from typing import Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as AwsConnectionError

from shipment_events.aws_errors import error_code
from shipment_events.dead_letters.exports import LetterExportError
from shipment_events.dead_letters.letters import NotOneLetterError
from shipment_events.publishing.event_files import EventFileError
from shipment_events.publishing.publisher import BusNotFoundError
from shipment_events.resources import StackNotFoundError
from shipment_events.watching.replay import ReplayError

# A person waits for the answer: a wrong endpoint must not take the minutes of the client's defaults.
CLIENT_CONFIG: Final = Config(
    connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
)

INTERRUPTED: Final = 130
"""Exit status of a command that a person ended, as of a shell: 128 and the number of SIGINT."""

_ANOTHER_STAGE: Final = (
    "Deploy the stack with 'make up' (local engine) or 'make deploy' (AWS), or name another stage with --env."
)


def what_to_do(error: Exception) -> str:
    """A sentence for an error that is no defect of ours, or empty."""
    match error:
        case (
            StackNotFoundError()
            | EventFileError()
            | LetterExportError()
            | NotOneLetterError()
            | ReplayError()
        ):
            return str(error)
        case BusNotFoundError():
            return f"{error}. {_ANOTHER_STAGE}"
        case NoCredentialsError() | PartialCredentialsError():
            return (
                "no AWS credentials. For the local engine run 'eval \"$(shipments local env)\"';"
                " for AWS sign in, for example with 'aws sso login', or set AWS_PROFILE."
            )
        case NoRegionError():
            return (
                "no AWS region. Set AWS_REGION, for example to eu-central-1;"
                " for the local engine run 'eval \"$(shipments local env)\"'."
            )
        case ClientError():
            message = error.response.get("Error", {}).get("Message", "")
            return f"{error.operation_name}: {error_code(error)}: {message}"
        case AwsConnectionError() | HTTPClientError():
            return f"{error} Is the endpoint right (AWS_ENDPOINT_URL), and does the engine run ('make up')?"
        case BotoCoreError():
            return str(error)
        # boto3 has no error of its own for this.
        case ValueError() if str(error).startswith("Invalid endpoint"):
            return f"{error}. Set AWS_ENDPOINT_URL to a whole URL, for example http://127.0.0.1:4566"
        # A closed pipe, as of head, is click's business.
        case OSError() if error.errno != errno.EPIPE and error.filename:
            return f"{error.filename}: {error.strerror}"
    return ""
