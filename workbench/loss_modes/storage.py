"""Ways to lose stored events."""

from typing import Final

from workbench.loss_modes.model import Breaches, Rule, Template

_TABLE: Final = "AWS::DynamoDB::Table"


def _not_recoverable(template: Template) -> Breaches:
    for logical_id, table in template.of_type(_TABLE):
        recovery = table.get("PointInTimeRecoverySpecification", {})
        if recovery.get("PointInTimeRecoveryEnabled") is not True:
            yield logical_id, "no point-in-time recovery"


def _no_stream(template: Template) -> Breaches:
    for logical_id, table in template.of_type(_TABLE):
        if table.get("StreamSpecification", {}).get("StreamViewType") != "NEW_AND_OLD_IMAGES":
            yield logical_id, "no stream of new and old images"


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
