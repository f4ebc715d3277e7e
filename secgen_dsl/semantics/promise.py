"""The promise, the releases, and the files of a simulation."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import Span, nearest
from secgen_dsl.ir.program import (
    Audience,
    Person,
    Privacy,
    SampleFormat,
    SampleRelease,
    Silo,
)
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

_MAXIMUM_ROWS = 1_000_000
_FORMATS: dict[str, SampleFormat] = {"csv": "csv", "h5ad": "h5ad"}


def resolve_privacy(reader: Reader, person: Person | None) -> Privacy | None:
    """Adjacency, epsilon and delta."""
    block = reader.block(
        tree.PrivacyBlock,
        "privacy",
        "privacy { add or remove one person; epsilon 4; delta 1e-6 }",
    )
    if block is None:
        return None
    known = reader.once(
        block.lines,
        lambda line: line.kind if isinstance(line, tree.BudgetLine) else "add or remove one person",
    )
    head = Span(block.span.source, block.span.start, block.span.start + len("privacy"))
    if "add or remove one person" not in known:
        reader.found.error(
            "SG306",
            "`privacy` does not say what is hidden",
            head,
            "nothing is assumed here",
            "add: add or remove one person",
        )
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
        if not Fraction(1, 10**12) <= delta <= Fraction(1, 1000):
            reader.found.error(
                "SG302",
                "delta lies outside 1e-12 to 0.001",
                numbers["delta"].span,
                "out of range",
                "write, for example: delta 1e-6; safe is far below one in the number of people",
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
        delta = min(Fraction(1, 10**6), Fraction(1, 10 * (bound or 1)))
        reader.defaults.append(f"delta {float(delta):.3g}")
    return Privacy(adjacency="add-or-remove", epsilon=epsilon, delta=delta)


def resolve_release(reader: Reader, silos: Sequence[Silo]) -> tuple[SampleRelease | None, Audience]:
    """What is released, and to whom."""
    block = reader.block(tree.ReleaseBlock, "release", "release { samples 500 to silos as csv }")
    if block is None:
        return None, "silos"
    known = reader.once(
        block.lines,
        lambda line: "samples" if isinstance(line, tree.SamplesLine) else "measurements",
    )
    samples: SampleRelease | None = None
    measurements: Audience = "silos"
    line = known.get("samples")
    if isinstance(line, tree.SamplesLine):
        rows = reader.whole(line.rows, 1, _MAXIMUM_ROWS, "the number of samples")
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


def _audience(reader: Reader, name: tree.Name, silos: Sequence[Silo]) -> Audience:
    """An audience, never wider than the strictest terms."""
    if name.text in ("named", "registered"):
        reader.found.error(
            "SG112",
            f"the audience `{name.text}` comes with a later release",
            name.span,
            "not in this release",
            "release to silos or to public",
        )
        return "silos"
    if name.text not in ("silos", "public"):
        reader.found.error(
            "SG205",
            f'there is no audience "{name.text}"',
            name.span,
            "unknown",
            nearest(name.text, ("silos", "public")) or "use silos or public",
        )
        return "silos"
    if name.text == "silos":
        return "silos"
    for silo in silos:
        if silo.terms.kind != "open":
            reader.found.error(
                "SG307",
                f'the silo "{silo.name}" does not allow a public release (terms {silo.terms.kind})',
                name.span,
                "wider than the strictest terms",
                "release to silos",
            )
            break
    return "public"


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
    return files
