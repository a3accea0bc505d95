"""Which port and stage the environment asks for."""

import pytest

from workbench.engine.errors import LocalEngineError
from workbench.engine.settings import settings_from


def test_defaults() -> None:
    settings = settings_from({})
    assert (settings.port, settings.environment) == (4566, "dev")
    assert settings.endpoint == "http://127.0.0.1:4566"


def test_empty_variables_count_as_unset() -> None:
    settings = settings_from({"SHIPMENTS_PORT": "", "ENV": ""})
    assert (settings.port, settings.environment) == (4566, "dev")


def test_a_port_of_ones_own_has_a_state_of_its_own() -> None:
    one, other = settings_from({}), settings_from({"SHIPMENTS_PORT": "4700"})
    assert other.endpoint == "http://127.0.0.1:4700"
    assert one.state_dir != other.state_dir


@pytest.mark.parametrize("port", ["abc", "0", "80", "65536", "-1", "4566 ", "45.66", "٤٥٦٦", "4_566"])
def test_refuses_what_is_no_port(port: str) -> None:
    with pytest.raises(LocalEngineError, match="SHIPMENTS_PORT"):
        settings_from({"SHIPMENTS_PORT": port})


@pytest.mark.parametrize("name", ["Dev", "../dev", "a b", "-dev", "d" * 33])
def test_refuses_what_is_no_name_of_a_stage(name: str) -> None:
    with pytest.raises(LocalEngineError, match="ENV is"):
        settings_from({"ENV": name})
