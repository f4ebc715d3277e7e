"""Annexes: the plan, the spec, a glossary, what was executed, and where figures come from."""

from collections.abc import Sequence

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.document import Block, Items, Listing, Section, Table
from secgen_dsl.describe.subject import Execution
from secgen_dsl.describe.writer import Writer, listed
from secgen_dsl.ir.base import canonical_json, pretty_json

LONGEST_LISTING = 200_000
"""Characters of a plan that is printed; a longer one belongs to the document as a file."""

_WORDS = (
    *("adjacency", "delta", "dp", "epsilon", "ledger", "marginal", "mu", "opening", "party"),
    *("plan", "sensitivity", "share", "silo", "synthetic", "threshold"),
)


def annex_plan(w: Writer) -> Section:
    """Annex A: the genes, and the whole plan."""
    plan = w.subject.plan
    text = pretty_json(plan).decode()
    blocks: list[Block] = [
        w.paragraph(
            "annex_plan.intro",
            bytes=w.integer(len(canonical_json(plan)), "plan", "canonical_bytes"),
            hash=code(w.subject.certificate.plan_sha256),
        )
    ]
    if plan.program.panels:
        rows: list[list[Part]] = [
            [given(panel.name), listed(panel.genes)] for panel in plan.program.panels
        ]
        blocks.append(w.table("annex_plan.genes_caption", ("panel", "genes"), rows))
    if len(text) <= LONGEST_LISTING:
        blocks.append(Listing(id="plan-json", title=w.say("annex_plan.listing"), text=text))
    else:
        blocks.append(w.paragraph("annex_plan.too_long"))
    return w.section("annex_plan", "A", *blocks)


def annex_spec(w: Writer) -> Section:
    """Annex B: the spec as it was written."""
    subject = w.subject
    if not subject.spec_name:
        return w.section("annex_spec", "B", w.paragraph("annex_spec.elsewhere"))
    return w.section(
        "annex_spec",
        "B",
        w.paragraph(
            "annex_spec.intro", name=given(subject.spec_name), hash=code(subject.spec_sha256)
        ),
        Listing(id="spec", title=(given(subject.spec_name),), text=subject.spec_text),
    )


def glossary(w: Writer) -> Section:
    """Annex C."""
    rows = [
        [
            w.say(f"glossary.{word}{'_word' if word in ('ledger', 'plan', 'share') else ''}"),
            w.say(f"glossary.{word}_meaning"),
        ]
        for word in _WORDS
    ]
    return w.section("glossary", "C", w.table("glossary.caption", ("word", "meaning"), rows))


def execution(w: Writer) -> Section:
    """Annex D: what was executed."""
    subject, say = w.subject, w.say
    found = subject.execution
    if found is None:
        return w.section("execution", "D", w.paragraph("execution.not_yet"))
    blocks: list[Block | None] = [
        w.paragraph("execution.invented") if found.invented else None,
        w.paragraph("execution.same_plan", hash=code(subject.certificate.plan_sha256)),
        w.paragraph(f"execution.{found.kind}") if found.kind != "field" else None,
        _parties(w, found),
    ]
    if not found.records:
        blocks.append(w.paragraph("execution.deviations_unknown"))
    elif found.deviations:
        blocks += [w.paragraph("execution.deviations"), _listed(found.deviations)]
    elif not found.failed:
        blocks.append(w.paragraph("execution.no_deviations", parties=listed(found.records)))
    blocks.append(
        w.paragraph(
            "execution.checks_known" if found.keys_known else "execution.checks",
            held=say.integer(found.held),
        )
    )
    if found.failed:
        blocks += [w.paragraph("execution.failed"), _listed(found.failed)]
    if found.unchecked:
        blocks += [w.paragraph("execution.unchecked"), _listed(found.unchecked)]
    if found.files:
        files = [[code(name), code(digest)] for name, digest in sorted(found.files.items())]
        blocks.append(w.table("execution.files_caption", ("file", "hash"), files))
    return w.section("execution", "D", *blocks)


def _parties(w: Writer, found: Execution) -> Table:
    """What each party attests, beside what the plan predicts."""
    say = w.say
    others = len(w.subject.plan.parties) - 1
    expected = say.integer(others * sum(one.size for one in w.subject.messages))
    missing = say("execution.no_evidence")
    silos = {silo.name for silo in w.subject.plan.program.silos}
    rows: list[list[Part]] = [
        [
            given(one.name),
            code(one.outcome) if one.outcome else missing,
            code(one.transcript_sha256) if one.transcript_sha256 else missing,
            code(one.ledger_entry)
            if one.ledger_entry
            else missing
            if one.name in silos
            else say("execution.no_ledger"),
            missing if one.bytes_sent is None else say.integer(one.bytes_sent),
            expected,
        ]
        for one in found.parties
    ]
    columns = ("party", "outcome", "transcript", "entry", "sent", "predicted")
    return w.table("execution.parties_caption", columns, rows, numeric=(4, 5))


def _listed(lines: Sequence[str]) -> Items:
    return Items(items=tuple((given(one),) for one in lines))
