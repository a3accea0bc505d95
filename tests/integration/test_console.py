"""The page in a real browser, about the real stack on the engine."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from shipment_events.dead_letters.letters import Selection
from shipment_events.pipeline import Pipeline
from shipment_events.tracking.shipment import Shipment
from tests.console.stage import LETTERS, Services, served
from tests.dead_letters.test_walks import body
from tests.integration.commands import QuickCommands, exported
from tests.integration.conftest import ROOT, LocalEngine
from tests.stand_ins.http_service import Service, answer
from workbench.browsing import HOW_TO_INSTALL, chromium, find_chromium, running_console
from workbench.engine.clients import engine_pipeline
from workbench.feed import Shares, generate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(400)]

AXE: Final = ROOT / "node_modules" / "axe-core" / "axe.min.js"
MOST_BYTES: Final = 300_000
PHONE: Final = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    path = find_chromium()
    if path is None:
        pytest.skip(HOW_TO_INSTALL)
    with chromium(path) as found:
        yield found


@dataclass
class Stage:
    """The stage with a feed in it, and consoles about it."""

    engine: LocalEngine
    folder: Path
    pipeline: Pipeline
    shipment: Shipment
    open: ExitStack = field(default_factory=ExitStack)

    def console(self, *options: str, **environment: str) -> tuple[Any, str]:
        """A console's process, and its address with the token."""
        around = exported(self.engine.endpoint) | environment
        return self.open.enter_context(running_console(self.folder, *options, environment=around))

    def put_dead(self, *details: dict[str, Any]) -> None:
        """Put dead letters into the queue, as the processor does."""
        sqs, url = self.engine.client("sqs"), self.engine.outputs["DeadLetterQueueURL"]
        for begin in range(0, len(details), 10):
            entries = [
                {"Id": str(at), "MessageBody": json.dumps(envelope(one))}
                for at, one in enumerate(details[begin : begin + 10])
            ]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)

    def stored(self, shipment_id: str) -> list[str]:
        """Event ids of a shipment's items."""
        return [event.event_id for event in self.pipeline.table.timeline(shipment_id)]


def envelope(detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0", "id": detail["event_id"], "source": "shipment.service",
        "detail-type": detail["event_type"], "time": "2026-05-04T10:00:00Z", "detail": detail,
    }  # fmt: skip


def event(shipment_id: str, number: int, **fields: Any) -> dict[str, Any]:
    return {
        "shipment_id": shipment_id, "event_id": f"{number:04}", "event_type": "shipment.departed",
        "event_timestamp": "2026-05-04T10:00:00+02:00", **fields,
    }  # fmt: skip


def until(condition: Callable[[], Any], seconds: float = 40) -> Any:
    """Wait for something that is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def fed(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The stage after a feed, with a shipment that was delivered."""
    folder = tmp_path_factory.mktemp("console")
    shipments = QuickCommands(folder, exported(engine.endpoint))
    feed = "".join(f"{line.text}\n" for line in generate(900, seed=16, shares=Shares(broken=0.03)))
    shipments("run", "-", "--json", stdin=feed)
    pipeline = engine_pipeline(engine.endpoint, engine.environment)

    def delivered() -> Shipment | None:
        for one in pipeline.shipments.find(status="delivered", limit=30):
            number = one.tracking_number
            if number and len(list(pipeline.shipments.find(tracking_number=number))) == 1:
                return one
        return None

    return Stage(engine, folder, pipeline, until(delivered))


@pytest.fixture
def stage(fed: Stage) -> Iterator[Stage]:
    with ExitStack() as fed.open:
        yield fed


