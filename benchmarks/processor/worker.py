"""A process that is one container of a function: ``python -m benchmarks.processor.worker MODULE``.

It reads one JSON command a line from standard input and answers with one JSON line. The output of the handler
is discarded.
"""

import gc
import importlib
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.peak_memory import peak_resident_bytes

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Context:
    """The attributes of Lambda's context object that handlers and Powertools use."""

    aws_request_id: str = "00000000-0000-4000-8000-000000000000"
    function_name: str = "benchmark"
    function_version: str = "1"
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:benchmark"
    memory_limit_in_mb: int = 512

    def get_remaining_time_in_millis(self) -> int:
        """All of the function's timeout."""
        return 60_000


def timed(handler: Handler, event: dict[str, Any]) -> dict[str, Any]:
    """Wall and CPU seconds of one invocation."""
    context = Context()
    cpu, wall = time.process_time(), time.perf_counter()
    answer = handler(event, context)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "failed": len(answer["batchItemFailures"])}


def allocated(handler: Handler, event: dict[str, Any]) -> dict[str, Any]:
    """Most bytes held at once during one invocation, and what is left of them after it."""
    gc.collect()
    tracemalloc.start()
    try:
        handler(event, Context())
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        left = sum(statistic.count for statistic in tracemalloc.take_snapshot().statistics("filename"))
    finally:
        tracemalloc.stop()
    return {"peak_bytes": peak, "blocks_left": left}


def resident(_handler: Handler, _event: dict[str, Any]) -> dict[str, Any]:
    """Peak memory of the process so far."""
    return {"peak_resident_bytes": peak_resident_bytes()}


COMMANDS = {"timed": timed, "allocated": allocated, "resident": resident}


def main() -> None:
    """Make the handler, report this, and run the commands."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    handler: Handler = importlib.import_module(sys.argv[1]).handler
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        command = json.loads(line)
        answers.write(json.dumps(COMMANDS[command["do"]](handler, command["event"])) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
