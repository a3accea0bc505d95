"""The scale model obeys the laws of queues, and says of each tier what it is there to say.

The long simulations are slow tests.
"""

import json
from dataclasses import fields, replace
from itertools import pairwise
from math import exp, sqrt
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale_model import report
from benchmarks.scale_model.loads import loads, tightest
from benchmarks.scale_model.measures import Latencies, Level, Limiter
from benchmarks.scale_model.outcome import simulate
from benchmarks.scale_model.pipeline import Pipeline
from benchmarks.scale_model.quotas import PUBLISHED, SOURCES, Quotas, raised
from benchmarks.scale_model.scenario import TIERS, Scenario, Times, windowed
from shipment_events.cost.designs import OURS
from shipment_events.cost.usage import events_per_batch
from shipment_events.stage_options import ProvisionedPollers
from shipment_events.stages import StageSettings, settings_for

PROD: Final = settings_for("prod")
PLAIN: Final = Times(bus=0, bus_sigma=0, receive=0, finish=0, invocation=0.1, event=0, sigma=0, start=0)


def scenario(
    rate: float,
    *,
    settings: StageSettings = PROD,
    event_bytes: int = 450,
    warm_up: float = 20,
    measured: float = 40,
) -> Scenario:
    return Scenario(rate=rate, settings=settings, event_bytes=event_bytes, warm_up=warm_up, measured=measured)


def shards(count: int | None) -> Scenario:
    settings = replace(PROD, status_index_shards=count, processor_max_concurrency=40)
    return scenario(3_000, settings=settings, warm_up=15, measured=10)


def servers(count: int, rate: float) -> Scenario:
    """A queue with so many servers, one event each, that take 0.1 s: M/D/c."""
    return Scenario(
        rate=rate,
        settings=replace(PROD, batch_size=1),
        quotas=Quotas(lambda_concurrency=count, requests_of_an_instance=1e9),
        times=PLAIN,
        warm_up=50,
        measured=1_500,
    )


def accounted(pipeline: Pipeline) -> int:
    waiting = pipeline.on_the_way + pipeline.waiting.value + pipeline.in_flight.value
    return pipeline.stored + pipeline.dead + waiting


OVERLOAD: Final = Scenario(
    rate=90,
    # So many batches at once that each waits longer for the index than it may.
    settings=replace(PROD, provisioned_pollers=ProvisionedPollers(minimum=30, maximum=30)),
    quotas=Quotas(partition_write_units=20),
    warm_up=200,
    measured=300,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "one",
    [
        scenario(0.5, measured=600),
        scenario(900),
        scenario(2_500),
        scenario(50_000, measured=5),
        scenario(30, settings=replace(PROD, batching_window_seconds=1)),
        OVERLOAD,
    ],
    ids=lambda one: f"{one.rate:g}/s",
)
def test_what_comes_in_is_stored_or_waits_or_is_a_dead_letter(one: Scenario) -> None:
    pipeline = Pipeline(one)
    pipeline.run()
    assert pipeline.sent == accounted(pipeline)
    assert pipeline.sent == pytest.approx(one.rate * (one.warm_up + one.measured), rel=0.15)


@pytest.mark.slow
def test_overload_behind_the_function_makes_retries_and_then_dead_letters() -> None:
    """Why the number of batches in work is bounded: unbounded, they wait until they are given back."""
    unbounded = simulate(OVERLOAD)
    assert unbounded.returned > 0
    assert unbounded.dead > 0
    assert not unbounded.keeps_up
    bounded = simulate(replace(OVERLOAD, settings=PROD))
    assert bounded.dead == bounded.returned == 0
    assert bounded.backlog > 0


