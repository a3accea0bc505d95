"""What the README tells a producer to do works as it stands there."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.integration.conftest import ROOT, LocalEngine
from workbench.engine.clients import environment_variables
from workbench.feed import VALID_KINDS, generate

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


def test_the_report_shows_the_outcomes_of_the_feed() -> None:
    """A further kind of broken event changes the feed. Then the report of 'make run' has to be shown anew."""
    feed = generate(5_000, seed=1)
    expected = Counter(line.expected_reason or VALID_KINDS[line.kind].value for line in feed)
    rows = re.findall(r"│ (\w+) +│ +([\d,]+) │", README)
    counts = {row: int(number.replace(",", "")) for row, number in rows}
    for outcome in ("stored", "duplicate", "conflict"):
        assert counts[outcome] == expected.pop(outcome)
    report = README.partition("│ dead letters")[2].partition("│ shipments")[0]
    assert expected == sum(
        (Counter({reason: int(n)}) for reason, n in re.findall(r"([a-z]+(?:_[a-z]+)*) (\d+)[, ]", report)),
        start=Counter(),
    )


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", README))
    assert named
    assert named <= targets
