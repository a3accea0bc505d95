"""The example of a subscriber, and a second subscriber that has every filter, in one stack."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Final

from shipment_events.cdk import StatusSubscriber
from tests.infrastructure.template import Template

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "subscriber"
STACK: Final = "deliveries"
CARRIER: Final = "Ærø Færge"


def example(name: str) -> ModuleType:
    """A module of the example, which is no package."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class SubscriberTemplate(Template):
    """The template of the stack, synthesized into a folder."""

    def __init__(self, folder: Path) -> None:
        app = example("stack").build(str(folder))
        stack = app.node.find_child(STACK)
        StatusSubscriber(
            stack,
            "Filtered",
            stage="dev",
            name="filtered",
            alarm_topic=stack.node.find_child("Alarms"),
            kinds=["shipment.status_changed", "shipment.stalled"],
            statuses=["picked_up", "in_transit"],
            carriers=[CARRIER],
            shipment_id_prefixes=["LIFE-1", "LIFE/"],
        )
        app.synth()
        self.environment, self.folder = "dev", folder
        self.path = folder / f"{STACK}.template.json"
        self.body = json.loads(self.path.read_text())
        self.resources = self.body["Resources"]
