"""What the local engine's deploy with the CDK CLI changes in a cloud assembly."""

import json
import shutil
from pathlib import Path

from tests.infrastructure.template import Template
from workbench.engine import assembly


def test_another_template_gets_another_key_and_the_code_keeps_its_own(
    template: Template, tmp_path: Path
) -> None:
    name = "shipmentevents-dev"
    keys = []
    for number in range(2):
        folder = tmp_path / str(number)
        shutil.copytree(template.folder, folder)
        assembly.replace_template(folder, name, {"Resources": {}, "Description": str(number)})
        loaded = assembly.load(folder, name)
        assert loaded.template["Description"] == str(number)
        manifest = json.loads((folder / "manifest.json").read_text())
        url = manifest["artifacts"][name]["properties"]["stackTemplateAssetObjectUrl"]
        (file,) = (asset for asset in loaded.assets if asset.packaging == "file")
        assert url.endswith(f"/{file.key}")
        keys.append({asset.packaging: asset.key for asset in loaded.assets})
    assert keys[0]["file"] != keys[1]["file"]
    assert keys[0]["zip"] == keys[1]["zip"]
