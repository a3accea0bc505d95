"""Run a drill: start, send under faults, wait until quiet, account for everything, clean up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from botocore.config import Config

from shipment_events.accounting.reconcile import QueuedEvent, TableEvent, reconcile
from shipment_events.dead_letters.letters import Selection
from shipment_events.dead_letters.reasons import DeadLetterReason
from shipment_events.processor.settings import READ_SHARE
from shipment_events.publishing.entries import Entry
from shipment_events.publishing.journal import JournalRecord, JournalWriter
from shipment_events.publishing.publisher import Accepted, Publisher
from shipment_events.resources import Resources
from workbench.drill.faults import DYNAMODB, EVENTS, SERVICES, SQS, Client
from workbench.drill.folder import log_of_proxies, only_drill_of
from workbench.drill.proxy import FaultProxies
from workbench.drill.report import DrillReport
from workbench.drill.stage import Stage, open_stage
from workbench.drill.storm import Storm
from workbench.drill.traffic import Traffic
from workbench.drill.verdict import SentEvent, judge, unique_letters
from workbench.engine.clients import local_session
from workbench.engine.health import free_ports

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

JOURNAL: Final = "drill-journal.ndjson"
EVENTS_FILE: Final = "drill-events.ndjson"
PROXY_LOG: Final = "drill-proxies.log"

_PUBLISHER_TIMEOUT: Final = 1.0
_POLL_SECONDS: Final = 0.2
# A busy engine may be late, so an event counts as lost only after several checks.
_SECOND_LOOKS: Final = 3
_SECOND_LOOK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """The parameters of a drill.

    Attributes:
        root: the repository.
        folder: for the journal and the events, and for the engine during the drill.
        minutes: duration of the faults; up to double if events or faults are too few by then.
        visibility_timeout: seconds of the scaled stage (see :func:`open_stage`).
    """

    root: Path
    folder: Path
    seed: int
    minutes: float = 2.0
    events: int = 20_000
    faults: int = 1_000
    visibility_timeout: int = 36

    def report(self) -> DrillReport:
        """The report of a drill that has not begun."""
        return DrillReport(
            seed=self.seed,
            minutes=self.minutes,
            wanted_events=self.events,
            wanted_faults=self.faults,
            visibility_timeout=self.visibility_timeout,
        )


@dataclass(slots=True)
class DrillProgress:
    """Progress of a drill, for the display."""

    phase: str = ""
    accepted: int = 0
    faults: int = 0
    waiting: int = 0
    incident: str = ""


def run_drill(plan: DrillPlan, on_progress: Callable[[DrillProgress], None] = lambda _: None) -> DrillReport:
    """Run a drill on its own engine. Only the report, journal and events stay.

    Raises:
        LocalEngineError: another drill has the folder, the engine does not start, restart or stop, or the
            stack cannot be deployed.
        botocore.exceptions.ClientError: the engine cannot be read in the end.
    """
    started = time.monotonic()
    report = plan.report()
    progress = DrillProgress("starting")
    on_progress(progress)
    engine_port, partial_port, *service_ports = free_ports(2 + len(SERVICES))
    ports = {"partial": partial_port, **dict(zip(SERVICES, service_ports, strict=True))}
    with (
        only_drill_of(plan.folder),
        log_of_proxies(plan.folder / PROXY_LOG),
        FaultProxies(engine_port, ports, plan.seed) as proxies,
        open_stage(
            plan.root,
            plan.folder / "drill",
            engine_port,
            visibility_timeout=plan.visibility_timeout,
            engine_environment=proxies.function_environment,
        ) as stage,
        JournalWriter(plan.folder / JOURNAL) as journal,
        (plan.folder / EVENTS_FILE).open("w", encoding="utf-8") as events,
    ):
        publisher = Publisher(_events_client(proxies), stage.resources.event_bus_name)
        clients = _clients(plan, stage.resources)
        storm = Storm(stage, proxies, publisher, plan.seed, plan.minutes * 60, clients)
        drill = Drill(
            stage=stage,
            storm=storm,
            report=report,
            journal=journal,
            events=events,
            progress=progress,
            on_progress=on_progress,
            traffic=Traffic(plan.seed),
        )
        drill.recover(drill.send(plan))
        drill.account()
    report.duration_seconds = time.monotonic() - started
    return report


@dataclass(slots=True, kw_only=True)
class Drill:
    """A drill whose stage is up. It knows what was sent, and writes into the report."""

    stage: Stage
    storm: Storm
    report: DrillReport
    journal: JournalWriter
    events: TextIO
    progress: DrillProgress
    on_progress: Callable[[DrillProgress], None]
    traffic: Traffic
    sent: list[SentEvent] = field(default_factory=list)

    def send(self, plan: DrillPlan) -> list[Entry]:
        """Send under faults. Returns what the publisher could not send."""
        unsent = self.storm.rage(self.traffic, plan.events, plan.faults, self._note, self._show_storm)
        report = self.report
        report.fault_kinds, report.missed = self.storm.fired(), self.storm.missed()
        report.bursts, report.refused = self.traffic.bursts, self.traffic.refused
        report.wrongly_refused = self.traffic.wrongly_refused
        return unsent

    def recover(self, unsent: list[Entry]) -> None:
        """Do what a user does after an outage: publish again, wait, redrive."""
        report, progress = self.report, self.progress
        progress.phase, progress.incident = "recovering", ""
        self._send_again(unsent)
        quiet_at = self._wait_until_quiet()
        if quiet_at is not None:
            report.recovery_seconds = max(0.0, quiet_at - self.storm.last_fault_at())
        exhausted = Selection(reason=DeadLetterReason.RETRIES_EXHAUSTED)
        report.redriven = len(self.stage.dead_letters.redrive(exhausted).settled)
        if report.redriven:
            progress.phase = f"recovering {report.redriven:,} redriven events"
            report.is_quiet_after_redrive = self._wait_until_quiet() is not None

    def account(self) -> None:
        """Find where each event is, and check states and changes."""
        self.progress.phase = "accounting"
        self.on_progress(self.progress)
        for _ in range(_SECOND_LOOKS):
            self._reconcile()
            found = self.report.reconciliation
            if not (found.lost or found.hidden_dead_letters):
                break
            time.sleep(_SECOND_LOOK_SECONDS)
        stage = self.stage
        shipments = self._stored_shipments() | stage.tracked_shipments()
        account = self.report.read_side = stage.read_side.account(shipments, lambda _: True)
        # The account ignores the changes of shipments that it is not asked about.
        if account.changes and (others := stage.subscriber.shipment_ids - shipments):
            made_up = sorted(others - self._stored_shipments())
            account.changes.impossible += [f"{one}: a change, and no event is stored" for one in made_up]

    def _stored_shipments(self) -> set[str]:
        return {item.detail["shipment_id"] for item in self.stage.table.scan()}

    def _note(self, receipt: Accepted) -> None:
        record = JournalRecord.of(receipt)
        self.journal.write(record)
        self.events.write(f"{record.detail}\n")
        self.sent.append(SentEvent(record, self.traffic.expected[receipt.entry.position]))
        self.progress.accepted = len(self.sent)

    def _show_storm(self, faults: int, incident: str) -> None:
        progress = self.progress
        progress.phase, progress.faults, progress.incident = "sending under faults", faults, incident
        self.on_progress(progress)

    def _send_again(self, unsent: list[Entry]) -> None:
        """Publish unsent entries again, as a user does."""
        accepted = 0
        for receipt in self.storm.publisher.send(unsent):
            if isinstance(receipt, Accepted):
                accepted += 1
                self._note(receipt)
        self.report.sent_again, self.report.unsent = accepted, len(unsent) - accepted

    def _wait_until_quiet(self) -> float | None:
        """When the queue became empty, in seconds since 1970; None if it did not within all receives."""

        def show(waiting: int) -> None:
            self.progress.waiting = waiting
            self.on_progress(self.progress)

        drain = self.stage.queue.wait_until_empty(
            patience=4 * self.stage.visibility_timeout + 60,
            poll_seconds=_POLL_SECONDS,
            on_progress=show,
        )
        return time.time() - drain.empty_seconds if drain.is_empty else None

    def _reconcile(self) -> None:
        reading = self.stage.dead_letters.read()
        letters, self.report.quarantined_again = unique_letters(reading.letters)
        self.report.reconciliation = reconcile(
            (event.record for event in self.sent),
            (
                TableEvent(
                    item.correlation_id, item.status, datetime.fromisoformat(item.stored_at), item.detail
                )
                for item in self.stage.table.scan()
            ),
            (QueuedEvent(letter.envelope_id, letter.reason) for letter in letters),
        )
        self.report.reconciliation.hidden_dead_letters = reading.hidden
        self.report.verdict = judge(self.sent, letters)


def _clients(plan: DrillPlan, resources: Resources) -> dict[str, Client]:
    """The processor's and the publisher's, which give up first."""
    timeout = plan.visibility_timeout * READ_SHARE
    return {
        DYNAMODB: Client(timeout, (resources.table_name,)),
        SQS: Client(timeout, (resources.queue_url, resources.dead_letter_queue_url)),
        EVENTS: Client(_PUBLISHER_TIMEOUT, (resources.event_bus_name,)),
    }


def _events_client(proxies: FaultProxies) -> "EventBridgeClient":
    config = Config(
        proxies={},
        connect_timeout=_PUBLISHER_TIMEOUT,
        read_timeout=_PUBLISHER_TIMEOUT,
        retries={"total_max_attempts": 1},
    )
    session: Any = local_session()
    client: EventBridgeClient = session.client("events", endpoint_url=proxies.endpoint(EVENTS), config=config)
    return client
