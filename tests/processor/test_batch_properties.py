"""Whatever comes and whatever goes wrong, no outcome is claimed that table and queues do not bear out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shipment_events.contract.outcome import Outcome
from shipment_events.processor.records import Quarantined, Retried, Settled
from tests.processor.pipelines import TIME_OUT, Pipeline, body, record
from tests.stand_ins.fakes import (
    FakeQueues,
    FakeTable,
    Fault,
    client_error,
)

_BODIES = st.one_of(
    st.sampled_from(["broken", "{}", "[]"]),
    st.builds(
        lambda shipment, event_id, note: body(shipment_id=shipment, note=note, **event_id),
        st.sampled_from(["S-1", "S-2"]),
        st.sampled_from([{}, {"event_id": "E"}, {"event_id": "F"}]),
        st.sampled_from(["x", "y", "z"]),
    ),
)
_FAULTS = st.one_of(
    st.just(Fault()),
    st.builds(
        Fault,
        error=st.sampled_from(
            [TIME_OUT, client_error("ThrottlingException"), client_error("InternalServerError")]
        ),
        acted=st.booleans(),
    ),
    st.builds(
        Fault,
        codes=st.dictionaries(
            st.integers(0, 11),
            st.sampled_from(["ThrottlingError", "ValidationError", "ConditionalCheckFailed"]),
        ),
    ),
    st.builds(Fault, lost_responses=st.integers(0, 3)),
)


@st.composite
def troubled_pipelines(draw: st.DrawFn) -> Pipeline:
    table = FakeTable(
        faults=draw(st.lists(_FAULTS, max_size=6)),
        read_faults=draw(st.lists(st.sampled_from([0, 1, TIME_OUT]), max_size=3)),
        returns_old_items=draw(st.booleans()),
    )
    if draw(st.booleans()):
        table.faults += [Fault(error=TIME_OUT)] * 1000
    queues = FakeQueues(
        send_errors=draw(st.lists(st.just(client_error("ServiceUnavailable")), max_size=1)),
        put_off_error=draw(st.none() | st.just(TIME_OUT)),
    )
    return Pipeline(table, queues)


@settings(max_examples=80)
@given(troubled_pipelines(), st.lists(st.lists(_BODIES, max_size=12), min_size=1, max_size=3))
def test_no_outcome_without_its_proof(pipeline: Pipeline, batches: Sequence[Sequence[str]]) -> None:
    """Whatever goes wrong: one outcome a record, and each one is borne out by table and queues."""
    for batch in batches:
        before = set(pipeline.table.items)
        records = [record(number, text=text) for number, text in enumerate(batch)]
        settled = pipeline.process(*records)
        assert sorted(result.record.message_id for result in settled) == sorted(r.message_id for r in records)
        for result in settled:
            assert_borne_out(result, pipeline, before)
        new = set(pipeline.table.items) - before
        written = [r for r in settled if r.outcome in {Outcome.STORED, Outcome.CONFLICT}]
        assert len(written) <= len(new), "an item counts for one event"


def assert_borne_out(result: Settled, pipeline: Pipeline, before: set[tuple[str, str]]) -> None:
    items = pipeline.table.items
    bodies = [text for text, _ in pipeline.queues.letters]
    if isinstance(result, Quarantined):
        assert result.record.body in bodies
        return
    if isinstance(result, Retried):
        put_off = result.record.receipt_handle in pipeline.queues.visibility
        assert put_off or "put off: " in result.detail
        return
    own = result.write.shipment_id, result.write.own_sort_key
    beside = own[0], f"{own[1]}#{result.write.content_hash}"
    place = next(key for key in (own, beside) if _hash(items.get(key)) == result.write.content_hash)
    assert items[place]["processing_status"] == {"S": "PROCESSED" if place == own else "CONFLICT"}
    if result.outcome is Outcome.STORED:
        assert place == own
        assert own not in before
    if result.outcome is Outcome.CONFLICT:
        assert place == beside
        assert beside not in before
        assert own in items


def _hash(item: Mapping[str, Any] | None) -> str | None:
    return item["processing"]["M"]["content_hash"]["S"] if item else None


@given(st.lists(_BODIES, max_size=12), st.booleans())
def test_nothing_is_retried_where_nothing_is_wrong(batch: Sequence[str], returns_old_items: bool) -> None:
    pipeline = Pipeline(FakeTable(returns_old_items=returns_old_items))
    outcomes = Counter(pipeline.outcomes(*(record(number, text=text) for number, text in enumerate(batch))))
    assert outcomes[Outcome.RETRIED] == 0
    assert outcomes[Outcome.STORED] + outcomes[Outcome.CONFLICT] == len(pipeline.table.items)
    assert outcomes[Outcome.QUARANTINED] == len(pipeline.queues.letters)
    assert not pipeline.clock.slept
