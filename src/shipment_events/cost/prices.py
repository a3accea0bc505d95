"""The price table: ``prices.toml`` beside this module holds the numbers, their date and their sources."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from math import inf
from typing import Any


@dataclass(frozen=True, slots=True)
class Tier:
    """A price up to a quantity.

    Attributes:
        to: units of a month up to which it holds; infinite for the last tier.
        usd: price of ``Price.per`` units.
    """

    to: float
    usd: float


@dataclass(frozen=True, slots=True)
class Price:
    """One line of the price table.

    Attributes:
        per: units that the price is for (count).
        tiers: cheapest last.
        source: page of AWS.
        checked: when the price was last compared.
        evidence: with what it was compared.
    """

    name: str
    per: float
    unit: str
    tiers: tuple[Tier, ...]
    source: str
    checked: date
    evidence: str

    def of(self, quantity: float) -> float:
        """USD for this quantity of one month."""
        usd = 0.0
        begin = 0.0
        for tier in self.tiers:
            usd += max(0.0, min(quantity, tier.to) - begin) * tier.usd / self.per
            begin = tier.to
        return usd


@cache
def price_table() -> Mapping[str, Price]:
    """Every price by its name."""
    text = files(__package__).joinpath("prices.toml").read_text(encoding="utf-8")
    return {name: _price(name, entry) for name, entry in tomllib.loads(text).items()}


def _price(name: str, entry: Mapping[str, Any]) -> Price:
    tiers = entry.get("tiers") or [{"usd": entry["usd"]}]
    return Price(
        name=name,
        per=entry["per"],
        unit=entry["unit"],
        tiers=tuple(Tier(tier.get("to", inf), tier["usd"]) for tier in tiers),
        source=entry["source"],
        checked=entry["checked"],
        evidence=entry["evidence"],
    )
