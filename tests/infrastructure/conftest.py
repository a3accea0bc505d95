"""Each stage is synthesized once a session: starting CDK's JavaScript engine takes seconds."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from shipment_events.stages import STAGES
from tests.infrastructure.template import Template
from tests.once import one_worker_at_a_time, shared_folder

REPOSITORY = Path(__file__).resolve().parents[2]


class StageTemplates(Mapping[str, Template]):
    """Template of every stage, by its name; synthesized when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[str, Template] = {}

    def __getitem__(self, environment: str) -> Template:
        if environment not in self._built:
            folder = self._folder / environment
            with one_worker_at_a_time(self._folder / f"{environment}.lock"):
                if not (folder / "manifest.json").exists():
                    self._synthesize(environment, folder)
            self._built[environment] = Template(folder, environment)
        return self._built[environment]

    @staticmethod
    def _synthesize(environment: str, folder: Path) -> None:
        from infrastructure.app import build_app

        # The repository's own settings cannot know an address, and staging and prod are refused without.
        settings = replace(STAGES[environment], alarm_emails=("oncall@example.org",))
        draft = folder.with_name(f"{environment}-draft")
        build_app(settings, draft).synth()
        draft.rename(folder)

    def __iter__(self) -> Iterator[str]:
        return iter(STAGES)

    def __len__(self) -> int:
        return len(STAGES)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Template]:
    """Templates of all stages. A security finding ends the synthesis, and with it every test."""
    return StageTemplates(shared_folder(tmp_path_factory, "templates"))


@pytest.fixture(scope="session")
def template(templates: Mapping[str, Template]) -> Template:
    """Template of the default stage."""
    return templates["dev"]


@pytest.fixture(params=list(STAGES))
def every_template(request: pytest.FixtureRequest, templates: Mapping[str, Template]) -> Template:
    """Template of each stage in turn."""
    return templates[request.param]
