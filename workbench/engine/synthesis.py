"""Synthesizes the stack if its template could have changed. New code of a function needs no synthesis."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from shipment_events.contract import names
from workbench.engine import assembly
from workbench.engine.assets import CODE_FOLDER, current_files, own_files
from workbench.engine.errors import LocalEngineError

TEMPLATE_SOURCES: Final = (
    "infrastructure",
    "workbench/__init__.py",
    "workbench/loss_modes",
    "src/shipment_events/__init__.py",
    "src/shipment_events/errors.py",
    "src/shipment_events/stage_limits.py",
    "src/shipment_events/stage_options.py",
    "src/shipment_events/stages.py",
    "src/shipment_events/contract",
    # The names of the functions' variables, and the routes.
    "src/shipment_events/api/__init__.py",
    "src/shipment_events/api/paths.py",
    "src/shipment_events/api/settings.py",
    "src/shipment_events/processor/__init__.py",
    "src/shipment_events/processor/settings.py",
    "src/shipment_events/tracking/__init__.py",
    "src/shipment_events/tracking/settings.py",
    "src/shipment_events/tracking/watcher_settings.py",
    "cdk.json",
    # The lock file has the versions of CDK and its constructs.
    "requirements-dev.lock",
)
"""Files and folders that the template depends on: all that ``infrastructure`` imports. A test checks this."""

_KEPT_ASSEMBLIES: Final = 3
_UNFINISHED: Final = "unfinished-"
_REPORTED_LINES: Final = 3


def synthesize(
    root: Path, environment: str, assemblies_dir: Path, *, with_current_code: bool = False
) -> tuple[Path, bool]:
    """Folder with the cloud assembly of the current sources, and whether it was created now.

    Starting CDK takes many seconds, so an assembly is kept while only the code of its functions changes: its
    template is right, its assets are as old as itself, and ``deploy`` gives the functions their current code.
    ``with_current_code`` asks for assets that are current, too, as the CDK CLI needs them. Raises
    LocalEngineError when the app fails, with the last lines it wrote.
    """
    template = f"{environment}-{fingerprint(root)}"
    assemblies_dir.mkdir(parents=True, exist_ok=True)
    for folder in _finished(assemblies_dir):
        if folder.name.startswith(f"{template}-"):
            wanted = f"{template}-{_names_beside(root, folder, environment)}-"
            if with_current_code:
                wanted += _code(root, folder, environment, current=True)
            if folder.name.startswith(wanted):
                folder.touch()
                return folder, False
    # CDK writes to another folder, which is then renamed. So an interrupted or a parallel synthesis leaves no
    # incomplete assembly.
    with tempfile.TemporaryDirectory(dir=assemblies_dir, prefix=_UNFINISHED) as draft:
        output = Path(draft) / "cdk.out"
        _run_app(root, environment, output)
        beside = _names_beside(root, output, environment)
        code = _code(root, output, environment, current=False)
        finished = assemblies_dir / f"{template}-{beside}-{code}"
        try:
            output.rename(finished)
        except OSError:
            if not finished.exists():
                raise
    for old in _finished(assemblies_dir)[_KEPT_ASSEMBLIES:]:
        shutil.rmtree(old, ignore_errors=True)
    return finished, True


def fingerprint(root: Path) -> str:
    """Hash of all that the template depends on. Equal hashes mean equal templates."""
    files = [path for name in TEMPLATE_SOURCES for path in _files(root / name)]
    return _hash(f"{path.relative_to(root).as_posix()} {_hash(path.read_bytes())}" for path in files)


def _names_beside(root: Path, folder: Path, environment: str) -> str:
    """Hash of the names of all modules in the folders that an assembly's functions have theirs from.

    Which of them a bundle holds is decided by the synthesis, so that one more needs a new one.
    """
    source = root / CODE_FOLDER
    folders = {Path(name).parent for asset in _bundles(folder, environment) for name in own_files(asset)}
    modules = {path.relative_to(source) for each in folders for path in (source / each).glob("*.py")}
    return _hash(sorted(map(str, modules)))


def _code(root: Path, folder: Path, environment: str, *, current: bool) -> str:
    """Hash of the code of an assembly's functions: as the assembly has it, or as the sources have it now."""
    files: dict[str, Path] = {}
    for asset in _bundles(folder, environment):
        files |= current_files(asset, root / CODE_FOLDER) if current else own_files(asset)
    return _hash(f"{name} {_hash(path.read_bytes())}" for name, path in sorted(files.items()))


def _bundles(folder: Path, environment: str) -> list[assembly.Asset]:
    assets = assembly.load(folder, names.stack_name(environment)).assets
    return [asset for asset in assets if asset.packaging == "zip"]


def _hash(content: bytes | Iterable[str]) -> str:
    data = content if isinstance(content, bytes) else "\n".join(content).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _run_app(root: Path, environment: str, output: Path) -> None:
    # What else could change the stack must not, since the fingerprint does not know it. The interpreter's
    # folder has the Node that jsii runs on.
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CDK_", "ALARM_", "SLACK_"))
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    finished = subprocess.run(  # nosec B603 - no shell, our own command
        [sys.executable, "-m", "infrastructure.app"],
        cwd=root,
        env={
            **inherited,
            "PATH": path,
            "ENV": environment,
            # Without a reason, a stage without receivers would be refused.
            "ALARMS_WITHOUT_RECEIVERS": "the local engine sends no e-mail",
            "CDK_OUTDIR": str(output),
        },
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
            "The synthesis succeeded but wrote no stack to its folder.",
            "infrastructure/app.py has to leave the output folder to CDK (the variable CDK_OUTDIR).",
        )


def _finished(assemblies_dir: Path) -> list[Path]:
    """Complete assemblies, most recently used first."""
    used: dict[Path, float] = {}
    for path in assemblies_dir.iterdir():
        # Another synthesis may delete an old assembly at this moment.
        with suppress(FileNotFoundError):
            if not path.name.startswith(_UNFINISHED):
                used[path] = path.stat().st_mtime
    return sorted(used, key=lambda path: used[path], reverse=True)
