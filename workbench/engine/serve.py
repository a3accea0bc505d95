"""Starts the engine as ``python -m ministack`` does, with an interpreter that is set for it.

The engine's own interpreter runs this file, so it imports nothing but the engine, the standard library and
``adaptations.py``. With ADAPTATIONS=off in its environment the engine stays as it is.
"""

import gc
import importlib
import os
import random
import runpy
import sys
import uuid
from pathlib import Path


def main() -> None:
    """Set the interpreter, and become the engine. Each setting gives some 5 % more events a second."""
    # All that the engine stores is Python objects, which the collector would look through again and again.
    gc.set_threshold(100_000, 50, 1_000)
    # The engine's one busy thread gives up the interpreter at each system call, and an idle thread that takes
    # it may keep it for this long: 0.2 ms, by default 5.
    sys.setswitchinterval(0.0002)
    # An id from the system costs such a call; this generator asks the system for its seed alone.
    ids = random.Random()  # noqa: S311 - ids of an emulator on the loopback interface are no secrets
    uuid.uuid4 = lambda: uuid.UUID(int=ids.getrandbits(128), version=4)
    if os.environ.get("ADAPTATIONS") != "off":
        _adapt()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)


def _adapt() -> None:
    """Change what differs from AWS in the engine. The clone is on the path for this import alone."""
    clone = str(Path(__file__).resolve().parents[2])
    sys.path.append(clone)
    importlib.import_module("workbench.engine.adaptations").adapt()
    sys.path.remove(clone)


if __name__ == "__main__":
    main()
