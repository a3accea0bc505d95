"""One shipment's history, and text from outside, which is never markup."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from shipment_events.console.rendering import foreign
from tests.console.stage import LETTERS, Browser, Services
from tests.console.test_dead_letters import text_of
from tests.dead_letters.test_walks import body

NOW = datetime(2026, 5, 5, tzinfo=UTC)
HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}\u202e\x07"
VOID = {"img", "meta", "link", "input", "br", "hr", "path"}


def event(hour: int, **fields: Any) -> str:
    return body(1, event_timestamp=f"2026-05-04T{hour:02}:00:00+02:00", event_id=f"E-{hour}", **fields)


def entries(shown: str) -> list[str]:
    return [
        text_of(one)
        for one in re.findall(r'<li class="[^"]*">\s*<div><span class="what.*?</details>', shown, re.DOTALL)
    ]


def test_a_history_tells_what_happened_from_what_arrived(browser: Browser, services: Services) -> None:
    for minutes, hour in enumerate((8, 11, 12, 9)):
        services.store(event(hour), NOW + timedelta(minutes=minutes))
    shown = entries(browser.get("/panels/timeline?id=S-1"))
    assert ["T12:" in shown[0], "T11:" in shown[1], "T09:" in shown[2], "T08:" in shown[3]] == [True] * 4
    assert "2026-05-04 10:00:00 UTC" in shown[0]
    assert "T12:00:00+02:00 local" in shown[0]
    assert "arrived 4th" in shown[2]
    assert "late: 2 later events were here before it" in shown[2]
    assert not any("late:" in one for one in (shown[0], shown[1], shown[3]))
    by_arrival = entries(browser.get("/panels/timeline?id=S-1&order=arrival"))
    assert "T09:" in by_arrival[0]


def test_conflicts_and_retractions_are_marked(browser: Browser, services: Services) -> None:
    services.store(event(8), NOW)
    services.store(event(8, note="other"), NOW, sort_key="2026-05-04T06:00:00.000000Z#E-8#abc")
    services.store(event(9, status="delivered"), NOW)
    services.store(event(10, retracts="E-9"), NOW)
    shown = entries(browser.get("/panels/timeline?id=S-1"))
    assert "retracts E-9" in shown[0]
    assert "delivered retracted" in shown[1]
    assert "conflict" in shown[2]
    assert "conflict" not in shown[3]


def test_an_unknown_shipment_leads_to_the_dead_letters(browser: Browser) -> None:
    assert "/dead-letters?shipment=S-404" in browser.get("/panels/timeline?id=S-404")
    assert "No event" in browser.get("/panels/search?q=S-404")


def test_what_an_event_did_to_the_state_is_beside_it(browser: Browser, services: Services) -> None:
    services.store(event(8, status="in_transit"), NOW)
    services.store(event(9, status="delivered"), NOW + timedelta(minutes=1))
    shown = entries(browser.get("/panels/timeline?id=S-1"))
    assert "status in_transit → delivered" in shown[0]
    assert "change shipment.status_changed" in shown[0]
    assert "/panels/trace?id=S-1&amp;event=" in browser.get("/panels/timeline?id=S-1")


def test_one_event_is_traced_by_its_correlation_id(browser: Browser, services: Services) -> None:
    for hour, identifier in ((8, "first"), (9, "second")):
        services.store(json.dumps(json.loads(event(hour)) | {"id": identifier}), NOW)
    shown = text_of(browser.get("/panels/trace?id=S-1&event=second"))
    assert "E-9" in shown
    assert "E-8" not in shown


SINCE = {"status_at": "2026-05-04T08:00:00.000000Z", "latest_at": "2026-05-04T09:00:00.000000Z"}


def test_the_state_says_where_a_shipment_is(browser: Browser, services: Services) -> None:
    place = {"code": "ZRH", "city": "Zürich"}
    services.state(
        "S-1", status="in_transit", open="open", estimated_delivery="2026-05-05T09:00:00.000000Z",
        latest_event={"description": "in the air"} | place, carrier="Meridian", **SINCE,
    )  # fmt: skip
    services.states["S-1"]["latest_event"]["M"]["location"] = {"M": {k: {"S": v} for k, v in place.items()}}
    shown = text_of(browser.get("/panels/state?id=S-1"))
    assert "in transit stalled overdue" in shown
    assert "last seenZRH Zürich" in shown
    assert "2026-05-04 09:00:00 UTC" in shown
    services.state("S-1", status="delivered", delivered_at=SINCE["latest_at"], **SINCE)
    shown = text_of(browser.get("/panels/state?id=S-1"))
    assert "delivered since" in shown
    assert "stalled" not in shown
    assert "There is no state" in browser.get("/panels/state?id=S-404")
    assert "There is no state" in browser.get("/panels/state?id=")


def test_a_search_by_id_leads_to_the_shipment(browser: Browser, services: Services) -> None:
    services.store(body(1, shipment_id="A/B C?"), NOW)
    answer = browser.client.get("/panels/search?q=A%2FB+C%3F")
    assert answer.headers["hx-redirect"] == "/shipments/A%2FB%20C%3F"
    shown = browser.get(answer.headers["hx-redirect"])
    assert "A/B C?" in shown
    assert 'hx-get="/panels/timeline?id=A%2FB%20C%3F"' in shown


def test_a_search_by_number_leads_to_the_shipment_or_to_all_that_have_it(
    browser: Browser, services: Services
) -> None:
    services.state("S-1", tracking_number="TN-7", **SINCE)
    answer = browser.client.get("/panels/search?q=TN-7")
    assert answer.headers["hx-redirect"] == "/shipments/S-1"
    services.state("S-2", tracking_number="TN-7", **SINCE)
    services.store(body(1, shipment_id="TN-7"), NOW)
    answer = browser.client.get("/panels/search?q=TN-7")
    assert "hx-redirect" not in answer.headers
    assert {"/shipments/TN-7", "/shipments/S-1", "/shipments/S-2"} <= set(
        re.findall(r'href="([^"]+)"', answer.text)
    )
    assert "Nothing found" in browser.get(f"/panels/search?q={'x' * 3_000}")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=exception", ["S-2", "S-1"]),
        ("status=returned", []),
        ("stalled=1", ["S-1", "S-2"]),
        ("overdue=1", ["S-3"]),
    ],
)
def test_each_list_has_an_address(browser: Browser, services: Services, query: str, found: list[str]) -> None:
    services.state("S-1", status="exception", open="open", latest_at="2026-01-01T00:00:00.000000Z")
    services.state("S-2", status="exception", open="open", latest_at="2026-01-02T00:00:00.000000Z")
    soon = {"latest_at": "2999-01-02T00:00:00.000000Z", "estimated_delivery": "2026-01-01T00:00:00.000000Z"}
    services.state("S-3", status="pre_transit", open="open", **soon)
    assert f'hx-get="/panels/list?{query}&amp;limit=100"' in browser.get(f"/shipments?{query}")
    assert re.findall(r'href="/shipments/([^"]+)"', browser.get(f"/panels/list?{query}")) == found


def test_a_long_list_shows_more_when_asked(browser: Browser, services: Services) -> None:
    for serial in range(120):
        services.state(f"S-{serial}", status="delivered", **SINCE)
    shown = browser.get("/panels/list?status=delivered&limit=100")
    assert shown.count('<th scope="row">') == 100
    (more,) = re.findall(r'href="(/shipments\?[^"]+)"', shown)
    assert "limit=500" in browser.get(html.unescape(more))
    assert browser.get("/panels/list?status=delivered&limit=500").count('<th scope="row">') == 120
    assert browser.get("/panels/list?status=delivered&limit=-1").count('<th scope="row">') == 100


def test_a_stage_that_does_not_track_says_so(browser: Browser, services: Services) -> None:
    services.tracks = False
    services.store(body(1), NOW)
    assert browser.client.get("/panels/search?q=S-1").headers["hx-redirect"] == "/shipments/S-1"
    assert "a tracking number finds nothing" in browser.get("/panels/search?q=TN-7")
    for path in ("state?id=S-1", "list?stalled=1", "timeline?id=S-1", "trace?id=S-1"):
        shown = browser.get(f"/panels/{path}")
        assert ("does not track" in shown) is (path[:4] in ("stat", "list"))
        assert "Effect on" not in shown


def test_a_trace_has_the_log_and_the_letters_that_were_read(browser: Browser, services: Services) -> None:
    services.store(body(1), NOW)
    services.sqs.put(LETTERS, body(1, carrier=7))
    services.lines = [json.dumps({"outcome": "duplicate", "shipment_id": "S-1", "message": "stored before"})]
    shown = text_of(browser.get("/panels/trace?id=S-1"))
    assert "stored before" in shown
    assert "dead letter" not in shown.partition("From the table")[0]
    browser.read()
    assert "dead letter" in text_of(browser.get("/panels/trace?id=S-1")).partition("From the table")[0]


@pytest.mark.parametrize("offset", ["Z", "+00:00"])
def test_a_time_in_utc_is_not_called_local(browser: Browser, services: Services, offset: str) -> None:
    services.store(body(1, event_timestamp=f"2026-05-04T10:00:00{offset}"), NOW)
    (shown,) = entries(browser.get("/panels/timeline?id=S-1"))
    assert "2026-05-04 10:00:00 UTC" in shown
    assert "local" not in shown


def test_a_long_history_shows_the_newest_events_and_says_what_it_does_not_know(
    browser: Browser, services: Services
) -> None:
    def store(number: int, stored_at: datetime, **fields: Any) -> None:
        at = (NOW + timedelta(minutes=number)).isoformat()
        services.store(
            body(1, shipment_id="S 1", event_timestamp=at, event_id=f"E-{number}", **fields), stored_at
        )

    late = NOW + timedelta(days=3)
    for number in range(1, 999):
        store(number, NOW + timedelta(minutes=number))
    store(999, late)
    store(1_000, late - timedelta(hours=1), retracts="E-998")
    whole = browser.get("/panels/timeline?id=S%201")
    assert "1,000 events" in whole
    assert "the newest" not in whole
    assert "Effect on" in whole
    store(0, late + timedelta(hours=1), retracts="E-997")
    page = browser.get("/panels/timeline?id=S%201")
    shown = entries(page)
    assert [len(shown), "E-1000" in shown[0], "E-1 " in shown[-1]] == [1_000, True, True]
    assert "the newest 1,000 events" in page
    assert "shipments --env dev timeline 'S 1' shows the older ones, too" in text_of(page)
    # What later events say of these is known. What older ones say of them is not.
    assert "arrived 1,000th of these" in shown[1]
    assert "late: 1 later event was here before it" in shown[1]
    assert [" retracted" in one for one in shown[2:4]] == [True, False]
    assert "If an older event retracts one of these, it is not marked" in page
    assert "Effect on" not in page


class Tags(HTMLParser):
    """Finds elements and attributes that only a text from outside can have brought."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img" or (tag == "script" and not dict(attrs).get("src", "")):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name.startswith("on")]


