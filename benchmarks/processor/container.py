"""Start, bound and use the worker processes."""

import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.cpu_share import PERIOD_SECONDS, CpuShare
from benchmarks.fake_services.endpoint import Endpoint
from benchmarks.processor.variables import function_variables

_TABLE: Final = "shipmentevents-bench"


class Container:
    """A running worker, bounded to its share of a core."""

    def __init__(self, process: subprocess.Popen[str], share: CpuShare) -> None:
        self._process = process
        self._share = share

    def run(self, command: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Let the worker run a command on an event of Lambda.

        Raises:
            RuntimeError: the worker has ended.
        """
        # Lambda's invocations begin anywhere in a period, with the quota of it unused.
        time.sleep(random.uniform(1, 2) * PERIOD_SECONDS)  # noqa: S311 - a phase
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": command, "event": event}) + "\n")
        self._process.stdin.flush()
        answers = self._process.stdout
        self._share.wait(
            self._process.pid, lambda seconds: bool(select.select([answers], [], [], seconds)[0])
        )
        line = answers.readline()
        if not line:
            raise RuntimeError(f"the worker ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def container(
    name: str,
    module: str,
    endpoint: Endpoint,
    share: CpuShare,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Container]:
    """Start a worker with a table of its own and end it with the block.

    Args:
        variables: the function's own; those of a processor if there are none.
    """
    variables = variables or function_variables(endpoint.url, f"{_TABLE}-{name}")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.processor.worker", module],
        env={**os.environ, **endpoint.environment, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"the handler {module} could not be made")
            share.add(process.pid)
            yield Container(process, share)
        finally:
            process.terminate()
