"""A private engine with the real stack on it, for all tests of a session."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.once import one_worker_at_a_time
from workbench.engine import engine as engines
from workbench.engine import synthesis
from workbench.engine.clients import LOCAL_CONFIG, local_session
from workbench.engine.deploy import deploy
from workbench.engine.health import free_port
from workbench.engine.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENT: Final = "dev"


@dataclass(frozen=True)
class LocalEngine:
    """A running engine with the stack deployed. ``outputs`` are the stack's outputs by name."""

    endpoint: str
    environment: str
    outputs: Mapping[str, str]
    client: Callable[[str], Any]


def client_factory(endpoint: str) -> Callable[[str], Any]:
    """Make clients of the engine at the endpoint, one for each service name."""
    # The stubs know services by literal names only, and a test names them in a variable.
    session: Any = local_session()
    return lambda service: session.client(service, endpoint_url=endpoint, config=LOCAL_CONFIG)


def synthesize_once(*, with_current_code: bool) -> Path:
    """The real stack's assembly; the first worker of a session makes it, the others find it."""
    assemblies = ROOT / ".local" / "assemblies"
    assemblies.mkdir(parents=True, exist_ok=True)
    with one_worker_at_a_time(assemblies.with_name("assemblies.lock")):
        found, _ = synthesis.synthesize(ROOT, ENVIRONMENT, assemblies, with_current_code=with_current_code)
    return found


@pytest.fixture(scope="session")
def real_assembly() -> Path:
    """The real stack with its current template (kept between sessions); `deploy` adds the current code."""
    return synthesize_once(with_current_code=False)


@pytest.fixture(scope="session")
def current_assembly() -> Path:
    """The real stack with its current code, too, as the CDK CLI needs it."""
    return synthesize_once(with_current_code=True)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, real_assembly: Path) -> Iterator[LocalEngine]:
    """An engine of this test session with the real stack, on a port and in a folder of its own."""
    settings = Settings(
        root=ROOT, home=tmp_path_factory.mktemp("engine"), port=free_port(), environment=ENVIRONMENT
    )
    try:
        running = engines.start(settings)
        deployed = deploy(running.endpoint, real_assembly, ENVIRONMENT)
        yield LocalEngine(running.endpoint, ENVIRONMENT, deployed.outputs, client_factory(running.endpoint))
    finally:
        engines.stop(settings)
