"""The overview of the package, with which a reader begins."""

import re
from pathlib import Path

import infrastructure


def test_overview_names_every_file_once() -> None:
    assert infrastructure.__doc__ is not None
    files = {path.name for path in Path(infrastructure.__path__[0]).glob("*.py")} - {"__init__.py"}
    named = re.findall(r"``(\w+\.py)``", infrastructure.__doc__)
    assert sorted(named) == sorted(files)
