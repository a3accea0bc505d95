"""What the README tells a producer to do works as it stands there."""

import re
import subprocess
import sys

import pytest

from tests.integration.conftest import ROOT, LocalEngine
from workbench.engine.clients import environment_variables
from workbench.feed import generate

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.engine
def test_the_publishing_example_publishes(engine: LocalEngine) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    finished = subprocess.run(
        [sys.executable, "-c", f"{example}\nprint(result.accepted, result.refused, result.unsent)"],
        env=environment_variables(engine.endpoint),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.stdout, finished.stderr) == ("1 [] []\n", "")


def test_the_shipments_of_the_examples_are_in_the_feed() -> None:
    feed = "".join(line.text for line in generate(5_000, seed=1))
    named = re.findall(r"shipments (?:timeline|where) (MAC-\d+)", README)
    assert named
    assert [one for one in named if f'"{one}"' not in feed] == []


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", README))
    assert named
    assert named <= targets