@pytest.mark.slow
def test_events_that_are_hidden_for_a_retry_are_behind() -> None:
    """Nothing waits in the queue here: a fifth of the events goes back and forth until it is dead."""
    pollers = ProvisionedPollers(minimum=30, maximum=30)
    overloaded = Scenario(
        rate=24,
        settings=replace(PROD, provisioned_pollers=pollers),
        quotas=Quotas(partition_write_units=20),
        warm_up=120,
        measured=120,
    )
    outcome = simulate(overloaded)
    assert outcome.returned > 0
    assert outcome.dead == 0
    assert not outcome.keeps_up
    assert outcome.backlog > 100


@pytest.mark.slow
@pytest.mark.parametrize("rate", [100.0, 300.0])
def test_as_many_events_come_as_the_rate_says(rate: float) -> None:
    pipeline = Pipeline(scenario(rate, warm_up=1, measured=30_000 / rate))
    pipeline.run()
    assert pipeline.sent == pytest.approx(rate * pipeline.now, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5.0, 20.0, 50.0])
def test_an_event_that_comes_in_the_pause_waits_for_its_end(rate: float) -> None:
    """A batch ends and nothing waits: a pause, and another one for as long as each has brought events.

    The first event of such a row waits for nothing, those within a pause for half of it.
    """
    pause = 0.05
    times = replace(PLAIN, invocation=0, pause=pause)
    pipeline = Pipeline(replace(scenario(rate, warm_up=10, measured=40_000 / rate), times=times))
    pipeline.run()
    within = rate * pause * exp(rate * pause)
    assert pipeline.waits.mean == pytest.approx(pause / 2 * within / (1 + within), rel=0.03)


def test_an_event_that_finds_all_batches_in_work_makes_a_pause() -> None:
    """Two batches of ten in each pause, and the millisecond until the next event."""
    settings = replace(PROD, processor_max_concurrency=2)
    times = replace(PLAIN, invocation=0.01, pause=0.05)
    pipeline = Pipeline(replace(scenario(900, settings=settings), times=times))
    pipeline.run()
    assert pipeline.stored_measured / 40 == pytest.approx(20 / (0.05 + 1 / 900), rel=0.01)


def test_only_invocations_count_as_concurrent_executions() -> None:
    times = replace(PLAIN, receive=0.2, finish=0.3)
    pipeline = Pipeline(replace(scenario(5, measured=1_000), times=times))
    pipeline.run()
    batches = pipeline.batches_measured / 1_000
    assert pipeline.running.mean(pipeline.now) == pytest.approx(batches * 0.1, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5.0, 60.0, 800.0])
def test_littles_law(rate: float) -> None:
    """Mean number waiting = rate x mean wait, for any stable queue."""
    pipeline = Pipeline(scenario(rate, measured=200 if rate < 100 else 20))
    pipeline.run()
    expected = pipeline.waits.count / pipeline.scenario.measured * pipeline.waits.mean
    assert pipeline.waiting.mean(pipeline.now) == pytest.approx(expected, rel=0.02, abs=1e-6)


def test_one_server_waits_as_md1_says() -> None:
    rate, service = 8.0, 0.1
    pipeline = Pipeline(servers(1, rate))
    pipeline.run()
    load = rate * service
    assert pipeline.waits.mean == pytest.approx(load * service / (2 * (1 - load)), rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "rate"), [(2, 16.0), (3, 24.0)])
def test_several_servers_wait_as_mdc_says(count: int, rate: float) -> None:
    """Cosmetatos' approximation, which is within 2 % of the exact value here."""
    service = 0.1
    pipeline = Pipeline(servers(count, rate))
    pipeline.run()
    load = rate * service / count
    correction = 1 + (1 - load) * (count - 1) * (sqrt(4 + 5 * count) - 2) / (16 * load * count)
    expected = 0.5 * _mmc_wait(count, rate, service) * correction
    assert pipeline.waits.mean == pytest.approx(expected, rel=0.1)


def _mmc_wait(count: int, rate: float, service: float) -> float:
    """Erlang's formula, by its recursion."""
    offered, blocked = rate * service, 1.0
    for servers_ in range(1, count + 1):
        blocked = offered * blocked / (servers_ + offered * blocked)
    load = offered / count
    waits = blocked / (1 - load * (1 - blocked))
    return waits * service / (count - offered)


