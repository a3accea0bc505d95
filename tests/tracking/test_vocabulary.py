"""The words for a status, and how an event says one."""

import pytest

from shipment_events.tracking.vocabulary import STATUSES, producers_word, status_of


@pytest.mark.parametrize("spelled", ["out_for_delivery", "OUT FOR DELIVERY", "Out-For_delivery"])
def test_word_of_the_producer_in_any_spelling(spelled: str) -> None:
    assert producers_word(spelled) == "out_for_delivery"


@pytest.mark.parametrize(
    "said",
    [None, "", "unknown", "out_for", " delivered", "out__for_delivery", 1, True, ["delivered"], "d" * 10**6],
)
def test_what_is_no_word(said: object) -> None:
    assert producers_word(said) is None


@pytest.mark.parametrize("word", STATUSES)
def test_type_of_a_word_means_the_word(word: str) -> None:
    assert status_of(f"shipment.{word}", None) == (word, False)


@pytest.mark.parametrize(
    ("event_type", "said", "status", "contradicts"),
    [
        ("shipment.arrived", None, "in_transit", False),
        ("shipment.arrived", "unknown", "in_transit", False),
        ("shipment.arrived", "In Transit", "in_transit", False),
        ("shipment.manifested", "IN_TRANSIT", "in_transit", True),
        ("shipment.update", "DELIVERED", "delivered", False),
        ("shipment.update", "unknown", None, False),
        ("shipment.Arrived", None, None, False),
    ],
)
def test_the_word_counts_before_the_type(
    event_type: str, said: str | None, status: str | None, contradicts: bool
) -> None:
    assert status_of(event_type, said) == (status, contradicts)
