"""Dead letters on the page: read when asked, explained, corrected, redriven and discarded."""

import html
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from shipment_events.console.jobs import Job
from shipment_events.dead_letters.settlement import Settlement
from tests.console.stage import LETTERS, Browser, Services
from tests.dead_letters.test_walks import body


def text_of(shown: str) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", shown)).split())


def copies(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_letters_are_read_when_a_person_asks(browser: Browser, services: Services) -> None:
    services.sqs.put(LETTERS, *map(body, range(12)))
    assert "No dead letter has been read" in browser.get("/dead-letters")
    count = browser.get("/panels/letter-count")
    assert "hides them from other people" in count
    assert services.received == 0
    browser.read()
    assert services.received > 0
    shown = browser.get("/dead-letters")
    assert "12 as read just now" in shown
    assert (
        services.sqs.get_queue_attributes(QueueUrl=LETTERS)["Attributes"]["ApproximateNumberOfMessages"]
        == "12"
    )


def test_a_group_and_a_shipment_have_addresses(browser: Browser, services: Services) -> None:
    services.sqs.put(LETTERS, *map(body, range(120)))
    browser.read()
    shown = browser.get("/dead-letters?reason=unmatched")
    assert shown.count('name="id"') == 100
    assert "Show more (20)" in shown
    assert browser.get("/dead-letters?reason=unmatched&limit=500").count('name="id"') == 120
    assert browser.get("/dead-letters?shipment=S-7").count('name="id"') == 1
    assert "None is here" in browser.get("/dead-letters?reason=nonsense&limit=x")


def test_the_number_on_the_button_is_that_of_the_change(browser: Browser, services: Services) -> None:
    services.sqs.put(LETTERS, *map(body, range(6)), body(7), body(7, carrier=1), body(7, carrier=2))
    browser.read()
    for query, count in (
        ("reason=unmatched", 9),
        ("reason=unmatched&shipment=S-7", 9),
        ("shipment=S-7", 3),
        ("shipment=S-7&reason=", 3),
    ):
        shown = browser.get(f"/dead-letters?{query}")
        (form,) = re.findall(r"<form[^>]*>(?:(?!</form>).)*Redrive all .*?</form>", shown, re.DOTALL)
        assert f"Redrive all {count} …" in form
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        assert f"Redrive {count} dead letters</button>" in browser.preview(**fields)
        assert shown.count('name="id"') == count


def test_one_letter_is_explained_with_its_field_marked(browser: Browser, services: Services) -> None:
    (one,) = services.sqs.put(LETTERS, body(1, carrier=7))
    browser.read()
    shown = browser.get(f"/dead-letters/{one}")
    (marked,) = re.findall(r'<li class="marked">(.*?)</li>', shown, re.DOTALL)
    assert '"carrier": 7' in text_of(marked)
    assert "carrier: expected a text, got a number" in text_of(marked)
    assert "quarantined again" in shown
    assert 'name="field" list="fields" value="carrier"' in shown


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"location": {"country": "\ud800"}}, "location.country"),
        ({"\ud800": 1}, ""),
        ({"location": {"\ud800": 1}}, ""),
        ({"a\u202eb": "\ud800"}, ""),
        ({"a.b": "\ud800"}, ""),
        ({"": "\ud800"}, ""),
        ({" a": "\ud800"}, ""),
        ({"source": "\ud800"}, ""),
        ({"legs": ["\ud800"]}, ""),
    ],
)
def test_the_form_names_a_field_only_if_its_correction_would_reach_it(
    browser: Browser, services: Services, changes: dict[str, Any], field: str
) -> None:
    (one,) = services.sqs.put(LETTERS, body(1, **changes))
    browser.read()
    shown = browser.get(f"/dead-letters/{one}")
    assert f'name="field" list="fields" value="{field}"' in shown
    assert "lone surrogate" in text_of(shown)
    if field:
        corrected = browser.preview(action="redrive", id=one, field=field, value="CH")
        assert "would be stored" in text_of(corrected)


