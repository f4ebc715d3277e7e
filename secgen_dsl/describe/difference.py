"""What changes between two plans, in words and figures: whoever approved the old one reads this."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from types import MappingProxyType

from secgen_dsl.describe.catalogue import ENGLISH, Catalogue
from secgen_dsl.describe.changes import Change, Comparison
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
    Adjacency,
    Audience,
    Person,
    Program,
    SampleRelease,
    Silo,
    Study,
    decimal_text,
)
from secgen_dsl.privacy.accountants import certified_epsilons
from secgen_dsl.privacy.bound import Case, compose
from secgen_dsl.verifier import Verified

_ADJACENCIES: Mapping[Adjacency, str] = MappingProxyType(
    {"add-or-remove": "worth_added", "replace-one": "worth_replaced"}
)


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
class Sides:
    """An old plan, which was approved, and a new one."""

    old: Side
    new: Side

    @property
    def same_plan(self) -> bool:
        """Whether the plans have one hash."""
        return self.old.verified.plan_sha256 == self.new.verified.plan_sha256

    @property
    def same_study(self) -> bool | None:
        """Whether the prose is the same; None: a side's is not known."""
        if self.old.study is None or self.new.study is None:
            return None
        return sha256_of(self.old.study) == sha256_of(self.new.study)

    @property
    def same(self) -> bool:
        """Whether nothing is known that voids an approval, which is of plan and prose."""
        return self.same_plan and self.same_study is not False


@dataclass(frozen=True)
class Section:
    """The changes of one kind; there is at least one.

    Attributes:
        key: of its title, under ``difference``.
    """

    key: str
    title: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Difference:
    """What changes from an old plan to a new one.

    Attributes:
        same: the plans have one hash.
        covered: an approval of the old one covers the new one: plan and prose are the same; None:
            the plans are, but a side's prose is not known.
        before_sha256: hash of the old plan.
        after_sha256: hash of the new plan.
        sections: what changes in the plan; empty where the plans are the same.
        prose: what changes in the study's prose, which has a hash of its own; None where a side's
            is not known.
    """

    same: bool
    covered: bool | None
    before_sha256: str
    after_sha256: str
    sections: tuple[Section, ...]
    prose: tuple[Change, ...] | None


def difference(sides: Sides, say: Catalogue = ENGLISH) -> Difference:
    """What changes from the old plan to the new one."""
    c, old, new = Comparison(say), sides.old, sides.new
    found = [
        Section(key, c.words(key), tuple(compare(c, old, new)))
        for key, compare in _SECTIONS.items()
        if not sides.same_plan  # then nothing differs, and certifying both is work for nothing
    ]
    return Difference(
        same=sides.same_plan,
        covered=sides.same_study if sides.same_plan else False,
        before_sha256=old.verified.plan_sha256,
        after_sha256=new.verified.plan_sha256,
        sections=tuple(section for section in found if section.changes),
        prose=None if None in (old.study, new.study) else tuple(_prose(c, old, new)),
    )


