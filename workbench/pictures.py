"""Take the pictures of the console in ``docs/pictures``: ``make pictures``.

A fresh engine gets a seeded feed for some minutes, so that the plots have something to show. The feed has
places in many scripts, so the machine needs their fonts, as Debian's ``fonts-noto-core`` and
``fonts-noto-cjk``.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shipment_events.pipeline import Pipeline
from workbench.browsing import HOW_TO_INSTALL, chromium, find_chromium, running_console
from workbench.engine import engine as engines
from workbench.engine import synthesis
from workbench.engine.clients import engine_pipeline, environment_variables
from workbench.engine.deploy import deploy
from workbench.engine.health import free_port
from workbench.engine.settings import DEFAULT_ENVIRONMENT, Settings
from workbench.feed import generate
from workbench.signals import exit_on_signals

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
MOST_BYTES: Final = 150_000
_SIZE: "Final[ViewportSize]" = {"width": 1024, "height": 600}
_PHONE: "Final[ViewportSize]" = {"width": 390, "height": 600}
_SEED: Final = 16
_EVENTS: Final = 3_000
_PORTIONS: Final = 12
_PAUSE_SECONDS: Final = 15


def main() -> None:
    """Take all pictures."""
    path = find_chromium()
    if path is None:
        sys.exit(HOW_TO_INSTALL)
    with exit_on_signals(), tempfile.TemporaryDirectory() as folder, _engine(Path(folder)) as endpoint:
        environment = os.environ | environment_variables(endpoint)
        pipeline = engine_pipeline(endpoint, DEFAULT_ENVIRONMENT)
        _feed(environment)
        options = ("--allow-changes",)
        with (
            running_console(Path(folder), *options, environment=environment) as (_, address),
            chromium(path) as browser,
        ):
            page = browser.new_page()
            page.goto(address)
            take_all(page, address.partition("/?")[0], pipeline)
    if large := [path.name for path in PICTURES.glob("*.png") if path.stat().st_size > MOST_BYTES]:
        sys.exit(f"larger than {MOST_BYTES:,} bytes: {', '.join(large)}")


@contextmanager
def _engine(home: Path) -> Iterator[str]:
    assembly, _ = synthesis.synthesize(ROOT, DEFAULT_ENVIRONMENT, ROOT / ".local" / "assemblies")
    settings = Settings(root=ROOT, home=home / "engine", port=free_port(), environment=DEFAULT_ENVIRONMENT)
    try:
        running = engines.start(settings)
        deploy(running.endpoint, assembly, DEFAULT_ENVIRONMENT)
        yield running.endpoint
    finally:
        engines.stop(settings)


def _feed(environment: Mapping[str, str]) -> None:
    """Send the feed in portions of different sizes, the broken events as well."""
    lines = iter(generate(_EVENTS, seed=_SEED))
    chance = random.Random(_SEED)  # noqa: S311 - the same each time
    command = [sys.executable, "-m", "shipment_events", "run", "--json", "-"]
    for _ in range(_PORTIONS):
        began = time.monotonic()
        mean = _EVENTS // _PORTIONS
        portion = islice(lines, chance.randint(mean // 2, mean * 3 // 2))
        text = "".join(f"{line.text}\n" for line in portion)
        subprocess.run(  # noqa: S603 - our own command
            command, input=text, text=True, env=dict(environment), capture_output=True, check=True
        )
        time.sleep(max(0, began + _PAUSE_SECONDS - time.monotonic()))


def take_all(page: "Page", home: str, pipeline: Pipeline) -> None:
    """Take a picture of each view.

    Args:
        page: knows the console.
    """
    shipment = max(
        pipeline.shipments.find(status="delivered", limit=200),
        key=lambda one: len(list(pipeline.shipments.events(one.shipment_id))),
    )
    page.goto(f"{home}/dead-letters")
    page.get_by_role("button", name=re.compile("^Read")).first.click()
    page.wait_for_url("**/dead-letters")
    _take(page, "dead-letters")
    page.goto(f"{home}/dead-letters?reason=invalid_timestamp")
    page.locator("tbody th a").first.click()
    _take(page, "dead-letter", is_dark=True)
    page.get_by_label("to the value").fill("2025-01-08T10:00:00Z")
    page.get_by_role("button", name=re.compile("^See what")).click()
    _take(page, "correction")
    page.goto(f"{home}/shipments?status=exception")
    _take(page, "list")
    page.goto(f"{home}/shipments/{shipment.shipment_id}")
    _take(page, "shipment")
    _take(page, "shipment-phone", size=_PHONE)
    page.goto(f"{home}/")
    _take(page, "overview", is_dark=True)
    _take(page, "overview-phone", size=_PHONE)


def _take(page: "Page", name: str, *, is_dark: bool = False, size: "ViewportSize" = _SIZE) -> None:
    page.emulate_media(color_scheme="dark" if is_dark else "light")
    page.set_viewport_size(size)
    page.wait_for_load_state("networkidle")
    # Plots are drawn again for the size.
    page.wait_for_timeout(500)
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
