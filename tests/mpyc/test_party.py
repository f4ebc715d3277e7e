"""The party refuses every step that its plan does not have."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.backends.mpyc.sharing import secure_array
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import LaplaceNoise, Plan
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.runtime.store import ContributionStore
from tests.planner.test_laplace import planned
from tests.runtime.spends import debit_of_plan

from .entries import InjectedNoise
from .parties import config_of, consortium_of, party_of
from .plans import plan_three

PLAN = plan_three()
BOTH = (("subtype*cycle", 72), ("subtype", 4))


class Draws(InjectedNoise):
    """Counts how often noise is drawn."""

    count = 0

    def draw(self, marginal: str, cells: int, variance: Fraction) -> Any:
        self.count += 1
        return super().draw(marginal, cells, variance)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ContributionStore]:
    with ContributionStore(tmp_path / "store.sqlite") as store:
        yield store


def alone(store: ContributionStore, noise: InjectedNoise, plan: Plan = PLAN) -> Party:
    """A party that nobody else is there for."""
    folder = Path(tempfile.mkdtemp(dir=store._path.parent))
    config = config_of(plan, consortium_of(plan, folder / "keys"))
    return party_of(config, plan, folder, store, noise, debit_of_plan(plan))


@pytest.fixture
def party(store: ContributionStore) -> Party:
    return alone(store, InjectedNoise(0))


def prepare(party: Party) -> None:
    if party.draws(1):
        for release in PLAN.rounds[0].releases:
            noised = party.encode(release.query) + party.noise(
                release.query, release.noise.party_variance
            )
            party.keep(1, release.query, apply_map(release.map, noised))
    party.store(1)


def refused(code: str) -> Any:
    return pytest.raises(SecgenError, match=code)


def test_constants_of_another_plan(party: Party) -> None:
    party.check_plan(sha256_of(PLAN), PLAN.parties, 1, PLAN.modulus)
    for wrong in (
        ("00" * 32, PLAN.parties, 1, PLAN.modulus),
        (sha256_of(PLAN), PLAN.parties[::-1], 1, PLAN.modulus),
        (sha256_of(PLAN), PLAN.parties, 2, PLAN.modulus),
        (sha256_of(PLAN), PLAN.parties, 1, 97),
    ):
        with refused("SG514"):
            party.check_plan(*wrong)


def test_noise_of_another_variance(party: Party) -> None:
    with refused("SG514"):
        party.noise("subtype", Fraction(3))
    with refused("SG514"):
        party.noise("age", Fraction(4))


def test_shares_of_laplace_noise_that_the_plan_does_not_have(store: ContributionStore) -> None:
    plan = planned("marginal label; marginal sex", epsilon="0.5")
    one = next(iter(plan.releases()))
    assert isinstance(one.noise, LaplaceNoise)
    name, scale, parts = one.query, one.noise.scale, one.noise.parts
    party = alone(store, InjectedNoise(0), plan)
    for wrong in ((name, scale / 2, parts), (name, scale, parts + 1), ("age", scale, parts)):
        with refused("SG514"):
            party.polya_noise(*wrong)
    with refused("SG514.*Laplace noise in the plan"):
        party.noise(name, Fraction(100))
    assert party.polya_noise(name, scale, parts).size == one.raw_cells
    with refused("SG514.*drawn twice"):
        party.polya_noise(name, scale, parts)


def test_no_shares_of_laplace_noise_in_a_plan_of_gaussian_noise(party: Party) -> None:
    with refused("SG514.*Gaussian noise in the plan"):
        party.polya_noise("subtype", Fraction(4), 2)


def contribution(party: Party, name: str) -> NDArray[np.int64]:
    release = next(release for release in PLAN.releases() if release.query == name)
    noised = party.encode(name) + party.noise(name, release.noise.party_variance)
    return apply_map(release.map, noised)


def test_contributions_that_the_plan_does_not_have(party: Party) -> None:
    right = contribution(party, "subtype")
    for number, marginal, values in (
        (2, "subtype", right),
        (1, "age", right),
        (1, "subtype", np.zeros(5, dtype=np.int64)),
        (1, "subtype", right.astype(object)),
    ):
        with refused("SG514"):
            party.keep(number, marginal, values)
    party.keep(1, "subtype", right)
    with refused("SG514.*twice"):
        party.keep(1, "subtype", right)
    with refused("SG514.*lacks"):
        party.store(1)


def test_noise_is_drawn_once_for_each_release(party: Party) -> None:
    """S07: neither drawn again until it suits, nor used for another release."""
    right = contribution(party, "subtype")
    variance = next(r for r in PLAN.releases() if r.query == "subtype").noise.party_variance
    with refused("SG514.*drawn twice"):
        party.noise("subtype", variance)
    party.keep(1, "subtype", right)
    with refused("SG514.*drawn twice"):
        party.noise("subtype", variance)


NOT_ITS_OWN: dict[str, Callable[[Any, Any, Any], Any]] = {
    "no noise": lambda x, z, other: apply_map("centred", x),
    "another release's noise": lambda x, z, other: apply_map("centred", x + other),
    "noise after the map": lambda x, z, other: apply_map("centred", x) + z.reshape(-1)[:72],
    "its noise twice": lambda x, z, other: apply_map("centred", x + 2 * z),
    "another map": lambda x, z, other: (x + z).reshape(-1)[:72],
    "other counts": lambda x, z, other: apply_map("centred", x + 1 - np.indices(x.shape)[2] + z),
}


@pytest.mark.parametrize("fault", NOT_ITS_OWN)
def test_only_the_map_of_own_counts_and_own_noise_is_kept(party: Party, fault: str) -> None:
    releases = {release.query: release for release in PLAN.releases()}
    name = "subtype*cycle"
    x, z = party.encode(name), party.noise(name, releases[name].noise.party_variance)
    other = party.noise("subtype", releases["subtype"].noise.party_variance)
    with refused("SG514.*not the map of its counts and noise"):
        party.keep(1, name, NOT_ITS_OWN[fault](x, z, np.resize(other, x.shape)))
    with refused("SG514.*without its counts"):  # there is no second attempt
        party.keep(1, name, apply_map("centred", x + z))
    with refused("SG514.*lacks"):
        party.store(1)


def test_counts_and_noise_cannot_be_changed_in_place(party: Party) -> None:
    variance = next(r for r in PLAN.releases() if r.query == "subtype").noise.party_variance
    for cells in (party.encode("subtype"), party.noise("subtype", variance)):
        with pytest.raises(ValueError, match="read-only"):
            np.add(cells, 1, out=cells)


def test_nothing_is_kept_without_counts_and_noise(party: Party) -> None:
    party.encode("subtype")
    with refused("SG514.*without its counts and noise"):
        party.keep(1, "subtype", np.zeros(4, dtype=np.int64))


def test_nothing_is_shared_before_it_is_stored(party: Party) -> None:
    with refused("SG514.*not stored"):
        asyncio.run(party.share(1))
    prepare(party)
    with refused("SG514.*before connecting"):
        asyncio.run(party.share(1))


@pytest.mark.parametrize(
    ("number", "openings"),
    [(1, (*BOTH, ("people of one site", 1))), (2, BOTH), (1, BOTH[:1]), (1, (("subtype", 76),))],
)
def test_an_opening_that_the_plan_does_not_list(
    party: Party, number: int, openings: tuple[tuple[str, int], ...]
) -> None:
    prepare(party)
    total = secure_array(np.zeros(76, dtype=np.uint64))
    with refused("SG506"):
        asyncio.run(party.open(number, total, openings))
    with refused("SG514.*before connecting"):  # the listed one is permitted, and needs a mesh
        asyncio.run(party.open(1, total, BOTH))
    with refused("SG506.*opened before"):
        asyncio.run(party.open(1, total, BOTH))


def test_a_party_that_stops_early_has_no_result(party: Party) -> None:
    prepare(party)
    with refused("SG514.*ended before"):
        party.measurements()


def test_a_restart_draws_nothing(store: ContributionStore) -> None:
    first, again = Draws(0), Draws(0)
    prepare(alone(store, first))
    prepare(alone(store, again))
    assert (first.count, again.count) == (2, 0)
    store.erase(sha256_of(PLAN))
    with refused("SG511"):
        alone(store, again).draws(1)
