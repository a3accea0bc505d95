"""A stage as the judges look at it: its template with nothing acknowledged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aws_cdk import App

from infrastructure.acknowledgements import Acknowledgement, accepted_in
from infrastructure.stack import ShipmentEventsStack
from shipment_events.contract import names
from shipment_events.stages import StageSettings


@dataclass(frozen=True)
class Stage:
    """One synthesized stage."""

    app: App
    environment: str
    template_path: Path
    template: Mapping[str, Any]
    acknowledgements: Sequence[Acknowledgement]
    _paths: Mapping[str, str]

    def place(self, logical_id: str) -> str:
        """Path of the construct behind a resource of the template."""
        return self._paths.get(logical_id, logical_id)


def as_deployed(settings: StageSettings) -> StageSettings:
    """Return the settings with an address for the alarms, if the stage would be refused without."""
    if settings.has_receivers or settings.alarms_without_receivers is not None:
        return settings
    return replace(settings, alarm_emails=("oncall@example.com",))


def build(settings: StageSettings, folder: Path) -> Stage:
    """Synthesize the stage into ``folder`` without accepting any finding."""
    app = App(outdir=str(folder), analytics_reporting=False)
    settings = as_deployed(settings)
    stack = ShipmentEventsStack(app, settings=settings)
    app.synth()
    name = names.stack_name(settings.environment)
    template_path = folder / f"{name}.template.json"
    return Stage(
        app=app,
        environment=settings.environment,
        template_path=template_path,
        template=json.loads(template_path.read_text()),
        acknowledgements=[each for _, found in accepted_in(stack, settings) for each in found],
        _paths=_construct_paths(folder / f"{name}.metadata.json"),
    )


def _construct_paths(metadata_file: Path) -> dict[str, str]:
    metadata: dict[str, list[dict[str, Any]]] = json.loads(metadata_file.read_text())
    return {
        entry["data"]: path.removeprefix("/")
        for path, entries in metadata.items()
        for entry in entries
        if entry["type"] == "aws:cdk:logicalId"
    }
