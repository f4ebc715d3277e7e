"""Each pass on its file of cases (`tests/fixtures`; `tests/cases.py` says how to add one)."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from secgen_dsl.cli.study import plan_source
from secgen_dsl.diagnostics.diagnostic import (
    Diagnostic,
    SecgenError,
    Source,
    for_the_site,
    in_order,
)
from secgen_dsl.runtime.site.read import read_site
from tests.cases import FIXTURES, UPDATE, Case, outcome, read_cases, update
from tests.study import FOLDER, STUDY, all_faults, complete, meaning_faults, syntax_faults
from tests.wording import assert_helpful

MOST_POOR_MESSAGES = 22
"""Of `poor_messages.txt`: only to be lowered."""


def site_table(case: Case) -> list[Diagnostic]:
    """What the silo `north` itself is told of its table (`@ file NAME`; else `data.csv`)."""
    program = plan_source(Source("spec.secgen", STUDY), FOLDER).plan.program
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        path = Path(case.remarks.get("file", "data.csv"))
        path.write_text(case.text, encoding="utf-8")
        try:
            read_site(program, path, b"key", "north")
        except SecgenError as error:
            return in_order(for_the_site(error).diagnostics)
    return []


PASSES: dict[str, Callable[[Case], list[Diagnostic]]] = {
    "syntax": lambda case: syntax_faults(case.text),
    "resolve": lambda case: meaning_faults(complete(case.text)),
    "plan": lambda case: all_faults(complete(case.text)),
    "site_tables": site_table,
    "poor_messages": lambda case: all_faults(complete(case.text)),
}

if UPDATE:
    for name, run in PASSES.items():
        update(FIXTURES / f"{name}.txt", run)

CASES = [(name, case) for name in PASSES for case in read_cases(FIXTURES / f"{name}.txt")]


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{n}: {c.name}" for n, c in CASES])
def test_cases(name: str, case: Case) -> None:
    found = PASSES[name](case)
    assert outcome(found) == case.expected
    for diagnostic in found:
        assert_helpful(diagnostic)


def test_the_small_study_is_sound_and_each_case_has_a_name_of_its_own() -> None:
    assert all_faults(STUDY) == []
    names = [f"{name}: {case.name}" for name, case in CASES]
    assert len(names) == len(set(names))


def test_poor_messages_become_fewer() -> None:
    poor = [case for name, case in CASES if name == "poor_messages"]
    assert len(poor) <= MOST_POOR_MESSAGES
    assert [case.name for case in poor if not case.remarks.get("better")] == []
