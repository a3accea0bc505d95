"""Ways to lose stored events."""

from collections.abc import Iterator
from typing import Final

from workbench.loss_modes.model import Breaches, Rule, Template

_TABLE: Final = "AWS::DynamoDB::Table"
_UPDATE: Final = "dynamodb:PartiQLUpdate"


def _not_recoverable(template: Template) -> Breaches:
    for logical_id, table in template.of_type(_TABLE):
        recovery = table.get("PointInTimeRecoverySpecification", {})
        if recovery.get("PointInTimeRecoveryEnabled") is not True:
            yield logical_id, "no point-in-time recovery"


def _no_stream(template: Template) -> Breaches:
    derived = set(_derived_tables(template))
    for logical_id, table in template.of_type(_TABLE):
        if (
            logical_id not in derived
            and table.get("StreamSpecification", {}).get("StreamViewType") != "NEW_AND_OLD_IMAGES"
        ):
            yield logical_id, "no stream of new and old images"


def _derived_tables(template: Template) -> Iterator[str]:
    """Logical ids of the tables that only show what the stream of another table tells."""
    for _, source, _ in template.stream_sources():
        function = template.function_of(source)
        if function is not None:
            yield from (name for action, name in template.allowed_to(function) if action == _UPDATE)


def _no_expiry(template: Template) -> Breaches:
    for logical_id, table in template.of_type(_TABLE):
        if table.get("TimeToLiveSpecification", {}).get("Enabled") is not True:
            yield logical_id, "no time to live"


def _deleted_with_the_stack(template: Template) -> Breaches:
    for logical_id, resource in template.resources.items():
        if resource["Type"] not in (_TABLE, "AWS::SQS::Queue"):
            continue
        if resource.get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate"):
            yield logical_id, "DeletionPolicy is neither Retain nor RetainExceptOnCreate"
        if resource.get("UpdateReplacePolicy") != "Retain":
            yield logical_id, "UpdateReplacePolicy is not Retain"


RULES: Final = (
    Rule("PointInTimeRecovery", "What was overwritten or deleted by mistake is gone.", _not_recoverable),
    Rule("Stream", "Nobody can follow or audit changes of the table.", _no_stream),
    Rule(
        "TimeToLive",
        "The table grows until somebody deletes by hand, and deletes too much.",
        _no_expiry,
    ),
    Rule("Retained", "Events go when the stack goes, or when a change replaces it.", _deleted_with_the_stack),
)
