"""The figures in the text of "From a query to the printed ε" are computed again, one by one.

What the page's commands print is checked with all other pages (``test_pages``).
"""

import re
from fractions import Fraction
from math import ceil, exp, pi, sqrt

import pytest

from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.plan import Release
from secgen_dsl.planner.plan import ACCOUNTING_RESERVE
from secgen_dsl.privacy.accountants import ROLES
from secgen_dsl.privacy.bound import Case, compose
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.privacy.rounding import six_digits_up
from secgen_dsl.privacy.slack import split_noise_slack
from tests.conftest import ROOT
from tests.docs.pages import DOCS

PAGE = " ".join(
    (DOCS / "security" / "from-a-query-to-epsilon.md").read_text(encoding="utf-8").split()
)
NAME = "subtype*cycle"


@pytest.fixture(scope="module")
def releases(colorectal: PlannedStudy) -> dict[str, Release]:
    return {release.query: release for release in colorectal.plan.releases()}


def says(text: str) -> None:
    assert text in PAGE, f"the page does not say {text!r}"


def decimal(number: Fraction) -> str:
    return str(float(number))


def test_cells_and_sensitivity(releases: dict[str, Release]) -> None:
    release = releases[NAME]
    assert (release.map, release.tables) == ("centred", 48)
    says(f"{release.tables} genes have {release.raw_cells} **raw cells**")
    says(f"Δ² = {release.tables} · (1 − 1/4) = {release.noise.sensitivity_squared}.")
    others = [r.noise.sensitivity_squared for name, r in releases.items() if name != NAME]
    assert others == [1, 1, 5]
    says("The other queries have Δ² = 1, 1 and 5.")


def test_the_budget_and_its_shares(colorectal: PlannedStudy, releases: dict[str, Release]) -> None:
    privacy = colorectal.plan.program.privacy
    assert (privacy.epsilon, privacy.delta) == (4, Fraction(1, 10**6))
    whole = mu_for_budget(privacy.epsilon, privacy.delta)
    left = 1 - ACCOUNTING_RESERVE
    usable = mu_for_budget(privacy.epsilon * left, privacy.delta * left)
    says(f"it gives μ = {float(whole):.6f}")
    says(f"1/{1 / ACCOUNTING_RESERVE} of ε and of δ")
    says(f"it may spend μ = {float(usable):.6f}.")
    parts = {n: r.noise.sensitivity_squared / r.noise.variance for n, r in releases.items()}
    total = sum(parts.values())
    variance = releases[NAME].noise.variance
    share = f"{float(100 * parts[NAME] / total):.1f}%"
    says(
        f"σ² = {decimal(variance)}, so that 36/{decimal(variance)} = {float(parts[NAME]):.6f} of "
        f"μ² = {float(total):.6f}: {share}."
    )
    terms = [
        f"{r.noise.sensitivity_squared}/{decimal(r.noise.variance)}"
        for _, r in sorted(releases.items(), key=lambda item: item[0] != NAME)
    ]
    says(f"{' + '.join(terms)} = {float(total):.6f}, hence μ = {sqrt(total):.6f}.")
    assert usable**2 * Fraction(999, 1000) < total <= usable**2


def test_the_split_and_its_slack(colorectal: PlannedStudy, releases: dict[str, Release]) -> None:
    plan, release = colorectal.plan, releases[NAME]
    party, variance = release.noise.party_variance, release.noise.variance
    assert (len(plan.parties), plan.threshold) == (3, 1)
    says(f"σᵢ² = σ²/(m − t) = {decimal(variance)}/2 = {decimal(party)},")
    says(f"{decimal(party)} · 2 = {decimal(variance)}, σ = {sqrt(variance):.2f}.")
    says(f"is all three: σ = {sqrt(3 * party):.1f}.")
    slack = colorectal.verified.composition.slack
    says(f"slack = {six_digits_up(float(slack))}.")
    least = min(releases.values(), key=lambda r: r.noise.party_variance)
    assert least.query == "subtype*repair"
    says(f"draws the least (σᵢ² = {decimal(least.noise.party_variance)})".replace("draws", "draw"))
    # 2·d·τ with two honest parties: τ = 10·exp(−π²σᵢ²).
    own = 2 * least.raw_cells * 10 * exp(-(pi**2) * float(least.noise.party_variance))
    says(f"exp(−π² · {decimal(least.noise.party_variance)}) = {own:.5E}.")
    # Every term is rounded up to the grid: one of each query, one of centring.
    step = Fraction(1, 2**128)
    assert split_noise_slack(least.raw_cells, least.noise.party_variance, 2) / step == ceil(
        own / step
    )
    says(f"That makes {ceil(own / step):,} steps of this one")
    assert slack / step == ceil(own / step) + len(releases)
    says(f"{int(slack / step):,} steps in all")


def test_the_event_and_the_composition(
    colorectal: PlannedStudy, releases: dict[str, Release]
) -> None:
    events = colorectal.verified.composition.events
    assert events is not None
    (event,) = (one for one in events if one.count == 48)
    variance = decimal(releases[NAME].noise.variance)
    says(
        f"48 independent pairs N_ℤ(0, 12 · {variance}) against N_ℤ({event.shift}, 12 · {variance}),"
        f" 12 · {variance} = {decimal(event.variance)},"
    )
    says(f"48 · {event.shift}²/{decimal(event.variance)} = {float(event.mu_squared):.6f} again")
    says(f"over all {sum(one.count for one in events)} pairs")
    for one in events:
        says(f"({float(one.variance):g}, {one.shift}, {one.count}),")


def test_other_observers(colorectal: PlannedStudy) -> None:
    for against in ("outsiders", "all-others"):
        found = compose(colorectal.plan, Case("add-or-remove", against=against))
        says(f"μ = {six_digits_up(sqrt(found.mu_squared))}")


def test_the_roles_are_those_of_the_table_in_the_code() -> None:
    for role in {role for roles in ROLES.values() for role in roles.values()}:
        says(f"| {role} |")


def test_the_code_and_the_tests_that_the_page_names_exist() -> None:
    cited = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", PAGE))
    assert len(cited) > 15
    for path in cited:
        assert (ROOT / path).exists() or (ROOT / "secgen_dsl" / path).exists(), path
