"""How results look in a terminal. The commands make the ``--json`` output themselves."""

import json
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from shipment_events.accounting.feed_run import FeedRun
from shipment_events.accounting.read_side import ReadSideAccount
from shipment_events.cli.options import command
from shipment_events.contract.event import place_of
from shipment_events.contract.exact_json import dumps
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.table.item import CONFLICT, StoredEvent

_PIPE_WIDTH: Final = 120
_WIDEST_PIPE: Final = 200
# A column of words is as wide as its longest word, within these bounds, so that no word is broken.
_NARROWEST_WORDS: Final = 8
_WIDEST_WORD: Final = 20
# Characters of an id, a reason or another name in a list, and of a sentence in a list.
_LONGEST_NAME: Final = 80
LONGEST_SENTENCE: Final = 300
_MOST_COUNTS: Final = 20
_MOST_FINDINGS: Final = 10


def output() -> Console:
    """Standard output. It is as wide as the terminal, or wide enough for a table if it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def print_table(console: Console, table: Table) -> None:
    """Print a table. If its ids do not fit into a line, print each row as a list of names and values.

    Ids are in ``no_wrap`` columns, because a broken id cannot be copied.
    """
    needed = _table_width(
        _width(column) if column.no_wrap else _words_width(column) for column in table.columns
    )
    if not console.is_terminal:
        whole = _table_width(map(_width, table.columns))
        console.width = max(console.width, needed, min(whole, _WIDEST_PIPE))
    if needed <= console.width:
        console.print(table)
        return
    names = [str(column.header) for column in table.columns]
    records = Table(title=table.title, title_justify="left", show_header=False, box=None, pad_edge=False)
    records.add_column(style="bold", no_wrap=True)
    records.add_column(overflow="fold")
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        records.add_row()
        for name, cell in zip(names, cells, strict=True):
            if _cell_width(cell):
                records.add_row(name, cell)
    console.print(records)


def _table_width(columns: Iterable[int]) -> int:
    """Width including the lines and blanks between and around the columns."""
    return 1 + sum(3 + width for width in columns)


def _width(column: Column) -> int:
    return max(map(_cell_width, [column.header, *column.cells]))


def _words_width(column: Column) -> int:
    words = chain.from_iterable(str(cell).split() for cell in [column.header, *column.cells])
    longest = max(map(cell_len, words), default=0)
    return max(column.min_width or _NARROWEST_WORDS, min(longest, _WIDEST_WORD))


def _cell_width(cell: object) -> int:
    return max(map(cell_len, str(cell).split("\n")))


def event_line(shipment_id: str, event: StoredEvent) -> str:
    """A stored event as one line of JSON."""
    return json_line(
        {
            "shipment_id": shipment_id,
            "event_timestamp": event.sort_key,
            "event_id": event.event_id,
            "processing_status": event.status,
            "stored_at": event.stored_at,
            "correlation_id": event.correlation_id,
            "detail": event.detail,
        }
    )


def json_line(values: Mapping[str, Any]) -> str:
    """Values with text from outside as one line of JSON. Numbers are exact."""
    return printable_json(_json(values))


def printable_json(text: str) -> str:
    """The same JSON on one line, with escapes for all characters that are not printable."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _json(value: Any) -> str:
    if not isinstance(value, Mapping):
        return dumps(value)
    # Each part is dumped on its own, because an event may already have as many levels as dumps allows.
    return f"{{{','.join(f'{dumps(name)}:{_json(part)}' for name, part in value.items())}}}"


def timeline_table(shipment_id: str, events: Iterable[StoredEvent]) -> Table:
    """A shipment's events as a table, with the local times that the producer wrote."""
    return events_table(f"Shipment {short(shipment_id)}", events)


def events_table(title: str, events: Iterable[StoredEvent], *, of_many: bool = False) -> Table:
    """Events as a table; with ``of_many``, a column names the shipment."""
    table = Table(title=Text(title), title_justify="left", header_style="bold")
    if of_many:
        table.add_column("shipment", no_wrap=True)
    table.add_column("occurred at", no_wrap=True)
    for name in ("event", "status", "carrier", "where"):
        table.add_column(name, overflow="fold")
    table.add_column("event id", no_wrap=True)
    table.add_column("", no_wrap=True)
    for event in events:
        detail = event.detail
        foreign = (
            short(detail.get("event_timestamp")),
            short(detail.get("event_type")).removeprefix("shipment."),
            printable(detail.get("status") or detail.get("description"), most=LONGEST_SENTENCE),
            short(detail.get("carrier") or detail.get("carrier_code")),
            place(detail.get("location")),
            short(event.event_id),
        )
        named = (short(detail.get(PARTITION_KEY)),) if of_many else ()
        # rich reads a plain string as markup, but not a Text.
        table.add_row(
            *map(Text, (*named, *foreign)), Text(CONFLICT, "yellow") if event.status == CONFLICT else ""
        )
    return table


