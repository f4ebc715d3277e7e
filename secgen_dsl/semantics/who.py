"""Who takes part: silos, helpers, trust, and what a person is."""

from fractions import Fraction

from secgen_dsl.diagnostics.diagnostic import Span, nearest
from secgen_dsl.ir.program import (
    PARTY_NAME,
    CategoryColumn,
    Expectation,
    Person,
    Silo,
    Terms,
    look_of,
)
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.semantics.vocabulary import Columns
from secgen_dsl.syntax import tree

MAXIMUM_PARTIES = 1000
MAXIMUM_SAMPLES = 1000


def resolve_silos(reader: Reader, block: tree.SilosBlock | None) -> tuple[Silo, ...]:
    """The silos, each with its terms."""
    study = next(reader.spec.all(tree.StudyBlock), None)
    if study is not None:
        reader.once(study.lines, lambda line: line.kind.replace("_", " "))
    if block is None:
        return ()
    if block.hold.text != "patients":
        reader.found.error(
            "SG217",
            "in version 1 silos hold patients: different people, the same columns",
            block.hold.span,
            "not in version 1",
            "write: silos hold patients { … }",
        )
    if not block.silos:
        reader.found.error(
            "SG208",
            "no silo holds patients",
            block.span,
            "an empty list",
            "list the hospitals: { north terms open }",
        )
    reader.distinct((line.name for line in block.silos), "silo")
    for line in block.silos:
        _party_name(reader, line.name)
    silos = []
    for line in block.silos:
        terms = [c for c in line.clauses if isinstance(c, tree.TermsClause)]
        approvals = [c for c in line.clauses if isinstance(c, tree.ApprovalClause)]
        reader.once(line.clauses, _clause_word)
        if not terms:
            reader.found.error(
                "SG203",
                f'the silo "{line.name.text}" does not state its terms',
                line.span,
                "no `terms`",
                'add: terms open, terms consent "CODE" or terms controlled "dbGaP phs…"',
            )
        for clause in terms[:1]:
            if clause.reference is not None:
                reader.printable(clause.reference, "the terms need words that say what they are")
        reference = terms[0].reference.text if terms and terms[0].reference else ""
        if terms and terms[0].kind != "open" and not reference:
            reader.found.error(
                "SG207",
                f"terms {terms[0].kind} need words that say what was agreed",
                terms[0].span,
                "empty",
                'write, for example: terms consent "GRU"',
            )
        kind = terms[0].kind if terms else "open"  # a stand-in: the error above ends the command
        if approvals and kind == "open":
            reader.found.error(
                "SG220",
                "open terms need no approval",
                approvals[0].span,
                "any release is allowed already",
                "leave it out",
            )
        for approval in approvals[:1]:
            reader.printable(approval.text, "an approval needs words that say whose it is")
        words = approvals[0].text.text if approvals else ""
        terms_of = Terms(kind=kind, reference=reference, approval=words)  # type: ignore[arg-type]
        silos.append(Silo(name=line.name.text, terms=terms_of))
    return tuple(silos)


def _clause_word(clause: tree.TermsClause | tree.ApprovalClause | tree.SourceClause) -> str:
    if isinstance(clause, tree.TermsClause):
        return "terms"
    return "approval" if isinstance(clause, tree.ApprovalClause) else "source"


def resolve_helpers(reader: Reader) -> tuple[tree.HelperLine, ...]:
    """The helpers; their names differ from the silos' names."""
    blocks = list(reader.spec.all(tree.HelpersBlock))
    for extra in blocks[1:]:
        reader.found.error(
            "SG202", "a second `helpers`", extra.span, "written twice", "put all into one"
        )
    lines = blocks[0].helpers if blocks else ()
    silos = next(reader.spec.all(tree.SilosBlock), None)
    taken = [line.name for line in silos.silos] if silos else []
    for line in lines:
        _party_name(reader, line.name)
        if line.name.text in {name.text for name in taken}:
            reader.found.error(
                "SG206",
                f'"{line.name.text}" is the name of another party already',
                line.name.span,
                "the second one",
                "give the helper a name of its own",
            )
        taken.append(line.name)
    looks: dict[str, tree.Name] = {}
    for name in taken:
        first = looks.setdefault(look_of(name.text), name)
        if first.text != name.text:
            reader.found.error(
                "SG206",
                f'"{first.text}" and "{name.text}" look alike',
                name.span,
                "the second one",
                "give the party a name that nobody mistakes for it on paper or by telephone",
            )
    return lines


