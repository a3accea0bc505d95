import os
import pty
import subprocess
from pathlib import Path

import pytest

MAKE_HELP = ["make", "-s", "-C", str(Path(__file__).resolve().parents[2]), "help"]
BOLD = "\x1b[1m"


def on_a_terminal(**environment: str) -> str:
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with os.fdopen(ours, "rb", buffering=0) as screen:
        with os.fdopen(theirs, "wb") as terminal:
            subprocess.run(MAKE_HELP, stdout=terminal, env={**clean, **environment}, check=True, timeout=30)
        return screen.read(65_536).decode()


def test_help_is_plain_in_a_pipe() -> None:
    shown = subprocess.run(MAKE_HELP, capture_output=True, text=True, check=True).stdout
    assert "  run " in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(("environment", "is_bold"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_help_is_bold_on_a_terminal_unless_colours_are_declined(
    environment: dict[str, str], is_bold: bool
) -> None:
    assert (BOLD in on_a_terminal(**environment)) is is_bold
