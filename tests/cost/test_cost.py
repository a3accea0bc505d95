"""Bills worked out by hand, and what has to hold for every bill."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.cli import main
from shipment_events.contract.event import parse_event
from shipment_events.contract.exact_json import loads
from shipment_events.cost.bill import Bill, compared, monthly_bill
from shipment_events.cost.designs import DESIGNS, OURS, PUT_ITEM, TEXTBOOK, Design
from shipment_events.cost.limits import exceeded
from shipment_events.cost.prices import Price, Tier, price_table
from shipment_events.cost.usage import events_per_batch, monthly_usage
from shipment_events.cost.workload import DAYS_A_MONTH, ITEM_BYTES, TYPICAL_DUPLICATE_SHARE, Workload
from shipment_events.publishing.entries import prepare_text
from shipment_events.stage_options import ProvisionedPollers
from shipment_events.stages import settings_for
from shipment_events.table.item import Write
from tests.stand_ins.fakes import FakeTable
from tests.table.test_store import insert, wire_bytes
from workbench.feed import Shares, generate

PROD = replace(settings_for("prod"), tracking=False)
"""test_tracking.py has the lines of tracking."""
STANDARD = replace(PROD, infrequent_access=False)


def line(bill: Bill, item: str) -> float:
    (found,) = [line.usd for line in bill.lines if line.usage.item == item]
    return found


def test_a_million_events_by_hand() -> None:
    """A month of a million events in all, 800 bytes of item each, none twice, in batches of ten."""
    workload = Workload(events_per_day=1e6 / DAYS_A_MONTH, event_bytes=567, duplicate_share=0)
    bill = monthly_bill(workload, replace(STANDARD, event_retention_days=60), OURS, batch=10)
    assert line(bill, "events") == pytest.approx(1.00)
    assert line(bill, "archive, ingestion") == pytest.approx(0.790 * 0.10)
    assert line(bill, "archive, 7 days") == pytest.approx(0.790 * 7 / DAYS_A_MONTH * 0.023)
    assert line(bill, "sends") == pytest.approx(0.40)
    assert line(bill, "receives") == line(bill, "deletes") == pytest.approx(0.04)
    assert line(bill, "duration at 512 MB") == pytest.approx(100_000 * 0.018 * 0.5 * 0.0000133334)
    assert line(bill, "writes of the table") == line(bill, "writes of the index") == pytest.approx(0.625)
    assert line(bill, "writes of duplicates") == line(bill, "reads of duplicates") == 0
    # 900 bytes with the overhead, for 60 days.
    stored = 0.9 * 60 / DAYS_A_MONTH
    assert line(bill, "storage of the table") == line(bill, "storage of the index")
    assert line(bill, "storage of the table") == pytest.approx(stored * 0.25)
    assert line(bill, "point-in-time recovery") == pytest.approx(stored * 0.20)
    # 100,000 invocations in a month of 2,628,000 seconds: fewer than one a second, so each is traced.
    assert line(bill, "logs, ingestion") == pytest.approx((100_000 * (241 + 49) + 1e6 * 39) / 1e9 * 0.50)
    assert line(bill, "traces") == pytest.approx(0.50)
    assert line(bill, "metrics") == pytest.approx(2.40)
    assert line(bill, "dashboard") == 3
    assert line(bill, "key of the stage") == 1


def test_a_stage_without_events_pays_for_being_there() -> None:
    bill = monthly_bill(Workload(events_per_day=1e-9), PROD, OURS)
    # 5 pollers, one poll in 20 seconds each.
    assert line(bill, "empty receives") == pytest.approx(
        5 * DAYS_A_MONTH * 86_400 / 20 * 0.40 / 1e6, rel=1e-3
    )
    # Most of it is the key, the dashboard, the metrics, the alarms and those receives.
    assert 9 < bill.usd < 10


def test_the_textbook_pays_for_its_records() -> None:
    workload = Workload(events_per_day=1e6 / DAYS_A_MONTH, event_bytes=567, duplicate_share=0)
    bill = monthly_bill(workload, PROD, TEXTBOOK, batch=10)
    assert line(bill, "writes of idempotency records") == pytest.approx(2 * 0.625)
    kept = 0.28 * PROD.event_retention_days / DAYS_A_MONTH
    assert line(bill, "storage of idempotency records") == pytest.approx(kept * 0.25)
    assert line(bill, "duration at 512 MB") == pytest.approx(100_000 * 0.3 * 0.5 * 0.0000133334)


def test_log_of_put_item_is_billed_as_ours() -> None:
    for name in ("batch_log_bytes", "event_log_bytes", "duplicate_log_bytes", "trace_log_bytes"):
        assert getattr(PUT_ITEM, name) == getattr(OURS, name)


def test_lines_of_invocations_that_are_not_traced_are_shorter() -> None:
    """Eleven batches a second: one of them and a twentieth of the others are traced."""
    workload = Workload(events_per_day=110 * 86_400, duplicate_share=0.5)
    untraced = replace(OURS, trace_log_bytes=0)
    with_ids, without = (
        line(monthly_bill(workload, PROD, design, batch=10), "logs, ingestion") for design in (OURS, untraced)
    )
    lines = 11 + 55
    ids = 49 * lines * 1.5 / 11 * 86_400 * DAYS_A_MONTH
    assert with_ids - without == pytest.approx(ids / 1e9 * 0.50)


def test_lambda_logs_each_invocation_of_the_textbook_and_none_of_ours() -> None:
    workload = Workload(events_per_day=1e6 / DAYS_A_MONTH, duplicate_share=0)
    silent = replace(TEXTBOOK, platform_log_bytes=0)
    with_lines, without = (
        line(monthly_bill(workload, PROD, design, batch=10), "logs, ingestion")
        for design in (TEXTBOOK, silent)
    )
    assert with_lines - without == pytest.approx(100_000 * 260 / 1e9 * 0.50)
    assert OURS.platform_log_bytes == 0


def test_textbook_keeps_the_defaults_of_aws_whatever_the_stage_has() -> None:
    workload = Workload(events_per_day=1e6)
    windowed = replace(PROD, batching_window_seconds=5)
    assert PROD.infrequent_access
    ours, textbook = (
        [monthly_bill(workload, settings, design).usd for settings in (STANDARD, PROD, windowed)]
        for design in (OURS, TEXTBOOK)
    )
    assert len(set(ours)) == 3
    assert len(set(textbook)) == 1


def test_textbook_can_be_given_what_the_stage_has() -> None:
    workload = Workload(events_per_day=1e6)
    windowed = replace(PROD, batching_window_seconds=1)
    same = replace(TEXTBOOK, infrequent_access=None, batching_window_seconds=None)
    bill = monthly_bill(workload, windowed, same)
    assert bill.batch == pytest.approx(monthly_bill(workload, windowed, OURS).batch)
    assert line(bill, "storage of the table") == line(
        monthly_bill(workload, windowed, OURS), "storage of the table"
    )


def test_duplicates_are_written_once_and_read_once() -> None:
    workload = Workload(events_per_day=1e6 / DAYS_A_MONTH, event_bytes=2000, duplicate_share=1)
    bill = monthly_bill(workload, STANDARD, OURS)
    assert line(bill, "writes of the table") == line(bill, "writes of the index") == 0
    assert line(bill, "writes of duplicates") == pytest.approx(3 * 0.625)
    assert line(bill, "reads of duplicates") == pytest.approx(0.125)
    # Idempotency records are small, whatever the event.
    assert line(monthly_bill(workload, STANDARD, TEXTBOOK), "writes of duplicates") == pytest.approx(0.625)


@pytest.mark.parametrize(("event_bytes", "chunks"), [(450, 1), (65_313, 1), (65_314, 2), (300_000, 5)])
def test_bus_and_queue_count_chunks(event_bytes: int, chunks: int) -> None:
    workload = Workload(events_per_day=1e6 / DAYS_A_MONTH, event_bytes=event_bytes)
    bill = monthly_bill(workload, PROD, OURS)
    assert line(bill, "events") == pytest.approx(chunks)
    assert line(bill, "sends") == pytest.approx(chunks * 0.4)
    assert line(bill, "receives") >= line(bill, "sends") * 0.9 / chunks


def test_tiers_are_charged_one_after_the_other() -> None:
    price = Price("p", 10, "u", (Tier(100, 5.0), Tier(200, 4.0), Tier(math.inf, 1.0)), "", date.min, "")
    assert price.of(0) == 0
    assert price.of(50) == 25
    assert price.of(100) == 50
    assert price.of(150) == 70
    assert price.of(1000) == 50 + 40 + 80


def test_lines_of_one_price_share_its_tiers() -> None:
    """A line of its own each would begin at the dearest tier anew."""
    huge = Workload(events_per_day=5e9)
    bill = monthly_bill(huge, PROD, OURS, batch=10)
    requests = sum(x.usage.quantity for x in bill.lines if x.usage.price == "sqs_requests")
    usd = sum(x.usd for x in bill.lines if x.usage.price == "sqs_requests")
    assert requests > 100e9
    assert usd == pytest.approx(price_table()["sqs_requests"].of(requests))


def test_every_price_has_source_date_and_evidence() -> None:
    for price in price_table().values():
        assert price.source.startswith("https://aws.amazon.com/")
        assert date(2026, 1, 1) <= price.checked <= date(2100, 1, 1)
        assert price.evidence
        assert price.unit
        assert price.per > 0
        assert [tier.usd for tier in price.tiers] == sorted((tier.usd for tier in price.tiers), reverse=True)
        assert all(tier.usd > 0 for tier in price.tiers)
        assert price.tiers[-1].to == math.inf


def test_every_price_is_used_and_every_use_has_a_price() -> None:
    pollers = ProvisionedPollers(minimum=2, maximum=10)
    scaled = replace(PROD, tracking=True, alarm_emails=("a@example.org",), provisioned_pollers=pollers)
    stages = [STANDARD, scaled]
    used = {
        usage.price
        for stage in stages
        for design in DESIGNS
        for usage in monthly_usage(Workload(events_per_day=1, api_requests_per_day=1), stage, design)
    }
    assert used == price_table().keys()


@given(
    events=st.floats(1, 1e9),
    more=st.floats(1, 3),
    size=st.integers(1, 300_000),
    larger=st.integers(0, 50_000),
    design=st.sampled_from(DESIGNS),
)
def test_more_or_larger_events_never_cost_less(
    events: float, more: float, size: int, larger: int, design: Design
) -> None:
    def usd(events: float, size: int) -> float:
        return monthly_bill(Workload(events_per_day=events, event_bytes=size), PROD, design, batch=10).usd

    assert usd(events * more, size) >= usd(events, size) * (1 - 1e-9)
    assert usd(events, size + larger) >= usd(events, size) * (1 - 1e-9)


@given(rate=st.floats(0.001, 1e6), more=st.floats(1, 10), design=st.sampled_from(DESIGNS))
def test_batches_fill_with_the_rate(rate: float, more: float, design: Design) -> None:
    def batch(rate: float) -> float:
        return events_per_batch(Workload(events_per_day=rate * 86_400), PROD, design)

    assert 1 <= batch(rate) <= batch(rate * more) <= PROD.batch_size


@given(
    rate=st.floats(0.001, 1e6),
    more=st.floats(1, 10),
    window=st.integers(0, 4),
    design=st.sampled_from(DESIGNS),
)
def test_batches_fill_with_the_window(rate: float, more: float, window: int, design: Design) -> None:
    def batch(rate: float, window: int) -> float:
        settings = replace(PROD, batching_window_seconds=window)
        return events_per_batch(Workload(events_per_day=rate * 86_400), settings, design)

    assert batch(rate, window) <= batch(rate * more, window) + 1e-6
    assert batch(rate, window) <= batch(rate, window + 1) + 1e-6
    assert batch(rate, window) <= PROD.batch_size


@pytest.mark.parametrize(
    ("a_second", "window", "batch"),
    [
        # Five pollers: one event, and a fifth of those of the window.
        (5, 1, 2.0),
        (5, 2, 3.0),
        (0.001, 5, 1.001),
        # Ten on average, but of the batches that would have more the rest is another batch.
        (45, 1, 8.81),
        (1_000, 1, 10.0),
    ],
)
def test_batches_of_a_window_by_hand(a_second: float, window: int, batch: float) -> None:
    settings = replace(PROD, batching_window_seconds=window)
    workload = Workload(events_per_day=a_second * 86_400)
    assert events_per_batch(workload, settings, OURS) == pytest.approx(batch, abs=0.01)


def test_window_saves_invocations_and_what_they_cost_but_no_receives() -> None:
    """A receive ends with the first event that it gets, so a poller that collects has to receive again."""
    workload = Workload(events_per_day=5 * 86_400)
    at_once, windowed = (
        {(x.service, x.item): x.quantity for x in monthly_usage(workload, settings, OURS)}
        for settings in (PROD, replace(PROD, batching_window_seconds=1))
    )
    for halved in (("Lambda", "requests"), ("SQS", "deletes")):
        assert windowed[halved] == pytest.approx(at_once[halved] / 2, rel=0.01)
    assert windowed["SQS", "receives"] == at_once["SQS", "receives"]
    for less in (("CloudWatch", "logs, ingestion"), ("X-Ray", "traces")):
        assert windowed[less] < at_once[less]


def test_typical_event_is_that_of_the_feed() -> None:
    sizes = [len(json.dumps(json.loads(x.text)).encode()) for x in generate(500, shares=Shares(broken=0))]
    assert 0.8 < sum(sizes) / len(sizes) / Workload(events_per_day=1).event_bytes < 1.25


def test_typical_share_of_duplicates_is_that_of_the_feed() -> None:
    assert Shares().repeat == TYPICAL_DUPLICATE_SHARE


def test_item_is_as_much_larger_than_its_event_as_the_bill_says() -> None:
    table = FakeTable()
    events = sizes = 0
    # With few shipments at a time, the feed soon has as many last events as first ones.
    for line_ in generate(2_000, shares=Shares(broken=0, repeat=0), shipments_per_day=25):
        detail = prepare_text(line_.text).detail
        event = parse_event(loads(detail))
        insert(table, Write.of(event, "0" * 36))
        events += len(detail.encode())
    for item in table.items.values():
        sizes += sum(len(name) + wire_bytes(value) for name, value in item.items())
    assert (sizes - events) / len(table.items) == pytest.approx(ITEM_BYTES, abs=3)


def test_infrequent_access_is_as_cheap_as_it_is_said_to_be() -> None:
    """docs/cost.md and stages.py say it."""
    workload = Workload(events_per_day=1e6)
    standard, infrequent = (
        monthly_bill(workload, replace(PROD, infrequent_access=choice), OURS) for choice in (False, True)
    )
    assert line(infrequent, "storage of the table") == pytest.approx(
        0.4 * line(standard, "storage of the table")
    )
    assert line(infrequent, "writes of the index") == pytest.approx(
        1.248 * line(standard, "writes of the index")
    )
    assert infrequent.usd < standard.usd


@pytest.mark.parametrize(
    ("events_per_second", "names"),
    [
        (11, []),
        (1_500, ["status_index_shards"]),
        (3_000, ["processor_max_concurrency", "status_index_shards"]),
    ],
)
def test_says_what_the_stage_could_not_do(events_per_second: float, names: Sequence[str]) -> None:
    found = exceeded(Workload(events_per_day=events_per_second * 86_400), PROD, OURS)
    assert len(found) == len(names)
    assert all(name in sentence for name, sentence in zip(names, found, strict=True))


def test_options_lift_what_the_stage_could_not_do() -> None:
    options = replace(
        PROD, status_index_shards=16, provisioned_pollers=ProvisionedPollers(minimum=2, maximum=20)
    )
    assert exceeded(Workload(events_per_day=10_000 * 86_400), options, OURS) == []


def test_provisioned_pollers_are_paid_by_the_hour_and_poll_without_events() -> None:
    settings = replace(PROD, provisioned_pollers=ProvisionedPollers(minimum=3, maximum=20))
    idle = monthly_bill(Workload(events_per_day=1e-9), settings, OURS)
    assert line(idle, "pollers") == pytest.approx(3 * 730 * 0.00925)
    assert line(idle, "empty receives") == pytest.approx(30 * 730 * 3600 / 20 * 0.40 / 1e6)
    # 1,000 batches a second, and a poller polls ten times.
    busy = monthly_bill(Workload(events_per_day=10_000 * 86_400), settings, OURS, batch=10)
    assert line(busy, "pollers") == pytest.approx(100 * 730 * 0.00925)


def test_unknown_stage_is_an_error_that_names_the_stages() -> None:
    shown = CliRunner().invoke(main, ["cost", "--events-per-day", "1000", "--stage", "qa"])
    assert shown.exit_code == 2
    assert "'dev', 'staging', 'prod'" in shown.output


def test_command_prints_the_bill() -> None:
    shown = CliRunner().invoke(main, ["cost", "--events-per-day", "1000000", "--stage", "prod"])
    assert shown.exit_code == 0, shown.output
    workload = Workload(events_per_day=1e6)
    with_tracking, without = (compared(workload, stage)[0].usd for stage in (settings_for("prod"), PROD))
    assert f"{with_tracking:,.2f}" in shown.output
    assert f"Tracking costs {with_tracking - without:,.2f} USD" in shown.output
    assert "Stage prod: 1,000,000 events a day" in shown.output
    assert "infrequent_access" not in shown.output, "nothing is to be saved by the other class"


def test_command_prints_json_that_adds_up() -> None:
    shown = CliRunner().invoke(
        main,
        [
            "--env",
            "prod",
            "cost",
            "--events-per-day",
            "1e8",
            "--event-bytes",
            "900",
            "--batch",
            "10",
            "--json",
        ],
    )
    assert shown.exit_code == 0, shown.output
    bill = json.loads(shown.stdout)
    assert bill["stage"] == "prod"
    assert sum(item["usd"] for item in bill["items"]) == pytest.approx(bill["usd"], abs=0.01)
    assert bill["designs"]["ours"]["ratio"] == 1
    assert bill["designs"]["textbook"]["ratio"] == pytest.approx(
        bill["usd"] / bill["designs"]["textbook"]["usd"], abs=1e-4
    )
    assert [
        next(name for name in ("status_index_shards", "tracking") if name in each)
        for each in bill["warnings"]
    ] == [
        "status_index_shards",
        "tracking",
    ]
    tracking = sum(item["usd"] for item in bill["items"] if item["service"] == "Tracking")
    assert bill["tracking_costs_usd"] > tracking, "its alarms and metrics cost, too"


def test_command_takes_a_measured_length_of_invocations() -> None:
    def duration(*options: str) -> float:
        shown = CliRunner().invoke(
            main, ["cost", "--events-per-day", "1e6", "--batch", "10", "--json", *options]
        )
        (found,) = [
            x["quantity"] for x in json.loads(shown.stdout)["items"] if x["item"].startswith("duration")
        ]
        return float(found)

    assert duration("--batch-ms", "36") == pytest.approx(2 * duration("--batch-ms", "18"))
    assert duration("--batch-ms", "18") == pytest.approx(duration())


def test_command_says_what_a_batching_window_saves_and_costs() -> None:
    def run(*options: str) -> str:
        shown = CliRunner().invoke(main, ["cost", "--events-per-day", "1e6", "--stage", "prod", *options])
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    at_once, windowed = (json.loads(run("--json", *options)) for options in ((), ("--batching-window", "1")))
    assert (at_once["batching_window_seconds"], windowed["batching_window_seconds"]) == (0, 1)
    saved = at_once["usd"] - windowed["usd"]
    assert at_once["batching_window_of_a_second_saves_usd"] == pytest.approx(saved, abs=0.001)
    assert windowed["batching_window_of_a_second_saves_usd"] is None
    assert "Events wait up to 1 s longer (batching_window_seconds)" in run("--batching-window", "1")
    assert "Events wait" not in run()
    hint = f"A batching window of 1 s would save {saved:,.2f} USD"
    assert hint in run()
    assert "A batching window" not in run("--batching-window", "1")
    assert "A batching window" not in run("--batch", "1")
    assert "A batching window" in run("--events-per-day", "5e7")
    for few in ("3e4", "7e4", "3e5"):
        assert "A batching window" not in run("--events-per-day", few)
