"""Clipped sums: exact, never longer than their clip, moved by a person no more than declared."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from secgen_dsl.ir.program import Panel, Program
from secgen_dsl.ir.queries import Moments, Query, SecondMoment, Standard, VectorSum
from secgen_dsl.ir.vectors import QUANTUM, means_clip, scores_clip, squares_clip
from secgen_dsl.privacy.sensitivity import sensitivity_squared
from secgen_dsl.public.factors import principal_factors, standard_of_reference
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.queries.vectors import clip, clipped_vectors
from tests.generated.by_hand import clipped_by_hand, norm_squared, vector_by_hand
from tests.site_programs import PLAIN, SEX, SUBTYPE, make_panel, make_program, make_table, rows_of

GENES = tuple(f"G{number}" for number in range(7))
ODD = (math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324, -0.0, 2.0**62, 20.0, 0.0, 19.9999999)
LABELS = (*SUBTYPE.values, "", "odd")


def moments_of(
    genes: int, standard: Standard, loadings: NDArray[np.int64], divisors: Sequence[Fraction]
) -> Moments:
    return Moments(
        kind="moments",
        id="m",
        statement="",
        columns=("subtype",),
        panel="panel",
        source="r",
        standard=standard,
        loadings=tuple(tuple(map(int, row)) for row in loadings),
        divisors=tuple(divisors),
        variances=(Fraction(1),) * len(divisors),
        importance=PLAIN,
    )


def vectors_of(moments: Moments, genes: int, scores: int = 0) -> list[VectorSum | SecondMoment]:
    """What the planner would add for moments, and the squares that learned bins have."""
    bound = scores or scores_clip(moments)
    kinds = [
        ("means", (), genes + 1, means_clip(genes)),
        ("squares", (), genes, squares_clip(genes)),
    ]
    kinds.append(("scores", moments.columns, len(moments.loadings), bound))
    found: list[VectorSum | SecondMoment] = [
        VectorSum.model_validate(
            {
                "kind": "vector-sum", "id": content, "statement": "", "serves": "m",
                "content": content, "columns": columns, "coordinates": size, "clip": most,
            }
        )
        for content, columns, size, most in kinds
    ]  # fmt: skip
    found.append(
        SecondMoment(
            kind="second-moment",
            id="second moment",
            statement="",
            serves="m",
            coordinates=len(moments.loadings),
            clip=bound,
        )
    )
    return found


def program_with(moments: Moments, panel: Panel) -> Program:
    return make_program([SUBTYPE, SEX], [panel], []).model_copy(update={"queries": (moments,)})


def rational(low: int, high: int) -> st.SearchStrategy[Fraction]:
    """Multiples of 1/1024, as all public scales are."""
    return st.integers(low * 1024, high * 1024).map(lambda k: Fraction(k, 1024))


@st.composite
def studies(draw: st.DrawFn) -> tuple[Program, list[VectorSum | SecondMoment], SampleTable]:
    """A panel on any public scale, any factors of norm ≤ 2, and people of any content."""
    genes = draw(st.integers(1, len(GENES)))
    low = draw(rational(-40, 10))
    panel = make_panel(GENES[:genes], low, low + draw(rational(1, 50)))
    missing = draw(st.none() | rational(-60, 60))
    panel = panel.model_copy(update={"missing": missing})
    scales = draw(st.lists(rational(1, 40) | rational(1, 1), min_size=genes, max_size=genes))
    narrow = draw(st.booleans())
    standard = Standard(
        reference="r",
        centres=tuple(draw(st.lists(rational(-40, 60), min_size=genes, max_size=genes))),
        scales=tuple(max(scale / (64 if narrow else 1), Fraction(1, 64)) for scale in scales),
    )
    standard = standard.model_copy(
        update={"scales": tuple(Fraction(round(s * 1024), 1024) for s in standard.scales)}
    )
    factors = draw(st.integers(1, 4))
    most = math.isqrt(2**30 // genes)  # so that a row has a norm of at most 2
    loadings = draw(hnp.arrays(np.int64, (factors, genes), elements=st.integers(-most, most)))
    divisors = draw(
        st.lists(
            st.integers(1, 4096).map(lambda k: Fraction(k, 1024)),
            min_size=factors,
            max_size=factors,
        )
    )
    program = program_with(moments_of(genes, standard, loadings, divisors), panel)
    bound = draw(st.sampled_from((0, 1, 300, 5000, 2**24)))
    value = st.sampled_from(ODD) | st.floats(float(panel.low) - 3, float(panel.high) + 3)
    rows = draw(st.integers(0, 6))
    table = make_table(
        {
            "subtype": draw(st.lists(st.sampled_from(LABELS), min_size=rows, max_size=rows)),
            "sex": ["female"] * rows,
        },
        {gene: draw(st.lists(value, min_size=rows, max_size=rows)) for gene in panel.genes},
    )
    moments = program.queries[0]
    assert isinstance(moments, Moments)
    return program, vectors_of(moments, genes, bound), table


@given(studies())
def test_exactly_what_the_definition_says(
    study: tuple[Program, list[VectorSum | SecondMoment], SampleTable],
) -> None:
    program, vectors, table = study
    for query in vectors:
        cells = raw_cells(program, query, table)
        assert cells.shape == program.shape(query)
        assert cells.reshape(-1).tolist() == vector_by_hand(program, query, table)
        if isinstance(query, VectorSum):
            found = clipped_vectors(program, query, table).tolist()
            assert found == [
                clipped_by_hand(program, query, table, row) for row in range(table.rows)
            ]
            assert all(sum(v * v for v in row) <= query.clip**2 for row in found)


@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
        elements=st.integers(-(2**28) + 1, 2**28 - 1)
        | st.sampled_from((0, 1, -1, 2**28 - 1, 1 - 2**28)),
    ),
    st.integers(1, 2**31) | st.integers(1, 50),
)
def test_clipping_shortens_and_never_too_little(vectors: NDArray[np.int64], bound: int) -> None:
    clipped = clip(vectors, bound)
    for before, after in zip(vectors.tolist(), clipped.tolist(), strict=True):
        norm = sum(value**2 for value in after)
        assert norm <= bound**2
        if sum(value**2 for value in before) <= bound**2:
            assert after == before
            continue
        # Towards zero, in the same direction; by truncation at most 1 short in each coordinate.
        assert all(abs(b) <= abs(a) and a * b >= 0 for a, b in zip(before, after, strict=True))
        assert math.isqrt(norm) + 1 >= bound * (1 - 2**-28) - math.sqrt(len(after)) - 2


@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_rows_means_nothing(
    study: tuple[Program, list[VectorSum | SecondMoment], SampleTable], random: Random
) -> None:
    program, vectors, table = study
    rows = list(range(table.rows))
    random.shuffle(rows)
    for query in vectors:
        shuffled = raw_cells(program, query, rows_of(table, rows))
        assert (shuffled == raw_cells(program, query, table)).all()


CONTRIBUTIONS = [  # samples, per, silos
    (1, None, 1),
    (3, None, 1),
    (2, None, 2),
    (1, "subtype", 1),
    (2, "subtype", 2),
    (1, "sex", 1),
]


@pytest.mark.parametrize("adjacency", ["add-or-remove", "replace-one"])
@pytest.mark.parametrize(
    ("samples", "per", "silos"), CONTRIBUTIONS, ids=[f"{a}-{b}-{c}" for a, b, c in CONTRIBUTIONS]
)
def test_no_person_moves_a_sum_by_more_than_its_sensitivity(
    samples: int, per: str | None, silos: int, adjacency: str
) -> None:
    """Random and adversarial people: the worst reach the bound but for rounding."""
    reached: dict[str, float] = {}

    @example(clipped_study(), Random(1))  # noqa: S311 (invented people)
    @given(studies(), st.randoms(use_true_random=False))
    def every(
        study: tuple[Program, list[VectorSum | SecondMoment], SampleTable], random: Random
    ) -> None:
        program, vectors, table = study
        person = program.person.model_copy(update={"samples": samples, "per": per, "silos": silos})
        privacy = program.privacy.model_copy(update={"adjacency": adjacency})
        program = program.model_copy(update={"person": person, "privacy": privacy})
        for old, new in neighbours(program, random, replace=adjacency == "replace-one"):
            for query in vectors:
                change = moved(program, query, table, old, new)
                bound = sensitivity_squared(program, query, "identity")
                assert change <= bound
                ratio = float(change / bound)
                reached[query.id] = max(ratio, reached.get(query.id, 0.0))

    every()
    # Means and squares cannot point both ways in their constant part, nor squares below zero.
    least = {"means": 0.4, "squares": 0.2, "scores": 0.9, "second moment": 0.4}
    if adjacency == "add-or-remove":
        least = dict.fromkeys(least, 0.9)
    for name, ratio in least.items():
        assert reached[name] > ratio, reached


def clipped_study() -> tuple[Program, list[VectorSum | SecondMoment], SampleTable]:
    """People at the ends of the range are longer than every clip: no less would do."""
    standard = Standard(reference="r", centres=(Fraction(0),) * 3, scales=(Fraction(1),) * 3)
    loadings = np.diag([2**15, 2**15, 2**15])
    moments = moments_of(3, standard, loadings, (Fraction(1),) * 3)
    program = program_with(moments, make_panel(GENES[:3], Fraction(-40), Fraction(40)))
    nobody = make_table({"subtype": [], "sex": []}, {gene: [] for gene in GENES[:3]})
    return program, vectors_of(moments, 3, 5000), nobody


Sample = dict[str, float | str]


def neighbours(
    program: Program, random: Random, *, replace: bool
) -> list[tuple[list[Sample], list[Sample]]]:
    """One person's samples before and after: anything, nothing, or as far away as can be."""
    person = program.person
    groups = (
        [{}]
        if person.per is None
        else [{person.per: value} for value in program.column(person.per).values]
    )
    panel = program.panels[0]

    def anyone() -> list[Sample]:
        return [sample() | group for group in groups for _ in range(person.samples * person.silos)]

    def sample() -> Sample:
        values: Sample = {
            gene: random.choice((*ODD, random.uniform(-50, 70))) for gene in panel.genes
        }
        labels = {"subtype": random.choice(LABELS), "sex": random.choice(("female", "male", ""))}
        return values | labels

    def everywhere(sign: float) -> list[Sample]:
        """All samples alike and at the ends of the range, all in one cell."""
        ends = {gene: random.choice((1e300, -1e300)) * sign for gene in panel.genes}
        return one(ends)

    def one(values: Sample) -> list[Sample]:
        alike = values | {"subtype": "GS", "sex": "male"}
        return [alike | group for group in groups for _ in range(person.samples * person.silos)]

    signs = {gene: random.choice((1e300, -1e300)) for gene in panel.genes}
    opposite = {gene: -value for gene, value in signs.items()}
    pairs: list[tuple[list[Sample], list[Sample]]] = [
        (anyone(), []),
        (one(dict(signs)), []),
        ([], everywhere(1)),
    ]
    if replace:
        pairs += [(anyone(), anyone()), (one(dict(signs)), one(dict(opposite)))]
    return pairs


