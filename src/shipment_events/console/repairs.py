"""Read, redrive and discard dead letters. Each change is shown first, and then needs its number confirmed."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial, wraps
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from shipment_events.console.bodies import body_lines
from shipment_events.console.jobs import BusyError, Job
from shipment_events.console.letters import AT_ONCE, groups_of, show_letter
from shipment_events.console.plans import REDRIVE, VERBS, Plan
from shipment_events.console.rendering import page
from shipment_events.console.state import Console, console_of, view
from shipment_events.dead_letters.edits import Edit, broken_after, edited, problem_of
from shipment_events.dead_letters.exports import open_export
from shipment_events.dead_letters.letters import DeadLetterMessage, Selection
from shipment_events.table.item import prepare_write

_MOST_FIELDS: Final = 2 * AT_ONCE
_MOST_EDITS: Final = 20

Act = Callable[[Request, FormData], Response]


def posted(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """A view that gets the form, and may wait for AWS."""

    @wraps(act)
    async def received(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=_MOST_FIELDS) as form:
            return await run_in_threadpool(act, request, form)

    return received


def read(request: Request, form: FormData) -> Response:
    """Receive dead letters. This hides them from others for a moment, so a person has to ask for it."""
    console = console_of(request)
    dead_letters = console.pipeline.dead_letters
    reads_all = form.get("all") == "1"

    def act(job: Job) -> None:
        job.total = dead_letters.depth().total
        console.shelf.put(dead_letters.read() if reads_all else dead_letters.sample(AT_ONCE))
        job.done = len(console.shelf.letters())

    return _begun(console, "read", 0, act)


def preview(request: Request, form: FormData) -> Response:
    """Show what a change would do."""
    console = _changing(request)
    action = _text(form, "action")
    if action not in VERBS:
        raise HTTPException(400, "action: expected redrive or discard")
    letters = _selected(console, form)
    if not letters:
        raise HTTPException(409, "None of the selected dead letters is here any more. Read them again.")
    try:
        edits = _edits(form)
        bodies = [edited(letter.body, edits) for letter in letters] if edits else []
    except ValueError as error:
        one = letters[0].message_id
        return show_letter(
            request, one, field=_text(form, "field"), value=_text(form, "value"), said=str(error)
        )
    plan = console.plans.add(action, letters, edits, _copies(console, action))
    return _show_plan(request, plan, bodies)


def _show_plan(request: Request, plan: Plan, bodies: Sequence[str], said: str = "") -> Response:
    lines, stored = [], None
    if bodies:
        problem = problem_of(bodies[0])
        lines = body_lines(bodies[0], problem, {edit.path for edit in plan.edits})
        stored = None if problem else prepare_write(bodies[0])[1]
    whys: Counter[str] = broken_after(plan.letters, plan.edits) if plan.action == REDRIVE else Counter()
    return view(
        request,
        "preview.html",
        422 if said else 200,
        here="letters",
        plan=plan,
        groups=groups_of(plan.letters),
        whys=whys.most_common(10),
        broken=whys.total(),
        lines=lines,
        stored=stored,
        said=said,
        now=datetime.now(UTC),
    )


def change(request: Request, form: FormData) -> Response:
    """Do what was shown."""
    console = _changing(request)
    plan = console.plans.find(_text(form, "plan"))
    if plan is None:
        raise HTTPException(
            409, "This change was begun before, or is too old. Look at the dead letters again."
        )
    if console.asks_for_name and _text(form, "stage") != console.stage:
        said = f"Nothing was changed. Type the name of the stage, {console.stage}, to confirm."
        bodies = [edited(letter.body, plan.edits) for letter in plan.letters] if plan.edits else []
        return _show_plan(request, plan, bodies, said)
    # Whoever takes the plan does it. A second click, or a second browser, finds none.
    if console.plans.take(plan) is None:
        raise HTTPException(409, "This change was begun a moment ago.")
    verb = VERBS[plan.action]
    try:
        return _begun(console, verb, len(plan.letters), partial(_settle, console, plan), plan.file)
    except HTTPException:
        console.plans.put_back(plan)
        raise


def _settle(console: Console, plan: Plan, job: Job) -> None:
    selection = Selection(message_ids=frozenset(letter.message_id for letter in plan.letters))
    dead_letters = console.pipeline.dead_letters
    try:
        with open_export(plan.file) as copies:
            if plan.action == REDRIVE:
                job.result = dead_letters.redrive(
                    selection, edits=plan.edits, originals=copies, on_progress=job.note
                )
            else:
                job.result = dead_letters.discard(selection, copies, on_progress=job.note)
    finally:
        if plan.file.exists() and not plan.file.stat().st_size:
            plan.file.unlink()
    job.done = len(job.result.settled) + len(job.result.failed) + len(job.result.undeleted)
    console.shelf.take([letter.message_id for letter in job.result.settled], job.verb, job.number)


def stop(request: Request, _: FormData) -> Response:
    """Stop a change; what it has begun is finished."""
    job = _job(request)
    job.is_stopping = True
    return RedirectResponse(f"/dead-letters/jobs/{job.number}", 303)


def show_job(request: Request) -> Response:
    """The progress and the result of a job."""
    return view(request, "job.html", here="letters", job=_job(request), now=datetime.now(UTC))


def progress(request: Request) -> Response:
    """The progress, beside which a button to stop stays in place; at the end the whole panel."""
    job = _job(request)
    if not job.ended:
        return page("job_progress.html", job=job)
    answer = page("job_panel.html", job=job)
    answer.headers["HX-Retarget"] = "#job"
    if job.verb == "read" and not job.why:
        answer.headers["HX-Redirect"] = "/dead-letters"
    return answer


def _begun(
    console: Console, verb: str, total: int, act: Callable[[Job], None], file: Path | None = None
) -> Response:
    try:
        job = console.jobs.begin(verb, total, act, file)
    except BusyError as error:
        if verb == error.job.verb == "read":
            job = error.job
        else:
            raise HTTPException(
                409, f"Another job is running: see /dead-letters/jobs/{error.job.number}. Try again after it."
            ) from error
    return RedirectResponse(f"/dead-letters/jobs/{job.number}", 303)


def _job(request: Request) -> Job:
    job = console_of(request).jobs.find(request.path_params["number"])
    if job is None:
        raise HTTPException(404, "This server has no such job, or it was long ago.")
    return job


def _changing(request: Request) -> Console:
    console = console_of(request)
    if not console.allow_changes:
        raise HTTPException(403, "The console was started without --allow-changes, so it only reads.")
    return console


def _selected(console: Console, form: FormData) -> list[DeadLetterMessage]:
    if ids := [str(one) for one in form.getlist("id")]:
        return console.shelf.named(ids)
    scope = _text(form, "scope")
    if scope == "reason" and (reason := _text(form, "reason")):
        return console.shelf.letters(reason)
    if scope == "shipment" and (shipment := _text(form, "shipment")):
        return console.shelf.letters(shipment_id=shipment)
    raise HTTPException(400, "Select at least one dead letter.")


def _edits(form: FormData) -> list[Edit]:
    """The corrections of one letter.

    Raises:
        ValueError: a field cannot be named so.
    """
    pairs = zip(form.getlist("field"), form.getlist("value"), strict=False)
    given = [(str(field).strip(), str(value)) for field, value in pairs if str(field).strip()]
    if len(given) > _MOST_EDITS:
        raise ValueError(f"at most {_MOST_EDITS} fields can be corrected at once")
    return [Edit.of_text(field, value) for field, value in given]


def _copies(console: Console, action: str) -> Path:
    now = datetime.now(UTC)
    return console.copies / f"dead-letters-{console.stage}-{VERBS[action]}-{now:%Y%m%dT%H%M%S.%f}Z.ndjson"


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


ROUTES: Final = [
    Route("/dead-letters/read", posted(read), methods=["POST"]),
    Route("/dead-letters/preview", posted(preview), methods=["POST"]),
    Route("/dead-letters/change", posted(change), methods=["POST"]),
    Route("/dead-letters/jobs/{number:int}", show_job),
    Route("/dead-letters/jobs/{number:int}/stop", posted(stop), methods=["POST"]),
    Route("/panels/jobs/{number:int}", progress),
]