@pytest.mark.parametrize("window", [1, 3])
def test_rare_events_wait_for_the_whole_batching_window(window: int) -> None:
    rare = scenario(0.05, measured=20_000)
    at_once, collected = (
        simulate(replace(rare, settings=replace(PROD, batching_window_seconds=seconds)))
        for seconds in (0, window)
    )
    assert collected.p50 - at_once.p50 == pytest.approx(window, rel=0.02)
    assert collected.batch == pytest.approx(1, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5.0, 20.0, 60.0])
def test_batching_window_fills_the_batches_as_the_bill_says(rate: float) -> None:
    settings = replace(PROD, batching_window_seconds=1)
    outcome = simulate(scenario(rate, settings=settings, measured=400))
    expected = events_per_batch(outcome.scenario.workload, settings, OURS)
    assert outcome.batch == pytest.approx(expected, rel=0.05)
    assert outcome.keeps_up
    assert outcome.p99 < 1.5


@pytest.mark.slow
def test_full_batch_does_not_wait_for_the_window() -> None:
    settings = replace(PROD, batching_window_seconds=5)
    outcome = simulate(scenario(700, settings=settings))
    assert outcome.batch == pytest.approx(10, rel=0.01)
    assert outcome.p99 < 1
    assert outcome.keeps_up


@pytest.mark.slow
def test_more_events_never_wait_less() -> None:
    outcomes = [simulate(scenario(rate)) for rate in (100, 900, 1_200, 5_000)]
    p99 = [outcome.p99 for outcome in outcomes]
    assert all(later >= 0.97 * earlier for earlier, later in pairwise(p99))
    backlogs = [outcome.backlog for outcome in outcomes]
    assert backlogs == sorted(backlogs)
    assert [outcome.keeps_up for outcome in outcomes] == [True, True, False, False]


@pytest.mark.slow
def test_more_shards_never_store_less() -> None:
    stored = [simulate(shards(count)).stored_a_second for count in (None, 2, 4, 8)]
    assert stored[0] == pytest.approx(1_000, rel=0.02)
    assert stored[1] == pytest.approx(2_000, rel=0.02)
    assert stored[2] == pytest.approx(3_000, rel=0.02)
    assert stored[3] == pytest.approx(3_000, rel=0.02)


@pytest.mark.slow
def test_larger_items_take_more_of_the_index() -> None:
    small, large = (simulate(scenario(800, event_bytes=size)) for size in (450, 900))
    assert small.keeps_up
    assert not large.keeps_up
    assert large.stored_a_second == pytest.approx(500, rel=0.02)


@pytest.mark.parametrize(
    "one",
    [scenario(500, measured=10), pytest.param(OVERLOAD, marks=pytest.mark.slow)],
    ids=["stable", "with retries"],
)
def test_the_same_seed_gives_the_same_run(one: Scenario) -> None:
    first, second = (report.as_json(simulate(one)) for _ in range(2))
    assert first == second


def test_needed_shares_by_hand() -> None:
    """10,000 events a second: 1,000 batches a second of 38 ms, one write unit an event."""
    tier = next(tier for tier in TIERS if tier.rate == 10_000)
    shares = {load.name: load.share for load in loads(tier.scenario())}
    assert shares == {
        "PutEvents": pytest.approx(0.1),
        "rule invocations": pytest.approx(10_000 / 18_750),
        "messages in flight": pytest.approx(380 / 120_000),
        "batches in work": pytest.approx(38 / 60),
        "concurrent executions": pytest.approx(18 / 1_000),
        "invocations": pytest.approx(0.1),
        "warm write units": pytest.approx(10_000 / 15_000),
        "table write units": pytest.approx(0.25),
        "index partitions": pytest.approx(10_000 / 16_000),
    }