def test_the_form_names_the_field_of_the_envelope_that_is_wrong(browser: Browser, services: Services) -> None:
    (one,) = services.sqs.put(LETTERS, json.dumps({**json.loads(body(1)), "source": "other.service"}))
    browser.read()
    assert 'list="fields" value="source"' in browser.get(f"/dead-letters/{one}")


@pytest.mark.parametrize(
    ("changes", "marked"),
    [
        ({"note": "x" * 410_000}, '"detail": {'),
        ({"event_timestamp": "soon"}, '"event_timestamp": "soon"'),
        ({"event_type": "parcel.scanned"}, '"event_type": "parcel.scanned"'),
        ({"location": 3}, '"location": 3'),
    ],
)
def test_the_marked_field_is_the_wrong_one(
    browser: Browser, services: Services, changes: dict[str, Any], marked: str
) -> None:
    (one,) = services.sqs.put(LETTERS, body(1, **changes))
    browser.read()
    lines = re.findall(r'<li class="marked">(.*?)</li>', browser.get(f"/dead-letters/{one}"), re.DOTALL)
    assert len(lines) == 1
    assert marked in text_of(lines[0])


def test_a_missing_field_is_named(browser: Browser, services: Services) -> None:
    without = json.loads(body(1))
    del without["detail"]["event_timestamp"]
    (one,) = services.sqs.put(LETTERS, json.dumps(without))
    browser.read()
    (line,) = re.findall(r'<li class="marked">(.*?)</li>', browser.get(f"/dead-letters/{one}"), re.DOTALL)
    assert "event_timestamp: expected" in text_of(line)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[1]",
        '{"a": 1e999999999999999999999}',
        '{"detail": {"x": 1, "x": 2}}',
        "[" * 5_000,
        "\ud800",
        "1",
    ],
)
def test_any_body_is_shown(browser: Browser, services: Services, text: str) -> None:
    (one,) = services.sqs.put(LETTERS, text)
    browser.read()
    assert "What happened" in browser.get(f"/dead-letters/{one}")
    assert "quarantined again" in browser.preview(action="redrive", id=one)


def test_a_duplicate_key_is_shown_twice_and_marked(browser: Browser, services: Services) -> None:
    twice = body(1)[:-2] + ', "carrier": "A", "carrier": "B"}}'
    (one,) = services.sqs.put(LETTERS, twice)
    browser.read()
    lines = re.findall(r'<li class="marked">(.*?)</li>', browser.get(f"/dead-letters/{one}"), re.DOTALL)
    assert [text_of(line)[:14] for line in lines] == ['"carrier": "A"', '"carrier": "B"']


def test_numbers_are_shown_as_they_were_spelled(browser: Browser, services: Services) -> None:
    exact = body(1).replace('"shipment_id"', '"weight": 1.10000000000000000000000001E+2, "shipment_id"')
    (one,) = services.sqs.put(LETTERS, exact)
    browser.read()
    assert "1.10000000000000000000000001E+2" in browser.get(f"/dead-letters/{one}")


def test_a_correction_is_shown_before_it_is_sent(
    browser: Browser, services: Services, tmp_path: Path
) -> None:
    (one,) = services.sqs.put(LETTERS, body(1, carrier=7))
    browser.read()
    shown = browser.preview(action="redrive", id=one, field="carrier", value="Meridian")
    assert (services.sqs.sent, list(tmp_path.iterdir())) == ([], [])
    (changed,) = re.findall(r'<li class="changed">(.*?)</li>', shown, re.DOTALL)
    assert '"carrier": "Meridian"' in text_of(changed)
    assert "2026-05-04T10:00:00.000000Z#" in shown
    assert "Redrive 1 dead letter</button>" in shown
    end = browser.confirm(shown)
    assert "1 of 1 redriven" in text_of(end)
    assert [json.loads(sent)["detail"]["carrier"] for sent in services.sqs.sent] == ["Meridian"]
    assert services.sqs.bodies(LETTERS) == []
    (copy,) = copies(tmp_path)
    assert (copy["body"], copy["decision"]) == (body(1, carrier=7), "redriven")
    assert json.loads(copy["changes"]) == {"carrier": "Meridian"}
    gone = browser.get(f"/dead-letters/{one}", status=404)
    assert "It was redriven" in gone


