"""The cover; section 1, in plain words; section 2, data and people."""

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.document import Items, Paragraph, Section, Table, Text
from secgen_dsl.describe.odds import odds_of
from secgen_dsl.describe.writer import Writer, join, listed
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.program import CategoryColumn, Panel, Terms, decimal_text
from secgen_dsl.ir.queries import SecondMoment, VectorSum
from secgen_dsl.privacy.bound import compose


def cover(w: Writer) -> Table:
    """Status, hashes, contact."""
    subject, say = w.subject, w.say
    dated: list[list[Part]] = [[say("cover.date"), subject.date]] if subject.date else []
    spec: list[list[Part]] = []
    if subject.spec_name:
        spec = [
            [say("cover.spec"), given(subject.spec_name)],
            [say("cover.spec_sha"), code(subject.spec_sha256)],
        ]
    rows: list[list[Part]] = [
        [say("cover.status"), status(w)],
        *dated,
        [say("cover.reference"), w.prose(subject.study.reference, "study.reference")],
        [say("cover.contact"), w.prose(subject.study.contact, "study.contact")],
        *spec,
        [say("cover.plan_sha"), code(subject.certificate.plan_sha256)],
        [say("cover.study_sha"), code(sha256_of(subject.study))],
        [say("cover.certificate_sha"), code(sha256_of(subject.certificate))],
        [say("cover.software"), f"secgen {subject.certificate.secgen_version}"],
    ]
    return w.table("cover.caption", (), rows)


def status(w: Writer) -> Text:
    """Draft, approved, executed (and whether checks failed), or void."""
    subject, say = w.subject, w.say
    if subject.against is not None and not subject.against.same:
        return say("cover.void")
    if subject.execution is not None:
        kind = "executed" if subject.execution.kind == "field" else "executed_here"
        if subject.execution.invented:
            kind = "rehearsed"
        if subject.execution.failed:
            kind = "failed"
        return say(f"cover.{kind}", date=subject.execution.date)
    signed = sum(approval.verified for approval in subject.approvals)
    if not signed:
        return say("cover.draft")
    needed = len(subject.approvals)
    if signed < needed:
        return say("cover.partly", signed=str(signed), needed=str(needed))
    return say("cover.approved", needed=str(needed))


def summary(w: Writer) -> Section:
    """Section 1: what a lay member of a board reads."""
    subject, say = w.subject, w.say
    plan, study = subject.plan, subject.study
    odds = odds_of(compose(plan))
    sums = any(isinstance(query, VectorSum | SecondMoment) for query in plan.added)
    parties = w.integer(len(plan.parties), "plan: parties")
    more = w.integer(plan.threshold + 1, "plan: threshold", "threshold_and_one")
    accuracy = w.integer(odds.right, "plan: rounds[].releases[].noise", "accuracy")
    flagged = w.integer(odds.flagged, "plan: rounds[].releases[].noise", "flagged")
    leaves = "summary.leaves_sums" if sums else "summary.leaves"
    made = "_totals" if plan.program.samples is None else ""
    pieces = "summary.pieces_one" if plan.threshold == 1 else "summary.pieces_many"
    promised = [
        say("summary.not_members"),
        say("summary.not_relatives"),
        say("summary.not_honest"),
        say("summary.not_collude", number=more, parties=parties),
        say(f"summary.not_accurate{made}"),
        say("summary.not_other"),
        say("summary.not_machine"),
    ]
    return w.section(
        "summary",
        "1",
        w.paragraph("summary.why", purpose=w.sentence(study.purpose, "study.purpose")),
        w.joined(
            say(
                "summary.whose",
                cohort=w.sentence(study.cohort, "study.cohort"),
                inclusion=w.sentence(study.inclusion, "study.inclusion"),
            ),
            _people(w, "summary"),
        ),
        w.joined(
            say(leaves, parties=parties),
            say(
                pieces,
                threshold=w.integer(plan.threshold, "plan: threshold"),
                names=listed(plan.parties),
            ),
        ),
        _made(w),
        _who_sees(w),
        w.joined(
            say(
                "summary.out",
                coin="500",
                accuracy=accuracy,
                gain=w.integer(odds.right - 500, "plan: rounds[].releases[].noise", "gain"),
            ),
            say("summary.flags", flagged=flagged),
        ),
        w.heading("summary.promise_title"),
        Items(items=tuple(promised)),
        w.heading("summary.withdraw_title"),
        w.paragraph("summary.withdraw_before"),
        w.paragraph(f"summary.benefit{made}"),
        w.paragraph("summary.call", contact=w.prose(study.contact, "study.contact")),
    )


def people(w: Writer) -> Section:
    """Section 2: whose data, under which terms, and what of them is read."""
    program = w.subject.plan.program
    columns: list[list[Part]] = [
        [
            given(column.name),
            join([listed(column.values), _otherwise(w, column)], "; ")
            if isinstance(column, CategoryColumn)
            else ", ".join(map(w.say.decimal, column.values)),
        ]
        for column in program.columns
    ]
    return w.section(
        "people",
        "2",
        _parties(w),
        Paragraph(text=_reads(w)),
        w.table("people.labels_caption", ("column", "values"), columns) if columns else None,
        Paragraph(text=_reads_genes(w)) if program.panels else None,
        _panels(w) if program.panels else None,
        w.joined(_samples(w), _silos(w)),
        Paragraph(text=_people(w, "people")),
        w.paragraph("people.outside"),
    )


