"""The study's program: one readable file from the plan, the same bytes on every machine.

The text comes from ``template.py``, which is itself valid Python: blocks between ``# <name>`` and
``# </name>`` are repeated for each round or release, and names in capitals that begin with
``SLOT_`` are replaced, once.  Whatever comes from a spec enters as a literal or in a comment, both
of printable characters only, so that no name can become code or hide it.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from secgen_dsl.backends.mpyc.cost import is_bulk, opened_values
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import LaplaceNoise, Noise, Plan, Release, Round
from secgen_dsl.ir.queries import Query, SecondMoment, VectorSum

_WIDTH = 100
_SLOT = re.compile(r"SLOT_[A-Z0-9_]+")


def generate_program(plan: Plan, source_lines: Mapping[str, str]) -> str:
    """The program that every party of the plan runs.

    Args:
        plan: a plan; with the places below it determines the program.
        source_lines: marginal id → place of its statement in the spec, ``colorectal.secgen:47``;
            for a marginal that the planner added, that of the statement that it serves.  The
            place is left out where there is none.

    Returns:
        Python source text that ends with a line break.
    """
    template = Path(__file__).with_name("template.py").read_text(encoding="utf-8")
    # Cut first and fill each piece once: text of the spec is never searched for slots.
    head, _, template = _cut(template, "slots")
    study, prepare, template = _cut(template, "prepare")
    between, exchange, tail = _cut(template, "exchange")
    prepare_head, release, prepare_tail = _cut(prepare, "release")
    encode, gaussian, rest = _cut(release, "gaussian")
    between_noises, laplace, apply = _cut(rest, "laplace")
    noises = {"gaussian": gaussian, "laplace": laplace}
    before_wait, wait, after_wait = _cut(prepare_tail, "wait")
    exchange_head, connect, exchange = _cut(exchange, "connect")
    before_share, arrays, after_arrays = _cut(exchange, "arrays")
    share, add, after_add = _cut(arrays, "add")
    before_native, native, open_total = _cut(after_arrays, "native")

    pieces = [head.rstrip("\n") + "\n\n", _fill(study, _study_slots(plan))]
    for one_round in plan.rounds:
        slots = _round_slots(plan, one_round)
        first = one_round is plan.rounds[0]
        pieces.append(_fill(prepare_head if first else prepare_head.lstrip("\n"), slots))
        for one in one_round.releases:
            release = encode + noises[one.noise.kind] + between_noises + apply
            pieces.append(_fill(release, slots | _release_slots(plan, one, source_lines)))
        pieces.append(_fill(before_wait + ("" if first else wait) + after_wait, slots))
        pieces.append(between if first else "")
        pieces += [
            _fill(exchange_head, slots),
            connect if first else "",
            _fill(before_share, slots),
        ]
        if is_bulk(one_round):
            pieces.append(_fill(native, slots))
        else:
            pieces.append(_fill(share, slots))
            pieces += [_fill(add, {"SLOT_DEALER": str(i)}) for i in range(1, len(plan.parties))]
            pieces.append(_fill(after_add, slots))
        pieces.append(_fill(before_native + open_total, slots))
    pieces.append(tail)
    return "".join(pieces)


def literal(text: str) -> str:
    """``text`` as a Python string literal of printable characters, in one line."""
    written = repr(text)
    if '"' not in text and "'" not in text:
        written = f'"{written[1:-1]}"'
    return written


def printable(text: str) -> str:
    """``text`` with whatever could end a comment, or deceive its reader, written as an escape.

    Line and paragraph separators, control characters and the controls of writing direction
    (Boucher and Anderson, "Trojan Source", 2021) are all unprintable to ``str.isprintable``.
    """
    return "".join(
        char
        if char.isprintable()
        else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def _study_slots(plan: Plan) -> dict[str, str]:
    return {
        "SLOT_PLAN": literal(sha256_of(plan)),
        "SLOT_PARTIES": _tuple([literal(name) for name in plan.parties]),
        "SLOT_THRESHOLD": str(plan.threshold),
        "SLOT_MODULUS": str(plan.modulus),
    }


def _round_slots(plan: Plan, one_round: Round) -> dict[str, str]:
    openings = [
        f"({literal(opening.query)}, {opening.values})"
        for opening in plan.openings
        if opening.round == one_round.number
    ]
    return {
        "SLOT_ROUND": str(one_round.number),
        "SLOT_WHEN": "before connecting" if one_round.number == 1 else "at this site again",
        "SLOT_DELAY": f"{one_round.delay} s",
        "SLOT_ROUND_TITLE": f"Round {one_round.number} of {len(plan.rounds)}",
        "SLOT_OPENINGS": _tuple(openings),
        "SLOT_VALUES": f"{opened_values(one_round):,}",
    }


def _release_slots(plan: Plan, release: Release, source_lines: Mapping[str, str]) -> dict[str, str]:
    query = plan.query(release.query)
    tables, labels, bins = plan.program.shape(query)
    place = source_lines.get(release.query, "")
    added = isinstance(query, VectorSum | SecondMoment)
    draws = "one draw for each"
    if release.halved:
        draws += f" (the last {release.halved} of half the variance)"
    part = "table" if labels == bins else "block"  # by labels a table has several
    mapped = {
        "identity": f"the noised {'sums' if added else 'counts'} as they are",
        "centred": f"each row v of {bins} counts as {bins}*v - sum(v), its last entry left out",
        "double-centred": f"each {part} v of {bins}x{bins} counts as "
        f"{bins**2}*v - {bins}*(row and column sums) + sum(v), last row and column left out",
    }[release.map]
    return {
        "SLOT_STATEMENT": query.statement + (f"  [{place}]" if place else ""),
        "SLOT_SHAPE": f"{tables} x {labels} x {bins} = {release.raw_cells} exact {_what(query)}",
        "SLOT_DRAWS": draws,
        "SLOT_OPENED": f"{release.opened} values: {mapped}",
        "SLOT_QUERY": literal(release.query),
        "SLOT_MAP": literal(release.map),
        **_noise_slots(release.noise),
    }


def _noise_slots(noise: Noise) -> dict[str, str]:
    if isinstance(noise, LaplaceNoise):
        return {"SLOT_SCALE": _fraction(noise.scale), "SLOT_PARTS": str(noise.parts)}
    return {"SLOT_VARIANCE": _fraction(noise.party_variance)}


def _what(query: Query) -> str:
    if isinstance(query, SecondMoment):
        return f"sums of products of scores, clipped to a norm of {query.clip}"
    if isinstance(query, VectorSum):
        return f"sums of vectors, clipped to a norm of {query.clip}"
    return "counts"


def _fraction(number: Fraction) -> str:
    if number.denominator == 1:
        return f"Fraction({number.numerator})"
    return f"Fraction({number.numerator}, {number.denominator})"


def _tuple(items: Sequence[str]) -> str:
    """A tuple as ruff lays it out: an item on each line, or a single one in one line."""
    if len(items) == 1:
        return f"({items[0]},)"
    return "\n".join(["(", *(f"    {item}," for item in items), ")"])


def _cut(text: str, name: str) -> tuple[str, str, str]:
    """What stands before, within and after the block of that name, its markers left out."""
    before, rest = re.split(rf"^ *# <{name}>\n", text, maxsplit=1, flags=re.MULTILINE)
    block, after = re.split(rf"^ *# </{name}>\n", rest, maxsplit=1, flags=re.MULTILINE)
    return before, block, after


def _fill(piece: str, slots: Mapping[str, str]) -> str:
    return "".join(_fill_line(line, slots) + "\n" for line in piece.splitlines())


def _fill_line(line: str, slots: Mapping[str, str]) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if not line.lstrip().startswith("#"):
        code = _SLOT.sub(lambda slot: slots[slot[0]].replace("\n", f"\n{indent}"), line)
        if len(code) <= _WIDTH or "\n" in code or not code.endswith(")"):
            return code
        call, _, arguments = code[:-1].partition("(")  # a call, as ruff breaks it
        return f"{call}(\n{indent}    {arguments}\n{indent})"
    filled = _SLOT.sub(lambda slot: printable(slots[slot[0]]), line)
    if len(filled) <= _WIDTH:
        return filled
    wrapped = textwrap.wrap(
        filled.strip().removeprefix("# "),
        width=_WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=True,
        break_on_hyphens=False,
    )
    return "\n".join(wrapped)