def _promise(c: Comparison, old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program
    yield from c.value(c.words("one_person"), _adjacency(c, before), _adjacency(c, after))
    yield from _budget(c, "epsilon", before.privacy.epsilon, after.privacy.epsilon)
    yield from _budget(c, "delta", before.privacy.delta, after.privacy.delta)
    yield from c.value(
        c.words("noise"),
        c.words(f"noise_{before.privacy.mechanism}"),
        c.words(f"noise_{after.privacy.mechanism}"),
    )
    local = c.say.local
    yield from c.figure(
        c.words("certified_epsilon"),
        old.verified.epsilon,
        new.verified.epsilon,
        lambda number: local(_rounded_up(number)),
    )
    yield from c.value(
        c.words("certified_by"), _accountant(c, old.verified), _accountant(c, new.verified)
    )
    compositions = [side.verified.composition for side in (old, new)]
    mus = [float(composition.mu_squared) ** 0.5 for composition in compositions]
    if all(composition.pure is None for composition in compositions):
        yield from c.figure("mu", mus[0], mus[1], lambda number: local(f"{number:.3g}"))
    for adjacency, key in _ADJACENCIES.items():
        if {adjacency} != {program.privacy.adjacency for program in (before, after)}:
            worth = (_worth(c, side, Case(adjacency)) for side in (old, new))
            yield from c.value(c.words(key), *worth)
    floors = (
        _worth(c, side, Case(side.plan.program.privacy.adjacency, against="all-others"))
        for side in (old, new)
    )
    yield from c.value(c.words("floor"), *floors)
    odds = [odds_of(composition) for composition in compositions]
    yield from c.value(c.words("right"), *(c.say.percent(each.right / 1000) for each in odds))
    yield from c.value(c.words("flagged"), *(c.say.integer(each.flagged) for each in odds))


def _worth(c: Comparison, side: Side, case: Case) -> str:
    """The certified ε in a case, at the plan's δ."""
    deltas = (side.plan.program.privacy.delta,)
    (found,) = certified_epsilons(compose(side.plan, case), deltas) or (None,)
    return c.words("unknown") if found is None else c.say.local(_rounded_up(float(found)))


def _budget(c: Comparison, what: str, before: Fraction, after: Fraction) -> Iterator[Change]:
    if before != after:
        factor = float(after / before) if before > 0 and after > 0 else None
        one, other = (c.say.local(decimal_text(each)) for each in (before, after))
        yield Change(c.words(what), one, other, factor)


def _rounded_up(epsilon: float) -> str:
    """Three digits, so that a spare thousandth of the budget is no change; never too little."""
    exact = Decimal(epsilon)
    unit = Decimal(1).scaleb(exact.adjusted() - 2)
    return f"{float(exact.quantize(unit, ROUND_CEILING)):.6g}"


def _adjacency(c: Comparison, program: Program) -> str:
    added = program.privacy.adjacency == "add-or-remove"
    return c.words("add_or_remove" if added else "replace_one")


def _accountant(c: Comparison, verified: Verified) -> str:
    if verified.composition.pure is not None:
        return c.words("exact_sum")
    return c.words("renyi" if verified.composition.events is None else "losses")


def _people(c: Comparison, old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program
    yield from c.value(c.words("key"), before.person.key, after.person.key)
    yield from c.value(c.words("samples"), _samples(c, before.person), _samples(c, after.person))
    yield from c.value(c.words("kept"), _kept(c, before.person), _kept(c, after.person))
    yield from c.value(
        c.words("silos_of_person"), str(before.person.silos), str(after.person.silos)
    )
    yield from c.value(c.words("people_in_all"), _bound(c, before), _bound(c, after))
    expected = _expectations(c, before), _expectations(c, after)
    yield from c.items("expected", expected[0], expected[1], lambda words: words, c.value)
    yield from c.order("expectations", *expected)


def _samples(c: Comparison, person: Person) -> str:
    number = str(person.samples)
    if person.per is None:
        return c.words("samples_at_most", number=number)
    return c.words("samples_at_most_per", number=number, per=person.per)


def _kept(c: Comparison, person: Person) -> str:
    if person.keep is None:
        return c.words("kept_by_hash")
    return c.words("kept_earliest", column=person.keep)


def _bound(c: Comparison, program: Program) -> str:
    bound = program.person.people_bound
    if bound is None:
        return c.words("not_stated")
    at_most = program.privacy.adjacency == "add-or-remove"
    return c.words("at_most" if at_most else "exactly", number=c.say.integer(bound))


def _expectations(c: Comparison, program: Program) -> dict[str, str]:
    found = {}
    for each in program.expectations:
        share = c.say.percent_sign(c.say.local(decimal_text(100 * each.share)))
        if each.provenance:
            share = c.words("expected_by", share=share, provenance=each.provenance)
        found[f"{each.column} {each.value}"] = share
    return found


def _parties(c: Comparison, old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program

    def changed(what: str, one: Silo, other: Silo) -> Iterator[Change]:
        yield from c.value(f"{what}: {c.words('terms')}", _terms(c, one), _terms(c, other))

    yield from c.items(
        "silo",
        {silo.name: silo for silo in before.silos},
        {silo.name: silo for silo in after.silos},
        lambda silo: f"{c.words('terms')} {_terms(c, silo)}",
        changed,
    )
    yield from c.named_order("silos", before.silos, after.silos)
    yield from c.items(
        "helper",
        {name: name for name in before.helpers},
        {name: name for name in after.helpers},
        lambda _: c.words("without_data"),
        lambda *_: iter(()),
    )
    yield from c.order("helpers", before.helpers, after.helpers)
    yield from c.value(c.words("tolerated"), _tolerated(c, before), _tolerated(c, after))


def _terms(c: Comparison, silo: Silo) -> str:
    terms = silo.terms
    words = terms.kind + (f' "{terms.reference}"' if terms.reference else "")
    return words + (c.words("approval", reference=terms.approval) if terms.approval else "")


def _tolerated(c: Comparison, program: Program) -> str:
    return c.words("tolerated_of", t=str(program.tolerated), parties=str(len(program.parties)))


def _audiences(c: Comparison, old: Side, new: Side) -> Iterator[Change]:
    before, after = old.plan.program, new.plan.program
    yield from c.value(c.words("rows"), _released(c, before.samples), _released(c, after.samples))
    yield from c.value(
        c.words("measurements"),
        audience_words(before.measurements, c.say),
        audience_words(after.measurements, c.say),
    )


def audience_words(audience: Audience, say: Catalogue = ENGLISH) -> str:
    """Who an audience is."""
    return say.words(f"audience.{audience.kind}", name=audience.name)


def _released(c: Comparison, samples: SampleRelease | None) -> str:
    if samples is None:
        return ""
    return c.words(
        "rows_to",
        rows=c.say.integer(samples.rows),
        audience=audience_words(samples.audience, c.say),
        formats=", ".join(samples.formats),
    )


def _messages(c: Comparison, old: Side, new: Side) -> Iterator[Change]:
    def show(number: float) -> str:
        return c.say.integer(int(number))

    yield from c.figure(c.words("rounds"), old.messages_rounds, new.messages_rounds, show)
    yield from c.figure(c.words("bytes_sent"), old.messages_bytes, new.messages_bytes, show)


_SECTIONS: dict[str, Callable[[Comparison, Side, Side], Iterator[Change]]] = {
    "promise": _promise,
    "people": _people,
    "parties": _parties,
    "audiences": _audiences,
    "columns_title": lambda c, old, new: columns_changes(c, old.plan, new.plan),
    "panels_title": lambda c, old, new: panels_changes(c, old.plan, new.plan),
    "queries_title": lambda c, old, new: queries_changes(c, old.plan, new.plan),
    "messages": _messages,
    "files": lambda c, old, new: public_files_changes(c, old.plan, new.plan),
}


def _prose(c: Comparison, old: Side, new: Side) -> Iterator[Change]:
    before_prose, after_prose = old.study, new.study
    if before_prose is None or after_prose is None:
        return
    if sha256_of(before_prose) == sha256_of(after_prose):
        return
    for name in ("title", "purpose", "reference", "contact", "cohort", "inclusion", "not_for",
                 "retention"):  # fmt: skip
        yield from c.value(
            c.words(f"prose_{name}"), getattr(before_prose, name), getattr(after_prose, name)
        )
    for kind, before, after in (
        ("silo_title", _silo_prose(old, "silo_titles"), _silo_prose(new, "silo_titles")),
        ("silo_source", _silo_prose(old, "silo_sources"), _silo_prose(new, "silo_sources")),
        (
            "helper_title",
            dict(zip(old.plan.program.helpers, before_prose.helper_titles, strict=True)),
            dict(zip(new.plan.program.helpers, after_prose.helper_titles, strict=True)),
        ),
    ):
        for name in [each for each in before if each in after]:
            yield from c.value(c.words(kind, name=name), before[name], after[name])


def _silo_prose(side: Side, which: str) -> dict[str, str]:
    names = [silo.name for silo in side.plan.program.silos]
    return dict(zip(names, getattr(side.study, which), strict=True))
