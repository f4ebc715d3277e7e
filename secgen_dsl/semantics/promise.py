"""The promise, the releases, and the files of a simulation."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from secgen_dsl.diagnostics.diagnostic import Span, nearest
from secgen_dsl.ir.program import (
    AUDIENCES,
    Audience,
    Mechanism,
    Person,
    Privacy,
    SampleFormat,
    SampleRelease,
    Silo,
)
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

_MAXIMUM_ROWS = 1_000_000
_SILOS = Audience(kind="silos", name="")
_FORMATS: dict[str, SampleFormat] = {"csv": "csv", "h5ad": "h5ad"}
_MECHANISMS: dict[str, Mechanism] = {"gaussian": "gaussian", "laplace": "laplace"}


def resolve_privacy(reader: Reader, person: Person | None) -> tuple[Privacy | None, Person | None]:
    """Adjacency, epsilon and delta; the exact number of people of replace-one goes to `person`."""
    block = reader.block(
        tree.PrivacyBlock,
        "privacy",
        "privacy { add or remove one person; epsilon 4; delta 1e-6 }",
    )
    if block is None:
        return None, person
    lines = [line for line in block.lines if not isinstance(line, tree.ExpectLine)]
    known = reader.once(lines, _promise_word)
    head = Span(block.span.source, block.span.start, block.span.start + len("privacy"))
    replaced = known.get("replace one person")
    if "add or remove one person" in known and isinstance(replaced, tree.ReplaceOne):
        reader.found.error(
            "SG204",
            "`privacy` says twice what is hidden",
            replaced.span,
            "also `add or remove one person`",
            "keep one of them; `replace one person` makes the number of people public",
        )
    elif isinstance(replaced, tree.ReplaceOne):
        person = _exact_people(reader, replaced, person)
    elif "add or remove one person" not in known:
        reader.found.error(
            "SG306",
            "`privacy` does not say what is hidden",
            head,
            "nothing is assumed here",
            "add: add or remove one person",
        )
    asked = _mechanism(reader, known)
    numbers = {x.kind: x.number for x in block.lines if isinstance(x, tree.BudgetLine)}
    epsilon = Fraction(1)
    if "epsilon" not in numbers:
        reader.found.error(
            "SG203",
            "`privacy` does not state epsilon",
            head,
            "no `epsilon`",
            "add, for example: epsilon 1",
        )
    else:
        epsilon = numbers["epsilon"].value
        if not Fraction(1, 1000) <= epsilon <= 50:
            reader.found.error(
                "SG301",
                "epsilon lies outside 0.001 to 50",
                numbers["epsilon"].span,
                "0 would forbid any answer" if epsilon == 0 else "out of range",
                "write, for example: epsilon 4; smaller protects more, usual are 0.5 to 8",
            )
            epsilon = Fraction(1)
    bound = person.people_bound if person is not None else None
    if "delta" in numbers:
        delta = numbers["delta"].value
        if delta == 0 and asked == "gaussian":
            reader.found.error(
                "SG220",
                "delta 0 cannot be kept with Gaussian noise",
                numbers["delta"].span,
                "needs Laplace noise",
                "leave out `mechanism gaussian`: delta 0 alone asks for Laplace noise; or write, "
                "for example: delta 1e-6",
            )
        elif delta != 0 and not Fraction(1, 10**12) <= delta <= Fraction(1, 1000):
            reader.found.error(
                "SG302",
                "delta lies outside 1e-12 to 0.001, and is not 0",
                numbers["delta"].span,
                "out of range",
                "write, for example: delta 1e-6; safe is far below one in the number of people; "
                "0 asks for Laplace noise",
            )
        elif bound is not None and delta * bound > 1:
            reader.found.error(
                "SG305",
                f"delta is greater than one in {bound:,} people: it would allow giving "
                "somebody's row away",
                numbers["delta"].span,
                f"at most 1/{bound}",
                f"write: delta 1e-{len(str(bound)) + 1}",
            )
    else:
        delta = Fraction(0)
        if asked != "laplace":
            delta = min(Fraction(1, 10**6), Fraction(1, 10 * (bound or 1)))
        reader.defaults.append(f"delta {float(delta):.3g}")
    adjacency: Literal["add-or-remove", "replace-one"] = (
        "add-or-remove" if replaced is None else "replace-one"
    )
    mechanism: Mechanism = asked or ("laplace" if delta == 0 else "gaussian")
    if asked is None:
        reader.defaults.append(f"mechanism {mechanism}")
    return (
        Privacy(adjacency=adjacency, epsilon=epsilon, delta=delta, mechanism=mechanism),
        person,
    )


def _promise_word(
    line: tree.AddOrRemove
    | tree.ReplaceOne
    | tree.BudgetLine
    | tree.MechanismLine
    | tree.LearnedLimit,
) -> str:
    if isinstance(line, tree.BudgetLine):
        return line.kind
    if isinstance(line, tree.MechanismLine):
        return "mechanism"
    if isinstance(line, tree.LearnedLimit):
        return "learned bins"
    return (
        "add or remove one person" if isinstance(line, tree.AddOrRemove) else "replace one person"
    )


def _exact_people(reader: Reader, line: tree.ReplaceOne, person: Person | None) -> Person | None:
    people = reader.whole(line.number, 1, 2**32, "the number of people")
    if person is None:
        return None
    if person.people_bound is not None:
        reader.found.error(
            "SG204",
            "the number of people is stated twice",
            line.span,
            "exact here, and a bound in `person`",
            "remove `at most … people in all`",
        )
    return person.model_copy(update={"people_bound": people})


def _mechanism(reader: Reader, known: Mapping[str, object]) -> Mechanism | None:
    """What `mechanism …` asks for; None if nothing is asked, or known, by that name."""
    line = known.get("mechanism")
    asked = None
    if isinstance(line, tree.MechanismLine):
        asked = _MECHANISMS.get(line.name.text)
        if asked is None:
            reader.found.error(
                "SG205",
                f'there is no mechanism "{line.name.text}"',
                line.name.span,
                "unknown",
                nearest(line.name.text, _MECHANISMS) or "leave the line out",
            )
    limit = known.get("learned bins")
    if isinstance(limit, tree.LearnedLimit) and not 0 < limit.percent.value < 100:
        reader.found.error(
            "SG216",
            "learned bins use more than 0% and less than 100% of a query's own share",
            limit.percent.span,
            "out of range",
            "write: learned bins using at most 15%",
        )
    return asked


def resolve_release(
    reader: Reader, silos: Sequence[Silo], person: Person | None
) -> tuple[SampleRelease | None, Audience]:
    """What is released, and to whom."""
    block = reader.block(tree.ReleaseBlock, "release", "release { samples 500 to silos as csv }")
    if block is None:
        return None, _SILOS
    known = reader.once(
        block.lines,
        lambda line: "samples" if isinstance(line, tree.SamplesLine) else "measurements",
    )
    samples: SampleRelease | None = None
    measurements = _SILOS
    line = known.get("samples")
    if isinstance(line, tree.SamplesLine):
        rows = reader.whole(line.rows, 1, _MAXIMUM_ROWS, "the number of samples")
        _check_rows(reader, line.rows, rows, person)
        formats = _formats(reader, line)
        samples = SampleRelease(
            rows=rows, audience=_audience(reader, line.audience, silos), formats=formats
        )
    line = known.get("measurements")
    if isinstance(line, tree.MeasurementsLine):
        measurements = _audience(reader, line.audience, silos)
    else:
        reader.defaults.append("measurements to silos")
    return samples, measurements


def _check_rows(reader: Reader, number: tree.Number, rows: int, person: Person | None) -> None:
    """Warn if the samples are as many as the people (PRIVACY 7.3, S15)."""
    if person is None or rows != person.people_bound:
        return
    reader.found.warn(
        "SG316",
        f"there are as many samples as people are stated: {rows:,}",
        number.span,
        "readers will take each sample for a patient",
        "choose another number: it is free, and more samples tell no more of anybody",
    )


def _formats(reader: Reader, line: tree.SamplesLine) -> tuple[SampleFormat, ...]:
    """The formats of the samples."""
    if not line.formats:
        reader.defaults.append("samples as csv")
        return ("csv",)
    reader.distinct(line.formats, "format")
    formats: list[SampleFormat] = []
    for name in line.formats:
        if name.text in _FORMATS:
            formats.append(_FORMATS[name.text])
        else:
            reader.found.error(
                "SG205",
                f'there is no format "{name.text}"',
                name.span,
                "unknown",
                nearest(name.text, _FORMATS) or "use csv or h5ad",
            )
    return tuple(formats)


def _audience(reader: Reader, line: tree.AudienceName, silos: Sequence[Silo]) -> Audience:
    """An audience, never wider than the strictest terms."""
    kind = next((kind for kind in AUDIENCES if kind == line.kind.text), None)
    if kind is None:
        reader.found.error(
            "SG205",
            f'there is no audience "{line.kind.text}"',
            line.span,
            "unknown",
            nearest(line.kind.text, AUDIENCES) or f"the audiences are {', '.join(AUDIENCES)}",
        )
        return _SILOS
    who = line.who.text if line.who is not None else ""
    if kind == "named" and not who:
        reader.found.error(
            "SG207",
            "a named audience needs its name",
            line.span,
            "nobody is named",
            'write, for example: to named "Members of the consortium"',
        )
        return _SILOS
    if line.who is not None:
        reader.printable(line.who, "a named audience needs a name that can be printed")
    for silo in silos:
        widest = silo.terms.widest
        if AUDIENCES.index(kind) <= AUDIENCES.index(widest):
            continue
        reader.found.error(
            "SG307",
            f'the terms of "{silo.name}" ({silo.terms.kind} "{silo.terms.reference}") allow a '
            f"release to {widest}, not to {kind}",
            line.span,
            "wider than the strictest terms",
            f"release to {widest}; or, if it was approved, write behind the silo's terms: "
            'approval "WHO AND WHEN"',
        )
        break
    return Audience(kind=kind, name=who)


def resolve_simulate(reader: Reader, silos: Sequence[Silo]) -> dict[str, Path]:
    """The sample files of a simulation by silo."""
    blocks = list(reader.spec.all(tree.SimulateBlock))
    for extra in blocks[1:]:
        reader.found.error(
            "SG202", "a second `simulate`", extra.span, "written twice", "put all into one"
        )
    files: dict[str, Path] = {}
    names = list(dict.fromkeys(silo.name for silo in silos))
    for line in blocks[0].files if blocks else ():
        if line.silo.text not in names:
            reader.found.error(
                "SG205",
                f'there is no silo "{line.silo.text}"',
                line.silo.span,
                "unknown",
                nearest(line.silo.text, names) or f"the silos are {', '.join(names)}",
            )
        elif line.silo.text in files:
            reader.found.error(
                "SG204",
                f'"{line.silo.text}" stands here twice',
                line.silo.span,
                "the second one",
                "remove one of them",
            )
        else:
            files[line.silo.text] = reader.folder / line.file.text
            _check_not_public(reader, line)
    return files


def _check_not_public(reader: Reader, line: tree.SampleFile) -> None:
    """A silo's own table is no public file (PRIVACY 7.3, S03)."""
    own = (reader.folder / line.file.text).resolve()
    if any((reader.folder / name).resolve() == own for name in reader.files):
        reader.found.error(
            "SG213",
            f'a public file of this spec is the table of the silo "{line.silo.text}"',
            line.file.span,
            "the patients' own rows",
            "name a table of other people, who are public: bins from the patients' own rows move "
            "with each patient, by more than the noise hides",
        )