def test_a_correction_that_does_not_help_says_so(browser: Browser, services: Services) -> None:
    (one,) = services.sqs.put(LETTERS, body(1, carrier=7))
    browser.read()
    shown = browser.preview(action="redrive", id=one, field="carrier", value="8")
    assert "1 of them would be quarantined again" in text_of(shown)
    refused = browser.preview(action="redrive", id=one, field="location..x", value="8", status=422)
    assert "expected the name of a field" in refused
    assert 'value="location..x"' in refused


def test_a_whole_reason_is_redriven_after_its_number_was_shown(
    browser: Browser, services: Services, tmp_path: Path
) -> None:
    services.sqs.put(LETTERS, *map(body, range(25)))
    browser.read()
    shown = browser.preview(action="redrive", scope="reason", reason="unmatched")
    assert "Redrive 25 dead letters</button>" in shown
    late = services.sqs.put(LETTERS, body(99))
    assert "25 of 25 redriven" in text_of(browser.confirm(shown))
    assert len(services.sqs.sent) == 25
    assert services.sqs.bodies(LETTERS) == [body(99)], f"{late} was not in the preview"
    assert len(copies(tmp_path)) == 25


def test_some_are_discarded_after_they_are_on_disk(
    browser: Browser, services: Services, tmp_path: Path
) -> None:
    ids = services.sqs.put(LETTERS, *map(body, range(5)))
    browser.read()
    shown = browser.preview(action="discard", id=ids[1:3])
    assert "Discard 2 dead letters</button>" in shown
    browser.confirm(shown)
    assert services.sqs.sent == []
    assert services.sqs.bodies(LETTERS) == [body(0), body(3), body(4)]
    assert sorted(copy["body"] for copy in copies(tmp_path)) == [body(1), body(2)]


def test_what_cannot_be_copied_is_not_discarded(browser: Browser, services: Services, tmp_path: Path) -> None:
    (one,) = services.sqs.put(LETTERS, body(1))
    browser.read()
    shown = browser.preview(action="discard", id=one)
    tmp_path.rmdir()
    assert "It failed" in browser.confirm(shown)
    assert services.sqs.bodies(LETTERS) == [body(1)]


def test_a_plan_is_carried_out_once(browser: Browser, services: Services) -> None:
    (one,) = services.sqs.put(LETTERS, body(1))
    browser.read()
    shown = browser.preview(action="redrive", id=one)
    browser.confirm(shown)
    (plan,) = re.findall(r'name="plan" value="([^"]+)"', shown)
    browser.post("/dead-letters/change", {"plan": plan}, status=409)
    browser.preview(action="redrive", id=one, status=409)
    assert len(services.sqs.sent) == 1


def test_what_somebody_else_took_is_said(browser: Browser, services: Services, tmp_path: Path) -> None:
    (one,) = services.sqs.put(LETTERS, body(1))
    browser.read()
    shown = browser.preview(action="redrive", id=one)
    services.sqs.take(LETTERS, body(1))
    assert "1 was no longer visible in the queue" in text_of(browser.confirm(shown))
    assert services.sqs.sent == []
    assert list(tmp_path.iterdir()) == []


