"""Errors of AWS calls: as a code for logs and reports, and as a sentence for people."""

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
    """The service's error code. If there was no response, the name of botocore's exception."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


def explained(error: Exception) -> ShipmentEventsError | None:
    """Convert an error of botocore into ours, with the next step.

    Returns:
        Our own error unchanged; None for any other exception.
    """
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
                str(error), "Check the endpoint (AWS_ENDPOINT_URL). For the local engine run 'make up'."
            )
        case BotoCoreError():
            return ShipmentEventsError(str(error))
        # botocore raises a plain ValueError for this.
        case ValueError() if str(error).startswith("Invalid endpoint"):
            return ShipmentEventsError(
                str(error), "Set AWS_ENDPOINT_URL to a whole URL, for example http://127.0.0.1:4566"
            )
    return None