def print_feed_report(console: Console, run: FeedRun) -> None:
    """Print the report of a run. Each accepted event is counted in exactly one row."""
    report = run.as_json()
    table = Table(title="Where every event ended", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("published", f"{report['published']:,}", "accepted by the bus", end_section=True)
    table.add_row("stored", f"{report['stored']:,}", "one item each")
    table.add_row("duplicate", f"{report['duplicate']:,}", "repeats of a stored event; nothing written")
    table.add_row("conflict", f"{report['conflict']:,}", "same identity, other content; stored beside it")
    reasons = counts(report["quarantined_by_reason"])
    table.add_row("dead letters", f"{report['quarantined']:,}", Text(reasons or "none"))
    for name, meaning in (
        ("lost", "nowhere"),
        ("doubled", "in more than one place"),
        ("altered", "stored as something that was not sent"),
    ):
        _add_finding(table, name, report[name], meaning)
    if run.is_decided and report["undecided"]:
        ends_at = str(report["delivery_ends_at"])
        why = f"not found yet: EventBridge may deliver them until {ends_at}. Then: {command('audit JOURNAL')}"
        table.add_row("[bold red]undecided[/]", f"[bold red]{report['undecided']:,}[/]", why)
    if not run.is_decided:
        why = (
            f"not found yet: the queue did not stay empty (about {report['waiting']:,} messages), or other"
            f" commands hide dead letters (about {report['hidden_dead_letters']:,}). Later:"
            f" {command('audit JOURNAL')}"
        )
        table.add_row("[bold red]undecided[/]", f"[bold red]{report['undecided']:,}[/]", why)
    for name, why in (("refused", "refused_by_reason"), ("unsent", "unsent_by_error")):
        if report[name]:
            table.add_row(name, f"{report[name]:,}", Text(f"not on the bus: {counts(report[why])}"))
    if run.read_side:
        add_read_side(table, report["states"], report["changes"])
    console.print(table)
    if run.read_side:
        _print_findings(console, run.read_side)
    latency = report["latency_ms"]
    if latency["p50"] is not None:
        console.print(
            f"{report['events_per_second']:,.0f} events/s;"
            f" from PutEvents to the table p50 {latency['p50']:,.0f} ms, p99 {latency['p99']:,.0f} ms"
        )


def add_read_side(table: Table, states: Mapping[str, Any], changes: Mapping[str, Any] | None) -> None:
    """Add what :meth:`ReadSideAccount.as_json` says to the table of a report, which has three columns."""
    seconds = states["caught_up_seconds"]
    if seconds is not None:
        when = f"caught up in {seconds:,} s after the last event"
    else:
        when = "not caught up" if states["different"] else "no event was new"
    table.add_section()
    table.add_row("shipments", f"{states['shipments']:,}", when)
    _add_finding(table, "different", states["different"], "states that differ from their events")
    if changes is None:
        table.add_row("changes", "", "not checked, because --subscriber names no queue")
        return
    table.add_row("changes", f"{changes['received']:,}", f"announced; {changes['repeats']:,} repeats besides")
    _add_finding(table, "missing", changes["missing"], "announcements that did not arrive")
    _add_finding(table, "impossible", changes["impossible"], "announcements that follow from no event")


def _print_findings(console: Console, found: ReadSideAccount) -> None:
    for kind, texts in found.findings.items():
        for text in texts[:_MOST_FINDINGS]:
            console.print(Text(f"{kind}: {printable(text, most=LONGEST_SENTENCE)}", "red"))
    if not found.succeeded:
        console.print(f"To repair a shipment: {command('rebuild --shipment ID --announce')}")


def _add_finding(table: Table, name: str, count: int, meaning: str) -> None:
    style = "bold red" if count else "bold green"
    table.add_row(f"[{style}]{name}[/]", f"[{style}]{count:,}[/]", meaning)


def counts(numbers: Mapping[str, int]) -> str:
    """Counts by name in one line. Print it as ``Text``, because the names may come from outside."""
    shown = [f"{short(one)} {count:,}" for one, count in islice(numbers.items(), _MOST_COUNTS)]
    more = len(numbers) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def place(location: Any) -> str:
    """The texts of an event's ``location``, shortened for a list."""
    return short(place_of(location))


def short(value: Any) -> str:
    """An id or other name from outside, shortened for a list."""
    return printable(value, most=_LONGEST_NAME)


def printable(value: Any, allowed: str = "", *, most: int | None = None) -> str:
    """Make text from outside safe for a terminal. Print the result as ``Text``; rich reads markup in a
    ``str``.

    Characters that are not printable are shown as dots, except those in ``allowed``. Control characters can
    steer the terminal. Format characters can reorder or hide text. Surrogates cannot be encoded. Line and
    paragraph separators can forge lines. An emoji that is joined from several is shown as its parts.
    https://docs.python.org/3/library/stdtypes.html#str.isprintable

    Args:
        most: maximum number of characters. A longer text loses its middle, because ids often differ at the
            end.
    """
    shown = "" if value is None else str(value)
    if most is not None and len(shown) > most:
        end = most // 3
        shown = f"{shown[: most - end - 1]}…{shown[-end:]}"
    return "".join(
        character if character.isprintable() or character in allowed else "·" for character in shown
    )