def moved(
    program: Program, query: Query, others: SampleTable, old: list[Sample], new: list[Sample]
) -> Fraction:
    """‖change‖², products counted twice, of everybody's sum."""
    halved = 0
    if isinstance(query, SecondMoment):
        halved = query.coordinates * (query.coordinates - 1) // 2
    sums = [raw_cells(program, query, with_samples(others, samples)) for samples in (old, new)]
    return norm_squared("identity", sums[0] - sums[1], halved)


def with_samples(table: SampleTable, samples: list[Sample]) -> SampleTable:
    return make_table(
        {
            name: [*texts.tolist(), *(str(sample[name]) for sample in samples)]
            for name, texts in table.categories.items()
        },
        {
            gene: [*values.tolist(), *(float(sample[gene]) for sample in samples)]
            for gene, values in table.expression.items()
        },
    )


def test_nothing_overflows_at_the_extremes() -> None:
    """20,000 genes, 64 factors, values of ±1e300: the same sums as in unbounded integers."""
    genes, factors, rows = 20_000, 64, 6
    panel = make_panel([f"G{k}" for k in range(genes)], Fraction(-(10**9)), Fraction(10**9))
    draw = np.random.default_rng(3)
    standard = Standard(
        reference="r", centres=(Fraction(0),) * genes, scales=(Fraction(1, 64),) * genes
    )
    # Every person at +6 or −6 everywhere, and factors that point the same way with a norm of 2.
    signs = draw.choice([-1, 1], genes)
    loadings = np.tile(signs * math.isqrt(2**30 // genes), (factors, 1))
    values = np.where(signs > 0, 1e300, -1e300)
    for divisor in (Fraction(1), Fraction(1, 1024)):
        moments = moments_of(genes, standard, loadings, (divisor,) * factors)
        program = program_with(moments, panel)
        table = make_table(
            {"subtype": ["GS"] * rows, "sex": ["male"] * rows},
            {gene: [value] * rows for gene, value in zip(panel.genes, values, strict=True)},
        )
        for bound in (scores_clip(moments), 2**30):
            for query in vectors_of(moments, genes, bound):
                (cells,) = raw_cells(program, query, table).tolist()
                own = by_python(moments, query, values)
                assert cells[query_cell(query)] == [rows * value for value in own]


def query_cell(query: VectorSum | SecondMoment) -> int:
    return 1 if isinstance(query, VectorSum) and query.columns else 0  # GS is the second label


def by_python(
    moments: Moments, query: VectorSum | SecondMoment, values: NDArray[np.float64]
) -> list[int]:
    """One person's cells in unbounded integers: all values are at the clamp of ±6."""
    ends = [6 * QUANTUM * (1 if value > 0 else -1) for value in values]
    content = query.content if isinstance(query, VectorSum) else "scores"
    vector, bound, tail = ends, query.clip**2, []
    if content == "squares":
        vector = [value**2 // QUANTUM for value in ends]
    elif content == "means":
        tail = [query.clip // 4]
        bound = math.isqrt(bound - tail[0] ** 2) ** 2
    else:
        score = sum(a * b for a, b in zip(moments.loadings[0], ends, strict=True))
        score = math.trunc(score / (2**14 * moments.divisors[0]))
        vector = [min(score, 2**28 - 1)] * len(moments.loadings)
    norm = sum(value**2 for value in vector)
    if norm > bound:
        factor = math.isqrt(bound * 2**60 // norm)
        vector = [(abs(v) * factor >> 30) * (1 if v > 0 else -1) for v in vector]
    if isinstance(query, SecondMoment):
        return [v * v for v in vector] + [a * b for a, b in combinations(vector, 2)]
    return vector + tail


def test_the_public_clips_leave_most_people_whole() -> None:
    """SYNTHESIS: where the public scale fits, a clip of 1.15·√G shortens few vectors."""
    draw = np.random.default_rng(1)
    genes, rows = 300, 500
    shared = draw.normal(size=(rows, 5)) @ draw.normal(size=(5, genes)) * 0.3
    values = 8 + draw.normal(size=(rows, genes)) + shared
    columns = [values[:, k] for k in range(genes)]
    standard = standard_of_reference("r", [column.tolist() for column in columns])
    loadings, divisors, variances = principal_factors(columns, standard, 8)
    moments = moments_of(genes, standard, np.array(loadings), divisors)
    moments = moments.model_copy(update={"variances": variances})
    panel = make_panel([f"G{k}" for k in range(genes)], Fraction(-20), Fraction(40))
    program = program_with(moments, panel)
    table = make_table(
        {"subtype": ["GS"] * rows, "sex": ["male"] * rows},
        dict(zip(panel.genes, columns, strict=True)),
    )
    for query in vectors_of(moments, genes):
        if isinstance(query, VectorSum):
            wide = query.model_copy(update={"clip": 4 * query.clip})
            short = clipped_vectors(program, query, table)
            whole = clipped_vectors(program, wide, table)
            size = query.coordinates - (query.content == "means")
            shortened = (short[:, :size] != whole[:, :size]).any(axis=1).mean()
            assert shortened < (0.5 if query.content == "scores" else 0.2), query.content
