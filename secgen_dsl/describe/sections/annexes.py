"""Annexes: the plan, the spec, a glossary, what was executed, and where figures come from."""

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.document import Block, Items, Listing, Section, Text
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
    same = found.plan_sha256 == subject.certificate.plan_sha256
    blocks: list[Block | None] = [
        w.paragraph("execution.invented") if found.invented else None,
        w.paragraph(
            "execution.same_plan" if same else "execution.other_plan", hash=code(found.plan_sha256)
        ),
        w.paragraph(f"execution.{found.kind}") if found.kind != "field" else None,
    ]
    others = len(subject.plan.parties) - 1
    expected = say.integer(others * sum(one.size for one in subject.messages))
    missing = say("execution.no_evidence")
    rows: list[list[Text]] = [
        [
            (given(one.name),),
            (code(one.outcome),) if one.outcome else missing,
            (code(one.transcript_sha256),) if one.transcript_sha256 else missing,
            (code(one.ledger_entry),) if one.ledger_entry else missing,
            w.say("execution.number", number=say.integer(one.bytes_sent)),
            w.say("execution.number", number=expected),
        ]
        for one in found.parties
    ]
    columns = ("party", "outcome", "transcript", "entry", "sent", "predicted")
    blocks.append(w.table("execution.parties_caption", columns, rows, numeric=(4, 5)))
    if found.deviations:
        blocks.append(w.paragraph("execution.deviations"))
        blocks.append(Items(items=tuple((given(one),) for one in found.deviations)))
    else:
        blocks.append(w.paragraph("execution.no_deviations"))
    if found.files:
        files = [[code(name), code(digest)] for name, digest in sorted(found.files.items())]
        blocks.append(w.table("execution.files_caption", ("file", "hash"), files))
    return w.section("execution", "D", *blocks)
