"""How an error looks in a terminal."""

import errno
from typing import Final

import click

from shipment_events.aws_errors import explained

INTERRUPTED: Final = 130
"""Exit status of an interrupted command: 128 plus the number of SIGINT, as in a shell."""


class FailedError(click.ClickException):
    """A command could not do its work. Exit status 1 means that it did, and found something."""

    exit_code = 2


def sentence(error: Exception) -> str:
    """The message of an error and the next step. Empty for an unexpected error, which keeps its traceback."""
    if known := explained(error):
        message = str(known)
        if not known.next_step:
            return message
        return f"{message}{'' if message.endswith(('.', '?')) else '.'} {known.next_step}"
    # click handles a closed pipe, as in 'shipments events | head'.
    if isinstance(error, OSError) and error.errno != errno.EPIPE and error.filename:
        return f"{error.filename}: {error.strerror}"
    return ""
