"""Rooms import downwards only, as the contracts in pyproject.toml say."""

from importlinter.cli import lint_imports

from tests.integration.conftest import ROOT


def test_no_room_imports_what_lies_above_it() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0
