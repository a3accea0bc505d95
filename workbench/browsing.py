"""The console as its own process, and a browser that looks at it: for tests and for the pictures."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOW_TO_INSTALL: Final = (
    "no Chromium is here. On Debian: apt-get install --no-install-recommends chromium;"
    " elsewhere: .venv/bin/playwright install --with-deps chromium"
)
_COMMAND: Final = (sys.executable, "-u", "-m", "shipment_events")
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def running_console(
    folder: Path, *options: str, environment: Mapping[str, str], command: Sequence[str] = _COMMAND
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``shipments console`` on a free port, and the address that it prints. Leaving kills it.

    Args:
        folder: where the command runs, and writes copies of dead letters.
        command: ``shipments``; that of this environment by default.

    Raises:
        RuntimeError: it ends before it prints its address.
    """
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "console", "--port", "0", *options],
        cwd=folder, env=dict(environment), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as server:  # fmt: skip
        try:
            yield server, _address(server)
        finally:
            server.kill()


def _address(server: subprocess.Popen[str]) -> str:
    said = ""
    for line in server.stdout or ():
        said += line
        if found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said):
            return found[0]
    why = server.stderr.read() if server.stderr else ""
    raise RuntimeError(f"the console did not start: {said}{why}")


def find_chromium() -> str | None:
    """The path of a Chromium: this machine's, or the one that Playwright installed. None if there is none."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - few need it

    for name in _NAMES:
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def chromium(path: str) -> Iterator["Browser"]:
    """A browser without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        # Chromium does not start as root with its sandbox. The pages are our own.
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False)
        try:
            yield browser
        finally:
            browser.close()
