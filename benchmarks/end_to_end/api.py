"""A state by the HTTP API on a local engine, beside one GetItem of the SDK, in turns.

An empty function behind the same kind of API shows what the engine's gateway and its Lambda need. Each client
keeps its connection and signs its requests.
"""

import contextlib
import io
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote

from benchmarks.end_to_end.engine import STAGE, BenchmarkEngine, fresh_engine
from benchmarks.results import PartResult, Table
from benchmarks.statistics import quartiles, ratio_of_medians
from shipment_events.api.settings import ApiSettings
from shipment_events.api_client import ApiClient
from shipment_events.contract import names
from workbench.engine.assets import zip_files
from workbench.engine.clients import environment_variables, local_session

_WHAT: Final = {
    "get_item": "GetItem by the SDK",
    "again": "GetItem by the SDK, again",
    "handler": "the function's handler, in process",
    "empty": "an empty function behind such an API",
    "found": "a state by the API, 200",
    "unchanged": "a state by the API, 304",
}
_ROUNDS: Final = 400
_WARM_UP: Final = 20
_EVENTS: Final = 100
_EMPTY: Final = Path(__file__).with_name("empty_function.py")

Read = Callable[[], int]
"""Sends one request. Returns its status."""


def measure() -> PartResult:
    """Read the state of one shipment in each way."""
    with fresh_engine() as engine:
        engine.run_feed(_EVENTS)
        with _reads(engine) as reads:
            times = _rounds(reads)
    return _result(times)


def _rounds(reads: Mapping[str, tuple[Read, int]]) -> dict[str, list[float]]:
    """Seconds of each way, one a round.

    Raises:
        RuntimeError: a response has another status than expected.
    """
    order = random.Random(1)  # noqa: S311 - order of turns
    times: dict[str, list[float]] = defaultdict(list)
    turns = list(reads)
    for number in range(_WARM_UP + _ROUNDS):
        order.shuffle(turns)
        for name in turns:
            read, expected = reads[name]
            begin = time.perf_counter()
            status = read()
            seconds = time.perf_counter() - begin
            if status != expected:
                raise RuntimeError(f"{_WHAT[name]}: expected status {expected}, got {status}")
            if number >= _WARM_UP:
                times[name].append(seconds)
    return times


@contextlib.contextmanager
def _reads(engine: BenchmarkEngine) -> Iterator[dict[str, tuple[Read, int]]]:
    """The ways to read one state, each with the status that it should have."""
    url = _api_url(engine)
    api, empty = (ApiClient(local_session(), one) for one in (url, _empty_api_url(engine, url)))
    dynamodb, table = engine.client("dynamodb"), names.shipments_table_name(STAGE)
    [item] = dynamodb.scan(TableName=table, Limit=1)["Items"]
    shipment_id = item["shipment_id"]["S"]
    target = f"/shipments/{quote(shipment_id, safe='')}"
    etag = api.get(target).headers["etag"]

    def get_item() -> int:
        answer = dynamodb.get_item(
            TableName=table, Key={"shipment_id": {"S": shipment_id}}, ConsistentRead=True
        )
        status: int = answer["ResponseMetadata"]["HTTPStatusCode"]
        return status

    with _handler(engine) as handler:
        yield {
            "get_item": (get_item, 200),
            "again": (get_item, 200),
            "handler": (lambda: handler(shipment_id), 200),
            "empty": (lambda: empty.get(target).status, 200),
            "found": (lambda: api.get(target).status, 200),
            "unchanged": (lambda: api.get(target, etag=etag).status, 304),
        }


@contextlib.contextmanager
def _handler(engine: BenchmarkEngine) -> Iterator[Callable[[str], int]]:
    """The handler of the function in this process."""
    settings = ApiSettings(
        environment=STAGE,
        events_table_name=names.table_name(STAGE),
        shipments_table_name=names.shipments_table_name(STAGE),
    )
    former = dict(os.environ)
    os.environ.update(environment_variables(engine.endpoint) | settings.variables())
    context = SimpleNamespace(aws_request_id="benchmark", function_version="1")
    try:
        handler = import_module("shipment_events.api.handler").handler

        def answer(shipment_id: str) -> int:
            request: dict[str, Any] = {
                "routeKey": "GET /shipments/{id}",
                "pathParameters": {"id": shipment_id},
                "headers": {},
            }
            with contextlib.redirect_stdout(io.StringIO()):
                status: int = handler(request, context)["statusCode"]
            return status

        yield answer
    finally:
        os.environ.clear()
        os.environ.update(former)


def _api_url(engine: BenchmarkEngine) -> str:
    [stack] = engine.client("cloudformation").describe_stacks(StackName=names.stack_name(STAGE))["Stacks"]
    outputs: dict[str, str] = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    return outputs[names.OUTPUT_API_URL]


def _empty_api_url(engine: BenchmarkEngine, url: str) -> str:
    """Make an HTTP API with an empty function. Returns its URL, made from that of the stack's API."""
    functions, gateway = engine.client("lambda"), engine.client("apigatewayv2")
    ours = functions.get_function_configuration(FunctionName=names.api_name(STAGE))
    function = functions.create_function(
        FunctionName=_EMPTY.stem,
        Role=ours["Role"],
        Runtime=ours["Runtime"],
        Handler=f"{_EMPTY.stem}.handler",
        Code={"ZipFile": zip_files({_EMPTY.name: _EMPTY})},
    )
    api_id = gateway.create_api(Name=_EMPTY.stem, ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )
    gateway.create_route(
        ApiId=api_id,
        RouteKey="GET /shipments/{id}",
        AuthorizationType="AWS_IAM",
        Target=f"integrations/{integration['IntegrationId']}",
    )
    gateway.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    base, _, stage = url.rpartition("/")
    return f"{base.rpartition('/')[0]}/{api_id}/{stage}"


def _result(times: Mapping[str, list[float]]) -> PartResult:
    result = PartResult(f"{_ROUNDS} rounds on one local engine")
    get_item = times["get_item"]
    result.ratios["api_vs_get_item"] = ratio_of_medians(times["found"], get_item)
    result.ratios["api_304_vs_200"] = ratio_of_medians(times["unchanged"], times["found"])
    result.noise["API, GetItem / GetItem"] = ratio_of_medians(times["again"], get_item)
    rows = []
    for name, what in _WHAT.items():
        low, high = (f"{1e3 * seconds:.1f}" for seconds in quartiles(times[name]))
        ratio = ratio_of_medians(times[name], get_item)
        rows.append(
            [
                what,
                f"{1e3 * median(times[name]):.1f} ({low} to {high})",
                f"{ratio.value:.2f}",
                f"{ratio.low:.2f} to {ratio.high:.2f}",
            ]
        )
    header = ["a state", "ms (half of them)", "to GetItem", "95 % interval"]
    result.tables["api"] = Table(header, rows)
    result.numbers = {name: {"wall_seconds": median(values)} for name, values in times.items()}
    return result
