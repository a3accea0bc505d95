"""What the function's bundle holds: everything that it imports, nothing else, the same bytes every time."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cold_start.start import FUNCTION_ENVIRONMENT
from shipment_events.stages import settings_for
from tests.infrastructure.conftest import REPOSITORY
from tests.infrastructure.template import FUNCTIONS, PROCESSOR, Template, text

SOURCE = REPOSITORY / "src"

of_each_function = pytest.mark.parametrize("function", FUNCTIONS)


def test_no_function_is_left_out_here(template: Template) -> None:
    functions = [properties["FunctionName"] for _, properties in template.of_type("AWS::Lambda::Function")]
    assert sorted(functions) == sorted(f"{name}-{template.environment}" for name in FUNCTIONS)


@of_each_function
def test_bundle_holds_whole_rooms_that_the_handler_imports(template: Template, function: str) -> None:
    imported = _imported(_handler(template, function))
    bundled = _files(template.bundle(function))
    assert imported <= bundled
    assert {Path(name).parent for name in bundled} == {Path(name).parent for name in imported}


@of_each_function
def test_bundle_has_the_bytes_of_the_sources(template: Template, function: str) -> None:
    bundle = template.bundle(function)
    for name in _files(bundle):
        assert (bundle / name).read_bytes() == (SOURCE / name).read_bytes()


@of_each_function
def test_bundle_has_no_folder_without_a_reason(template: Template, function: str) -> None:
    bundle = template.bundle(function)
    folders = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_dir()}
    assert folders == {Path(name).parent.as_posix() for name in _imported(_handler(template, function))}


@of_each_function
def test_handler_starts_from_the_bundle_alone(template: Template, tmp_path: Path, function: str) -> None:
    """Isolated from our own installed package; botocore is what Lambda's runtime brings along."""
    bundle = template.bundle(function)
    variables = template.properties("AWS::Lambda::Function", of=function)["Environment"]["Variables"]
    program = (
        "import sys; sys.dont_write_bytecode = True\n"
        f"sys.path.insert(0, {str(bundle)!r})\n"
        f"import {_handler(template, function)} as module, shipment_events\n"
        f"assert shipment_events.__path__ == [{str(bundle / 'shipment_events')!r}]\n"
        "assert callable(module.handler)\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program],
        env=FUNCTION_ENVIRONMENT | {name: text(value) for name, value in variables.items()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.fixture
def copied_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources that a test may soil, in the place of the real ones."""
    from infrastructure import bundled_function

    copy = tmp_path / "src"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundled_function, "SOURCE_ROOT", copy)
    return copy


def test_litter_beside_the_sources_does_not_change_the_bundle(
    template: Template, copied_source: Path, tmp_path: Path
) -> None:
    package = copied_source / "shipment_events"
    for litter in (
        "__pycache__/event.cpython-312.pyc",
        "processor/__pycache__/handler.cpython-312.pyc",
        "processor/__pycache__/left_over.py",
        "processor/handler.pyc",
        "processor/notes.txt",
        "processor/deep/__pycache__/x.cpython-312.pyc",
        "local/other.py",
        "another.py",
    ):
        path = package / litter
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("soiled")
    (copied_source / "top_level.py").write_text("soiled")
    soiled = _synthesize(tmp_path)
    for function in FUNCTIONS:
        assert soiled.bundle(function).name == template.bundle(function).name


def test_change_of_the_processor_changes_the_bundle(
    template: Template, copied_source: Path, tmp_path: Path
) -> None:
    handler = copied_source / "shipment_events/processor/handler.py"
    handler.write_text(handler.read_text() + "\n# changed\n")
    assert _synthesize(tmp_path).bundle(PROCESSOR).name != template.bundle(PROCESSOR).name


@of_each_function
def test_every_stage_runs_the_same_code(every_template: Template, template: Template, function: str) -> None:
    assert every_template.bundle(function).name == template.bundle(function).name


@of_each_function
def test_lambda_is_given_that_bundle(template: Template, function: str) -> None:
    key = template.properties("AWS::Lambda::Function", of=function)["Code"]["S3Key"]
    destinations = {
        destination["objectKey"]: asset["source"]
        for asset in _assets(template.folder).values()
        for destination in asset["destinations"].values()
    }
    source = destinations[key]
    assert source["packaging"] == "zip"
    assert template.folder / source["path"] == template.bundle(function)


def _handler(template: Template, function: str) -> str:
    """The module of the function's handler."""
    handler: str = template.properties("AWS::Lambda::Function", of=function)["Handler"]
    return handler.removesuffix(".handler")


def _synthesize(tmp_path: Path) -> Template:
    from infrastructure.app import build_app

    folder = tmp_path / "assembly"
    build_app(settings_for("dev"), folder).synth()
    return Template(folder, "dev")


def _assets(folder: Path) -> dict[str, dict[str, Any]]:
    (manifest,) = folder.glob("*.assets.json")
    files: dict[str, dict[str, Any]] = json.loads(manifest.read_text())["files"]
    return files


def _files(bundle: Path) -> set[str]:
    return {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}


def _imported(module: str) -> set[str]:
    """Files of our own package that importing ``module`` brings in, found by reading the sources."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or path in found:
            continue
        found.add(path)
        waiting.update(_imports(SOURCE / path))
        if "." in name:
            waiting.add(name.rpartition(".")[0])
    return found


def _file_of(module: str) -> str | None:
    base = module.replace(".", "/")
    return next((name for name in (f"{base}.py", f"{base}/__init__.py") if (SOURCE / name).is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """What a module imports when it runs, without what only a type checker reads."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)
