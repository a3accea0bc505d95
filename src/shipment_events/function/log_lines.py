"""Lines of JSON on standard output, which Lambda sends to CloudWatch Logs."""

import json
import os
from collections.abc import Mapping
from traceback import format_tb
from typing import Any, Final

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def trace() -> dict[str, str]:
    """X-Ray's id, from ``Root=1-…;Parent=…;Sampled=1``; an invocation that is not sampled has no trace."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    parts = dict(part.split("=", 1) for part in header.split(";") if "=" in part)
    return {"trace_id": parts["Root"]} if parts.get("Sampled") == "1" and "Root" in parts else {}


def print_line(line: Mapping[str, Any]) -> None:
    """Print one line."""
    print(_ENCODER.encode(line), flush=True)  # noqa: T201


def stack_trace(error: Exception) -> str:
    """The stack trace and the type of an error, without its message, which can contain text of an event."""
    return "".join([*format_tb(error.__traceback__), type(error).__name__])
