"""Figures are drawn from the plan: their numbers are its own, and everybody can read them."""

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from math import ceil
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import riskcal
from hypothesis import assume, given
from scipy.stats import norm

from secgen_dsl.backends.mpyc.cost import predicted_bytes
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.describe.catalogue import Catalogue
from secgen_dsl.describe.document import Figure, Table, Text, Value, plain
from secgen_dsl.describe.figures.drawing import WIDTH, clean, cut, length, named, wrapped
from secgen_dsl.describe.figures.parties import crossing, who_holds
from secgen_dsl.describe.figures.queries import BAD, budget, errors
from secgen_dsl.describe.figures.trade_off import FALSE_ALARMS, trade_off
from secgen_dsl.describe.odds import flagged, odds_of
from secgen_dsl.describe.subject import Subject
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Study
from secgen_dsl.planner.predict import predict
from secgen_dsl.privacy.bound import compose
from secgen_dsl.privacy.events import BoundedLoss, Composition, ShiftedGaussian
from tests.conftest import SPECS
from tests.describe.subjects import messages_of, subject_of
from tests.generated.drafts import GeneratedSpec
from tests.generated.specs import specs
from tests.generated.studies import examples, folder_of, planned, resolved

SAY = Catalogue("en")
DRAW = (who_holds, crossing, budget, trade_off, errors)
STYLE = (files("secgen_dsl.describe.render") / "style.css").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"

HEAD = """secgen 1
study "{title}" {{ purpose "p"; contact "c@d.example" }}
silos hold patients {{ {silos} }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all{expect} }}
columns {{ {columns} }}
"""
TAIL = """
privacy {{ add or remove one person; epsilon 4; delta 1e-6 }}
measure {{ {measure} }}
release {{ samples 300 to silos as csv }}
"""
SILOS = " ".join(f'silo{n} "Site {n}" terms open' + "\n" for n in range(3))


