"""What changes between two plans, in words and figures: whoever approved the old one reads this."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from secgen_dsl.describe.catalogue import ENGLISH
from secgen_dsl.describe.changes import Change, figure, items, named_order, order, value
from secgen_dsl.describe.difference_measured import (
    columns_changes,
    panels_changes,
    public_files_changes,
    queries_changes,
)
from secgen_dsl.describe.odds import odds_of
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import (
    Audience,
    Person,
    Program,
    SampleRelease,
    Silo,
    Study,
    Terms,
    decimal_text,
)
from secgen_dsl.ir.statement import percent_text
from secgen_dsl.verifier import Verified


@dataclass(frozen=True)
class Side:
    """One of the two plans.

    Attributes:
        study: None where only the plan is known, as from the results of a run.
        messages_rounds: rounds of messages of a run.
        messages_bytes: that each party sends in a run.
    """

    plan: Plan
    study: Study | None
    verified: Verified
    messages_rounds: int
    messages_bytes: int


@dataclass(frozen=True)
class Section:
    """The changes of one kind; there is at least one."""

    title: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Difference:
    """What changes from an old plan to a new one.

    Attributes:
        same: the plans have one hash: an approval of the old one covers the new one.
        before_sha256: hash of the old plan.
        after_sha256: hash of the new plan.
        sections: what changes in the plan; empty where the plans are the same.
        prose: what changes in the study's prose, which has a hash of its own; None where a side's
            is not known.
    """

    same: bool
    before_sha256: str
    after_sha256: str
    sections: tuple[Section, ...]
    prose: tuple[Change, ...] | None


def difference(old: Side, new: Side) -> Difference:
    """What changes from ``old`` to ``new``."""
    found = [Section(title, tuple(compare(old, new))) for title, compare in _SECTIONS]
    return Difference(
        same=old.verified.plan_sha256 == new.verified.plan_sha256,
        before_sha256=old.verified.plan_sha256,
        after_sha256=new.verified.plan_sha256,
        sections=tuple(section for section in found if section.changes),
        prose=None if None in (old.study, new.study) else tuple(_prose(old, new)),
    )


def _promise(old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program
    yield from value("one person", _adjacency(before), _adjacency(after))
    yield from _budget("epsilon", before.privacy.epsilon, after.privacy.epsilon)
    yield from _budget("delta", before.privacy.delta, after.privacy.delta)
    yield from value("noise", _noise(before), _noise(after))
    yield from figure("certified epsilon", old.verified.epsilon, new.verified.epsilon, _rounded_up)
    yield from value("certified by", _accountant(old.verified), _accountant(new.verified))
    compositions = [side.verified.composition for side in (old, new)]
    mus = [float(composition.mu_squared) ** 0.5 for composition in compositions]
    if all(composition.pure is None for composition in compositions):
        yield from figure("mu", mus[0], mus[1], lambda number: f"{number:.3g}")
    odds = [odds_of(composition) for composition in compositions]
    yield from value(
        "best guess whether a person took part is right", *(each.accuracy for each in odds)
    )
    yield from value(
        "of 1,000 people who took part, flagged at most", *(str(each.flagged) for each in odds)
    )


def _budget(what: str, before: Fraction, after: Fraction) -> Iterator[Change]:
    if before != after:
        factor = float(after / before) if before > 0 and after > 0 else None
        yield Change(what, decimal_text(before), decimal_text(after), factor)


def _rounded_up(epsilon: float) -> str:
    """Three digits, so that a spare thousandth of the budget is no change; never too little."""
    exact = Decimal(epsilon)
    unit = Decimal(1).scaleb(exact.adjusted() - 2)
    return f"{float(exact.quantize(unit, ROUND_CEILING)):.6g}"


def _adjacency(program: Program) -> str:
    if program.privacy.adjacency == "add-or-remove":
        return "is added or removed"
    return "is replaced by another one; the number of people is public"


def _noise(program: Program) -> str:
    return f"discrete {program.privacy.mechanism.capitalize()}"


def _accountant(verified: Verified) -> str:
    if verified.composition.pure is not None:
        return "an exact sum"
    if verified.composition.events is None:
        return "Rényi differential privacy"
    return "privacy loss distributions"


def _people(old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program
    yield from value("key", before.person.key, after.person.key)
    yield from value("samples of a person", _samples(before.person), _samples(after.person))
    yield from value("of more samples, kept", _kept(before.person), _kept(after.person))
    yield from value("silos of a person", str(before.person.silos), str(after.person.silos))
    yield from value("people in all", _bound(before), _bound(after))
    expected = _expectations(before), _expectations(after)
    yield from items("expected", expected[0], expected[1], lambda words: words, value)
    yield from order("expectations", *expected)


def _samples(person: Person) -> str:
    per = f" for each value of {person.per}" if person.per is not None else ""
    return f"at most {person.samples}{per}"


def _kept(person: Person) -> str:
    return "chosen by a keyed hash" if person.keep is None else f"the earliest by {person.keep}"


def _bound(program: Program) -> str:
    bound = program.person.people_bound
    if bound is None:
        return "not stated"
    kind = "at most" if program.privacy.adjacency == "add-or-remove" else "exactly"
    return f"{kind} {bound:,}"


def _expectations(program: Program) -> dict[str, str]:
    return {
        f"{each.column} {each.value}": percent_text(each.share)
        + (f' by "{each.provenance}"' if each.provenance else "")
        for each in program.expectations
    }


def _parties(old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program
    yield from items(
        "silo",
        {silo.name: silo for silo in before.silos},
        {silo.name: silo for silo in after.silos},
        lambda silo: f"terms {_terms(silo.terms)}",
        _silo,
    )
    yield from named_order("silos", before.silos, after.silos)
    yield from items(
        "helper",
        {name: name for name in before.helpers},
        {name: name for name in after.helpers},
        lambda _: "without data",
        lambda *_: iter(()),
    )
    yield from order("helpers", before.helpers, after.helpers)
    yield from value("tolerated colluding parties", _tolerated(before), _tolerated(after))


def _silo(what: str, old: Silo, new: Silo) -> Iterator[Change]:
    yield from value(f"{what}: terms", _terms(old.terms), _terms(new.terms))


def _terms(terms: Terms) -> str:
    words = terms.kind + (f' "{terms.reference}"' if terms.reference else "")
    return words + (f' with approval "{terms.approval}"' if terms.approval else "")


def _tolerated(program: Program) -> str:
    return f"{program.tolerated} of {len(program.parties)}"


def _audiences(old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program
    yield from value("samples", _released(before.samples), _released(after.samples))
    yield from value(
        "measurements", audience_words(before.measurements), audience_words(after.measurements)
    )


def audience_words(audience: Audience) -> str:
    """Who an audience is, in English."""
    return ENGLISH.words(f"audience.{audience.kind}", name=audience.name)


def _released(samples: SampleRelease | None) -> str:
    if samples is None:
        return ""
    formats = ", ".join(samples.formats)
    return f"{samples.rows:,} rows to {audience_words(samples.audience)} as {formats}"


def _messages(old: Side, new: Side) -> Iterator[Change]:
    yield from figure(
        "rounds", old.messages_rounds, new.messages_rounds, lambda number: f"{number:.0f}"
    )
    yield from figure(
        "bytes sent by each party", old.messages_bytes, new.messages_bytes, lambda x: f"{x:,.0f}"
    )


_SECTIONS: tuple[tuple[str, Callable[[Side, Side], Iterator[Change]]], ...] = (
    ("promise", _promise),
    ("people", _people),
    ("parties and trust", _parties),
    ("audiences", _audiences),
    ("columns", lambda old, new: columns_changes(old.plan, new.plan)),
    ("panels and genes", lambda old, new: panels_changes(old.plan, new.plan)),
    ("queries", lambda old, new: queries_changes(old.plan, new.plan)),
    ("messages", _messages),
    ("public files", lambda old, new: public_files_changes(old.plan, new.plan)),
)


def _prose(old: Side, new: Side) -> Iterator[Change]:
    before_prose, after_prose = old.study, new.study
    if before_prose is None or after_prose is None:
        return
    if sha256_of(before_prose) == sha256_of(after_prose):
        return
    for name in ("title", "purpose", "reference", "contact", "cohort", "inclusion", "not_for",
                 "retention"):  # fmt: skip
        yield from value(
            name.replace("_", " "), getattr(before_prose, name), getattr(after_prose, name)
        )
    for kind, before, after in (
        ("title of silo", _silo_prose(old, "silo_titles"), _silo_prose(new, "silo_titles")),
        ("source of silo", _silo_prose(old, "silo_sources"), _silo_prose(new, "silo_sources")),
        (
            "title of helper",
            dict(zip(old.plan.program.helpers, before_prose.helper_titles, strict=True)),
            dict(zip(new.plan.program.helpers, after_prose.helper_titles, strict=True)),
        ),
    ):
        for name in [each for each in before if each in after]:
            yield from value(f"{kind} {name}", before[name], after[name])


def _silo_prose(side: Side, which: str) -> dict[str, str]:
    names = [silo.name for silo in side.plan.program.silos]
    return dict(zip(names, getattr(side.study, which), strict=True))
