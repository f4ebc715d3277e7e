"""Nothing but diagnostics ever comes out: texts of the grammar's shape, and changed valid specs."""

import time
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Lark

from secgen_dsl.diagnostics import concise, full, github, sarif
from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.planner.advice import plan_warnings
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.verifier import verify
from tests.generated.drafts import GeneratedSpec
from tests.generated.mutations import mutated
from tests.generated.specs import specs
from tests.generated.studies import OUT_OF_REACH, examples, folder_of, resolved
from tests.generated.words import BARE, GRAMMAR, KEYWORDS, NAMES, quoted

SECONDS = 10.0
"""Of a processor, for a text of at most 50 kB up to its meaning."""

MOST_ERRORS = 100


def outcome(text: str, folder: Path) -> str:
    """How far a text gets: ``syntax or meaning``, ``out of reach`` or ``planned``.

    Any exception but a diagnostic, and any fault of a diagnostic, is an error.
    """
    start = time.process_time()
    try:
        meaning = resolved(text, folder)
    except SecgenError as error:
        check(error.diagnostics, text)
        assert time.process_time() - start < SECONDS
        return "refused"
    assert time.process_time() - start < SECONDS
    check(meaning.warnings, text)
    try:
        plan = plan_program(meaning.program)
    except SecgenError as error:
        check(error.diagnostics, text)
        assert {found.code for found in error.diagnostics} <= OUT_OF_REACH
        return "out of reach"
    verified = verify(plan)  # what a spec may say, the verifier accepts
    check(plan_warnings(plan, verified.epsilon, meaning.spans, meaning.epsilon), text)
    return "planned"


def check(diagnostics: tuple[Diagnostic, ...], text: str) -> None:
    assert len([one for one in diagnostics if one.severity == "error"]) <= MOST_ERRORS
    for found in diagnostics:
        assert found.code in TITLES
        assert found.message
        assert found.next_step not in ("", found.message, found.label)
        if found.span is None:
            assert found.code in OUT_OF_REACH | {"SG102", "SG104"}  # of all of it
            assert found.place
        else:
            assert 0 <= found.span.start <= found.span.end <= len(text) + 1
    for people in (full, concise):
        shown = people.render(diagnostics)
        assert all(char.isprintable() or char == "\n" for char in shown), shown
    for machines in (github, sarif):
        assert machines.render(diagnostics).encode() or not diagnostics


def _tokens() -> dict[str, st.SearchStrategy[str]]:
    """For every terminal texts that the lexer takes for it, with spaces around."""
    grammar = Lark(GRAMMAR.read_text(encoding="utf-8"), parser="lalr", lexer="contextual")
    small = ("a", "b", "x", "y", "p", "t", "log2", "counts", "public", "silos", "csv", "patients")
    bare = st.sampled_from(small) | NAMES.filter(lambda name: bool(BARE.fullmatch(name)))
    numbers = ("1", "2", "3", "4", "0", "20", "0.5", "1e-6", "1000", "-1", "1e30", "100", "50")
    tokens: dict[str, st.SearchStrategy[str]] = {
        "WORD": bare,
        "STRING": (st.sampled_from(small) | NAMES).map(quoted),
        "NUMBER": st.sampled_from(numbers),
        "COUNTS": st.just("log2(cpm + 1)"),
        "_NL": st.sampled_from(("\n", "\n", ";", " # note\n")),
    }
    for terminal in grammar.terminals:
        value = terminal.pattern.value
        if value in KEYWORDS:
            tokens[terminal.name] = st.just(value)
    return {name: words.map(lambda word: f" {word} ") for name, words in tokens.items()}


OF_THE_GRAMMAR = from_lark(
    Lark(GRAMMAR.read_text(encoding="utf-8"), parser="lalr"), start="start", explicit=_tokens()
)


@examples(quick=60, full=2500)
@given(OF_THE_GRAMMAR)
def test_texts_of_the_grammar(text: str) -> None:
    outcome(text, Path("/nonexistent"))


def test_changed_specs() -> None:
    outcomes = {"refused": 0, "out of reach": 0, "planned": 0}

    @examples(quick=150, full=4000)
    @given(specs(), st.integers(0, 2**32))
    def every(spec: GeneratedSpec, seed: int) -> None:
        random = Random(seed)  # noqa: S311 (accidents)
        with folder_of(spec) as folder:
            outcomes[outcome(mutated(random, spec.text()), folder)] += 1

    every()
    assert min(outcomes["refused"], outcomes["planned"]) > sum(outcomes.values()) / 25
