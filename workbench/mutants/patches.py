"""A mistake as a patch: it names a definition, and the code in it to replace. The layout does not matter."""

import ast
import difflib
import re
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).with_name("mutants.toml")
# Folders to search if the code is no longer in its definition.
_SEARCHED: Final = ("src", "infrastructure", "workbench")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_CLOSING: Final = frozenset(")]}")
_CANDIDATES: Final = 3


class DoesNotApplyError(Exception):
    """The definition does not have the code that a mutant replaces, or has it several times."""


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        why: what goes wrong with it in operation.
        file: relative to the repository.
        definition: qualified name of the function, class or constant that is patched, ``Class.method`` say.
        old: code that stands exactly once in the definition. Blanks, line ends and trailing commas do not
            matter, so a patch survives new formatting.
        new: takes its place, with the indentation of the line that it begins on.
        tests: paths or ids for pytest that are expected to go red.
    """

    name: str
    why: str
    file: str
    definition: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> str:
        """The file's text with the mistake.

        Raises:
            DoesNotApplyError: file, definition or code is not there, the code stands there several times, or
                nothing would change.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        span = _definitions(text).get(self.definition)
        if span is None:
            raise DoesNotApplyError(f"{self.file} has no {self.definition}{self._nearest(root, text)}")
        start, end = span
        found = list(_pattern(self.old).finditer(text, start, end))
        if len(found) != 1:
            times, nearest = f"stands {len(found)} times", ""
            if not found:
                times, nearest = "does not stand", self._nearest(root, text)
            raise DoesNotApplyError(f"the old code {times} in {self.definition} of {self.file}{nearest}")
        (match,) = found
        mutated = text[: match.start()] + self._replacement(text, match.start()) + text[match.end() :]
        if mutated == text:
            raise DoesNotApplyError("old and new are the same")
        return mutated

    def _replacement(self, text: str, position: int) -> str:
        line = text[text.rfind("\n", 0, position) + 1 : position]
        indentation = line[: len(line) - len(line.lstrip())]
        new = textwrap.dedent(self.new.strip("\n")).strip()
        return new.replace("\n", f"\n{indentation}")

    def _nearest(self, root: Path, text: str) -> str:
        """Definitions that have the code now; else similar names and lines of the file."""
        elsewhere = [f"{file} {name}" for file, name in _holders(root, self.old)]
        if not elsewhere:
            spans = _definitions(text)
            start, end = spans.get(self.definition, (0, len(text)))
            lines = [line.strip() for line in text[start:end].splitlines()]
            wanted = max(self.old.strip().splitlines() or [""], key=len).strip()
            elsewhere = [
                *(difflib.get_close_matches(self.definition, spans) if self.definition not in spans else ()),
                *(f"line `{line}`" for line in difflib.get_close_matches(wanted, lines)),
            ]
        return f"; nearest: {', '.join(elsewhere[:_CANDIDATES])}" if elsewhere else ""


def load(path: Path = LIST) -> list[Mutant]:
    """Read a list of mutants."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def _pattern(code: str) -> re.Pattern[str]:
    """The tokens of a piece of code, with any blanks, line ends and trailing commas between them."""
    tokens = _TOKEN.findall(code)
    parts = []
    for each, after in zip(tokens, [*tokens[1:], ""], strict=True):
        if each == "," and after in {"", *_CLOSING}:
            parts.append("" if after else ",?")
        elif each in _CLOSING:
            parts.append(rf"(?:,\s*)?{re.escape(each)}")
        else:
            # With word boundaries, so that `total` does not match `totals`.
            parts.append(re.sub(r"^\b|\b$", r"\\b", re.escape(each)))
    return re.compile(r"\s*".join(part for part in parts if part))


def _definitions(text: str) -> dict[str, tuple[int, int]]:
    """Start and end, as offsets, of every function, class and assigned name, by qualified name."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    lines = [0]
    for line in text.split("\n"):
        lines.append(lines[-1] + len(line) + 1)
    return {
        name: (lines[node.lineno - 1], lines[node.end_lineno or node.lineno])
        for name, node in _named(tree, "")
    }


def _named(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.stmt]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield f"{prefix}{child.name}", child
                yield from _named(child, f"{prefix}{child.name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield f"{prefix}{name}", child
            case ast.stmt():
                yield from _named(child, prefix)


def _holders(root: Path, code: str) -> Iterator[tuple[str, str]]:
    """Other places of a piece of code: file and innermost definition."""
    pattern = _pattern(code)
    for folder in _SEARCHED:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            spans = _definitions(text)
            for match in pattern.finditer(text):
                sizes = {
                    name: end - start for name, (start, end) in spans.items() if start <= match.start() < end
                }
                yield path.relative_to(root).as_posix(), min(sizes, key=sizes.__getitem__, default="")
