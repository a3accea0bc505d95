"""Faults of whole requests: the rules of the fault proxy, their chances and their names in the counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

DYNAMODB: Final = "dynamodb"
SQS: Final = "sqs"
EVENTS: Final = "events"
SERVICES: Final = (DYNAMODB, SQS, EVENTS)


class Fault(StrEnum):
    """A fault of a whole request, by its name in the counts."""

    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    SLOW_REQUEST = "slow_request"
    SLOW_ANSWER = "slow_answer"
    RESET_BEFORE = "reset_before_it_acted"
    RESET_AFTER = "reset_after_it_acted"
    CUT_ANSWER = "cut_answer"
    TABLE_OUTAGE = "table_outage"


# A slow answer blocks a worker for its client's whole timeout, so there are fewer of them.
_WEIGHTS: Final[Mapping[Fault, float]] = {
    Fault.THROTTLED: 0.26,
    Fault.SERVER_ERROR: 0.15,
    Fault.UNAVAILABLE: 0.12,
    Fault.RESET_BEFORE: 0.14,
    Fault.RESET_AFTER: 0.17,
    Fault.CUT_ANSWER: 0.06,
    Fault.SLOW_REQUEST: 0.05,
    Fault.SLOW_ANSWER: 0.05,
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


@dataclass(frozen=True, slots=True)
class Client:
    """The client for which slow requests and answers of a service are too slow.

    Attributes:
        timeout: seconds after which it gives up on an answer.
        names: its requests have one of these texts. The tracker is more patient and has the same proxies.
    """

    timeout: float
    names: tuple[str, ...]

    @property
    def expression(self) -> str:
        """What is true of its requests' JSON (https://jmespath.org)."""
        named = " || ".join(f"contains(to_string(@), '{name}')" for name in self.names)
        # The tracker reads the table of events, too: by Query, whose request alone has this key.
        return f"!TableName && ({named})"


def background(service: str, share: float, client: Client) -> list[NamedRule]:
    """Rules that together hit this share of a service's requests, or less where it is not this client's."""
    rules: list[NamedRule] = []
    left = 1.0
    for kind, weight in _WEIGHTS.items():
        # The proxy asks a rule only if no rule before it fired.
        chance = share * weight / left
        left -= share * weight
        rule = {**_effect(kind, service, client), "probability": round(chance, 6)}
        rules.append(NamedRule(kind, rule))
    return rules


def outage() -> list[NamedRule]:
    """Every request fails."""
    return [NamedRule(Fault.TABLE_OUTAGE, {"error": {"code": "InternalServerError", "status": 500}})]


def every(kind: Fault, service: str, client: Client = Client(1.0, ("",))) -> list[NamedRule]:
    """One fault for every request."""
    return [NamedRule(kind, _effect(kind, service, client))]


def _effect(kind: Fault, service: str, client: Client) -> Rule:
    match kind:
        case Fault.THROTTLED:
            return {"error": {"code": _THROTTLES[service], "status": 400}}
        case Fault.SERVER_ERROR:
            return {"error": {"code": _SERVER_ERRORS[service], "status": 500}}
        case Fault.UNAVAILABLE:
            return {"error": {"code": "ServiceUnavailable", "status": 503}}
        case Fault.SLOW_REQUEST:
            # The request reaches the service after the client gave up, and the service still acts on it.
            least = client.timeout * 1000
            return {"body": client.expression, "latency": {"min": 1.2 * least, "max": 2.5 * least}}
        case Fault.SLOW_ANSWER:
            # The bandwidth makes the answer slow. The shortest answers have about 30 bytes.
            slow = {"bandwidth_kbps": 0.025 / client.timeout}
            return {"body": client.expression, "response": slow}
        case Fault.RESET_BEFORE:
            return {"reset": True}
        case Fault.RESET_AFTER:
            return {"response": {"abort_frac": 0.0}}
        case Fault.CUT_ANSWER:
            return {"response": {"truncate_frac": 0.5}}
    raise ValueError(f"no effect for {kind}")
