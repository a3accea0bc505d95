"""The commands in the documents, and where each one that no test of the documents runs is seen to work."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMENT: Final = re.compile(r"\s{2,}#.*$")

ELSEWHERE: Final = {
    r"export PATH=.*": "of the shell alone",
    r'eval "\$\(shipments local env\)"': (
        "tests/workbench/engine/test_commands.py::test_env_points_at_the_engine_that_runs"
    ),
    r"zcat .*\| shipments publish .*": (
        "tests/publishing/test_event_files.py::test_reads_standard_input_and_leaves_it_open"
    ),
    r"shipments drill .*": (
        "tests/faults/test_drill.py::test_a_short_drill_loses_and_doubles_nothing_and_cleans_up"
    ),
    r"shipments --env \w+ (status|audit journal\.ndjson)": "tests/integration/test_runbook.py::test_command",
    r"shipments --env prod replay .*": (
        "tests/integration/test_replay.py::test_a_replay_brings_back_what_is_missing_and_doubles_nothing"
    ),
    r"shipments --env prod recover .*": (
        "tests/integration/test_recover.py"
        "::test_what_was_lost_comes_back_as_it_was_and_nothing_is_overwritten"
    ),
    r"shipments .*console .*": "tests/console/test_server.py::test_it_ends_on_a_signal_and_logs_no_secret",
    r"make (setup|up|down|run|console)( .*)?": "by hand: a newcomer begins with it",
    r"make (test|test-slow|check|audit|mutants)( .*)?": "by hand: these are the tests themselves",
    r"make (bench|scale|drill)( .*)?": "by hand: minutes, and they write the documents' tables",
    r"make (bootstrap|diff|deploy)( .*)?": (
        "tests/integration/test_deploy_with_cdk.py::test_the_cdk_cli_deploys_a_stack_that_stores_events"
    ),
    r"make (destroy|adopt)( .*)?": (
        "tests/integration/test_deploy_with_cdk.py"
        "::test_a_destroyed_stage_is_taken_up_again_with_what_it_stored"
    ),
    r"\.venv/bin/python -m benchmarks.*": "by hand: half a minute",
    r"\.venv/bin/pre-commit install": "by hand: it changes the clone",
    r"git .*": "git's own",
    r"aws .*": "AWS's own",
}
"""Patterns of commands: the test that runs such a one, or a reason why none does."""


def documented_commands() -> Iterator[tuple[str, str]]:
    """Document and command of each line with a prompt, without comments; continued lines are one."""
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in _BLOCK.findall(path.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ "):
                    yield path.relative_to(ROOT).as_posix(), _COMMENT.sub("", line[2:]).strip()


def seen_elsewhere(command: str) -> str | None:
    """Where a command is seen, or why it is not; None if a test of the documents has to run it."""
    return next((where for pattern, where in ELSEWHERE.items() if re.fullmatch(pattern, command)), None)


def commands_to_run() -> list[str]:
    """Each command of the command line that ``tests/integration/test_runbook.py`` runs."""
    found = dict.fromkeys(command for _, command in documented_commands() if not seen_elsewhere(command))
    return [command for command in found if command.startswith("shipments ")]