def test_provisioned_pollers_are_bounded_by_polls_and_bytes() -> None:
    settings = replace(PROD, provisioned_pollers=ProvisionedPollers(minimum=2, maximum=20))
    needed = {load.name: load for load in loads(scenario(1_000, settings=settings, event_bytes=3_777))}
    assert needed["polls"].share == pytest.approx(100 / 200)
    assert needed["bytes polled"].share == pytest.approx(1_000 * 4_000 / 20e6)
    assert "provisioned_pollers" in needed["polls"].lift


def test_provisioned_pollers_read_no_more_bytes_than_they_may() -> None:
    settings = replace(
        PROD, provisioned_pollers=ProvisionedPollers(minimum=2, maximum=2), status_index_shards=8
    )
    outcome = simulate(scenario(150, settings=settings, event_bytes=20_000))
    assert outcome.stored_a_second == pytest.approx(2e6 / 20_223, rel=0.02)
    assert not outcome.keeps_up


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quotas", "options"),
    [
        (Quotas(put_events=20), {}),
        (Quotas(rule_invocations=200), {}),
        (Quotas(requests_of_an_instance=0.02), {}),
        (Quotas(new_table_write_units=200), {}),
        (Quotas(table_write_units=200), {}),
        (Quotas(partition_write_units=200), {}),
        (Quotas(poller_polls=10), {"provisioned_pollers": ProvisionedPollers(minimum=2, maximum=2)}),
    ],
    ids=["PutEvents", "rule", "invocations", "warm units", "table units", "partition", "polls"],
)
def test_each_limit_lets_through_what_it_says(quotas: Quotas, options: dict[str, Any]) -> None:
    """Of 400 events a second 200, in requests and batches of ten."""
    outcome = simulate(replace(scenario(400, settings=replace(PROD, **options)), quotas=quotas))
    assert outcome.stored_a_second == pytest.approx(200, rel=0.02)
    assert outcome.highest_share >= 2
    assert not outcome.keeps_up


def test_no_more_messages_are_in_flight_than_sqs_allows() -> None:
    pipeline = Pipeline(replace(scenario(400), quotas=Quotas(in_flight=15), times=PLAIN))
    pipeline.run()
    assert pipeline.in_flight.peak == 15


def test_an_event_source_begins_with_five_batches_and_adds_five_a_second() -> None:
    settings = replace(PROD, processor_max_concurrency=40)
    times = replace(PLAIN, invocation=0.5)
    pipeline = Pipeline(replace(scenario(900, settings=settings, warm_up=3.2, measured=0.2), times=times))
    pipeline.run()
    assert pipeline.running.peak == 5 + 3 * 5


def test_latency_is_the_sum_of_its_parts() -> None:
    times = Times(
        bus=0.05, bus_sigma=0, receive=0.01, invocation=0.1, event=0.002, sigma=0, finish=0.3, start=0
    )
    outcome = simulate(replace(scenario(0.5, measured=600), times=times))
    assert outcome.p50 == pytest.approx(0.05 + 0.01 + 0.1 + 0.002, rel=0.01)


def test_a_batch_is_in_work_until_its_messages_are_deleted() -> None:
    outcome = simulate(replace(servers(2, 30), times=replace(PLAIN, finish=0.1), measured=100))
    assert outcome.stored_a_second == pytest.approx(2 / 0.2, rel=0.02)


def test_shares_count_what_waits_in_the_function() -> None:
    """Ten batches of ten, nearly all of the time waiting for the index."""
    throttled = replace(scenario(90, warm_up=60), quotas=Quotas(partition_write_units=20))
    shares = simulate(throttled).shares
    assert shares["messages in flight"] == pytest.approx(100 / 120_000, rel=0.05)
    assert shares["concurrent executions"] == pytest.approx(10 / 1_000, rel=0.05)


def test_an_instance_starts_before_it_works() -> None:
    pipeline = Pipeline(replace(scenario(5, warm_up=1, measured=8), times=replace(PLAIN, start=10)))
    pipeline.run()
    assert pipeline.stored == 0