def test_text_from_outside_is_never_markup(browser: Browser, services: Services) -> None:
    fields = dict.fromkeys(
        ("shipment_id", "event_id", "carrier", "tracking_number", "carrier_code", "status", "reason_code",
         "description", HOSTILE), HOSTILE
    )  # fmt: skip
    hostile = body(1, **fields, location={HOSTILE: HOSTILE}, estimated_delivery=HOSTILE, retracts=HOSTILE)
    services.store(hostile, NOW)
    services.state(
        HOSTILE, status=HOSTILE, carrier=HOSTILE, tracking_number=HOSTILE, open="open",
        latest_event=dict.fromkeys(("description", "reason_code", "location"), HOSTILE), **SINCE,
    )  # fmt: skip
    services.state("S-2", tracking_number=HOSTILE, **SINCE)
    ids = services.sqs.put(LETTERS, hostile, body(2, carrier={HOSTILE: 1}), HOSTILE)
    services.lines = [
        json.dumps({"outcome": HOSTILE, "shipment_id": HOSTILE, "message": HOSTILE, "reason": HOSTILE})
    ]
    services.denied = {"cloudwatch": HOSTILE}
    browser.read()
    there = quote(HOSTILE, safe="")
    pages = [
        browser.get(path)
        for path in (
            f"/shipments?q={there}", f"/panels/search?q={there}x", f"/shipments/{there}",
            f"/panels/timeline?id={there}", f"/panels/trace?id={there}", "/dead-letters",
            f"/panels/search?q={there}", f"/panels/state?id={there}", "/panels/list?stalled=1",
            f"/panels/trace?id={there}&event={there}", f"/shipments?status={there}",
            "/dead-letters?reason=unmatched", f"/dead-letters?shipment={there}", f"/?window={there}",
            *(f"/dead-letters/{one}" for one in ids), "/panels/alarms", "/panels/letters",
        )
    ]  # fmt: skip
    pages.append(browser.get(f"/dead-letters/{there}", status=404))
    pages.append(browser.preview(action="redrive", id=ids))
    pages.append(browser.preview(action="redrive", id=ids[0], field=HOSTILE, value=HOSTILE))
    pages.append(
        browser.preview(action="redrive", id=ids[0], field=f"{HOSTILE}..", value=HOSTILE, status=422)
    )
    for shown in pages:
        tags = Tags()
        tags.feed(shown)
        assert tags.found == []
        assert "\u202e" not in re.sub(r'(?:value|href|content)="[^"]*"', "", shown)
        assert "49" not in re.findall(r"&gt;(\d\d)", shown)
    assert sum("&lt;img src=x" in shown for shown in pages) > 8


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("a\x00", "a\\u0000"),
        ("\ud800", "\\ud800"),
        ("Zürich 東京", "Zürich 東京"),
        (None, ""),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str | None, shown: str) -> None:
    assert foreign(text) == shown
    assert len(foreign("x" * 1_000, 100)) == 100
