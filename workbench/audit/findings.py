"""Findings, the reasons to accept them, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infrastructure.acknowledgements import Acknowledgement


class JudgeError(Exception):
    """A judge did not come to a verdict, which must not pass for one."""


@dataclass(frozen=True, order=True)
class Finding:
    """What a judge says of one thing."""

    judge: str
    rule: str
    place: str
    """Path of a construct, or file and line."""
    message: str = field(compare=False)


@dataclass(frozen=True)
class Verdict:
    """What became of the findings of one stage, and acknowledgements that accept none of them."""

    acknowledged: frozenset[Finding]
    open: frozenset[Finding]
    stale: frozenset[Acknowledgement]


def judge(findings: Sequence[Finding], acknowledgements: Sequence[Acknowledgement]) -> Verdict:
    """Match findings with acknowledgements of the same rule at the same construct or one above it."""
    accepted: set[Finding] = set()
    used: set[Acknowledgement] = set()
    for finding in findings:
        for acknowledgement in acknowledgements:
            if _accepts(acknowledgement, finding):
                accepted.add(finding)
                used.add(acknowledgement)
    return Verdict(
        acknowledged=frozenset(accepted),
        open=frozenset(findings) - accepted,
        stale=frozenset(acknowledgements) - used,
    )


def _accepts(acknowledgement: Acknowledgement, finding: Finding) -> bool:
    at_or_below = f"{finding.place}/".startswith(f"{acknowledgement.place}/")
    return at_or_below and acknowledgement.rule == finding.rule
