"""Plans with sums of vectors that would keep less than they promise; and what sound ones cost."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from secgen_dsl.cli.study import plan_spec
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import Node
from secgen_dsl.ir.plan import GaussianNoise, Opening, Plan, Release
from secgen_dsl.ir.queries import Asked, Marginal, Moments, Query, SecondMoment, VectorSum
from secgen_dsl.ir.statement import canonical_statement
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.privacy.accountants import ZCDP, certifier
from secgen_dsl.privacy.bound import compose, mu_for, slack_of
from secgen_dsl.privacy.slack import split_noise_slack
from secgen_dsl.verifier import verify
from tests.planner.test_importance import spec, spent
from tests.semantics.test_hashes import meaning

LEARNED = "marginal label * genes in 3 learned bins share 60%; marginal sex"


@pytest.fixture(scope="module")
def learned() -> Plan:
    """Two rounds, one sample a person; the bins take 15% of their query's budget."""
    plan = plan_program(meaning(spec(LEARNED)).program)
    verify(plan)
    return plan


@pytest.fixture(scope="module")
def moments() -> Plan:
    """Moments of two kinds of factors, among all else that there is."""
    return plan_spec(Path(__file__).with_name("every_feature") / "study.secgen").plan


def refusal(plan: Plan) -> str:
    with pytest.raises(SecgenError) as caught:
        verify(plan)
    assert {found.code for found in caught.value.diagnostics} == {"SG320"}
    return str(caught.value)


def with_releases(plan: Plan, change: Callable[[Release], Release]) -> Plan:
    rounds = tuple(
        one.model_copy(update={"releases": tuple(map(change, one.releases))}) for one in plan.rounds
    )
    return plan.model_copy(update={"rounds": rounds})


def with_noise(plan: Plan, name: str, party_variance: Fraction) -> Plan:
    """Other noise on one release, consistently."""
    honest = len(plan.parties) - plan.threshold

    def change(release: Release) -> Release:
        if release.query != name:
            return release
        update = {"party_variance": party_variance, "variance": honest * party_variance}
        return release.model_copy(update={"noise": release.noise.model_copy(update=update)})

    return with_releases(plan, change)


def noise_of(plan: Plan, name: str) -> GaussianNoise:
    (noise,) = (release.noise for release in plan.releases() if release.query == name)
    assert isinstance(noise, GaussianNoise)
    return noise


def with_asked(plan: Plan, old: Asked, **update: object) -> Plan:
    """Another query in place of one, with its own statement."""
    new = old.model_copy(update=update)
    new = new.model_copy(update={"statement": canonical_statement(new)})
    queries = tuple(new if query is old else query for query in plan.program.queries)
    return plan.model_copy(update={"program": plan.program.model_copy(update={"queries": queries})})


def with_added(plan: Plan, old: Query, *new: Node) -> Plan:
    added = [one for query in plan.added for one in (new if query is old else (query,))]
    return plan.model_copy(update={"added": tuple(added)})


def sums_of(plan: Plan, name: str) -> dict[str, VectorSum]:
    return {q.content: q for q in plan.added if isinstance(q, VectorSum) and q.serves == name}


# -- what they cost ----------------------------------------------------------------------------


def test_every_round_and_every_sum_is_charged(learned: Plan, moments: Plan) -> None:
    for plan in (learned, moments):
        assert compose(plan).mu_squared == sum(spent(plan).values())
    assert len(learned.rounds) == len(moments.rounds) == 2


def test_no_single_pair_of_laws_stands_for_a_vector(learned: Plan, moments: Plan) -> None:
    """A person chooses the direction of their vector: only Rényi certifies, whatever else holds."""
    assert learned.program.person.samples == 1
    for plan in (learned, moments):
        composition = compose(plan)
        assert composition.events is None
        assert certifier(composition) is ZCDP


