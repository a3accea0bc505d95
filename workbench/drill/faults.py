"""Faults of whole requests: the rules of the fault proxy, their chances and their names in the counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DYNAMODB: Final = "dynamodb"
SQS: Final = "sqs"
EVENTS: Final = "events"
SERVICES: Final = (DYNAMODB, SQS, EVENTS)

THROTTLED: Final = "throttled"
SERVER_ERROR: Final = "server_error"
UNAVAILABLE: Final = "unavailable"
SLOW_REQUEST: Final = "slow_request"
SLOW_ANSWER: Final = "slow_answer"
RESET_BEFORE: Final = "reset_before_it_acted"
RESET_AFTER: Final = "reset_after_it_acted"
CUT_ANSWER: Final = "cut_answer"
OUTAGE: Final = "table_outage"

# A slow answer blocks a worker for its client's whole timeout, so there are fewer of them.
_WEIGHTS: Final[Mapping[str, float]] = {
    THROTTLED: 0.26,
    SERVER_ERROR: 0.15,
    UNAVAILABLE: 0.12,
    RESET_BEFORE: 0.14,
    RESET_AFTER: 0.17,
    CUT_ANSWER: 0.06,
    SLOW_REQUEST: 0.05,
    SLOW_ANSWER: 0.05,
}
_THROTTLES: Final[Mapping[str, str]] = {
    DYNAMODB: "ProvisionedThroughputExceededException",
    SQS: "ThrottlingException",
    EVENTS: "ThrottlingException",
}
_SERVER_ERRORS: Final[Mapping[str, str]] = {
    DYNAMODB: "InternalServerError",
    SQS: "InternalError",
    EVENTS: "InternalFailure",
}

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NamedRule:
    """A rule of the fault proxy, and the name that its faults have in the counts."""

    kind: str
    rule: Rule


def background(service: str, share: float, client_timeout: float) -> list[NamedRule]:
    """Rules that together hit this share of a service's requests.

    Args:
        client_timeout: seconds after which the client gives up on an answer.
    """
    rules: list[NamedRule] = []
    left = 1.0
    for kind, weight in _WEIGHTS.items():
        # The proxy asks a rule only if no rule before it fired.
        chance = share * weight / left
        left -= share * weight
        rule = {**_effect(kind, service, client_timeout), "probability": round(chance, 6)}
        rules.append(NamedRule(kind, rule))
    return rules


def outage() -> list[NamedRule]:
    """Every request fails."""
    return [NamedRule(OUTAGE, {"error": {"code": "InternalServerError", "status": 500}})]


def every(kind: str, service: str, client_timeout: float = 1.0) -> list[NamedRule]:
    """One fault for every request."""
    return [NamedRule(kind, _effect(kind, service, client_timeout))]


def _effect(kind: str, service: str, client_timeout: float) -> Rule:
    match kind:
        case "throttled":
            return {"error": {"code": _THROTTLES[service], "status": 400}}
        case "server_error":
            return {"error": {"code": _SERVER_ERRORS[service], "status": 500}}
        case "unavailable":
            return {"error": {"code": "ServiceUnavailable", "status": 503}}
        case "slow_request":
            # The request reaches the service after the client gave up, and the service still acts on it.
            least = client_timeout * 1000
            return {"latency": {"min": 1.2 * least, "max": 2.5 * least}}
        case "slow_answer":
            # The bandwidth makes the answer slow. The shortest answers have about 30 bytes.
            return {"response": {"bandwidth_kbps": 0.025 / client_timeout}}
        case "reset_before_it_acted":
            return {"reset": True}
        case "reset_after_it_acted":
            return {"response": {"abort_frac": 0.0}}
        case "cut_answer":
            return {"response": {"truncate_frac": 0.5}}
    raise ValueError(f"no effect for {kind}")
