"""The tables of ``docs/security.md``: the rules against loss, and the findings that are acknowledged."""

from collections.abc import Iterable, Iterator

from aws_cdk import App

from infrastructure.stack import ShipmentEventsStack
from infrastructure.validation import Acknowledgement, recording
from shipment_events.stages import STAGES
from workbench.audit.code import EVERYWHERE, FOLDERS
from workbench.audit.stage import as_deployed
from workbench.documents import markdown_table
from workbench.loss_modes.rules import RULES


def acknowledgements() -> list[Acknowledgement]:
    """Those of all stages, with the paths of their constructs inside the stack."""
    found: dict[Acknowledgement, None] = {}
    for settings in STAGES.values():
        with recording() as recorded:
            stack = ShipmentEventsStack(App(analytics_reporting=False), settings=as_deployed(settings))
        inside = f"{stack.node.path}/"
        for each in recorded:
            found[Acknowledgement(each.place.removeprefix(inside), each.rule, each.reason)] = None
    return list(found)


def loss_modes() -> str:
    """One row a rule."""
    rows = [[f"`{rule.name}`", rule.lost] for rule in RULES]
    return markdown_table(["Rule", "What happens without it"], rows)


def acknowledged() -> str:
    """One row a reason."""
    everywhere = [Acknowledgement(" and ".join(FOLDERS), rule, why) for rule, why in EVERYWHERE.items()]
    rows = [
        [place, "<br>".join(f"`{rule}`" for rule in rules), reason]
        for place, rules, reason in _grouped([*acknowledgements(), *everywhere])
    ]
    return markdown_table(["Where", "Findings", "Why they are accepted"], rows)


def _grouped(recorded: Iterable[Acknowledgement]) -> Iterator[tuple[str, list[str], str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for each in recorded:
        groups.setdefault((each.place, each.reason), []).append(each.rule)
    for (place, reason), rules in groups.items():
        yield place, rules, reason