def test_learning_is_paid_from_its_query(learned: Plan) -> None:
    parts, privacy = spent(learned), learned.program.privacy
    budget = mu_for(learned.program, privacy.epsilon, privacy.delta) ** 2
    sums = sum(parts[query.id] for query in sums_of(learned, "label*genes").values())
    whole = parts["label*genes"] + sums
    # The histogram that its centred tables need is paid from its share as well.
    share = whole + parts["label"]
    assert Fraction(598, 1000) * budget < share <= Fraction(6, 10) * budget
    assert Fraction(148, 1000) * whole < sums <= Fraction(15, 100) * whole
    assert parts["sex"] <= Fraction(4, 10) * budget


# -- what is refused ---------------------------------------------------------------------------


def test_a_share_pays_for_the_learning_too(learned: Plan) -> None:
    """A share between the cost of tables and histogram and that of the sums as well."""
    parts, privacy = spent(learned), learned.program.privacy
    budget = mu_for(learned.program, privacy.epsilon, privacy.delta) ** 2
    query = learned.program.query("label*genes")
    tables = parts["label*genes"] + parts["label"]
    share = Fraction(round(1000 * tables / budget) + 20, 1000)
    importance = query.importance.model_copy(update={"share": share})
    assert "more than its share" in refusal(with_asked(learned, query, importance=importance))


@pytest.mark.parametrize("content", ["means", "squares"])
def test_either_sum_counts_as_learning(learned: Plan, content: str) -> None:
    name = sums_of(learned, "label*genes")[content].id
    less = noise_of(learned, name).party_variance / 4
    assert "takes more than its part" in refusal(with_noise(learned, name, less))


def test_tables_before_their_bins_are_learned(learned: Plan) -> None:
    first, second = learned.rounds
    together = first.model_copy(update={"releases": (*first.releases, *second.releases)})
    openings = tuple(
        Opening(round=1, query=x.query, values=x.opened, recipients="parties")
        for x in together.releases
    )
    early = learned.model_copy(update={"rounds": (together,), "openings": openings})
    assert "before its bins are learned" in refusal(early)


def test_sums_before_their_scale_is_learned(moments: Plan) -> None:
    """Scores in the round that opens where genes lie; or never learned at all."""
    query = next(q for q in moments.program.queries if isinstance(q, Moments) and q.learns_scale)
    sums = sums_of(moments, query.id)
    first, second = moments.rounds
    (scores,) = (one for one in second.releases if one.query == sums["scores"].id)
    later = tuple(one for one in second.releases if one is not scores)
    rounds = (
        first.model_copy(update={"releases": (*first.releases, scores)}),
        second.model_copy(update={"releases": later}),
    )
    openings = tuple(
        Opening(round=one.number, query=x.query, values=x.opened, recipients="parties")
        for one in rounds
        for x in one.releases
    )
    early = moments.model_copy(update={"rounds": rounds, "openings": openings})
    assert "before its scale is learned" in refusal(early)
    assert "sums of vectors are not those" in refusal(with_added(moments, sums["centres"]))


@pytest.mark.parametrize("delay", [0, 1, 4001])
def test_a_round_that_waits_too_little_or_for_ever(moments: Plan, delay: int) -> None:
    first, second = moments.rounds
    people = moments.program.person.model_copy(update={"people_bound": 1_000_000})
    program = moments.program.model_copy(update={"person": people})
    rounds = (first, second.model_copy(update={"delay": delay}))
    changed = moments.model_copy(update={"rounds": rounds, "program": program})
    assert "round 2 does not wait as it should" in refusal(changed)


def test_sums_that_nothing_needs(learned: Plan) -> None:
    means = sums_of(learned, "label*genes")["means"]
    more = means.model_copy(update={"content": "scores"})
    more = more.model_copy(update={"id": "more", "statement": canonical_statement(more)})
    assert "sums of vectors are not those" in refusal(with_added(learned, means, means, more))


def test_sums_that_are_missing(learned: Plan) -> None:
    squares = sums_of(learned, "label*genes")["squares"]
    assert "sums of vectors are not those" in refusal(with_added(learned, squares))


