"""``shipments feed``."""

import sys

import click

from workbench.feed import generate
from workbench.feed.shares import DEFAULT_SHARES, Shares


@click.command(short_help="Print a feed of events as real carriers send them.")
@click.option(
    "--events", "count", type=click.IntRange(min=0), default=5000, show_default=True, help="How many lines."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True,
    help="The same seed gives the same feed.",
)  # fmt: skip
@click.option(
    "--broken-share", type=click.FloatRange(0, 1), default=DEFAULT_SHARES.broken, show_default=True,
    help="Share of lines that break the contract.",
)  # fmt: skip
def feed(*, count: int, seed: int, broken_share: float) -> None:
    """Print a feed of events as real carriers send them, one JSON object a line.

    \b
    Example:
      shipments feed --events 1000 | shipments publish -
    """
    for line in generate(count, seed=seed, shares=Shares(broken=broken_share)):
        sys.stdout.write(f"{line.text}\n")
