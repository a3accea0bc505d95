"""How many invocations of a function X-Ray samples."""

from typing import Final

from shipment_events.cost.workload import SECONDS_A_MONTH

# "1 request per second and 5 percent of additional requests", not configurable for functions:
# https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
TRACED_A_SECOND: Final = 1
TRACED_SHARE: Final = 0.05


def traces(invocations: float) -> float:
    """Traces of a month with this number of evenly spread invocations."""
    a_second = invocations / SECONDS_A_MONTH
    sampled = min(a_second, TRACED_A_SECOND)
    return (sampled + TRACED_SHARE * (a_second - sampled)) * SECONDS_A_MONTH