def _party_name(reader: Reader, name: tree.Name) -> None:
    """A party's name becomes a folder and a certificate's subject: plain words only."""
    if not PARTY_NAME.fullmatch(name.text):
        reader.found.error(
            "SG207",
            "the name of a party has only letters, digits, `-` and `_`, and at most 40 of them",
            name.span,
            "not a party's name",
            'put the full name behind it, in quotes: north "North Hospital"',
        )


def resolve_trust(reader: Reader, parties: int, silos: tree.SilosBlock | None) -> int:
    """The number of parties that may collude."""
    block = reader.block(tree.TrustBlock, "trust", "trust { tolerate 1 colluding party }")
    if block is None:
        return 1
    if not block.lines:
        reader.found.error(
            "SG203",
            "`trust` does not say how many parties may collude",
            block.span,
            "no `tolerate`",
            "add: tolerate 1 colluding party",
        )
        return 1
    reader.once(block.lines, lambda line: "tolerate")
    line = block.lines[0]
    tolerated = reader.whole(line.number, 1, 1_000, "the number of colluding parties")
    place = silos.span if silos is not None else block.span
    if parties < 3:
        reader.found.error(
            "SG303",
            f"{parties} {'party' if parties == 1 else 'parties'} cannot hide anything "
            "from each other; at least 3 are needed",
            Span(place.source, place.start, place.start + len("silos")),
            "with two parties, a share of the total is the other party's value",
            'add a party without data: helpers { university "University computing centre" }',
        )
    elif parties > MAXIMUM_PARTIES:
        reader.found.error(
            "SG208",
            f"{parties:,} parties are more than a run can connect",
            Span(place.source, place.start, place.start + len("silos")),
            f"at most {MAXIMUM_PARTIES:,}",
            "let hospitals that pool their data already be one silo",
        )
    elif 2 * tolerated >= parties:
        most = (parties - 1) // 2
        reader.found.error(
            "SG304",
            f"{tolerated} of {parties} parties is not a minority",
            line.number.span,
            f"at most {most} here",
            f"tolerate at most {most}, or add helpers (2·{tolerated} + 1 = "
            f"{2 * tolerated + 1} parties are needed)",
        )
    return tolerated


_WORDS = {
    "samples": "at most … sample",
    "silos": "in at most … silo",
    "people": "at most … people in all",
}
_EXAMPLES = {
    "key": "key patient",
    "at most … sample": "at most 1 sample",
    "in at most … silo": "in at most 1 silo",
}


def resolve_person(reader: Reader, silos: int) -> Person | None:
    """What one person can contribute: nothing of it has a default.

    Args:
        silos: number of silos that the spec declares.
    """
    block = reader.block(
        tree.PersonBlock,
        "person",
        "person { key patient; at most 1 sample; in at most 1 silo }",
    )
    if block is None:
        return None
    lines = [line for line in block.lines if not isinstance(line, tree.ExpectLine)]
    known = reader.once(lines, _person_word)
    for word, example in _EXAMPLES.items():
        if word not in known:
            reader.found.error(
                "SG306",
                f"`person` does not say `{word}`: what is protected would be unknown",
                Span(block.span.source, block.span.start, block.span.start + len("person")),
                "nothing is assumed here",
                f"add: {example}",
            )
    bounds = {line.kind: line for line in lines if isinstance(line, tree.PersonBound)}
    samples = in_silos = 1
    if "samples" in bounds:
        what = "the number of samples a person"
        samples = reader.whole(bounds["samples"].number, 1, MAXIMUM_SAMPLES, what)
    if "silos" in bounds:
        what = "the number of silos a person is in"
        in_silos = reader.whole(bounds["silos"].number, 1, max(silos, 1), what)
    people = None
    if "people" in bounds:
        people = reader.whole(bounds["people"].number, 1, 2**32, "the bound on people")
    keep = next((line.column for line in lines if isinstance(line, tree.KeepLine)), None)
    key = next((line.name for line in lines if isinstance(line, tree.PersonKey)), None)
    if key is not None:
        reader.printable(key, "the key of a person needs the name of a column")
    if keep is not None:
        reader.printable(keep, "the date needs the name of a column")
    if keep is not None and key is not None and keep.text == key.text:
        reader.found.error(
            "SG206",
            f'"{keep.text}" tells people apart, so it is no date',
            keep.span,
            "also the key",
            "name the column of dates at the sites: keep earliest collected",
        )
    if keep is None:
        reader.defaults.append("of more samples of a person, those that a keyed hash picks")
    per = bounds["samples"].per if "samples" in bounds else None
    return Person(
        key=key.text if key is not None else "",
        samples=samples,
        per=per.text if per is not None else None,
        keep=keep.text if keep is not None else None,
        silos=in_silos,
        people_bound=people,
    )


