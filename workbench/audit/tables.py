"""The tables of ``docs/security.md``: the rules against loss, and the findings that are acknowledged."""

from infrastructure.acknowledgements import ACKNOWLEDGEMENTS, Accepted
from workbench.audit.code import EVERYWHERE, FOLDERS
from workbench.documents import markdown_table
from workbench.loss_modes.rules import RULES


def loss_modes() -> str:
    """One row a rule."""
    rows = [[f"`{rule.name}`", rule.lost] for rule in RULES]
    return markdown_table(["Rule", "What happens without it"], rows)


def acknowledged() -> str:
    """One row for each construct and reason; constructs that share a reason are in one row."""
    places: dict[Accepted, list[str]] = {}
    for place, rows in ACKNOWLEDGEMENTS.items():
        for accepted in rows:
            places.setdefault(accepted, []).append(place)
    places |= {Accepted((rule,), why): [" and ".join(FOLDERS)] for rule, why in EVERYWHERE.items()}
    lines = [
        ["<br>".join(where), "<br>".join(f"`{rule}`" for rule in accepted.rules), accepted.reason]
        for accepted, where in places.items()
    ]
    return markdown_table(["Where", "Findings", "Why they are accepted"], lines)