class Visit:
    """A page of a browser. It fails on a request to another host, and on what the browser complains of."""

    def __init__(self, browser: "Browser", address: str, **options: Any) -> None:
        self.home = address.partition("/?")[0]
        self.context: BrowserContext = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("request", self._check)
        self.go(address.removeprefix(self.home))

    def _check(self, request: Any) -> None:
        if not request.url.startswith((self.home, "data:")):
            self.complaints.append(f"asked for {request.url}")

    def go(self, path: str) -> None:
        """Open a view and wait for its panels."""
        self.page.goto(self.home + path)
        self.settle()

    def settle(self) -> None:
        """Wait until no panel is empty."""
        self.page.wait_for_load_state()
        self.page.locator(".reading").first.wait_for(state="detached")

    def press(self, name: str) -> None:
        """Press a button, and wait for what comes."""
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_load_state()

    def read_letters(self) -> None:
        self.go("/dead-letters")
        self.page.get_by_role("button", name=re.compile("^Read")).first.click()
        self.page.wait_for_url("**/dead-letters")
        self.settle()

    def focused(self) -> str:
        """The id of the element that has the focus."""
        found: str = self.page.evaluate("document.activeElement.id")
        return found

    def refresh(self, panel: str) -> None:
        """Let a panel ask again, and wait for the answer."""
        with self.page.expect_response(f"**/panels/{panel}*"):
            self.page.evaluate(
                """(one) => htmx.ajax("GET", one.getAttribute("hx-get"), {target: one, source: one})""",
                self.page.query_selector(f"#panel-{panel}"),
            )

    def violations(self) -> list[tuple[str, list[str]]]:
        """What axe-core finds, with the elements."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run()")["violations"]
        return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]

    def forgive(self, part: str) -> None:
        """Forget the complaints that a test expects."""
        self.complaints = [complaint for complaint in self.complaints if part not in complaint]

    def ends(self) -> str:
        """Wait for the end of a job, and return what it says."""
        self.page.locator("#job progress").wait_for(state="detached", timeout=60_000)
        return self.page.inner_text("#job")


@pytest.fixture
def visit(browser: "Browser", stage: Stage) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def make(address: str = "", **options: Any) -> Visit:
        visits.append(Visit(browser, address or stage.console("--allow-changes")[1], **options))
        return visits[-1]

    yield make
    for one in visits:
        one.context.close()
    assert [complaint for one in visits for complaint in one.complaints] == []


def test_a_shipment_is_found_and_its_history_is_read(stage: Stage, visit: Callable[..., Visit]) -> None:
    there = visit()
    page = there.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.get_by_role("searchbox", name="Find a shipment").fill(stage.shipment.tracking_number or "")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/shipments/{stage.shipment.shipment_id}")
    there.settle()
    assert "delivered" in page.inner_text("#state .big")
    entries = page.locator("#timeline .history > li")
    assert entries.count() == len(stage.stored(stage.shipment.shipment_id))
    newest = entries.first
    assert "delivered" in newest.inner_text()
    newest.locator("summary").click()
    assert '"tracking_number"' in newest.locator("details").inner_text()
    newest.get_by_role("button", name="Trace this event").click()
    page.wait_for_selector("#trace ol")
    assert "of the event with the correlation id" in page.inner_text("#trace")
    assert there.focused() == "trace", "its button was disabled, or is gone"
    of_event = page.inner_text("#trace-said")
    assert re.fullmatch(r"Trace of one event: \d+ steps? found", of_event)
    page.get_by_role("button", name="Trace the whole shipment").press("Enter")
    page.wait_for_selector("#trace:not(:has(button)) ol")
    assert there.focused() == "trace"
    assert re.fullmatch(r"Trace of the shipment: \d+ steps? found", page.inner_text("#trace-said"))
    page.get_by_role("link", name="as it arrived").press("Enter")
    page.wait_for_selector("#timeline a[aria-current]:has-text('as it arrived')")
    assert there.focused() == "as-it-arrived"


def test_lists_lead_to_shipments(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.go("/shipments")
    there.page.get_by_role("link", name="delivered", exact=True).click()
    there.settle()
    there.page.locator("#list tbody a").first.click()
    there.settle()
    assert "delivered" in there.page.inner_text("#state .big")


def test_a_letter_is_explained_corrected_redriven_and_then_in_the_history(
    stage: Stage, visit: Callable[..., Visit]
) -> None:
    stage.put_dead(event("REPAIR-1", 1, carrier=7))
    there = visit()
    there.read_letters()
    page = there.page
    there.go("/dead-letters?shipment=REPAIR-1")
    page.locator("tbody th a").click()
    marked = page.locator(".json .marked").inner_text()
    assert '"carrier": 7' in marked
    assert "expected a text, got a number" in marked
    assert page.get_by_label("Correct the field").input_value() == "carrier"
    page.get_by_label("to the value").fill("Meridian")
    page.keyboard.press("Enter")
    page.wait_for_selector(".json .changed")
    assert '"carrier": "Meridian"' in page.locator(".json .changed").inner_text()
    assert stage.stored("REPAIR-1") == [], "nothing is sent before it is confirmed"
    there.press("Redrive 1 dead letter")
    assert "1 of 1 redriven" in there.ends()
    until(lambda: stage.stored("REPAIR-1") == ["0001"])
    page.get_by_role("link", name="REPAIR-1").click()
    there.settle()
    assert "Meridian" in page.inner_text("#timeline")


def test_two_browsers_at_the_same_letter(stage: Stage, visit: Callable[..., Visit]) -> None:
    stage.put_dead(event("REPAIR-2", 1))
    address = stage.console("--allow-changes")[1]
    same = [visit(address), visit(address)]
    another = visit()
    for one in (same[0], another):
        one.read_letters()
    for one in (*same, another):
        one.go("/dead-letters?shipment=REPAIR-2")
        one.press("Redrive all 1 …")
    same[0].press("Redrive 1 dead letter")
    assert "1 of 1 redriven" in same[0].ends()
    for one in (same[1], another):
        one.press("Redrive 1 dead letter")
        assert "no longer visible in the queue" in one.ends()
    until(lambda: stage.stored("REPAIR-2") == ["0001"])


def test_a_console_that_is_killed_while_it_redrives_200(stage: Stage, visit: Callable[..., Visit]) -> None:
    count = 200
    stage.put_dead(*(event("REPAIR-3", number) for number in range(count)))
    letters = stage.pipeline.dead_letters
    others = letters.depth().total - count
    server, address = stage.console("--allow-changes")
    there = visit(address)
    there.read_letters()
    there.go("/dead-letters?shipment=REPAIR-3")
    there.press("Redrive all 200 …")
    there.page.get_by_role("button", name="Redrive 200 dead letters").click(no_wait_after=True)
    until(lambda: letters.depth().total < others + count)
    server.kill()
    server.wait()
    left = letters.depth().total - others
    assert 0 < left < count, "the kill should come in the middle of the job"
    there.context.close()
    # Its browser complained that the server was gone.
    there.complaints.clear()
    there = visit()
    # What the killed one held becomes visible again.
    until(lambda: letters.depth().in_flight == 0)
    there.read_letters()
    there.go("/dead-letters?shipment=REPAIR-3")
    there.press(f"Redrive all {left} …")
    there.press(f"Redrive {left} dead letters")
    assert f"{left} of {left} redriven" in there.ends()
    until(lambda: len(stage.stored("REPAIR-3")) == count)
    assert stage.stored("REPAIR-3") == [f"{number:04}" for number in range(count)]
    files = [path.read_text().splitlines() for path in stage.folder.glob("dead-letters-dev-redriven-*")]
    copied = {json.loads(line)["body"] for lines in files for line in lines}
    assert {json.dumps(envelope(event("REPAIR-3", number))) for number in range(count)} <= copied


def test_a_change_is_stopped_from_the_keyboard(visit: Callable[..., Visit], tmp_path: Path) -> None:
    services = Services()
    services.sqs.put(LETTERS, *map(body, range(400)))
    # The engine would be too fast for a person.
    services.sqs.before_receive = partial(time.sleep, 0.2)
    with served(services, tmp_path) as address:
        there = visit(address)
        there.read_letters()
        there.go("/dead-letters?reason=unmatched")
        there.press("Redrive all 400 …")
        there.press("Redrive 400 dead letters")
        page = there.page
        page.locator("#stop").focus()
        page.evaluate("window.held = document.activeElement")
        page.locator("#job-said:not(:empty)").wait_for(state="attached")
        told = page.inner_text("#job-said")
        assert re.fullmatch(r"\d0? % redriven", told), "what a screen reader is told"
        page.locator(f"#job-said:not(:text-is('{told}'))").wait_for(state="attached")
        assert page.evaluate("window.held === document.activeElement"), "progress replaces no button"
        with page.expect_navigation():
            page.keyboard.press(" ", delay=1_500)
        assert "It was stopped" in there.ends()
        page.locator("#job-said:has-text('of 400 redriven, stopped')").wait_for(state="attached")
    assert 0 < len(services.sqs.bodies(LETTERS)) < 400


def test_two_signals_end_a_change_properly(stage: Stage, visit: Callable[..., Visit]) -> None:
    count = 300
    stage.put_dead(*(event("REPAIR-5", number) for number in range(count)))
    letters = stage.pipeline.dead_letters
    others = letters.depth().total - count
    server, address = stage.console("--allow-changes")
    there = visit(address)
    there.read_letters()
    there.go("/dead-letters?shipment=REPAIR-5")
    there.press(f"Redrive all {count} …")
    there.page.get_by_role("button", name=f"Redrive {count} dead letters").click(no_wait_after=True)
    until(lambda: letters.depth().total < others + count)
    for _ in range(2):
        server.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert server.wait(timeout=40) == 0
    depth = letters.depth()
    assert depth.in_flight == 0, "what was not sent is visible again"
    left = depth.total - others
    assert 0 < left < count, "the signals should come in the middle of the job"
    there.context.close()
    # Its browser complained that the server was gone.
    there.complaints.clear()
    until(lambda: len(stage.stored("REPAIR-5")) == count - left)
    letters.redrive(Selection(shipment_id="REPAIR-5"))
    until(lambda: len(stage.stored("REPAIR-5")) == count)


def test_a_failure_is_shown_until_what_failed_is_read(visit: Callable[..., Visit]) -> None:
    there = visit()
    trouble = there.page.locator("#trouble")
    there.page.route(re.compile("/panels/(alarms|queue)"), lambda route: route.fulfill(status=500))
    for panel in ("alarms", "queue"):
        there.refresh(panel)
    for panel in ("events", "letters"):
        there.refresh(panel)
        assert "could not answer (status 500)" in trouble.inner_text()
    there.page.unroute_all()
    there.refresh("alarms")
    there.page.wait_for_timeout(200)
    assert trouble.is_visible(), "the queue is still not read"
    there.refresh("queue")
    trouble.wait_for(state="hidden")
    there.forgive("500")


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_a_plot_has_the_times_of_its_table(visit: Callable[..., Visit], zone: str) -> None:
    there = visit(timezone_id=zone)
    there.context.add_init_script(
        """window.written = new Set();
        const write = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
          window.written.add(text);
          return write.call(this, text, ...where);
        };"""
    )
    there.go("/?window=1h")
    page = there.page
    figure = page.locator("#panel-events figure")
    at = figure.locator(".at")
    assert at.inner_text() == "times in UTC"
    times = {one[-5:] for one in figure.locator("tbody th").all_text_contents()}
    axis = {one for one in page.evaluate("[...written]") if ":" in one}
    assert axis
    assert axis <= times
    figure.locator(".canvas").hover()
    hour, _, named = at.inner_text().partition(" ")
    assert (hour in times, named) == (True, "UTC")


def test_a_missing_permission_is_beside_its_panel_only(stage: Stage, visit: Callable[..., Visit]) -> None:
    why = "User: me is not authorized to perform: logs:FilterLogEvents on resource: arn"
    denial = json.dumps({"__type": "AccessDeniedException", "message": why}).encode()
    logs = Service(*[answer(denial, "400 Bad Request")] * 100)
    try:
        address = stage.console(AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=logs.url)[1]
        there = visit(address)
    finally:
        logs.close()
    shown = {one: there.page.inner_text(f"#panel-{one}") for one in ("events", "alarms", "queue")}
    assert "logs:FilterLogEvents" in shown["events"]
    assert "unknown" in shown["events"]
    assert all("not authorized" not in shown[one] for one in ("alarms", "queue"))
    assert there.page.get_by_text("read only").is_visible()


def views(stage: Stage, there: Visit) -> dict[str, str]:
    """An address of each view. The dead letters have to be read."""
    there.go("/dead-letters?reason=invalid_field")
    letter = there.page.locator("tbody th a").first.get_attribute("href") or ""
    return {
        "overview": "/", "a day": "/?window=1d", "shipments": "/shipments",
        "list": "/shipments?status=delivered",
        "nothing found": "/shipments?q=NOTHING", "shipment": f"/shipments/{stage.shipment.shipment_id}",
        "letters": "/dead-letters", "reason": "/dead-letters?reason=invalid_field", "letter": letter,
        "gone": "/dead-letters/gone", "job": "/dead-letters/jobs/1",
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_view_has_an_accessibility_violation(
    stage: Stage, visit: Callable[..., Visit], scheme: str
) -> None:
    there = visit(color_scheme=scheme)
    there.read_letters()
    for name, path in views(stage, there).items():
        there.go(path)
        assert there.violations() == [], name
    there.go("/dead-letters?reason=invalid_field")
    there.page.get_by_label("Select all").check()
    there.press("Discard the selected …")
    assert there.violations() == []
    there.forgive("404")


def test_no_view_is_wider_than_a_phone(stage: Stage, visit: Callable[..., Visit]) -> None:
    there = visit(viewport=PHONE)
    there.read_letters()
    for name, path in views(stage, there).items():
        there.go(path)
        inside, width = there.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert inside <= width, name
    there.forgive("404")


def test_a_view_takes_less_than_300_kilobytes(stage: Stage, visit: Callable[..., Visit]) -> None:
    there = visit()
    there.read_letters()
    session = there.context.new_cdp_session(there.page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda one: sizes.append(one["encodedDataLength"]))
    for name, path in views(stage, there).items():
        sizes.clear()
        there.go(path)
        there.page.wait_for_load_state("networkidle")
        assert 100_000 < sum(sizes) < MOST_BYTES, name
    there.forgive("404")


def test_500_refreshes_leave_the_heap_bounded_and_the_focus_in_place(visit: Callable[..., Visit]) -> None:
    there = visit()
    session = there.context.new_cdp_session(there.page)
    session.send("Performance.enable")
    refresh = """async (times) => {
      const panels = [...document.querySelectorAll("[hx-get]")];
      for (let at = 0; at < times; at += 1) {
        const ask = (one) => htmx.ajax("GET", one.getAttribute("hx-get"), {target: one, source: one});
        await Promise.all(panels.map(ask));
      }
    }"""

    def measured() -> tuple[float, float]:
        for _ in range(3):
            session.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return found["JSHeapUsedSize"], found["Nodes"]

    there.page.locator("#events-summary").press("Enter")
    there.page.evaluate(refresh, 50)
    focused = "[document.activeElement.id, document.getElementById('events-table').open]"
    assert there.page.evaluate(focused) == ["events-summary", True], "a refresh takes nothing away"
    heap, nodes = measured()
    there.page.evaluate(refresh, 500)
    heap_after, nodes_after = measured()
    # What each refresh left behind would be there 500 times.
    assert heap_after < 1.5 * heap, (heap, heap_after)
    assert nodes_after < 1.5 * nodes