class Traces:
    """What was traced, by number."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def __call__(self, field: str, formula: Text) -> int:
        self.found.append((field, plain(formula)))
        return len(self.found)


def draw(
    subject: Subject, figures: tuple[Callable[..., Figure], ...] = DRAW
) -> list[tuple[Figure, ET.Element]]:
    drawn = []
    for one in figures:
        traces = Traces()
        figure = one(subject, SAY, traces)
        check(figure, len(traces.found))
        drawn.append((figure, ET.fromstring(figure.svg)))  # noqa: S314 (our own)
    ids = [each.get("id") for _, root in drawn for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    return drawn


def check(figure: Figure, traces: int) -> None:
    """What holds of every figure."""
    root = ET.fromstring(figure.svg)  # noqa: S314
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root.get("width")) == ("img", str(WIDTH))
    named_by = {each.get("id"): each for each in root.iter()}
    title, about = (named_by[name] for name in root.get("aria-labelledby", "").split())
    assert (title.tag, about.tag) == (f"{SVG}title", f"{SVG}desc")
    assert title.text == clean(plain(figure.title))
    assert about.text == clean(plain(figure.description))
    assert all(name is None or name.startswith(figure.id) for name in named_by)
    allowed = {"svg", "title", "desc", "defs", "pattern", "path", "rect", "circle", "text"}
    height = float(root.get("height", ""))
    for each in root.iter():
        assert each.tag.removeprefix(SVG) in allowed
        assert not {"style", "href", "onload"} & set(each.attrib)
        if each.get("class"):
            assert f".{each.get('class')} {{" in STYLE
        for key in ("fill", "stroke"):
            if "url(" in each.get(key, ""):
                assert each.get(key, "")[5:-1] in named_by
        if each.tag == f"{SVG}text":
            x, y, words = float(each.get("x", "")), float(each.get("y", "")), each.text or ""
            size = float(each.get("font-size", 13))
            before = {"start": 0.0, "middle": 0.5, "end": 1.0}[each.get("text-anchor", "start")]
            start = x - before * length(words, size)
            assert start > -3, words
            assert start + length(words, size) < WIDTH + 3, words
            assert 8 < y < height, words
    table = figure.table
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(table.rows) <= 200
    values = [each for row in table.rows for text in row for each in text]
    assert all(1 <= each.trace <= traces for each in values if isinstance(each, Value))


def column(table: Table, number: int) -> list[str]:
    return [plain(row[number]) for row in table.rows]


def texts(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def two() -> Subject:
    return subject_of(SPECS / "two_hospitals.secgen")


def with_plan(subject: Subject, plan: Plan, study: Study) -> Subject:
    """Another study.  The certificate stays: figures do not look at it, and it takes a second."""
    return replace(subject, plan=plan, study=study, messages=messages_of(plan))


def study_of(two: Subject, spec: str, folder: Path) -> Subject:
    path = folder / "study.secgen"
    path.write_text(spec, encoding="utf-8")
    found = plan_spec(path)
    return with_plan(two, found.plan, found.study)


@pytest.mark.parametrize(
    "name", ["two_hospitals", "colorectal", "aml_eight_centres", "pure", "brca_structure"]
)
def test_figures_of_the_committed_studies(two: Subject, name: str) -> None:
    found = plan_spec(SPECS / f"{name}.secgen")
    subject = with_plan(two, found.plan, found.study)
    drawn = draw(subject)
    predictions = predict(subject.plan)
    _, _, (spent, bars), (test, _), (exact, dots) = drawn
    for each in predictions:
        share = f"{100 * each.budget_share:.1f}%"
        name = each.query.statement + ("" if each.asked else " (added by the planner)")
        assert (name, share) in [(plain(query), plain(part)) for query, part in spent.table.rows]
        assert named(each.query.statement, WIDTH) in texts(bars)
        row = next(row for row in exact.table.rows if plain(row[0]) == each.query.statement)
        number = re.match(r"[0-9.,]+", plain(row[3]))
        assert number is not None
        assert float(number[0].replace(",", "")) == pytest.approx(each.standard_error, rel=0.006)
        if each.relative_error is not None:
            assert plain(row[4]).startswith(f"{100 * each.relative_error:.1f}%")
            assert ("over 50%" in plain(row[4])) is (each.relative_error > BAD)
    bad = sum("over 50%" in cell for cell in column(exact.table, 4))
    assert sum("over 50%" in words and "beyond" not in words for words in texts(dots)) == bad
    odds = odds_of(compose(subject.plan))
    assert column(test.table, 2)[1] == f"{odds.flagged:,}"


def test_a_figure_is_the_same_again(two: Subject) -> None:
    assert [one(two, SAY, Traces()).svg for one in DRAW] == [each.svg for each, _ in draw(two)]


def test_messages(two: Subject) -> None:
    ((figure, root),) = draw(two, (crossing,))
    sizes = [f"{each.size:,}" for each in two.messages]
    assert column(figure.table, 2)[:-1] == sizes
    assert column(figure.table, 3)[-1] == f"{predicted_bytes(two.plan):,}"
    assert [words for words in texts(root) if words.endswith(" bytes")] == [
        f"{size} bytes" for size in sizes
    ]
    assert set(two.plan.parties) <= set(texts(root))


@pytest.mark.parametrize("many", [3, 10, 12, 13, 30])
def test_many_parties(two: Subject, many: int) -> None:
    names = (*(f"{n} hospital-with-a-long-name-{n}" for n in range(many - 1)), "last")
    program = two.plan.program
    silos = tuple(program.silos[0].model_copy(update={"name": name}) for name in names[: many - 1])
    program = program.model_copy(update={"silos": silos, "helpers": names[many - 1 :]})
    plan = two.plan.model_copy(update={"program": program, "parties": names})
    study = two.study.model_copy(
        update={"silo_titles": ("A hospital " * 9,) * (many - 1), "helper_titles": ("",)}
    )
    subject = with_plan(two, plan, study)
    (holds, cards), (_, sequence) = draw(subject, (who_holds, crossing))
    assert column(holds.table, 0) == list(names)
    shown = sum(words.startswith(tuple(f"{n} hosp" for n in range(many))) for words in texts(cards))
    assert shown == (many - 1 if many <= 12 else 11)
    assert ("… and " in " ".join(texts(cards))) is (many > 12)
    assert "last" in texts(sequence)
    assert ("…" in texts(sequence)) is (many > 5)


def test_many_queries(two: Subject, tmp_path: Path) -> None:
    """300 tables: twenty bars, two hundred rows, nothing lost."""
    flags = ", ".join(f"M{n}" for n in range(300))
    columns = f"flags mutation {{ {flags} }}" + "\n" + "sex category { female, male }"
    spec = HEAD.format(title="Many", silos=SILOS, expect="", columns=columns)
    spec += TAIL.format(measure="marginal each flags\nmarginal sex weight 50")
    subject = study_of(two, spec, tmp_path)
    predictions = predict(subject.plan)
    assert len(predictions) == 301
    (spent, bars), (exact, dots) = draw(subject, (budget, errors))
    assert len(spent.table.rows) == len(exact.table.rows) == 200
    assert column(spent.table, 0)[-1] == "102 further queries"
    drawn = [float(words[:-1]) for words in texts(bars) if re.fullmatch(r"[0-9.]+%", words)]
    assert len(drawn) == 20
    assert sum(drawn) == pytest.approx(100, abs=1)
    assert column(exact.table, 0)[-1] == "102 further cells, of smaller errors"
    assert sum(words.startswith("marginal") for words in texts(dots)) == 19
    assert any(words.startswith("282 more: at most") for words in texts(dots))


def test_twenty_thousand_genes(two: Subject, tmp_path: Path) -> None:
    (tmp_path / "genes.txt").write_text("\n".join(f"GENE{n}" for n in range(20_000)) + "\n")
    columns = "subtype category { A, B }"
    spec = HEAD.format(
        title="Genome", silos=SILOS, expect='\nexpect subtype A ~ 2% "a registry"', columns=columns
    )
    spec += 'panel genome expression log2 0..20 from "genes.txt"'
    spec += TAIL.format(measure="marginal subtype * genome in 4 equal bins")
    subject = study_of(two, spec, tmp_path)
    drawn = draw(subject)
    _, _, _, _, (exact, dots) = drawn
    assert "over 50%" in " ".join(column(exact.table, 4))
    assert any("over 50%" in words for words in texts(dots))
    assert "subtype A" in column(exact.table, 1)


def test_names_of_every_script(two: Subject, tmp_path: Path) -> None:
    """Names stay themselves, whatever they hold, and change nothing around them."""
    names = ["مستشفى الملك", "בית חולים", "東京大学病院", "क्षेत्रीय", '<b>&amp;"x', "]]>", "é" * 3]
    silos = "\n".join(
        f'silo{n} "{name.replace(chr(34), chr(92) + chr(34))}" terms open'
        for n, name in enumerate(names)
    )
    columns = 'subtype category { "חיובי", "<i>" }'
    expect = '\nexpect subtype "חיובי" ~ 10% "a registry"'
    spec = HEAD.format(title="Names", silos=silos, expect=expect, columns=columns)
    spec += TAIL.format(measure="marginal subtype")
    subject = study_of(two, spec, tmp_path)
    (_, cards), _, _, _, (exact, dots) = draw(subject)
    shown = texts(cards)
    for number, name in enumerate(names):
        assert (f"\u2068{name}\u2069" if number < 2 else name) in shown
    assert "subtype חיובי" in column(exact.table, 1)
    assert any("\u2068subtype חיובי\u2069" in words for words in texts(dots))
    plan = subject.plan.model_copy(update={"parties": tuple(names)})
    ((figure, root),) = draw(replace(subject, plan=plan), (who_holds,))
    assert column(figure.table, 0) == names
    assert f"\u2068{names[0]}\u2069" in texts(root)


def test_words_that_steer_are_replaced() -> None:
    assert (
        clean("a\u202eb\u2066c\x00d\ud800e\ufffff\n")
        == "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffd"
    )
    assert clean("می\u200cخواهم") == "می\u200cخواهم"


def test_cutting() -> None:
    assert cut("short", 100) == "short"
    long = "क्षि" * 30  # letters with marks
    short = cut(long, 100)
    assert short.endswith("…")
    assert length(short) <= 100
    assert short[:-1] in {long[: 4 * k] for k in range(30)} | {long[: 4 * k + 2] for k in range(30)}
    assert length(named("שלום " * 40, 120)) <= 120 + 1e-9
    assert named("שלום " * 40, 120).endswith("…\u2069")
    assert all(
        length(line) <= 90 for line in wrapped("several words and oneverylongwordindeed", 90)
    )


@examples(quick=6, full=150)
@given(specs())
def test_figures_of_generated_studies(two: Subject, spec: GeneratedSpec) -> None:
    with folder_of(spec) as folder:
        meaning = resolved(spec.text(), folder)
        plan = planned(meaning)
    assume(plan is not None)
    assert plan is not None
    subject = with_plan(two, plan, meaning.study)
    drawn = draw(subject)
    spent = drawn[2][0]
    assert len(spent.table.rows) == min(len(list(plan.releases())), 200)
    shares = [
        float(text.removesuffix("%").removeprefix("under ")) for text in column(spent.table, 1)
    ]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))
    assert shares == sorted(shares, reverse=True)
    assert column(drawn[0][0].table, 0) == list(plan.parties)


# -- the trade-off curve -------------------------------------------------------------------------

GRID = (0.0005, 0.001, 0.005, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.9, 0.99)


def theirs(composition: Composition) -> np.ndarray:
    """1 − β of riskcal (Kulynych et al. 2024), from Google's privacy loss distributions."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    assert composition.events is not None
    whole = None
    for event in composition.events:
        if isinstance(event, BoundedLoss):
            one = pld.from_discrete_laplace_mechanism(
                parameter=float(event.loss),
                value_discretization_interval=1e-4,
                use_connect_dots=True,
            )
        else:
            one = pld.from_discrete_gaussian_mechanism(
                float(event.variance) ** 0.5,
                sensitivity=event.shift,
                value_discretization_interval=1e-3 / event.count**0.5,
                use_connect_dots=True,
            )
        one = one.self_compose(event.count)
        whole = one if whole is None else whole.compose(one)
    return 1 - riskcal.analysis.get_beta_from_pld(whole, alpha=np.array(GRID))


