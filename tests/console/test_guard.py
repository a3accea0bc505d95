"""Nobody but the person who started the console can use it."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.console.stage import HOME, LETTERS, OURS, PORT, Browser, Services
from tests.dead_letters.test_walks import body

VIEWS = [
    "/",
    "/shipments",
    "/shipments/S-1",
    "/dead-letters",
    "/dead-letters/m000001",
    "/dead-letters/jobs/1",
]
PANELS = [
    "verdict",
    "events",
    "latency",
    "queue",
    "letters",
    "alarms",
    "deployment",
    "letter-count",
    "list",
    "search",
]


OF_ONE = [f"/panels/{name}?id=S-1" for name in ("state", "timeline", "trace")]


@pytest.mark.parametrize("path", [*VIEWS, *(f"/panels/{name}" for name in PANELS), *OF_ONE])
def test_nothing_is_shown_without_the_cookie(browser: Browser, path: str) -> None:
    answer = browser.stranger.get(path)
    assert answer.status_code == 403
    assert "shipments console" in answer.text
    assert "S-1" not in answer.text


def test_the_token_becomes_a_cookie_and_leaves_the_address(browser: Browser) -> None:
    answer = browser.stranger.get(browser.access.address, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert cookie.startswith(f"shipments-console-{PORT}=")
    token = browser.access.address.partition("token=")[2]
    assert token not in cookie
    assert token not in browser.get("/")


def test_a_token_in_an_address_of_another_site_still_opens_the_page(browser: Browser) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = browser.stranger.get(browser.access.address, headers=headers, follow_redirects=False)
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/"' in answer.text
    assert "set-cookie" in answer.headers


ELSEWHERE = [
    "//evil.example/x",
    "///evil.example/x",
    "/\\evil.example/x",
    "/%5C/evil.example/x",
    "/%2F/evil.example/x",
]


@pytest.mark.parametrize("path", ELSEWHERE)
@pytest.mark.parametrize("site", ["none", "cross-site"])
def test_no_address_of_this_server_leads_to_another(browser: Browser, path: str, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    token = browser.access.address.partition("?")[2]
    answer = browser.another().get(f"{HOME}{path}?{token}", headers=headers, follow_redirects=False)
    (there,) = re.findall(r"url=([^\"]+)", answer.text) or [answer.headers["location"]]
    assert there == "/evil.example/x"
    asked = browser.another().get(f"{HOME}{path}?q=1", headers=headers)
    assert re.findall(r'href="(/[^"]*evil[^"]*)"', asked.text) == (
        [] if site == "none" else ["/evil.example/x?q=1"]
    )


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "é", "%ff"])
def test_a_wrong_token_opens_nothing(browser: Browser, token: str) -> None:
    answer = browser.stranger.get(f"/?token={token}", follow_redirects=False)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_an_address_for_a_browser_works_once(browser: Browser) -> None:
    once = browser.access.address_once()
    assert browser.another().get(once).status_code == 200
    assert browser.another().get(once).status_code == 403
    assert browser.another().get(browser.access.address).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", f"localhost.:{PORT}", ""],
)
def test_another_host_is_refused(browser: Browser, host: str) -> None:
    assert browser.client.get("/", headers={"Host": host}).status_code == 403
    assert browser.client.get("/static/console.css", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}"])
def test_each_name_of_this_machine_is_served(browser: Browser, host: str) -> None:
    assert browser.stranger.get("/static/console.css", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{PORT + 1}", "Sec-Fetch-Site": "same-site"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_another_site_reads_nothing(browser: Browser, headers: dict[str, str]) -> None:
    answer = browser.client.get("/panels/alarms", headers=headers)
    assert answer.status_code == 403
    assert "Alarms" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://127.0.0.1:{PORT + 1}", "Sec-Fetch-Site": "same-site"},
        {"Origin": HOME, "Sec-Fetch-Site": "same-site"},
        {"Origin": HOME, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_another_site_changes_nothing(browser: Browser, services: Services, headers: dict[str, str]) -> None:
    services.sqs.put(LETTERS, body(1))
    for path in ("/dead-letters/read", "/dead-letters/preview", "/dead-letters/change"):
        assert browser.client.post(path, data={"all": "0"}, headers=headers).status_code == 403
    assert services.received == 0


def test_a_form_of_an_older_browser_is_taken_by_its_origin(browser: Browser) -> None:
    answer = browser.client.post("/dead-letters/read", data={"all": "0"}, headers={"Origin": HOME})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["read", "preview", "change", "jobs/1/stop"])
def test_reading_an_address_changes_nothing(browser: Browser, services: Services, path: str) -> None:
    services.sqs.put(LETTERS, body(1))
    answer = browser.client.get(f"/dead-letters/{path}?all=0")
    assert answer.status_code in (404, 405)
    assert (services.received, services.sqs.bodies(LETTERS)) == (0, [body(1)])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(browser: Browser, method: str) -> None:
    assert browser.client.request(method, "/", headers=OURS).status_code == 405


def test_a_large_body_is_refused(browser: Browser) -> None:
    def endless() -> Any:
        for _ in range(40):
            yield b"id=" + b"x" * 65_536

    large = browser.client.post("/dead-letters/preview", content=b"x" * 1_048_577, headers=OURS)
    form = {**OURS, "Content-Type": "application/x-www-form-urlencoded"}
    unsized = browser.client.post("/dead-letters/preview", content=endless(), headers=form)
    assert (large.status_code, unsized.status_code) == (413, 413)


@pytest.mark.parametrize("path", ["/", "/nothing", "/static/console.js", "/?token=x", "/panels/alarms"])
@pytest.mark.parametrize("known", [True, False])
def test_every_response_has_the_policy(browser: Browser, path: str, known: bool) -> None:
    headers = (browser.client if known else browser.another()).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert not re.search("unsafe|http:|\\*", policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin", "with no-referrer, a form has the origin null"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")


def test_pages_have_no_scripts_or_styles_of_their_own(browser: Browser) -> None:
    for path in ("/", "/shipments", "/dead-letters"):
        shown = browser.get(path)
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=|javascript:", shown)
        for address in re.findall(r'(?:src|href|action)="([^"]+)"', shown):
            assert re.match(r"/(?!/)|[#?]", address), address


def test_without_permission_to_change_nothing_is_changed(services: Services, tmp_path: Path) -> None:
    browser = Browser(services, tmp_path, allow_changes=False)
    services.sqs.put(LETTERS, body(1, carrier=7))
    browser.read()
    shown = browser.get("/dead-letters?reason=unmatched")
    assert "m000001" in shown
    assert "--allow-changes" in shown
    assert "/dead-letters/preview" not in shown
    assert "/dead-letters/preview" not in browser.get("/dead-letters/m000001")
    for path in ("preview", "change"):
        browser.post(f"/dead-letters/{path}", {"action": "discard", "id": "m000001"}, status=403)
    assert services.sqs.bodies(LETTERS) == [body(1, carrier=7)]
