"""The template as CloudFormation would evaluate it in a region of each partition.

The stack names neither account nor region, so the one template is deployed everywhere.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import botocore.session
import pytest

from tests.infrastructure.template import Template

_DATA: Final = botocore.session.get_session().get_data("partitions")["partitions"]
SUFFIXES: Final = {each["id"]: each["outputs"]["dnsSuffix"] for each in _DATA}
REGIONS: Final = {
    "aws": "eu-central-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
    "aws-iso": "us-iso-east-1",
    "aws-iso-b": "us-isob-east-1",
    "aws-iso-e": "eu-isoe-west-1",
    "aws-iso-f": "us-isof-south-1",
}
CONSOLES: Final = {
    "aws": "https://eu-central-1.console.aws.amazon.com/",
    "aws-cn": "https://cn-north-1.console.amazonaws.cn/",
    "aws-us-gov": "https://us-gov-west-1.console.amazonaws-us-gov.com/",
    "aws-eusc": "https://eusc-de-east-1.console.amazonaws-eusc.eu/",
}
GLOBAL_PRINCIPALS: Final = {
    "apigateway",
    "chatbot",
    "cloudwatch",
    "codedeploy",
    "events",
    "lambda",
    "scheduler",
}
"""Services whose principal ends in amazonaws.com in every partition."""


def evaluated(node: Any, body: dict[str, Any], partition: str) -> Any:
    """The part of the template with pseudo parameters, mappings and joins resolved."""
    pseudo = {
        "AWS::Partition": partition,
        "AWS::Region": REGIONS[partition],
        "AWS::URLSuffix": SUFFIXES[partition],
        "AWS::AccountId": "111122223333",
    }

    def resolve(node: Any) -> Any:
        match node:
            case {"Ref": name} if name in pseudo:
                return pseudo[name]
            case {"Fn::FindInMap": [mapping, top, second]}:
                return body["Mappings"][mapping][resolve(top)][resolve(second)]
            case {"Fn::Join": [separator, parts]}:
                resolved = [resolve(part) for part in parts]
                return separator.join(
                    part if isinstance(part, str) else json.dumps(part) for part in resolved
                )
            case dict():
                return {key: resolve(value) for key, value in node.items()}
            case list():
                return [resolve(each) for each in node]
        return node

    return resolve(node)


def texts(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [text for child in children for text in texts(child)]


def test_every_partition_that_the_sdk_knows_is_tried() -> None:
    assert REGIONS.keys() == SUFFIXES.keys()


@pytest.fixture
def prod(templates: Mapping[str, Template]) -> Template:
    """The stage that has everything, rollouts too."""
    return templates["prod"]


@pytest.mark.parametrize("partition", REGIONS)
def test_nothing_names_another_partition(prod: Template, partition: str) -> None:
    found = texts(evaluated(prod.body["Resources"], prod.body, partition))
    assert {text.split(":")[1] for text in found if text.startswith("arn:")} == {partition}
    logs = f"logs.{REGIONS[partition]}.{SUFFIXES[partition]}"
    principals = {f"{name}.amazonaws.com" for name in GLOBAL_PRINCIPALS} | {logs}
    assert logs in found
    assert {text for text in found if "amazonaws" in text} <= principals


@pytest.mark.parametrize("partition", REGIONS)
def test_the_dashboard_has_an_address_in_every_partition(prod: Template, partition: str) -> None:
    region = REGIONS[partition]
    url = evaluated(prod.body["Outputs"]["DashboardURL"]["Value"], prod.body, partition)
    console = CONSOLES.get(partition, f"https://{region}.console.invalid/")
    assert url == f"{console}cloudwatch/home?region={region}#dashboards/dashboard/shipmentevents-prod"
