"""The price table. ``prices.toml`` has the prices, their dates and their sources."""

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
        to: the last unit of a month at this price; infinite for the last tier.
        usd: price of ``Price.per`` units.
    """

    to: float
    usd: float


@dataclass(frozen=True, slots=True)
class Price:
    """One line of the price table.

    Attributes:
        per: number of units that the price is for.
        tiers: in ascending order of quantity.
        source: page of AWS.
        checked: when the price was last compared with ``evidence``.
    """

    name: str
    per: float
    unit: str
    tiers: tuple[Tier, ...]
    source: str
    checked: date
    evidence: str

    def of(self, quantity: float) -> float:
        """USD for this quantity in one month."""
        usd = 0.0
        begin = 0.0
        for tier in self.tiers:
            usd += max(0.0, min(quantity, tier.to) - begin) * tier.usd / self.per
            begin = tier.to
        return usd


@dataclass(frozen=True, slots=True)
class Usage:
    """A month's quantity of something that has a price.

    Attributes:
        price: name of the price. The price table has the unit.
    """

    service: str
    item: str
    price: str
    quantity: float


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
