"""How an error looks in a terminal."""

import errno
from typing import Final

from shipment_events.aws_errors import explained

INTERRUPTED: Final = 130
"""Exit status of a command that a person ended, as of a shell: 128 and the number of SIGINT."""


def sentence(error: Exception) -> str:
    """What an error says and what to do next; empty for a defect of ours."""
    if known := explained(error):
        message = str(known)
        if not known.next_step:
            return message
        return f"{message}{'' if message.endswith(('.', '?')) else '.'} {known.next_step}"
    # A closed pipe, as of head, is click's business.
    if isinstance(error, OSError) and error.errno != errno.EPIPE and error.filename:
        return f"{error.filename}: {error.strerror}"
    return ""
