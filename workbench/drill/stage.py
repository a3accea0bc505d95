"""A local engine of the drill with the real stack, scaled times, and ways to disturb it."""

import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from shipment_events.accounting.read_side import ReadSide
from shipment_events.contract import names
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.dead_letters.queue import DeadLetterQueue
from shipment_events.queue.queue import Queue
from shipment_events.resources import Resources, TrackingNotDeployedError, find_resources
from shipment_events.stages import DEFAULT_STAGE, settings_for
from shipment_events.table.store import EventTable
from workbench.drill.listener import Listener
from workbench.engine import engine as engines
from workbench.engine import synthesis
from workbench.engine.clients import LOCAL_CONFIG, local_session
from workbench.engine.deploy import deploy
from workbench.engine.settings import Settings
from workbench.engine.subscriber import subscribe

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient


@dataclass(slots=True)
class Stage:
    """A deployed stack on its own engine. Its clients bypass the fault proxies."""

    settings: Settings
    engine_environment: Mapping[str, str]
    visibility_timeout: int
    resources: Resources
    subscriber: Listener
    sqs: "SQSClient"
    dynamodb: "DynamoDBClient"
    events: "EventBridgeClient"
    _pid: int = field(default=0)

    @property
    def table(self) -> EventTable:
        """The table of events."""
        return EventTable(self.dynamodb, self.resources.table_name)

    @property
    def shipments_table_name(self) -> str:
        """Name of the table of shipments."""
        name = self.resources.shipments_table_name
        if name is None:
            raise TrackingNotDeployedError(self.settings.environment)
        return name

    @property
    def read_side(self) -> ReadSide:
        """The states of the stage and the changes that its subscriber received."""
        return ReadSide(self.table, self.dynamodb, self.shipments_table_name, self.subscriber)

    def tracked_shipments(self) -> set[str]:
        """Ids of the shipments that have a state."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.shipments_table_name, ConsistentRead=True, ProjectionExpression=PARTITION_KEY
        )
        return {item[PARTITION_KEY]["S"] for page in pages for item in page["Items"]}

    @property
    def queue(self) -> Queue:
        """The queue between bus and processor."""
        return Queue(self.sqs, self.resources.queue_url, self.resources.timing)

    @property
    def dead_letters(self) -> DeadLetterQueue:
        """The dead-letter queue."""
        letters = Queue(self.sqs, self.resources.dead_letter_queue_url, self.resources.timing)
        return DeadLetterQueue(letters, self.queue)

    @property
    def function_timeout(self) -> int:
        """Seconds after which the service ends the function."""
        return self.visibility_timeout // settings_for(self.settings.environment).visibility_timeout_multiple

    def workers(self) -> list[psutil.Process]:
        """The processes that run the function. They stand for Lambda's containers."""
        return psutil.Process(self._pid).children(recursive=True)

    def signal_workers(self, number: signal.Signals) -> None:
        """Send every process of the function a signal."""
        for worker in self.workers():
            # The process may have ended after it was listed.
            with suppress(psutil.NoSuchProcess):
                worker.send_signal(number)

    def restart(self) -> None:
        """Stop the engine with its state saved and start it again.

        Raises:
            LocalEngineError: the engine had to be killed, or does not start.
        """
        engines.stop(self.settings)
        self._pid = engines.start(self.settings, extra_environment=self.engine_environment).pid


@contextmanager
def open_stage(
    root: Path,
    home: Path,
    port: int,
    *,
    visibility_timeout: int,
    engine_environment: Mapping[str, str],
    environment: str = DEFAULT_STAGE,
) -> Iterator[Stage]:
    """Start an engine, deploy the stack and scale its times. At the end, stop and remove everything.

    No other stage may be open in ``home``. The engine that a killed drill left there is stopped.

    Args:
        home: folder of the engine, removed at the end.
        visibility_timeout: of the queue, in seconds, a multiple of the stage's multiple. The processor's
            timeout and all waits and client timeouts within it follow in the ratios of the deployed stack.
        engine_environment: variables that reach the engine and the functions it runs.

    Raises:
        LocalEngineError: the engine does not start or the stack cannot be deployed.
    """
    multiple = settings_for(environment).visibility_timeout_multiple
    if visibility_timeout % multiple:
        raise ValueError(f"visibility_timeout: expected a multiple of {multiple}, got {visibility_timeout}")
    assembly, _ = synthesis.synthesize(root, environment, root / ".local" / "assemblies")
    settings = Settings(root=root, home=home, port=port, environment=environment)
    try:
        engines.stop(settings)
        running = engines.start(settings, extra_environment=engine_environment, fresh=True)
        deploy(running.endpoint, assembly, environment)
        yield _scaled(settings, engine_environment, visibility_timeout, running)
    finally:
        engines.stop(settings)
        shutil.rmtree(home, ignore_errors=True)


def _scaled(
    settings: Settings,
    engine_environment: Mapping[str, str],
    visibility_timeout: int,
    running: engines.RunningEngine,
) -> Stage:
    session: Any = local_session()

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=running.endpoint, config=LOCAL_CONFIG)

    resources = find_resources(client("cloudformation"), settings.environment)
    sqs = client("sqs")
    stage = Stage(
        settings=settings,
        engine_environment=engine_environment,
        visibility_timeout=visibility_timeout,
        resources=resources,
        subscriber=Listener(sqs, subscribe(running.endpoint, settings.environment), resources.timing),
        sqs=sqs,
        dynamodb=client("dynamodb"),
        events=client("events"),
        _pid=running.pid,
    )
    stage.sqs.set_queue_attributes(
        QueueUrl=stage.resources.queue_url, Attributes={"VisibilityTimeout": str(visibility_timeout)}
    )
    functions: LambdaClient = client("lambda")
    function = names.processor_name(settings.environment)
    variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=function,
        Timeout=stage.function_timeout,
        Environment={"Variables": {**variables, "VISIBILITY_TIMEOUT_SECONDS": str(visibility_timeout)}},
    )
    functions.get_waiter("function_updated_v2").wait(FunctionName=function)
    return stage
