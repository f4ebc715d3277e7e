"""What changes a plan's hash and what only changes the text, on generated specs."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program
from secgen_dsl.syntax.format import format_text
from tests.generated.drafts import GeneratedSpec
from tests.generated.layout import Block, Statement
from tests.generated.specs import specs
from tests.generated.studies import examples, folder_of, planned, resolved
from tests.generated.words import quoted

_NOT_THE_RUN = ("study", "simulate")


def shuffled(random: Random, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """The blocks in another order; that of the panels is the order of their lines, and kept."""
    order = random.sample(blocks, len(blocks))
    panels = iter([block for block in blocks if block.head[0] == "panel"])
    return tuple(next(panels) if block.head[0] == "panel" else block for block in order)


@examples(quick=60, full=1500)
@given(specs(), st.integers(0, 2**32))
def test_layout_and_the_order_of_blocks_change_nothing(spec: GeneratedSpec, seed: int) -> None:
    random = Random(seed)  # noqa: S311 (a layout)
    with folder_of(spec) as folder:
        first = resolved(spec.text(), folder)
        again = replace(spec, blocks=shuffled(random, spec.blocks))
        second = resolved(again.text(seed), folder)
        assert (second.program, second.study) == (first.program, first.study)
        assert sha256_of(second.program) == sha256_of(first.program)
        assert read_node(Program, canonical_json(first.program)) == first.program


@examples(quick=40, full=1500)
@given(specs(), st.integers(0, 2**32))
def test_formatting_changes_nothing(spec: GeneratedSpec, seed: int) -> None:
    text = spec.text(seed)
    formatted = format_text(text)
    assert format_text(formatted) == formatted
    with folder_of(spec) as folder:
        before, after = resolved(text, folder), resolved(formatted, folder)
    assert (after.program, after.study) == (before.program, before.study)


@examples(quick=20, full=500)
@given(specs())
def test_a_plan_is_the_same_whenever_it_is_made(spec: GeneratedSpec) -> None:
    with folder_of(spec) as folder:
        plans = [planned(resolved(spec.text(seed), folder)) for seed in (None, 1)]
    assume(plans[0] is not None and plans[1] is not None)
    first, second = (canonical_json(plan) for plan in plans if plan is not None)
    assert first == second
    assert read_node(Plan, first) == plans[0]


@examples(quick=60, full=1500)
@given(specs(), st.data())
def test_what_changes_the_run_changes_the_hash(spec: GeneratedSpec, data: st.DataObject) -> None:
    old = data.draw(st.sampled_from(sorted(running_words(spec))))
    new = changed(old)
    blocks = tuple(
        Block(
            put(block.head, old, new), block.lines and tuple(put(x, old, new) for x in block.lines)
        )
        for block in spec.blocks
    )
    with folder_of(spec) as folder:
        before = resolved(spec.text(), folder)
        try:
            after = resolved(replace(spec, blocks=blocks).text(), folder)
        except SecgenError:
            return  # it is no spec any more
    assert sha256_of(after.program) != sha256_of(before.program), (old, new)


@examples(quick=30, full=500)
@given(specs(), st.data())
def test_public_files_are_pinned_by_their_bytes(spec: GeneratedSpec, data: st.DataObject) -> None:
    plain = sorted(name for name in spec.files if not name.endswith(".gz"))
    assume(plain)
    name = data.draw(st.sampled_from(plain))
    longer = replace(spec, files={**spec.files, name: spec.files[name] + b"\n"})
    with folder_of(spec) as folder:
        before = resolved(spec.text(), folder)
        longer.write(folder)
        after = resolved(spec.text(), folder)
    assert after.program.queries == before.program.queries
    assert sha256_of(after.program) != sha256_of(before.program)


def put(statement: Statement, old: str, new: str) -> Statement:
    return tuple(new if word == old else word for word in statement)


def running_words(spec: GeneratedSpec) -> set[str]:
    """Numbers and names that a run depends on: no prose, no titles, no files of a simulation."""
    words: set[str] = set()
    for block in spec.blocks:
        if block.head[0] in _NOT_THE_RUN:
            continue
        lines = [block.head, *(block.lines or ())]
        for line in lines:
            for position, word in enumerate(line):
                is_number = word.replace(".", "").lstrip("-").isdigit()
                is_text = word.startswith('"')
                title = position and line[position - 1] not in ("consent", "controlled", "approval")
                if block.head[0] in ("silos", "helpers") and line is not block.head and title:
                    continue
                if is_number or is_text:
                    words.add(word)
    titles = {
        word
        for block in spec.blocks
        if block.head[0] in (*_NOT_THE_RUN, "silos", "helpers")
        for line in [block.head, *(block.lines or ())]
        for word in line
        if word.startswith('"')
    }
    # A group of mutations is named by its columns where it is used.
    groups = {
        line[0]
        for block in spec.blocks
        for line in block.lines or ()
        if block.head[0] == "columns" and line[1] == "mutation"
    }
    return (words - titles - groups) or {"1"}


def changed(word: str) -> str:
    """Another word of the same kind."""
    if word.startswith('"'):
        return quoted(word[1:-1].replace("\\", "") + "x")
    try:
        return f"{Decimal(word) + Decimal('0.5'):f}" if "." in word else f"{int(word) + 1}"
    except (InvalidOperation, ValueError):
        return word + "x"


@examples(quick=60, full=1000)
@given(specs())
def test_statements_say_what_is_measured(spec: GeneratedSpec) -> None:
    """Canonical statements, read in place of the written ones, are the same queries."""
    with folder_of(spec) as folder:
        meaning = resolved(spec.text(), folder)
        statements = [query.statement for query in meaning.program.queries]
        # A share that `each` divides by three has no end as a decimal.
        assume(not any("/" in words.partition("share ")[2] for words in statements))
        lines = tuple((statement,) for statement in statements)
        blocks = tuple(
            Block(("measure",), lines) if block.head == ("measure",) else block
            for block in spec.blocks
        )
        again = resolved(replace(spec, blocks=blocks).text(), folder)
    assert again.program == meaning.program
