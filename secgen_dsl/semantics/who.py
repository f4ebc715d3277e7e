"""Who takes part: silos, helpers, trust, and what a person is."""

import re

from secgen_dsl.diagnostics.diagnostic import Span
from secgen_dsl.ir.program import Person, Silo, Terms
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

PARTY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


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
    reader.distinct((line.name for line in block.silos), "silo")
    for line in block.silos:
        _party_name(reader, line.name)
    silos = []
    for line in block.silos:
        terms = [c for c in line.clauses if isinstance(c, tree.TermsClause)]
        reader.once(
            line.clauses, lambda c: "terms" if isinstance(c, tree.TermsClause) else "source"
        )
        if not terms:
            reader.found.error(
                "SG203",
                f'the silo "{line.name.text}" does not state its terms',
                line.span,
                "no `terms`",
                'add: terms open, terms consent "CODE" or terms controlled "dbGaP phs…"',
            )
        reference = terms[0].reference.text if terms and terms[0].reference else ""
        kind = terms[0].kind if terms else "open"  # a stand-in: the error above ends the command
        silos.append(
            Silo(name=line.name.text, terms=Terms(kind=kind, reference=reference))  # type: ignore[arg-type]
        )
    return tuple(silos)


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


def resolve_person(reader: Reader) -> Person | None:
    """What one person can contribute: nothing of it has a default."""
    block = reader.block(
        tree.PersonBlock,
        "person",
        "person { key patient; at most 1 sample; in at most 1 silo }",
    )
    if block is None:
        return None
    words = {
        "samples": "at most … sample",
        "silos": "in at most … silo",
        "people": "at most … people in all",
    }
    known = reader.once(
        block.lines,
        lambda line: "key" if isinstance(line, tree.PersonKey) else words[line.kind],
    )
    examples = {
        "key": "key patient",
        "at most … sample": "at most 1 sample",
        "in at most … silo": "in at most 1 silo",
    }
    for word, example in examples.items():
        if word not in known:
            reader.found.error(
                "SG306",
                f"`person` does not say `{word}`: what is protected would be unknown",
                Span(block.span.source, block.span.start, block.span.start + len("person")),
                "nothing is assumed here",
                f"add: {example}",
            )
    bounds = {line.kind: line.number for line in block.lines if isinstance(line, tree.PersonBound)}
    for kind, noun in (("samples", "sample"), ("silos", "silo")):
        if kind in bounds and bounds[kind].value > 1:
            reader.found.error(
                "SG112",
                f"more than one {noun} a person comes with a later release",
                bounds[kind].span,
                "1 in this release",
                f"write: at most 1 {noun}",
            )
        elif kind in bounds:
            reader.whole(bounds[kind], 1, 1, f"the number of {noun}s a person")
    people = None
    if "people" in bounds:
        people = reader.whole(bounds["people"], 1, 2**32, "the bound on people")
    key = next((x.name.text for x in block.lines if isinstance(x, tree.PersonKey)), "")
    return Person(key=key, samples=1, silos=1, people_bound=people)
