"""What ``shipment_events`` itself offers: the public names, each imported when it is first used."""

import subprocess
import sys
from importlib import import_module

import pytest

import shipment_events


@pytest.mark.parametrize("name", shipment_events.__all__)
def test_public_name_is_importable_and_is_what_its_module_has(name: str) -> None:
    found = getattr(shipment_events, name)
    assert getattr(import_module(found.__module__), name) is found
    assert name in dir(shipment_events)


def test_importing_the_package_loads_no_part_of_it() -> None:
    code = "import sys, shipment_events; print([name for name in sys.modules if 'shipment_events.' in name])"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "[]\n"


def test_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Shipping'"):
        shipment_events.Shipping  # noqa: B018


def test_old_place_of_the_publisher_still_works_and_says_where_it_went() -> None:
    sys.modules.pop("shipment_events.publisher", None)
    with pytest.warns(DeprecationWarning, match="import Publisher from shipment_events"):
        old = import_module("shipment_events.publisher")
    assert old.Publisher is shipment_events.Publisher