def test_scores_clipped_in_two_ways(moments: Plan) -> None:
    """The second moment of vectors that are longer than those of the scores."""
    second = next(query for query in moments.added if isinstance(query, SecondMoment))
    longer = second.model_copy(update={"clip": second.clip + 1})
    longer = longer.model_copy(update={"statement": canonical_statement(longer)})
    assert "clipped in two ways" in refusal(with_added(moments, second, longer))


def test_loadings_longer_than_their_norm(moments: Plan) -> None:
    """Their scores might overflow before they are clipped."""
    query = next(query for query in moments.program.queries if isinstance(query, Moments))
    genes = len(query.loadings[0])
    loadings = ((2**16,) + (0,) * (genes - 1), *query.loadings[1:])
    assert "not of norm 1" in refusal(with_asked(moments, query, loadings=loadings))


def test_half_the_variance_is_for_products_alone(moments: Plan) -> None:
    for name, halved in (("label", 1), ("second", 1)):
        release = next(
            one
            for one in moments.releases()
            if isinstance(moments.query(one.query), SecondMoment) == (name == "second")
        )
        changed = with_releases(
            moments,
            lambda one, wrong=release, more=halved: (  # type: ignore[misc]
                one.model_copy(update={"halved": one.halved + more}) if one is wrong else one
            ),
        )
        assert "halves the noise of other cells" in refusal(changed)


def test_half_the_variance_stays_above_the_minimum(moments: Plan) -> None:
    second = next(query for query in moments.added if isinstance(query, SecondMoment))
    below = with_noise(moments, second.id, Fraction(7))
    assert f'one party on "{second.id}" is below the minimum' in refusal(below)


def test_sums_that_the_field_cannot_hold(learned: Plan) -> None:
    """2³² people fit as counts, and not as vectors of length 2³⁰."""
    program = learned.program
    person = program.person.model_copy(update={"people_bound": 2**32})
    privacy = program.privacy.model_copy(update={"delta": Fraction(1, 10**12)})
    means = sums_of(learned, "label*genes")["means"]
    longer = means.model_copy(update={"clip": 2**30})
    longer = longer.model_copy(update={"statement": canonical_statement(longer)})
    first, second = learned.rounds
    plan = with_added(learned, means, longer).model_copy(
        update={
            "program": program.model_copy(update={"person": person, "privacy": privacy}),
            "rounds": (first, second.model_copy(update={"delay": 3700})),
        }
    )
    said = refusal(plan)
    assert f'too small for "{means.id}"' in said
    assert 'too small for "sex"' not in said


def test_products_that_the_field_cannot_hold(moments: Plan) -> None:
    """Scores of length 2²⁷ fit, their products do not."""
    second = next(query for query in moments.added if isinstance(query, SecondMoment))
    scores = sums_of(moments, second.serves)["scores"]
    plan = moments
    for query in (second, scores):
        longer = query.model_copy(update={"clip": 2**27})
        longer = longer.model_copy(update={"statement": canonical_statement(longer)})
        plan = with_added(plan, query, longer)
    said = refusal(plan)
    assert f'too small for "{second.id}"' in said
    assert f'too small for "{scores.id}"' not in said


def test_the_slack_of_a_second_moment_is_that_of_its_least_noise(moments: Plan) -> None:
    """Products have half the variance, so it is theirs that splits worst."""
    second = next(query for query in moments.added if isinstance(query, SecondMoment))
    noisy = with_noise(moments, second.id, Fraction(8))
    (release,) = (one for one in noisy.releases() if one.query == second.id)
    honest = len(noisy.parties) - noisy.threshold
    assert slack_of(noisy) >= split_noise_slack(release.raw_cells, Fraction(4), honest)


def test_the_studies_have_what_is_changed_here(learned: Plan, moments: Plan) -> None:
    assert isinstance(learned.program.query("label*genes"), Marginal)
    assert sum(isinstance(query, Moments) for query in moments.program.queries) == 2