@pytest.mark.parametrize("variance", ["16", "35", "5000"])
def test_trade_off_of_riskcal(variance: str) -> None:
    event = ShiftedGaussian(Fraction(variance), 1, 10)
    composition = Composition((event,), event.mu_squared, Fraction(0))
    ours = np.array(flagged(composition, GRID))
    other = theirs(composition)
    assert (ours >= other - 1e-3).all()  # its grid rounds by as much
    assert (ours <= other + 0.01).all()


def test_trade_off_of_laplace_noise(pure: PlannedStudy) -> None:
    composition = compose(pure.plan)
    ours, other = np.array(flagged(composition, GRID)), theirs(composition)
    assert (ours >= other - 5e-3).all()
    assert (ours <= other + 0.02).all()


@pytest.mark.parametrize("name", ["colorectal", "two_hospitals", "aml_eight_centres"])
def test_trade_off_of_gaussian_noise(name: str) -> None:
    """G_μ(f) = Φ(Φ⁻¹(f) + μ) (Dong, Roth, Su 2022): noise of whole numbers is nearly that."""
    composition = compose(plan_spec(SPECS / f"{name}.secgen").plan)
    ours = np.array(flagged(composition, GRID))
    least = norm.cdf(norm.ppf(GRID) + float(composition.mu_squared) ** 0.5)
    assert (ours >= least - 1e-6).all()
    if composition.events is not None:  # else Rényi certifies: proved as well, and looser
        assert (ours <= least + 0.02).all()


def test_the_table_of_the_trade_off(two: Subject) -> None:
    ((figure, _),) = draw(two, (trade_off,))
    points = flagged(compose(two.plan), FALSE_ALARMS)
    assert column(figure.table, 0) == ["0.1%", "1%", "10%"]
    assert column(figure.table, 2) == [str(ceil(1000 * point)) for point in points]
    for shown, point in zip(column(figure.table, 1), points, strict=True):
        assert 0 <= float(shown[:-1]) / 100 - point < 0.001


def test_a_curve_ends_where_it_must() -> None:
    event = ShiftedGaussian(Fraction(16), 1, 10)
    composition = Composition((event,), event.mu_squared, Fraction(0))
    start, end = flagged(composition, (0.0, 1.0))
    assert 0 < start < 1e-4
    assert end == 1.0
    huge = Composition(None, Fraction(10**9), Fraction(0))
    assert flagged(huge, (0.001,)) == (1.0,)
