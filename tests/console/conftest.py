"""The page on stand-ins."""

from pathlib import Path

import pytest

from tests.console.stage import Browser, Services


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def browser(services: Services, tmp_path: Path) -> Browser:
    return Browser(services, tmp_path)
