"""Reads a synthesized stack from the folder that CDK wrote."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.engine.errors import LocalEngineError


@dataclass(frozen=True)
class Asset:
    """A file or folder that the stack refers to. ``bucket`` may contain CloudFormation's ``${AWS::…}``."""

    path: Path
    packaging: Literal["file", "zip"]
    bucket: str
    key: str


@dataclass(frozen=True)
class StackAssembly:
    """One stack of a cloud assembly."""

    name: str
    template: dict[str, Any]
    assets: tuple[Asset, ...]


def load(cloud_assembly_dir: Path, stack_name: str) -> StackAssembly:
    """Template and assets of one stack.

    Raises LocalEngineError if the folder holds no such stack.
    """
    manifest_file = cloud_assembly_dir / "manifest.json"
    try:
        artifacts = json.loads(manifest_file.read_text())["artifacts"]
    except FileNotFoundError:
        raise LocalEngineError(
            f"{cloud_assembly_dir} has no synthesized stack.", "Run `make synth` first."
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
    manifests = (
        cloud_assembly_dir / artifacts[name]["properties"]["file"]
        for name in stack.get("dependencies", [])
        if artifacts[name]["type"] == "cdk:asset-manifest"
    )
    assets = tuple(asset for manifest in manifests for asset in _assets(manifest, cloud_assembly_dir))
    return StackAssembly(name=stack_name, template=json.loads(template_file.read_text()), assets=assets)


def replace_template(cloud_assembly_dir: Path, stack_name: str, template: Mapping[str, Any]) -> None:
    """Replace the template of a stack in the assembly, in the form that CDK writes."""
    content = json.dumps(template)
    (cloud_assembly_dir / f"{stack_name}.template.json").write_text(content, encoding="utf-8")
    manifest_file = cloud_assembly_dir / "manifest.json"
    manifest = json.loads(manifest_file.read_text())
    url = manifest["artifacts"][stack_name]["properties"]["stackTemplateAssetObjectUrl"]
    # Its key is a hash: under one that is there already, the CDK CLI uploads nothing.
    before, after = Path(url).stem, hashlib.sha256(content.encode()).hexdigest()
    for file in (manifest_file, cloud_assembly_dir / f"{stack_name}.assets.json"):
        file.write_text(file.read_text().replace(before, after))


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
