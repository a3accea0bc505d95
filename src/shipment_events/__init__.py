"""Shipment events: publish, store once and in order, find, repair.

The names in ``__all__`` are public. Each is imported when it is first used, so that the Lambda function loads
only its own modules.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shipment_events.contract.outcome import InvalidEventError
    from shipment_events.dead_letters.edits import Edit
    from shipment_events.dead_letters.exports import LetterExportError
    from shipment_events.dead_letters.letters import NotOneLetterError, Selection
    from shipment_events.errors import NotDeployedError, ShipmentEventsError
    from shipment_events.pipeline import Pipeline
    from shipment_events.publishing.event_files import EventFileError
    from shipment_events.publishing.journal import JournalError
    from shipment_events.publishing.publisher import BusNotFoundError, Publisher
    from shipment_events.resources import StackNotFoundError, TrackingNotDeployedError
    from shipment_events.stages import UnknownStageError
    from shipment_events.table.store import EventTable
    from shipment_events.tracking.reader import InvalidSearchError
    from shipment_events.tracking.shipment import Shipment
    from shipment_events.watching.archive import ReplayError

__all__ = [
    "BusNotFoundError",
    "Edit",
    "EventFileError",
    "EventTable",
    "InvalidEventError",
    "InvalidSearchError",
    "JournalError",
    "LetterExportError",
    "NotDeployedError",
    "NotOneLetterError",
    "Pipeline",
    "Publisher",
    "ReplayError",
    "Selection",
    "Shipment",
    "ShipmentEventsError",
    "StackNotFoundError",
    "TrackingNotDeployedError",
    "UnknownStageError",
]

_MODULES: Final = {
    "BusNotFoundError": "publishing.publisher",
    "Edit": "dead_letters.edits",
    "EventFileError": "publishing.event_files",
    "EventTable": "table.store",
    "InvalidEventError": "contract.outcome",
    "InvalidSearchError": "tracking.reader",
    "JournalError": "publishing.journal",
    "LetterExportError": "dead_letters.exports",
    "NotDeployedError": "errors",
    "NotOneLetterError": "dead_letters.letters",
    "Pipeline": "pipeline",
    "Publisher": "publishing.publisher",
    "ReplayError": "watching.archive",
    "Selection": "dead_letters.letters",
    "Shipment": "tracking.shipment",
    "ShipmentEventsError": "errors",
    "StackNotFoundError": "resources",
    "TrackingNotDeployedError": "resources",
    "UnknownStageError": "stages",
}


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
