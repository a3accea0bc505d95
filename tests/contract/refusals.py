"""What a refusal of an event must be like."""

from collections.abc import Callable

import pytest

from shipment_events.contract.outcome import InvalidEventError


def refusal(read: Callable[[], object]) -> InvalidEventError:
    with pytest.raises(InvalidEventError) as caught:
        read()
    return caught.value


def assert_fit_for_an_attribute(error: InvalidEventError) -> None:
    """SQS takes no empty value and no control character."""
    assert error.detail
    assert error.detail.isascii()
    assert error.detail.isprintable()
    assert len(error.detail) < 1024