def test_ten_thousand_a_second_need_no_limit_above_70_percent() -> None:
    tier = next(tier for tier in TIERS if tier.rate == 10_000)
    assert not tier.quotas, "without asking AWS for anything"
    outcome = simulate(replace(tier.scenario(), warm_up=30, measured=10))
    assert outcome.keeps_up
    assert outcome.highest_share <= 0.7
    assert outcome.p99 < 1


def test_a_hundred_thousand_a_second_keep_up_with_what_aws_has_to_raise() -> None:
    tier = next(tier for tier in TIERS if tier.rate == 100_000)
    asked = raised(tier.scenario().quotas)
    assert all(SOURCES[name].increase and after > before for name, (before, after) in asked.items())
    assert all(load.share <= 0.7 for load in loads(tier.scenario()))
    without = {load.name: load.share for load in loads(replace(tier.scenario(), quotas=PUBLISHED))}
    short = {name for name, share in without.items() if share > 0.7}
    assert {"PutEvents", "rule invocations", "table write units", "invocations"} <= short


def test_a_stage_without_options_breaks_at_the_index_and_says_so() -> None:
    tier = next(tier for tier in TIERS if tier.rate == 10_000)
    found = tightest(tier.scenario(matching=False))
    assert found.name == "index partitions"
    assert found.lift == "status_index_shards"
    assert found.share == pytest.approx(10)


def test_every_quota_has_a_source() -> None:
    assert {field.name for field in fields(Quotas)} == SOURCES.keys()
    assert all(source.url.startswith("https://docs.aws.amazon.com/") for source in SOURCES.values())


@given(waits=st.lists(st.tuples(st.floats(0.001, 1_000), st.integers(1, 50)), min_size=1, max_size=30))
def test_percentiles_are_within_a_percent(waits: list[tuple[float, int]]) -> None:
    latencies = Latencies()
    for seconds, events in waits:
        latencies.add(seconds, events)
    every = sorted(seconds for seconds, events in waits for _ in range(events))
    for percent in (50, 99, 100):
        exact = every[max(0, -(-len(every) * percent // 100) - 1)]
        assert latencies.percentile(percent) == pytest.approx(exact, rel=0.011)


def test_level_is_weighted_with_time() -> None:
    level = Level()
    level.change(4, now=10)
    level.change(-3, now=20)
    assert level.mean(now=40) == pytest.approx((0 * 10 + 4 * 10 + 1 * 20) / 40)
    assert level.peak == 4


def test_limiter_lets_a_second_through_at_once_and_then_its_rate() -> None:
    limiter = Limiter(10)
    assert limiter.book(10, now=100) == 0
    assert limiter.book(5, now=100) == pytest.approx(0.5)
    assert limiter.book(5, now=100.5) == pytest.approx(0.5)
    assert limiter.wait(now=102) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("daily", "is_below_a_second"), [(1e6, False), (1e7, True)])
def test_window_of_a_second_keeps_events_below_a_second_where_they_are_many(
    daily: float, *, is_below_a_second: bool
) -> None:
    """As docs/scale.md says."""
    outcome = simulate(replace(windowed(daily, 1), measured=120))
    assert (outcome.p99 < 1) == is_below_a_second
    assert outcome.p50 < 1
    assert windowed(daily, 0).settings.batching_window_seconds == 0
    assert windowed(1e8, 1).settings.status_index_shards == 4


def test_json_names_what_breaks_first() -> None:
    found = json.loads(json.dumps(report.as_json(simulate(scenario(2_000)))))
    assert found["breaks_first"] == {
        "limit": "index partitions",
        "share": 2.0,
        "at_events_per_second": 1_000,
        "lifted_by": "status_index_shards",
    }
    assert found["keeps_up"] is False
    assert found["backlog_growth_per_second"] == pytest.approx(1_000, rel=0.1)
