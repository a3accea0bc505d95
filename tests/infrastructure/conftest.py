"""Each stage is synthesized once a session: starting CDK's JavaScript engine takes seconds."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from infrastructure.settings import STAGES
from tests.infrastructure.template import Template

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Template]:
    """Template of every stage, by its name. A security finding ends the synthesis, and with it every test."""
    from infrastructure.app import build_app

    built = {}
    for environment, settings in STAGES.items():
        folder = tmp_path_factory.mktemp(environment)
        build_app(settings, folder).synth()
        built[environment] = Template(folder, environment)
    return built


@pytest.fixture(scope="session")
def template(templates: Mapping[str, Template]) -> Template:
    """Template of the default stage."""
    return templates["dev"]


@pytest.fixture(params=list(STAGES))
def every_template(request: pytest.FixtureRequest, templates: Mapping[str, Template]) -> Template:
    """Template of each stage in turn."""
    return templates[request.param]