def test_a_protected_stage_asks_for_its_name(services: Services, tmp_path: Path) -> None:
    browser = Browser(services, tmp_path, stage="prod")
    (one,) = services.sqs.put(LETTERS, body(1))
    browser.read()
    shown = browser.preview(action="discard", id=one)
    (plan,) = re.findall(r'name="plan" value="([^"]+)"', shown)
    for name in ("", "dev", "PROD"):
        refused = browser.post("/dead-letters/change", {"plan": plan, "stage": name}, status=422)
        assert "Nothing was changed" in refused
    assert services.sqs.bodies(LETTERS) == [body(1)]
    browser.confirm(shown, stage="prod")
    assert services.sqs.bodies(LETTERS) == []


def test_one_change_at_a_time(browser: Browser, services: Services) -> None:
    first, second = services.sqs.put(LETTERS, body(1), body(2))
    browser.read()
    plans = [browser.preview(action="redrive", id=one) for one in (first, second)]
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(10)

    services.sqs.before_receive = wait
    keys = [re.findall(r'name="plan" value="([^"]+)"', plan)[0] for plan in plans]
    running = browser.post("/dead-letters/change", {"plan": keys[0]})
    assert begun.wait(10)
    assert "Another job is running" in browser.post("/dead-letters/change", {"plan": keys[1]}, status=409)
    assert "A job is running" in browser.get("/dead-letters")
    go_on.set()
    browser.end_of(running)
    browser.end_of(browser.post("/dead-letters/change", {"plan": keys[1]}))
    assert len(services.sqs.sent) == 2


def test_a_change_that_is_stopped_releases_the_others(browser: Browser, services: Services) -> None:
    services.sqs.put(LETTERS, *map(body, range(300)))
    browser.read()
    shown = browser.preview(action="redrive", scope="reason", reason="unmatched")
    jobs = browser.app.state.console.jobs
    services.sqs.before_receive = lambda: setattr(jobs.last(), "is_stopping", len(services.sqs.sent) >= 100)
    end = browser.confirm(shown)
    assert "It was stopped" in end
    left = services.sqs.bodies(LETTERS)
    assert 0 < len(left) < 300
    assert sorted([*left, *services.sqs.sent]) == sorted(map(body, range(300)))
    counts = services.sqs.get_queue_attributes(QueueUrl=LETTERS)["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == str(len(left)), "none is held"


def test_the_end_of_the_server_stops_a_change_and_waits_for_it(services: Services, tmp_path: Path) -> None:
    browser = Browser(services, tmp_path)
    services.sqs.put(LETTERS, *map(body, range(300)))
    with browser.client:
        browser.read()
        shown = browser.preview(action="redrive", scope="reason", reason="unmatched")
        (plan,) = re.findall(r'name="plan" value="([^"]+)"', shown)
        browser.post("/dead-letters/change", {"plan": plan})
    job = browser.app.state.console.jobs.last()
    assert job.ended
    assert sorted([*services.sqs.bodies(LETTERS), *services.sqs.sent]) == sorted(map(body, range(300)))


def test_a_stopped_job_reports_once() -> None:
    job = Job(1, "redriven", 3, is_stopping=True)
    with pytest.raises(KeyboardInterrupt):
        job.note(Settlement())
    job.note(Settlement(interrupted=True))


def test_a_denied_reading_says_what_is_missing(browser: Browser, services: Services) -> None:
    services.denied["sqs"] = "User: me is not authorized to perform: sqs:ReceiveMessage on resource: q"
    end = browser.end_of(browser.post("/dead-letters/read", {"all": "0"}))
    assert "sqs:ReceiveMessage" in end


@pytest.mark.parametrize(
    "form",
    [{}, {"action": "burn", "id": "m"}, {"action": "redrive"}, {"action": "discard", "scope": "reason"}],
)
def test_nonsense_is_refused(browser: Browser, services: Services, form: dict[str, str]) -> None:
    services.sqs.put(LETTERS, body(1))
    browser.read()
    browser.preview(status=400, **form)
    assert services.sqs.bodies(LETTERS) == [body(1)]
