"""Synthesize the stack when its sources changed, and only as much of it as changed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from shipment_events.contract import names
from workbench.engine import assembly
from workbench.engine.errors import LocalEngineError

# What a synthesis reads. The lock file stands for the versions of CDK and its constructs.
_SOURCES: Final = ("infrastructure", "src", "cdk.json", "requirements-dev.lock")
_CODE_ROOT: Final = "src"
_SOURCES_FILE: Final = "sources.json"
_KEPT_ASSEMBLIES: Final = 3
_UNFINISHED: Final = "unfinished-"
_REPORTED_LINES: Final = 3
# Runs the app as `python -m infrastructure.app` does, and notes which modules took part.
_RUN_APP: Final = """
import json, os, runpy, sys
try:
    runpy.run_module("infrastructure.app", run_name="__main__")
finally:
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    with open(os.environ["SYNTHESIS_MODULES"], "w") as output:
        json.dump(sorted(file for file in files if file), output)
"""


@dataclass(frozen=True)
class Sources:
    """Hash of every file that a synthesis read, by its path in the repository.

    ``template`` are those that shape the template; ``code`` are those that can only end up in an asset.
    """

    template: Mapping[str, str]
    code: Mapping[str, str]


def synthesize(root: Path, environment: str, assemblies_dir: Path) -> tuple[Path, bool]:
    """Folder with the cloud assembly of the current sources, and whether it had to be made.

    Where nothing but function code differs from an earlier assembly, that one is taken with the new code,
    since starting CDK takes many seconds. Raises LocalEngineError when the app fails, with the last lines it
    wrote.
    """
    hashes = _hashes(root)
    wanted = assemblies_dir / f"{environment}-{_fingerprint(hashes)}"
    if (wanted / "manifest.json").exists():
        wanted.touch()
        return wanted, False
    assemblies_dir.mkdir(parents=True, exist_ok=True)
    # Made aside and renamed: an interrupted synthesis, or a second one at the same time, leaves no half.
    with tempfile.TemporaryDirectory(dir=assemblies_dir, prefix=_UNFINISHED) as draft:
        output = Path(draft) / "cdk.out"
        earlier = _with_same_template(assemblies_dir, environment, hashes)
        if earlier is None or not _refresh_code(root, environment, earlier, output, hashes):
            shutil.rmtree(output, ignore_errors=True)
            modules = _run_app(root, environment, output)
            _note_sources(output, hashes, shaping=modules)
        try:
            output.rename(wanted)
        except OSError:
            if not wanted.exists():
                raise
    _discard_old(assemblies_dir)
    return wanted, True


def fingerprint(root: Path) -> str:
    """Hash of everything that a synthesis reads: equal contents, equal stack."""
    return _fingerprint(_hashes(root))


def _fingerprint(hashes: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()[:16]


def _hashes(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _source_files(root)
    }


def _source_files(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        source = root / name
        if source.is_file():
            yield source
        for path in sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _note_sources(output: Path, hashes: Mapping[str, str], *, shaping: frozenset[str]) -> None:
    is_code = {path: path.startswith(f"{_CODE_ROOT}/") and path not in shaping for path in hashes}
    sources = Sources(
        template={path: digest for path, digest in hashes.items() if not is_code[path]},
        code={path: digest for path, digest in hashes.items() if is_code[path]},
    )
    (output / _SOURCES_FILE).write_text(json.dumps(asdict(sources)))


def _with_same_template(assemblies_dir: Path, environment: str, hashes: Mapping[str, str]) -> Path | None:
    """An earlier assembly that differs in the contents of code files at most.

    A file more or less counts as another template: which files belong to an asset follows from their paths.
    """
    for folder in _finished(assemblies_dir):
        if folder.name.rpartition("-")[0] == environment and (folder / _SOURCES_FILE).exists():
            sources = Sources(**json.loads((folder / _SOURCES_FILE).read_text()))
            same_paths = sources.template.keys() | sources.code.keys() == hashes.keys()
            if same_paths and all(hashes[path] == digest for path, digest in sources.template.items()):
                return folder
    return None


def _refresh_code(
    root: Path, environment: str, earlier: Path, output: Path, hashes: Mapping[str, str]
) -> bool:
    """Copy an assembly with the current code; False if one of its assets is no plain copy of the sources."""
    shutil.copytree(earlier, output)
    before = Sources(**json.loads((earlier / _SOURCES_FILE).read_text()))
    stack = assembly.load(output, names.stack_name(environment))
    for asset in stack.assets:
        if asset.packaging == "file":
            continue
        digest = hashlib.sha256()
        for path in sorted(path for path in asset.path.rglob("*") if path.is_file()):
            source = f"{_CODE_ROOT}/{path.relative_to(asset.path).as_posix()}"
            copied = hashlib.sha256(path.read_bytes()).hexdigest()
            if copied != {**before.template, **before.code}.get(source):
                return False
            shutil.copyfile(root / source, path)
            digest.update(f"{source}\0{hashes[source]}\0".encode())
        # A new name is what makes CloudFormation see new code.
        old, new = Path(asset.key).stem, digest.hexdigest()
        asset.path.rename(asset.path.with_name(asset.path.name.replace(old, new)))
        for file in stack.files:
            file.write_text(file.read_text().replace(old, new))
    _note_sources(output, hashes, shaping=frozenset(before.template))
    return True


def _run_app(root: Path, environment: str, output: Path) -> frozenset[str]:
    """Synthesize into the folder; returns the paths in the repository of the modules that took part."""
    # What else could change the stack must not, since the fingerprint does not know it. The interpreter's
    # folder has the Node that jsii runs on.
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CDK_", "ALARM_", "SLACK_"))
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    modules = output.with_name("modules.json")
    finished = subprocess.run(  # noqa: S603 - this very interpreter, with a program of ours
        [sys.executable, "-c", _RUN_APP],
        cwd=root,
        env={
            **inherited,
            "PATH": path,
            "ENV": environment,
            "CDK_OUTDIR": str(output),
            "SYNTHESIS_MODULES": str(modules),
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
            "The synthesis ended well but wrote no stack where it was told to.",
            "infrastructure/app.py has to leave the output folder to CDK (the variable CDK_OUTDIR).",
        )
    loaded = [Path(file).resolve() for file in json.loads(modules.read_text())]
    inside = root.resolve()
    return frozenset(file.relative_to(inside).as_posix() for file in loaded if file.is_relative_to(inside))


def _discard_old(assemblies_dir: Path) -> None:
    for path in _finished(assemblies_dir)[_KEPT_ASSEMBLIES:]:
        shutil.rmtree(path, ignore_errors=True)


def _finished(assemblies_dir: Path) -> list[Path]:
    """Complete assemblies, the one used last first."""
    used: dict[Path, float] = {}
    for path in assemblies_dir.iterdir():
        # Another synthesis may discard an old one at this moment.
        with suppress(FileNotFoundError):
            if not path.name.startswith(_UNFINISHED):
                used[path] = path.stat().st_mtime
    return sorted(used, key=lambda path: used[path], reverse=True)
