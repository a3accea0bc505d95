"""When a stack is synthesized anew, and what is read from it."""

import importlib.util
import json
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import grimp
import pytest

from workbench.engine import assembly, synthesis
from workbench.engine.assets import own_files, zip_files
from workbench.engine.errors import LocalEngineError

ROOT = Path(__file__).resolve().parents[3]

# Like CDK: the template names an asset, and the asset is a copy of some of the sources.
APP = """
import hashlib, json, os, pathlib, shutil, sys
sys.path.insert(0, "src")
from shipment_events import stages

out = pathlib.Path(os.environ["CDK_OUTDIR"])
name = "shipmentevents-" + os.environ["ENV"]
room = pathlib.Path("shipment_events/processor")
code = sorted(("src" / room).glob("*.py"))
digest = hashlib.sha256(b"".join(path.read_bytes() for path in code)).hexdigest()
(out / f"asset.{digest}" / room).mkdir(parents=True)
for path in code:
    shutil.copy(path, out / f"asset.{digest}" / room)
template = {"Resources": {}, "Key": f"{digest}.zip", "Shape": stages.SHAPE}
(out / "template.json").write_text(json.dumps(template))
destination = {"bucketName": "b", "objectKey": f"{digest}.zip"}
entry = {"source": {"path": f"asset.{digest}", "packaging": "zip"}, "destinations": {"d": destination}}
(out / "assets.json").write_text(json.dumps({"files": {digest: entry}}))
stack = {
    "type": "aws:cloudformation:stack",
    "properties": {"templateFile": "template.json", "stackName": name},
    "dependencies": ["assets"],
}
assets = {"type": "cdk:asset-manifest", "properties": {"file": "assets.json"}}
(out / "manifest.json").write_text(json.dumps({"artifacts": {"stack": stack, "assets": assets}}))
(out / "environment").write_text(repr(dict(os.environ)))
with open("runs", "a") as runs:
    runs.write("x")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose app writes a small assembly in no time."""
    repository = tmp_path / "repository"
    for name, text in {
        "infrastructure/__init__.py": "",
        "infrastructure/app.py": APP,
        "src/shipment_events/__init__.py": "",
        "src/shipment_events/stages.py": "SHAPE = 1\n",
        "src/shipment_events/processor/code.py": "x = 1\n",
        "src/shipment_events/cli/main.py": "x = 1\n",
        "workbench/__init__.py": "",
    }.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return repository


def code_of(root: Path) -> Path:
    """The file of the function."""
    return root / "src" / "shipment_events" / "processor" / "code.py"


class TestFingerprint:
    def test_follows_the_contents_and_nothing_else(self, root: Path) -> None:
        before = synthesis.fingerprint(root)
        shape = root / "src" / "shipment_events" / "stages.py"
        shape.touch()
        (root / "infrastructure" / "__pycache__").mkdir()
        (root / "infrastructure" / "__pycache__" / "app.pyc").write_bytes(b"x")
        (root / "README.md").write_text("unrelated")
        assert synthesis.fingerprint(root) == before

        shape.write_text("SHAPE = 2\n")
        assert synthesis.fingerprint(root) != before

    def test_sees_a_renamed_file(self, root: Path) -> None:
        before = synthesis.fingerprint(root)
        app = root / "infrastructure" / "__init__.py"
        app.rename(app.with_name("other.py"))
        assert synthesis.fingerprint(root) != before

    def test_covers_all_that_the_infrastructure_imports(self) -> None:
        graph = grimp.build_graph("infrastructure", "shipment_events", "workbench", cache_dir=None)
        imported = {"infrastructure.app", *graph.find_upstream_modules("infrastructure.app")}
        # Importing a module runs the packages that it is in, too.
        executed = {name for module in imported for name in accumulate(module.split("."), "{}.{}".format)}
        covered = [ROOT / source for source in synthesis.TEMPLATE_SOURCES]
        assert all(source.exists() for source in covered)
        for name in executed:
            file = Path(importlib.util.find_spec(name).origin)  # type: ignore[union-attr, arg-type]
            assert any(file == source or source in file.parents for source in covered), (
                f"{name} shapes the template: add it to TEMPLATE_SOURCES"
            )


