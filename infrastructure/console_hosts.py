"""The host of the AWS console in each partition, for the address of the dashboard."""

from typing import Final

UNPUBLISHED_CONSOLE: Final = "console.invalid"
"""Host for the isolated partitions, where AWS publishes no address of the console.

The stack cannot be deployed without a host, and a guessed one might belong to somebody.
"""
# The host of the console differs between partitions, and no pseudo parameter contains it.
# https://docs.aws.amazon.com/general/latest/gr/mgmt-console.html and its counterparts of the partitions
CONSOLE_HOSTS: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-iso": UNPUBLISHED_CONSOLE,
    "aws-iso-b": UNPUBLISHED_CONSOLE,
    "aws-iso-e": UNPUBLISHED_CONSOLE,
    "aws-iso-f": UNPUBLISHED_CONSOLE,
}
