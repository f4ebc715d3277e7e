"""Who takes part in a generated spec, what is promised, and what is released to whom."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st

from secgen_dsl.ir.program import AUDIENCES, look_of
from tests.generated.drafts import Draft
from tests.generated.layout import Block, Statement
from tests.generated.words import NAMES, PARTIES, TEXTS, quoted, unused

_PROSE = ("purpose", "reference", "contact", "cohort", "inclusion", "not for", "retention")


def declare_study(draft: Draft) -> None:
    """``study "…" { … }``: prose, outside the plan."""
    kinds = draft.random.sample(_PROSE, draft.random.randint(0, 3))
    lines = tuple((*kind.split(), quoted(draft.draw(TEXTS))) for kind in kinds)
    draft.blocks.append(Block(("study", quoted(draft.draw(TEXTS))), lines))


def declare_parties(draft: Draft) -> None:
    """Silos with their terms, helpers, and how many of them may collude: a minority of three."""
    for _ in range(draft.draw(st.integers(1, 4))):
        draft.silos.append(unused(draft.draw, PARTIES, draft.silos, look_of))
    helpers: list[str] = []
    least = max(0, 3 - len(draft.silos))
    for _ in range(draft.draw(st.integers(least, max(least, 2)))):
        helpers.append(unused(draft.draw, PARTIES, [*draft.silos, *helpers], look_of))
    draft.parties = [*draft.silos, *helpers]
    lines = [_silo(draft, name) for name in draft.silos]
    draft.blocks.append(Block(("silos", "hold", "patients"), tuple(lines)))
    if helpers or draft.rarely():
        titled = [(draft.name(name), *_title(draft)) for name in helpers]
        draft.blocks.append(Block(("helpers",), tuple(titled)))
    colluding = draft.draw(st.integers(1, (len(draft.parties) - 1) // 2))
    word = draft.random.choice(("party", "parties"))
    line = ("tolerate", str(colluding), "colluding", word)
    draft.blocks.append(Block(("trust",), (line,)))


def _title(draft: Draft) -> Statement:
    return (quoted(draft.draw(TEXTS)),) if draft.flag() else ()


def _silo(draft: Draft, name: str) -> Statement:
    kind = draft.pick(("open", "open", "consent", "controlled"))
    clauses: list[Statement] = [("terms", kind)]
    widest = {"open": "public", "consent": "registered", "controlled": "silos"}[kind]
    if kind != "open":
        clauses = [("terms", kind, quoted(draft.draw(TEXTS)))]
        if draft.flag():
            clauses.append(("approval", quoted(draft.draw(TEXTS))))
            widest = "public"
    if draft.rarely():
        clauses.append(("source", quoted(draft.draw(TEXTS))))
    draft.random.shuffle(clauses)
    draft.widest = min(draft.widest, widest, key=lambda word: tuple(AUDIENCES).index(word))  # type: ignore[arg-type]
    return (draft.name(name), *_title(draft), *(word for clause in clauses for word in clause))


def declare_person(draft: Draft) -> None:
    """``person { … }`` and ``privacy { … }``: what is protected, and how much."""
    labels = {*draft.values, *draft.groups}
    key = unused(draft.draw, NAMES, labels)
    samples = draft.draw(st.sampled_from((1, 1, 1, 2, 3)))
    cap: Statement = ("at", "most", str(samples), "sample" if samples == 1 else "samples")
    if draft.categories and draft.rarely():
        cap = (*cap, "per", draft.name(draft.pick(draft.categories)))
    in_silos = draft.draw(st.integers(1, len(draft.silos))) if draft.rarely() else 1
    lines: list[Statement] = [
        ("key", draft.name(key)),
        cap,
        ("in", "at", "most", str(in_silos), "silo" if in_silos == 1 else "silos"),
    ]
    promise: list[Statement] = []
    draft.people = draft.draw(st.sampled_from((None, 1, 20, 800, 5000, 2**32)))
    draft.replaced = draft.rarely() or draft.rarely()
    if draft.replaced:
        draft.people = draft.people or 1089
        promise.append(("replace", "one", "person", "of", "exactly", str(draft.people)))
    else:
        promise.append(("add", "or", "remove", "one", "person"))
        if draft.people is not None:
            lines.append(("at", "most", str(draft.people), "people", "in", "all"))
    if draft.flag():
        date = unused(draft.draw, NAMES, {*labels, key})
        lines.append(("keep", "earliest", draft.name(date)))
    expectations = _expectations(draft)
    cut = draft.random.randint(0, len(expectations))
    lines += expectations[:cut]
    promise += [*_budget(draft), *expectations[cut:]]
    draft.random.shuffle(lines)
    draft.random.shuffle(promise)
    draft.blocks.append(Block(("person",), tuple(lines)))
    draft.blocks.append(Block(("privacy",), tuple(promise)))


def _expectations(draft: Draft) -> list[Statement]:
    lines: list[Statement] = []
    for column in draft.categories:
        if not draft.rarely():
            continue
        for value in draft.random.sample(draft.values[column], draft.random.randint(1, 2)):
            share = Decimal(draft.random.randint(1, 499)) / 10
            words = (draft.name(column), draft.name(value), "~", draft.number(share), "%")
            lines.append(("expect", *words, *_title(draft)))
    return lines


def _budget(draft: Draft) -> list[Statement]:
    epsilon = draft.draw(st.sampled_from(("4", "1", "0.5", "0.1", "8", "2.5", "50", "0.001")))
    if draft.flag():  # from 0.01 to 50, evenly on a logarithmic scale
        epsilon = f"{10 ** draft.random.uniform(-2, 1.69):.3g}"
    lines: list[Statement] = [("epsilon", draft.number(Decimal(epsilon)))]
    known = ["0.000001", "0.001", "0.00001", "0.000000001", "0.000000000001"]
    known.append(f"{Decimal(draft.random.randint(1, 10**9)).scaleb(-12):f}")
    deltas = [delta for delta in known if Fraction(delta) * (draft.people or 1) <= 1]
    if not draft.rarely():
        lines.append(("delta", draft.number(Decimal(draft.pick(deltas)))))
    if draft.rarely():
        lines.append(("mechanism", "gaussian"))
    return lines


def declare_release(draft: Draft) -> None:
    """``release { … }`` and ``simulate { … }``."""
    lines: list[Statement] = []
    if draft.flag():
        formats = draft.pick(("", "csv", "h5ad", "csv h5ad", "h5ad csv")).split()
        words: list[str] = ["as"] if formats else []
        for one in formats:
            words += [one, ","]
        rows = draft.random.choice(("1", "300", "1000000"))
        lines.append(("samples", rows, "to", *_audience(draft), *words[: 2 * len(formats)]))
    if draft.flag():
        lines.append(("measurements", "to", *_audience(draft)))
    draft.random.shuffle(lines)
    draft.blocks.append(Block(("release",), tuple(lines)))
    if draft.rarely():
        files = [(draft.name(name), quoted(f"data/{name}.csv")) for name in draft.silos]
        draft.blocks.append(Block(("simulate",), tuple(files)))


def _audience(draft: Draft) -> Statement:
    allowed = AUDIENCES[: tuple(AUDIENCES).index(draft.widest) + 1]  # type: ignore[arg-type]
    kind = draft.pick(allowed)
    return ("named", quoted(draft.draw(TEXTS))) if kind == "named" else (kind,)
