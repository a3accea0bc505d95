"""When a stack is synthesized anew, and what is read from it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.engine import assembly, synthesis
from workbench.engine.assets import zip_folder
from workbench.engine.errors import LocalEngineError

# Like CDK: the template names an asset, and the asset is a copy of some of the sources.
APP = """
import hashlib, json, os, pathlib, shutil, sys
sys.path.insert(0, "src")
from package import shape

out = pathlib.Path(os.environ["CDK_OUTDIR"])
name = "shipmentevents-" + os.environ["ENV"]
code = pathlib.Path("src/package/code.py").read_bytes()
digest = hashlib.sha256(code).hexdigest()
(out / f"asset.{digest}" / "package").mkdir(parents=True)
(out / f"asset.{digest}" / "package" / "code.py").write_bytes(code)
template = {"Resources": {}, "Key": f"{digest}.zip", "Shape": shape.SHAPE}
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
    for folder in ("infrastructure", "src/package"):
        (repository / folder).mkdir(parents=True)
    (repository / "infrastructure" / "app.py").write_text(APP)
    (repository / "src" / "package" / "code.py").write_text("x = 1\n")
    (repository / "src" / "package" / "shape.py").write_text("SHAPE = 1\n")
    return repository


class TestFingerprint:
    def test_follows_the_contents_and_nothing_else(self, root: Path) -> None:
        before = synthesis.fingerprint(root)
        code = root / "src" / "package" / "code.py"
        code.touch()
        (root / "src" / "package" / "__pycache__").mkdir()
        (root / "src" / "package" / "__pycache__" / "code.pyc").write_bytes(b"x")
        (root / "README.md").write_text("unrelated")
        assert synthesis.fingerprint(root) == before

        code.write_text("x = 2\n")
        assert synthesis.fingerprint(root) != before

    def test_sees_a_renamed_file(self, root: Path) -> None:
        before = synthesis.fingerprint(root)
        code = root / "src" / "package" / "code.py"
        code.rename(code.with_name("other.py"))
        assert synthesis.fingerprint(root) != before


class TestSynthesize:
    def test_once_for_the_same_sources(self, root: Path, tmp_path: Path) -> None:
        first, is_new = synthesis.synthesize(root, "dev", tmp_path / "cache")
        assert is_new
        assert synthesis.synthesize(root, "dev", tmp_path / "cache") == (first, False)

    def test_again_for_other_sources_or_another_environment(self, root: Path, tmp_path: Path) -> None:
        first, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        other, is_new = synthesis.synthesize(root, "prod", tmp_path / "cache")
        assert is_new
        assert other != first
        (root / "src" / "package" / "code.py").write_text("x = 2\n")
        assert synthesis.synthesize(root, "dev", tmp_path / "cache")[1]

    def test_new_function_code_needs_no_new_synthesis(self, root: Path, tmp_path: Path) -> None:
        before, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        code = root / "src" / "package" / "code.py"
        for text in ("x = 2\n", "x = 3\n"):
            code.write_text(text)
            after, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        assert runs(root) == 1

        old, new = (assembly.load(folder, "shipmentevents-dev") for folder in (before, after))
        assert (new.assets[0].path / "package" / "code.py").read_text() == "x = 3\n"
        assert (old.assets[0].path / "package" / "code.py").read_text() == "x = 1\n"
        assert new.assets[0].key != old.assets[0].key
        assert new.template["Key"] == new.assets[0].key

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: (root / "src" / "package" / "shape.py").write_text("SHAPE = 2\n"),
            lambda root: (root / "src" / "package" / "more.py").write_text("x = 2\n"),
            lambda root: (root / "infrastructure" / "more.py").write_text("x = 2\n"),
            lambda root: (root / "cdk.json").write_text("{}"),
        ],
        ids=["a module that the app imports", "a new file", "infrastructure", "CDK's settings"],
    )
    def test_anything_else_does(self, root: Path, tmp_path: Path, change: Callable[[Path], object]) -> None:
        synthesis.synthesize(root, "dev", tmp_path / "cache")
        change(root)
        synthesis.synthesize(root, "dev", tmp_path / "cache")
        assert runs(root) == 2

    def test_does_not_let_the_users_account_into_the_stack(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CDK_DEFAULT_ACCOUNT", "123456789012")
        monkeypatch.setenv("AWS_PROFILE", "mine")
        synthesized, _ = synthesis.synthesize(root, "dev", tmp_path / "cache")
        environment = (synthesized / "environment").read_text()
        assert "123456789012" not in environment
        assert "mine" not in environment

    def test_an_app_that_fails_leaves_nothing_and_says_why(self, root: Path, tmp_path: Path) -> None:
        (root / "infrastructure" / "app.py").write_text("raise SystemExit('error: no such stage')")
        with pytest.raises(LocalEngineError, match="no such stage"):
            synthesis.synthesize(root, "dev", tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_keeps_only_the_last_few(self, root: Path, tmp_path: Path) -> None:
        for number in range(5):
            (root / "src" / "package" / "code.py").write_text(f"x = {number}\n")
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
    assert zip_folder(one) == zip_folder(other)
    (other / "a.py").write_text("changed")
    assert zip_folder(one) != zip_folder(other)