def _reads(w: Writer) -> Text:
    """The columns that a party takes from its site's files (``runtime.site.columns``)."""
    say, program = w.say, w.subject.plan.program
    names = [column.name for column in program.columns]
    texts = [say("people.reads", columns=listed(names), key=given(program.person.key))]
    if program.person.keep is not None:
        texts.append(say("people.reads_date", column=given(program.person.keep)))
    libraries = [panel.counts.library_column for panel in program.panels if panel.counts]
    if named := list(dict.fromkeys(name for name in libraries if name is not None)):
        texts.append(say("people.reads_library", columns=listed(named)))
    texts.append(say("people.reads_sample"))
    return join(texts if program.panels else [*texts, say("people.reads_rest")])


def _reads_genes(w: Writer) -> Text:
    """The genes of the panels, and all of the file where a library size is their sum."""
    panels = w.subject.plan.program.panels
    summed = any(panel.counts and panel.counts.library_column is None for panel in panels)
    keys = ("reads_genes", "reads_all_genes", "reads_rest")
    kept = [key for key in keys if summed or key != "reads_all_genes"]
    return join([w.say(f"people.{key}") for key in kept])


def _made(w: Writer) -> Paragraph:
    samples = w.subject.plan.program.samples
    if samples is None:
        return w.paragraph("summary.made_nothing")
    return w.paragraph("summary.made", rows=w.integer(samples.rows, "plan: program.samples.rows"))


def _who_sees(w: Writer) -> Paragraph:
    program = w.subject.plan.program
    measurements = w.audience(program.measurements)
    if program.samples is None:
        return w.paragraph("summary.who_sees_totals", measurements=measurements)
    samples = w.audience(program.samples.audience)
    return w.paragraph("summary.who_sees", measurements=measurements, samples=samples)


def _people(w: Writer, section: str) -> Text:
    program = w.subject.plan.program
    bound = program.person.people_bound
    if bound is None:
        return w.say(f"{section}.unbounded")
    kind = "exact" if program.privacy.adjacency == "replace-one" else "bound"
    number = w.integer(bound, "plan: program.person.people_bound")
    return w.say(f"{section}.{kind}", people=number)


def _parties(w: Writer) -> Table:
    subject, say = w.subject, w.say
    study = subject.study
    rows: list[list[Text]] = []
    for silo, title, source in zip(
        subject.plan.program.silos, study.silo_titles, study.silo_sources, strict=True
    ):
        rows.append(
            [
                (given(silo.name),),
                w.prose(title, f"title of silo {silo.name}"),
                _terms(w, silo.terms),
                w.prose(source, f"source of silo {silo.name}"),
            ]
        )
    for name, title in zip(subject.plan.program.helpers, study.helper_titles, strict=True):
        rows.append(
            [
                (given(name),),
                w.prose(title, f"title of helper {name}"),
                say("people.no_data"),
                say("document.nothing"),
            ]
        )
    return w.table("people.parties_caption", ("party", "who", "terms", "source"), rows)


def _terms(w: Writer, terms: Terms) -> Text:
    words = w.say(f"people.{terms.kind}", reference=given(terms.reference))
    if not terms.approval:
        return words
    return (*words, *w.say("people.approval", approval=given(terms.approval)))


def _panels(w: Writer) -> Table:
    def row(panel: Panel) -> list[Part]:
        numeric = w.integer(len(panel.genes), "plan: program.panels[].genes", "length")
        low, high = (w.say.decimal(decimal_text(end)) for end in (panel.low, panel.high))
        listing = code(panel.list_sha256) if panel.list_sha256 else w.say("people.inline")
        return [given(panel.name), numeric, panel.source_unit, f"{low} – {high}", listing]

    rows = [row(panel) for panel in w.subject.plan.program.panels]
    columns = ("panel", "genes", "unit", "range", "list_sha")
    return w.table("people.panels_caption", columns, rows, numeric=(1,))


def _otherwise(w: Writer, column: CategoryColumn) -> Text:
    if column.otherwise is None:
        return ()
    return w.say("people.otherwise", value=given(column.otherwise))


def _samples(w: Writer) -> Text:
    person = w.subject.plan.program.person
    if person.samples == 1:
        text = w.say("people.samples_one")
    else:
        text = w.say("people.samples_many", number=w.integer(person.samples, _SAMPLES))
    if person.per is not None:
        text = (*text, *w.say("people.per", column=given(person.per)))
    if person.keep is None:
        return (*text, *w.say("people.keep_hash"))
    return (*text, *w.say("people.keep_date", column=given(person.keep)))


def _silos(w: Writer) -> Text:
    silos = w.subject.plan.program.person.silos
    if silos == 1:
        return w.say("people.one_silo")
    return w.say("people.many_silos", number=w.integer(silos, "plan: program.person.silos"))


_SAMPLES = "plan: program.person.samples"
