"""Shortcuts in the engine, which has one thread for all requests. They change no answer of a request.

``invoke_few_at_once`` and ``wait_shortly_for_log_lines`` say what they change instead.

The engine's own interpreter runs this file, so it imports nothing but the engine, the standard library and
``adaptations.py``. ``tests/workbench/engine/test_shortcuts.py`` holds that no answer changes.
"""

import copy
import functools
import marshal
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import _dynamodb_keywords, dynamodb, lambda_svc

from workbench.engine.adaptations import require

# In measurements, more invocations stored no more events a second.
MAX_INVOCATIONS: Final = 3


def take_shortcuts() -> None:
    """Take all shortcuts. Raises NotAsExpectedError if the engine has other functions than expected."""
    parse_statements_of_a_batch_once()
    read_texts_once()
    copy_plain_values_fast()
    invoke_few_at_once()
    wait_shortly_for_log_lines()


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


def read_texts_once() -> None:
    """Remember the tokens of statements and expressions, because functions send the same texts again."""
    require(dynamodb, _tokenize="6abb13395c3e")
    require(_dynamodb_keywords, _tokenize="e02998de3036")
    for module in (dynamodb, _dynamodb_keywords):
        module._tokenize = _remembering(module._tokenize)


def _remembering(tokenize: Callable[[str], list[Any]]) -> Callable[[str], list[Any]]:
    known = functools.lru_cache(maxsize=1_000)(lambda text: tuple(tokenize(text)))
    return lambda text: list(known(text))


def copy_plain_values_fast() -> None:
    """Copy items as bytes. ``copy.deepcopy`` visits each of their values in Python."""
    dynamodb.copy = SimpleNamespace(copy=copy.copy, deepcopy=plain_copy)


def invoke_few_at_once() -> None:
    """Limit the concurrent invocations for a queue.

    The requests of all functions wait for the one thread. With ten invocations for the queue, the function of
    a stream hardly gets a turn until the queue is empty.
    """
    require(lambda_svc, _sqs_esm_concurrency="d3e9d1e865aa")
    allowed = lambda_svc._sqs_esm_concurrency

    def few(*args: Any) -> int:
        return min(MAX_INVOCATIONS, int(allowed(*args)))

    lambda_svc._sqs_esm_concurrency = few


def wait_shortly_for_log_lines() -> None:
    """Wait a millisecond instead of five for a further line of the log after each invocation.

    A function writes its lines before its answer. A line that comes later stands in the log of the next
    invocation.
    """
    require(lambda_runtime.Worker, _drain_stderr_bounded="3fd7cc742872")
    first_line, _, most = lambda_runtime.Worker._drain_stderr_bounded.__defaults__
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (first_line, 0.001, most)


def plain_copy(value: Any) -> Any:
    """A deep copy. Other objects than those of JSON are copied as ``copy.deepcopy`` copies them."""
    try:
        return marshal.loads(marshal.dumps(value))  # noqa: S302 - our own bytes
    except ValueError:
        return copy.deepcopy(value)
