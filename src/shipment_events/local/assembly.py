"""What a synthesized stack consists of, read from the folder that CDK wrote."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shipment_events.local.errors import LocalEngineError


@dataclass(frozen=True)
class Asset:
    """A file or folder that the stack refers to. ``bucket`` may contain CloudFormation's ``${AWS::…}``."""

    path: Path
    packaging: Literal["file", "zip"]
    bucket: str
    key: str


@dataclass(frozen=True)
class StackAssembly:
    """One stack of a cloud assembly. ``files`` are those that name its assets."""

    name: str
    template: dict[str, Any]
    assets: tuple[Asset, ...]
    files: tuple[Path, ...]


def load(cloud_assembly_dir: Path, stack_name: str) -> StackAssembly:
    """Template and assets of one stack.

    Raises LocalEngineError if the folder holds no such stack.
    """
    manifest_file = cloud_assembly_dir / "manifest.json"
    try:
        artifacts = json.loads(manifest_file.read_text())["artifacts"]
    except FileNotFoundError:
        raise LocalEngineError(
            f"{cloud_assembly_dir} holds no synthesized stack.", "Run `make synth` first."
        ) from None
    stacks = {
        artifact["properties"].get("stackName", name): artifact
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    if stack_name not in stacks:
        raise LocalEngineError(
            f"{cloud_assembly_dir} holds no stack {stack_name}, only {', '.join(sorted(stacks)) or 'none'}.",
            "Synthesize it for the environment that you deploy.",
        )
    stack = stacks[stack_name]
    template_file = cloud_assembly_dir / stack["properties"]["templateFile"]
    manifests = tuple(
        cloud_assembly_dir / artifacts[name]["properties"]["file"]
        for name in stack.get("dependencies", [])
        if artifacts[name]["type"] == "cdk:asset-manifest"
    )
    assets = tuple(asset for manifest in manifests for asset in _assets(manifest, cloud_assembly_dir))
    return StackAssembly(
        name=stack_name,
        template=json.loads(template_file.read_text()),
        assets=assets,
        files=(template_file, *manifests),
    )


def _assets(manifest: Path, cloud_assembly_dir: Path) -> Iterator[Asset]:
    for entry in json.loads(manifest.read_text())["files"].values():
        source = entry["source"]
        for destination in entry["destinations"].values():
            yield Asset(
                path=cloud_assembly_dir / source["path"],
                packaging=source["packaging"],
                bucket=destination["bucketName"],
                key=destination["objectKey"],
            )
