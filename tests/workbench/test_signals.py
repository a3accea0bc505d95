"""Commands with an engine of their own end it, however they are ended."""

import signal
import subprocess
import sys

import pytest

# Each command waits where it has an engine, and needs a moment to clear away.
WAITS = """
import time
from contextlib import contextmanager

@contextmanager
def engine(*_):
    try:
        print("ready", flush=True)
        time.sleep(30)
        yield
    finally:
        print("clearing away", flush=True)
        time.sleep(0.3)
        print("cleared away", flush=True)
"""
COMMANDS = {
    "drill": f"""{WAITS}
from workbench.drill import run
from workbench.drill.command import drill
run.run_drill = lambda *_: engine().__enter__()
drill([])
""",
    "pictures": f"""{WAITS}
from workbench import pictures
pictures.find_chromium = lambda: "chromium"
pictures._engine = engine
pictures.main()
""",
}


def started(program: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
    return process


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_clears_away_even_if_it_is_asked_twice(command: str, number: signal.Signals) -> None:
    process = started(COMMANDS[command])
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stdout.readline() == "clearing away\n"
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert said == "cleared away\n"
    assert process.returncode == 128 + number


def test_a_command_under_nohup_goes_on() -> None:
    ignored = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    process = started(ignored + COMMANDS["pictures"])
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert said == "clearing away\ncleared away\n"
