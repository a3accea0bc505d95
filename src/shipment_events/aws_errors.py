"""What went wrong with a call of AWS: in one word for logs and reports, in a sentence for people."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, which is not Python's
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from shipment_events.errors import ShipmentEventsError


def error_code(error: ClientError | BotoCoreError) -> str:
    """The service's error code, or the kind of failure where no answer came."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


def explained(error: Exception) -> ShipmentEventsError | None:
    """An error of botocore as one of ours, with what to do next; one of ours as it is; None for any other."""
    match error:
        case ShipmentEventsError():
            return error
        case NoCredentialsError() | PartialCredentialsError():
            return ShipmentEventsError(
                "no AWS credentials",
                "For the local engine run 'eval \"$(shipments local env)\"'; for AWS sign in, for example"
                " with 'aws sso login', or set AWS_PROFILE.",
            )
        case NoRegionError():
            return ShipmentEventsError(
                "no AWS region",
                "Set AWS_REGION, for example to eu-central-1; for the local engine run"
                " 'eval \"$(shipments local env)\"'.",
            )
        case ClientError():
            message = error.response.get("Error", {}).get("Message", "")
            return ShipmentEventsError(f"{error.operation_name}: {error_code(error)}: {message}")
        case ConnectionError() | HTTPClientError():
            return ShipmentEventsError(
                str(error), "Is the endpoint right (AWS_ENDPOINT_URL), and does the engine run ('make up')?"
            )
        case BotoCoreError():
            return ShipmentEventsError(str(error))
        # botocore has no error of its own for this.
        case ValueError() if str(error).startswith("Invalid endpoint"):
            return ShipmentEventsError(
                str(error), "Set AWS_ENDPOINT_URL to a whole URL, for example http://127.0.0.1:4566"
            )
    return None
