"""The settings of a stage, as the clone that this package is installed from would deploy it.

The import points from ``infrastructure`` to this package and never back: what needs the numbers of a stage
here says so in a protocol, and gets them from the one file that holds them. That file imports no CDK.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path("infrastructure") / "settings.py"
_MODULE: Final = "shipment_events.stages"


class SettingsNotFoundError(Exception):
    """There is no clone, or no such stage in it; the message says what to do."""


def load_settings(stage: str) -> Any:
    """Return the ``StageSettings`` of the stage.

    Raises:
        SettingsNotFoundError: the package is installed without its repository, or the stage is none of it.
    """
    file = Path(__file__).resolve().parents[3] / _FILE
    if not file.is_file():
        raise SettingsNotFoundError(
            f"the settings of stages are in {_FILE} of a clone, and this installation is none."
            " Clone the repository and run the command there."
        )
    settings = _load(file)
    try:
        return settings.settings_for(stage)
    except settings.UnknownStageError as error:
        raise SettingsNotFoundError(f"{error}. Name one with --stage or --env.") from error


def _load(file: Path) -> Any:
    """By its path: the name ``infrastructure`` may mean something else where a user's Python looks."""
    spec = importlib.util.spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        raise SettingsNotFoundError(f"{file} is no Python module.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up there.
    before = sys.modules.get(_MODULE)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
    finally:
        if before is not None:
            sys.modules[_MODULE] = before
        else:
            del sys.modules[_MODULE]
    return module
