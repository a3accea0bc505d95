"""The synthesized stack: made anew when its sources changed, and read from its manifest."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from shipment_events.local.errors import LocalEngineError

# What a synthesis reads. The lock file stands for the versions of CDK and its constructs.
_SOURCES: Final = ("infrastructure", "src", "cdk.json", "requirements-dev.lock")
_KEPT_ASSEMBLIES: Final = 3
_UNFINISHED: Final = "unfinished-"
_REPORTED_LINES: Final = 3


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


def fingerprint(root: Path) -> str:
    """Hash of everything that a synthesis reads: equal contents, equal stack."""
    digest = hashlib.sha256()
    for path in _source_files(root):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def synthesize(root: Path, environment: str, assemblies_dir: Path) -> tuple[Path, bool]:
    """Folder with the cloud assembly of the current sources, and whether it had to be made.

    Raises LocalEngineError when the app fails, with the last lines it wrote.
    """
    wanted = assemblies_dir / f"{environment}-{fingerprint(root)}"
    if (wanted / "manifest.json").exists():
        wanted.touch()
        return wanted, False
    assemblies_dir.mkdir(parents=True, exist_ok=True)
    # Made aside and renamed: an interrupted synthesis, or a second one at the same time, leaves no half.
    with tempfile.TemporaryDirectory(dir=assemblies_dir, prefix=_UNFINISHED) as draft:
        output = Path(draft) / "cdk.out"
        _run_app(root, environment, output)
        try:
            output.rename(wanted)
        except OSError:
            if not wanted.exists():
                raise
    _discard_old(assemblies_dir)
    return wanted, True


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
    template = json.loads((cloud_assembly_dir / stack["properties"]["templateFile"]).read_text())
    manifests = [
        cloud_assembly_dir / artifacts[name]["properties"]["file"]
        for name in stack.get("dependencies", [])
        if artifacts[name]["type"] == "cdk:asset-manifest"
    ]
    assets = tuple(asset for manifest in manifests for asset in _assets(manifest, cloud_assembly_dir))
    return StackAssembly(name=stack_name, template=template, assets=assets)


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


def _source_files(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        source = root / name
        if source.is_file():
            yield source
        for path in sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _run_app(root: Path, environment: str, output: Path) -> None:
    # What else could change the stack must not, since the fingerprint does not know it. The interpreter's
    # folder has the Node that jsii runs on.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CDK_", "ALARM_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    finished = subprocess.run(
        [sys.executable, "-m", "infrastructure.app"],
        cwd=root,
        env={**inherited, "PATH": path, "ENV": environment, "CDK_OUTDIR": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        lines = [line for line in finished.stderr.splitlines() if line.strip()][-_REPORTED_LINES:]
        raise LocalEngineError(
            "The stack cannot be synthesized: " + "\n  ".join(["", *lines]),
            f"`make synth ENV={environment}` shows the whole output.",
        )
    if not (output / "manifest.json").exists():
        raise LocalEngineError(
            "The synthesis ended well but wrote no stack where it was told to.",
            "infrastructure/app.py has to leave the output folder to CDK (the variable CDK_OUTDIR).",
        )


def _discard_old(assemblies_dir: Path) -> None:
    finished = sorted(
        (path for path in assemblies_dir.iterdir() if not path.name.startswith(_UNFINISHED)),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for path in finished[_KEPT_ASSEMBLIES:]:
        shutil.rmtree(path, ignore_errors=True)
