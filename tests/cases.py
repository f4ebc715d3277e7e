"""Reads `tests/fixtures/*.txt`: inputs and the diagnostics that they give.

    === what the case is about
    @ WORD a remark or setting (such lines are optional)
    the input, any number of lines
    ---
    1:9: error[SG205]: … — next: …

There is one expected line a diagnostic, in order, in the format `concise` without the path; none if
the input is sound.  `SECGEN_UPDATE_GOLDEN=1 .venv/bin/pytest tests/test_cases.py` writes what comes
out now.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.diagnostics.concise import render
from secgen_dsl.diagnostics.diagnostic import Diagnostic

FIXTURES = Path(__file__).with_name("fixtures")
UPDATE = bool(os.environ.get("SECGEN_UPDATE_GOLDEN"))

_CASE = re.compile(r"^=== ", re.MULTILINE)
_REMARK = re.compile(r"^@ (\w+) (.*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One input and what it gives.

    Attributes:
        remarks: word → the rest of its `@` line.
        expected: the lines behind `---`.
    """

    name: str
    remarks: dict[str, str]
    text: str
    expected: tuple[str, ...]


Pass = Callable[[Case], list[Diagnostic]]


def read_cases(path: Path) -> list[Case]:
    """The cases of a file, in order."""
    return [_case(block) for block in _CASE.split(path.read_text(encoding="utf-8"))[1:]]


def _case(block: str) -> Case:
    name, _, body = block.partition("\n")
    remarks = {}
    while match := _REMARK.match(body):
        remarks[match.group(1)] = match.group(2)
        body = body[match.end() :]
    text, rule, expected = f"\n{body}".partition("\n---\n")
    assert rule, f"{name}: no line `---`"
    lines = tuple(line for line in expected.splitlines() if line)
    return Case(name.strip(), remarks, text.removeprefix("\n") + "\n", lines)


def outcome(found: Iterable[Diagnostic]) -> tuple[str, ...]:
    """Diagnostics as a case expects them."""
    return tuple(line.removeprefix("spec.secgen:") for line in render(found).splitlines())


def update(path: Path, run: Pass) -> None:
    """Write what comes out now behind each input."""
    head = _CASE.split(path.read_text(encoding="utf-8"))[0].rstrip("\n")
    blocks = [head] if head else []
    for case in read_cases(path):
        remarks = [f"@ {word} {rest}" for word, rest in case.remarks.items()]
        text = case.text.removesuffix("\n")
        lines = [f"=== {case.name}", *remarks, text, "---", *outcome(run(case))]
        blocks.append("\n".join(lines))
    temporary = path.with_suffix(".part")
    temporary.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    temporary.replace(path)
