"""Shortcuts in the engine's DynamoDB, which has one thread for all requests. They change no answer.

The engine's own interpreter runs this file, so it imports nothing but the engine, the standard library and
``adaptations.py``. ``tests/integration/test_shortcuts.py`` holds that no answer changes.
"""

import copy
import marshal
import threading
from types import SimpleNamespace
from typing import Any

from ministack.services import dynamodb

from workbench.engine.adaptations import require


def take_shortcuts() -> None:
    """Take all shortcuts. Raises NotAsExpectedError if the engine has other functions than expected."""
    parse_statements_of_a_batch_once()
    copy_plain_values_fast()


def parse_statements_of_a_batch_once() -> None:
    """Parse a statement of BatchExecuteStatement once.

    The engine parses it to check it, and parses the same text with the same list of parameters again to run
    it. Parsing takes more than half of the time of a statement.
    """
    require(
        dynamodb,
        _parse_partiql="34f90fe3b74e",
        _execute_statement="eb23887a1366",
        _batch_execute_statement="122071342bc6",
    )
    parse, last = dynamodb._parse_partiql, threading.local()

    def parse_once(statement: Any, parameters: Any) -> Any:
        known = getattr(last, "parsed", None)
        last.parsed = None
        if known and known[0] is statement and known[1] is parameters:
            return known[2]
        parsed = parse(statement, parameters)
        last.parsed = statement, parameters, parsed
        return parsed

    dynamodb._parse_partiql = parse_once


def copy_plain_values_fast() -> None:
    """Copy items as bytes. ``copy.deepcopy`` visits each of their values in Python."""
    dynamodb.copy = SimpleNamespace(copy=copy.copy, deepcopy=plain_copy)


def plain_copy(value: Any) -> Any:
    """A deep copy. Other objects than those of JSON are copied as ``copy.deepcopy`` copies them."""
    try:
        return marshal.loads(marshal.dumps(value))  # noqa: S302 - our own bytes
    except ValueError:
        return copy.deepcopy(value)
