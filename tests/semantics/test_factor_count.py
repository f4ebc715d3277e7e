"""`in factors from NAME`: the predicted error decides, in rationals."""

from fractions import Fraction

from secgen_dsl.ir.program import Privacy
from secgen_dsl.semantics.factor_count import LEAST_CHOSEN, Means, choose_count

VARIANCES = tuple(Fraction(100, k) for k in range(1, 21))
DIVISORS = tuple(Fraction(round(1024 * float(v) ** 0.4), 1024) for v in VARIANCES)


def chosen(epsilon: str = "1", people: int = 1000, labels: int = 5, samples: int = 1) -> int:
    privacy = Privacy(
        adjacency="add-or-remove",
        epsilon=Fraction(epsilon),
        delta=Fraction(1, 100_000),
        mechanism="gaussian",
    )
    means = Means(privacy, Fraction(1), people, labels, samples, parties=3, tolerated=1)
    return choose_count(VARIANCES, DIVISORS, means)


def test_more_budget_and_people_and_fewer_labels_allow_more_factors() -> None:
    by_epsilon = [chosen(epsilon) for epsilon in ("1/4", "1", "2", "10")]
    assert by_epsilon == sorted(by_epsilon)
    assert by_epsilon[0] == LEAST_CHOSEN < by_epsilon[1] < by_epsilon[-1] == len(VARIANCES)
    assert chosen(people=300) < chosen() < chosen(people=5000)
    assert chosen(labels=12) < chosen() < chosen(labels=2)
    assert chosen(samples=3) == chosen(epsilon="1", people=333)


def test_a_small_reference_bounds_the_choice() -> None:
    privacy = Privacy(
        adjacency="add-or-remove", epsilon=Fraction(1), delta=Fraction(1, 10**6),
        mechanism="gaussian",
    )  # fmt: skip
    means = Means(privacy, Fraction(1, 2), None, 2, 1, parties=3, tolerated=1)
    assert choose_count(VARIANCES[:2], DIVISORS[:2], means) == 2
