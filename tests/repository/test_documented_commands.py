"""Every command in every document is run by a test, or says where else it is seen."""

import re

import pytest

from tests.repository.documents import ELSEWHERE, ROOT, commands_to_run, documented_commands, seen_elsewhere

COMMANDS = list(dict.fromkeys(documented_commands()))
RUN = set(commands_to_run())


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_is_run_or_seen_elsewhere(document: str, command: str) -> None:
    assert command in RUN or seen_elsewhere(command), f"{document}: run it in a test, or add it to ELSEWHERE"


@pytest.mark.parametrize("pattern", ELSEWHERE)
def test_what_is_seen_elsewhere_is_documented_and_its_test_is_there(pattern: str) -> None:
    assert any(re.fullmatch(pattern, command) for _, command in COMMANDS)
    path, separator, test = ELSEWHERE[pattern].partition("::")
    if separator:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [command for _, command in COMMANDS if command.startswith("make ")])
def test_every_target_exists(command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE)


def test_the_documents_have_commands() -> None:
    """A change of their form must not leave nothing to check."""
    assert len(COMMANDS) > 60
    assert len(RUN) > 25
    prompts = sum(
        len(re.findall(r"^\$ ", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    )
    assert prompts == len(list(documented_commands())), "a command stands outside of a console block"
