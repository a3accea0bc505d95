"""A synthesized template, asked by resource type and public name instead of logical id."""

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

PROCESSOR: Final = "shipment-event-processor"
"""Name of the function without the stage."""
TRACKER: Final = "shipment-tracker"
"""Name of the function without the stage."""
WATCHER: Final = "shipment-watcher"
"""Name of the function without the stage."""
API: Final = "shipment-api"
"""Name of the function without the stage."""
FUNCTIONS: Final = (PROCESSOR, TRACKER, WATCHER, API)
"""Names of all functions without the stage. A test of the bundles fails if one is missing."""


class Template:
    """What CloudFormation would be given for one stage."""

    def __init__(self, folder: Path, environment: str) -> None:
        """Read the template of the stage from a cloud assembly in ``folder``."""
        self.folder = folder
        self.environment = environment
        self.path = folder / f"shipmentevents-{environment}.template.json"
        self.body: dict[str, Any] = json.loads(self.path.read_text())
        self.resources: dict[str, dict[str, Any]] = self.body["Resources"]

    @property
    def events_table(self) -> dict[str, str]:
        """What names the table of events among the tables."""
        return {"TableName": f"shipmentevents-{self.environment}"}

    @property
    def event_bus(self) -> dict[str, str]:
        """What names the bus of events among the buses."""
        return {"Name": f"shipmentevents-{self.environment}"}

    def bundle(self, function: str) -> Path:
        """Folder of a function's code; its name ends with the hash of the code."""
        name = f"{function}-{self.environment}"
        key = self.properties("AWS::Lambda::Function", FunctionName=name)["Code"]["S3Key"]
        return self.folder / f"asset.{Path(key).stem}"

    def types(self) -> set[str]:
        """Every resource type in use."""
        return {resource["Type"] for resource in self.resources.values()}

    def of_type(self, resource_type: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Logical id and properties of every resource of one type."""
        for logical_id, resource in self.resources.items():
            if resource["Type"] == resource_type:
                yield logical_id, resource.get("Properties", {})

    def properties(self, resource_type: str, *, of: str | None = None, **wanted: str) -> dict[str, Any]:
        """Properties of the one resource of a type whose properties include ``wanted``."""
        return self.resources[self.logical_id(resource_type, of=of, **wanted)]["Properties"]  # type: ignore[no-any-return]

    def logical_id(self, resource_type: str, *, of: str | None = None, **wanted: str) -> str:
        """Logical id of the one resource of a type, of a function if named, that includes ``wanted``."""
        among = self.resources if of is None else self._parts(of)
        found = [
            logical_id
            for logical_id, properties in self.of_type(resource_type)
            if logical_id in among and wanted.items() <= _texts(properties).items()
        ]
        assert len(found) == 1, f"{len(found)} resources of type {resource_type} with {wanted}"
        return found[0]

    def ref(self, resource_type: str, *, of: str | None = None, **wanted: str) -> dict[str, str]:
        """The reference to that resource."""
        return {"Ref": self.logical_id(resource_type, of=of, **wanted)}

    def arn(self, resource_type: str, *, of: str | None = None, **wanted: str) -> dict[str, list[str]]:
        """The reference to the ARN of that resource."""
        return {"Fn::GetAtt": [self.logical_id(resource_type, of=of, **wanted), "Arn"]}

    def _parts(self, function: str) -> set[str]:
        """Logical ids of the function, its role, log group, versions, alias and event source."""
        name = f"{function}-{self.environment}"
        own = self.logical_id("AWS::Lambda::Function", FunctionName=name)
        role = self.resources[own]["Properties"]["Role"]["Fn::GetAtt"][0]
        parts = {own, role, self.logical_id("AWS::Logs::LogGroup", LogGroupName=f"/aws/lambda/{name}")}
        for resource_type in (
            "AWS::Lambda::Version",
            "AWS::Lambda::Alias",
            "AWS::Lambda::EventSourceMapping",
        ):
            for logical_id, properties in self.of_type(resource_type):
                if any(f"'{part}'" in str(properties["FunctionName"]) for part in parts):
                    parts |= {logical_id}
        return parts

    def statements(
        self, resource_type: str, target: str, reference: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """A copy of the statements of the resource policy whose list ``target`` holds ``reference``."""
        found = [
            copy.deepcopy(properties["PolicyDocument"]["Statement"])
            for _, properties in self.of_type(resource_type)
            if reference in properties[target]
        ]
        assert len(found) == 1
        return found[0]  # type: ignore[no-any-return]


def permissions(role: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What a role's own policies allow: pairs of action and resource."""
    return {
        (action, text(resource))
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def text(value: Any) -> str:
    """An intrinsic function as readable text: references as ``${…}``, joins joined."""
    if isinstance(value, str):
        return value
    match value:
        case {"Ref": str(name)}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(text(part) for part in parts)
        case {"Fn::FindInMap": [str(_), key, str(name)]}:
            return f"${{map:{text(key)}:{name}}}"
    raise AssertionError(f"unexpected {value}")


def as_list(value: Any) -> list[Any]:
    """CloudFormation writes a list of one as the one."""
    return value if isinstance(value, list) else [value]


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if isinstance(value, str)}
