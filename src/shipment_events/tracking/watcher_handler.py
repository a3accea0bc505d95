"""Entry point of the watcher. Each call looks at all open shipments once."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from shipment_events.contract.names import (
    ANNOUNCED_FIELD,
    ENVIRONMENT_FIELD,
    LOOKED_AT_FIELD,
    LOST_RACES_FIELD,
    PARTITION_KEY,
    UNREADABLE_FIELD,
    UNSETTLED_FIELD,
    VERSION_FIELD,
    WATCHED_MESSAGE,
)
from shipment_events.errors import ShipmentEventsError
from shipment_events.function.clients import FunctionClients
from shipment_events.function.log_lines import print_line, trace
from shipment_events.tracking.announcer import Announcer
from shipment_events.tracking.store import ShipmentTable
from shipment_events.tracking.watcher import Watch, Watcher
from shipment_events.tracking.watcher_settings import WatcherSettings

if TYPE_CHECKING:
    from shipment_events.function.context import LambdaContext

# Seconds; an attempt takes less than ``watcher.RESERVE``.
CONNECT_TIMEOUT: Final = 1
READ_TIMEOUT: Final = 3
EXAMPLES: Final = 10
"""Unreadable items that a run logs."""


class UnsettledError(ShipmentEventsError):
    """Some delays are not announced or not marked, or an item is unreadable.

    Lambda tries again, and so does the next run.
    """


def handler(event: Mapping[str, Any], context: "LambdaContext") -> dict[str, int]:
    """Announce the delays at the time of the scheduled event.

    Lambda invokes a function again if it fails, with the same event:
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

    Raises:
        UnsettledError: not all delays could be announced and marked, or not all items could be read.
        botocore.exceptions.ClientError, BotoCoreError: the index cannot be read.
    """
    watch = _WATCHER.watch(
        datetime.fromisoformat(event["time"]),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    counts = _report(watch, context)
    if watch.unsettled or watch.unreadable:
        raise UnsettledError(
            f"delays of {counts[UNSETTLED_FIELD]} shipments are not announced and marked;"
            f" items of {counts[UNREADABLE_FIELD]} shipments are unreadable"
        )
    return counts


def _report(watch: Watch, context: "LambdaContext") -> dict[str, int]:
    """Print the lines of a run: one for each problem, and one with the counts, which are returned."""
    stage = {
        ENVIRONMENT_FIELD: _SETTINGS.environment,
        VERSION_FIELD: context.function_version,
        "request_id": context.aws_request_id,
        **trace(),
    }
    counts = {
        LOOKED_AT_FIELD: watch.looked_at,
        ANNOUNCED_FIELD: watch.announced,
        UNSETTLED_FIELD: sum(watch.unsettled.values()),
        UNREADABLE_FIELD: len(watch.unreadable),
        LOST_RACES_FIELD: watch.lost_races,
    }
    for why, shipments in watch.unsettled.items():
        message = "delays could not be announced or marked now"
        print_line({"level": "WARNING", "message": message, "detail": why, "shipments": shipments, **stage})
    for shipment_id in sorted(watch.unreadable)[:EXAMPLES]:
        message = "the tracker did not write this item of the table of shipments"
        print_line({"level": "ERROR", "message": message, PARTITION_KEY: shipment_id, **stage})
    print_line({"level": "INFO", "message": WATCHED_MESSAGE, **counts, **stage})
    return counts


def _build_watcher(settings: WatcherSettings) -> Watcher:
    clients = FunctionClients(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
    dynamodb = clients.make("dynamodb", attempts=2)
    return Watcher(
        client=dynamodb,
        shipments=ShipmentTable(dynamodb, settings.shipments_table_name, settings.retention),
        # The watcher tries again itself, so that each attempt is counted and has time.
        announcer=Announcer(clients.make("events"), settings.status_bus_name),
        stalled_after_hours=settings.stalled_after_hours,
    )


_SETTINGS = WatcherSettings.from_environment(os.environ)
_WATCHER = _build_watcher(_SETTINGS)
