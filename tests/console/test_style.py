"""The edges of what a person fills in or presses are visible in both themes."""

import re
from pathlib import Path
from typing import Final

import pytest

import shipment_events.console

FOLDER: Final = Path(shipment_events.console.__file__).parent
STYLE: Final = (FOLDER / "static" / "console.css").read_text(encoding="utf-8")
THEMES: Final = dict(zip(("light", "dark"), re.findall(r":root \{([^}]*)\}", STYLE), strict=True))


def colours(theme: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6})", THEMES[theme]))


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(*pair: str) -> float:
    low, high = sorted(map(luminance, pair))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("beside", ["panel", "ground", "raised"])
def test_an_input_has_a_border_that_can_be_seen(theme: str, beside: str) -> None:
    (name,) = re.findall(r"^input, select, button.*?border: 1px solid var\(--([a-z]+)\)", STYLE, re.MULTILINE)
    there = colours(theme)
    # https://www.w3.org/TR/WCAG22/#non-text-contrast
    assert contrast(there[name], there[beside]) >= 3


def test_every_colour_has_a_use() -> None:
    named = set(re.findall(r"(--[a-z0-9-]+):", STYLE))
    scripts = (FOLDER / "static" / "console.js").read_text(encoding="utf-8")
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)|\"(--[a-z0-9-]+)\"", STYLE + scripts))
    assert named <= {name for pair in used for name in pair}