def _person_word(line: tree.PersonKey | tree.PersonBound | tree.KeepLine) -> str:
    if isinstance(line, tree.PersonKey):
        return "key"
    return "keep" if isinstance(line, tree.KeepLine) else _WORDS[line.kind]


def check_person(reader: Reader, columns: Columns) -> None:
    """The columns that `person` names: a category behind `per`, no label behind `keep`."""
    known = {column.name: column for column in columns.columns}
    for block in reader.spec.all(tree.PersonBlock):
        for line in block.lines:
            if isinstance(line, tree.PersonBound) and line.per is not None:
                column = known.get(line.per.text)
                if isinstance(column, CategoryColumn):
                    continue
                reader.found.error(
                    "SG205",
                    f'"{line.per.text}" is not a category column',
                    line.per.span,
                    "behind `per`",
                    nearest(line.per.text, known)
                    or "name a column of `columns` with a public list of values",
                )
            if isinstance(line, tree.KeepLine) and line.column.text in known:
                reader.found.error(
                    "SG206",
                    f'"{line.column.text}" is a label, so it is no date',
                    line.column.span,
                    "also in `columns`",
                    "name the column of dates at the sites: keep earliest collected",
                )


def resolve_expectations(reader: Reader, columns: Columns) -> tuple[Expectation, ...]:
    """The public assertions about how many people have a value, from `person` and `privacy`."""
    known = {column.name: column for column in columns.columns}
    found: dict[tuple[str, str], Expectation] = {}
    totals: dict[str, Fraction] = {}
    lines = [
        *(line for block in reader.spec.all(tree.PersonBlock) for line in block.lines),
        *(line for block in reader.spec.all(tree.PrivacyBlock) for line in block.lines),
    ]
    for line in (one for one in lines if isinstance(one, tree.ExpectLine)):
        column = known.get(line.column.text)
        name, value, share = line.column.text, line.value.text, line.percent.value / 100
        if column is None:
            reader.found.error(
                "SG205",
                f'there is no column "{name}"',
                line.column.span,
                "not declared",
                nearest(name, known) or "expect a value of a column: expect subtype MSI ~ 15%",
            )
        elif value not in column.values:
            reader.found.error(
                "SG205",
                f'"{value}" is not a value of "{name}"',
                line.value.span,
                "not in the list",
                nearest(value, column.values) or f"the values are {', '.join(column.values[:5])}",
            )
        elif not 0 < share < 1:
            reader.found.error(
                "SG216",
                "an expected share lies between 0% and 100%",
                line.percent.span,
                "out of range",
                f"write, for example: expect {name} {value} ~ 15%",
            )
        elif (name, value) in found:
            reader.found.error(
                "SG204",
                f'"{name} {value}" is expected twice',
                line.span,
                "the second time",
                "remove one of them",
            )
        else:
            totals[name] = totals.get(name, Fraction(0)) + share
            if totals[name] > 1:
                reader.found.error(
                    "SG216",
                    f'the expected shares of "{name}" add up to more than 100%',
                    line.percent.span,
                    f"{float(100 * totals[name]):.6g}% with this one",
                    "lower some of them",
                )
            provenance = line.provenance.text if line.provenance else ""
            found[name, value] = Expectation(
                column=name, value=value, share=share, provenance=provenance
            )
    return tuple(found.values())