class TestSynthesize:
    def test_once_for_the_same_sources(self, root: Path, tmp_path: Path) -> None:
        first, is_new = synthesis.synthesize(root, "dev", tmp_path / "cache")
        assert is_new
        assert synthesis.synthesize(root, "dev", tmp_path / "cache") == (first, False)

    def test_again_for_another_environment(self, root: Path, tmp_path: Path) -> None:
        first, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        other, is_new = synthesis.synthesize(root, "prod", tmp_path / "cache")
        assert is_new
        assert other != first

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: code_of(root).write_text("x = 2\n"),
            lambda root: (root / "src" / "shipment_events" / "cli" / "more.py").write_text("x = 2\n"),
            lambda root: (root / "src" / "shipment_events" / "cli" / "main.py").write_text("x = 2\n"),
            lambda root: (root / "workbench" / "drill.py").write_text("x = 2\n"),
        ],
        ids=["code of the function", "a new file that no function has", "other code", "the workbench"],
    )
    def test_an_assembly_is_kept_while_its_template_is_right(
        self, root: Path, tmp_path: Path, change: Callable[[Path], object]
    ) -> None:
        before, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        change(root)
        assert synthesis.synthesize(root, "dev", tmp_path / "cache") == (before, False)
        assert runs(root) == 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: (root / "src" / "shipment_events" / "stages.py").write_text("SHAPE = 2\n"),
            lambda root: code_of(root).with_name("more.py").write_text("x = 2\n"),
            lambda root: code_of(root).rename(code_of(root).with_name("handler.py")),
            lambda root: (root / "infrastructure" / "more.py").write_text("x = 2\n"),
            lambda root: (root / "cdk.json").write_text("{}"),
        ],
        ids=[
            "a module that the app imports",
            "a new file beside the function's",
            "a renamed file of the function",
            "infrastructure",
            "CDK's settings",
        ],
    )
    def test_anything_else_does(self, root: Path, tmp_path: Path, change: Callable[[Path], object]) -> None:
        before, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        change(root)
        after, is_new = synthesis.synthesize(root, "dev", tmp_path / "cache")
        assert is_new
        assert after != before
        assert runs(root) == 2

    def test_the_cdk_cli_gets_an_assembly_with_current_code(self, root: Path, tmp_path: Path) -> None:
        def current() -> tuple[Path, bool]:
            return synthesis.synthesize(root, "dev", tmp_path / "cache", with_current_code=True)

        first, _ = current()
        assert current() == (first, False)
        code_of(root).write_text("x = 2\n")
        second, is_new = current()
        assert is_new
        assert current() == (second, False)
        (bundle,) = assembly.load(second, "shipmentevents-dev").assets
        assert own_files(bundle)["shipment_events/processor/code.py"].read_text() == "x = 2\n"

    def test_does_not_let_the_users_account_into_the_stack(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CDK_DEFAULT_ACCOUNT", "123456789012")
        monkeypatch.setenv("AWS_PROFILE", "mine")
        synthesized, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        environment = (synthesized / "environment").read_text()
        assert "123456789012" not in environment
        assert "mine" not in environment
        # Without a reason, a stage that names no receiver of its alarms would be refused.
        assert "'ALARMS_WITHOUT_RECEIVERS': 'the local engine sends no e-mail'" in environment

    def test_an_app_that_fails_leaves_nothing_and_says_why(self, root: Path, tmp_path: Path) -> None:
        (root / "infrastructure" / "app.py").write_text("raise SystemExit('error: no such stage')")
        with pytest.raises(LocalEngineError, match="no such stage"):
            synthesis.synthesize(root, "dev", tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_keeps_only_the_last_few(self, root: Path, tmp_path: Path) -> None:
        for number in range(5):
            (root / "src" / "shipment_events" / "stages.py").write_text(f"SHAPE = {number}\n")
            last, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        kept = list((tmp_path / "cache").iterdir())
        assert len(kept) == 3
        assert last in kept


class TestLoad:
    def test_a_folder_without_a_stack(self, tmp_path: Path) -> None:
        with pytest.raises(LocalEngineError, match="no synthesized stack"):
            assembly.load(tmp_path, "shipmentevents-dev")

    def test_the_stack_of_another_environment(self, tmp_path: Path) -> None:
        stack = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "t.json"}}
        (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"shipmentevents-prod": stack}}))
        with pytest.raises(LocalEngineError, match="only shipmentevents-prod"):
            assembly.load(tmp_path, "shipmentevents-dev")


def runs(root: Path) -> int:
    """How often the app ran."""
    return len((root / "runs").read_text())


def test_a_zip_has_the_same_bytes_for_the_same_contents(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, names in ((one, ("a.py", "b.py")), (other, ("b.py", "a.py"))):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    (other / "a.py").chmod(0o755)
    (other / "b.py").touch()

    def zipped(folder: Path) -> bytes:
        return zip_files({path.name: path for path in folder.iterdir()})

    assert zipped(one) == zipped(other)
    (other / "a.py").write_text("changed")
    assert zipped(one) != zipped(other)
