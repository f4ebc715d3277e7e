"""The accountants behind one interface, and the one table of what each may say.

An accountant turns a ``Composition`` into ε.  They differ in what they can take, in how tight they
are, and in whether rounding is on the safe side; ``ROLES`` says what follows from that (PRIVACY
1.4).  Whoever needs an ε that is promised asks ``certifier``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from types import MappingProxyType

from secgen_dsl import __version__
from secgen_dsl.ir.certificate import Role
from secgen_dsl.privacy.events import Composition, Event, ShiftedGaussian, Shifts
from secgen_dsl.privacy.gdp import epsilon_for_mu
from secgen_dsl.privacy.pld import epsilon_upper_bounds
from secgen_dsl.privacy.renyi import epsilon_from_zcdp
from secgen_dsl.privacy.rounding import float_not_above, float_not_below, sqrt_not_below


@dataclass(frozen=True)
class Accountant:
    """One way to bound or to estimate the ε of a composition.

    Attributes:
        name: as certificates give it.
        library: distribution whose version a certificate names.
        epsilons: composition, several 0 < δ < 1 → an ε ≥ 0 at each, all slack included (of
            ``GAUSSIAN``: none).  Raises ValueError for what it cannot take.  ``SUM`` takes δ = 0.
    """

    name: str
    library: str
    epsilons: Callable[[Composition, Sequence[Fraction]], tuple[float, ...]]

    def epsilon(self, composition: Composition, delta: Fraction) -> float:
        """The same at one δ."""
        (found,) = self.epsilons(composition, (delta,))
        return found

    @property
    def version(self) -> str:
        """Name and version of the library, without importing it."""
        own = self.library == "secgen"
        return f"{self.library} {__version__ if own else version(self.library)}"


def events_of(composition: Composition) -> tuple[Event, ...]:
    """The one-dimensional events.  Raises ValueError where there are none to dominate."""
    if composition.events is None:
        raise ValueError("competing shifts have no one-dimensional events")
    return composition.events


def _own_pld(composition: Composition, deltas: Sequence[Fraction]) -> tuple[float, ...]:
    return epsilon_upper_bounds(events_of(composition), deltas, slack=composition.slack)


def _sum(composition: Composition, deltas: Sequence[Fraction]) -> tuple[float, ...]:
    if composition.pure is None:
        raise ValueError("only the losses of Laplace noise are bounded")
    return (float_not_below(composition.pure),) * len(deltas)


def _second_pld(composition: Composition, deltas: Sequence[Fraction]) -> tuple[float, ...]:
    from secgen_dsl.privacy.second_opinion import second_epsilon

    found = []
    for delta in deltas:
        # Its grid must be fine beside a small ε, or its rounding alone exceeds the budget.
        estimate = GAUSSIAN.epsilon(composition, delta)
        interval = min(1e-4, max(estimate, 1e-4) / 2000)
        events, slack = events_of(composition), composition.slack
        found.append(second_epsilon(events, delta, slack=slack, interval=interval))
    return tuple(found)


def _zcdp(composition: Composition, deltas: Sequence[Fraction]) -> tuple[float, ...]:
    slack = composition.slack
    if slack >= 1:
        raise ValueError("a slack of 1 or more leaves no guarantee")
    rho = composition.mu_squared / 2
    # e^−a ≥ 1 − a, exactly in rationals.
    inner = [epsilon_from_zcdp(rho, delta * (1 - slack)) for delta in deltas]
    return tuple(float_not_below(Fraction(e) + Fraction(float_not_below(slack))) for e in inner)


def _second_renyi(composition: Composition, deltas: Sequence[Fraction]) -> tuple[float, ...]:
    from secgen_dsl.privacy.second_opinion import second_renyi_epsilon

    mu_squared, slack = composition.mu_squared, composition.slack
    return tuple(second_renyi_epsilon(mu_squared, delta, slack=slack) for delta in deltas)


def _lattice(composition: Composition, deltas: Sequence[Fraction]) -> tuple[float, ...]:
    from secgen_dsl.privacy.lattice import LatticeCurve

    events = events_of(composition)
    gaussians = [event for event in events if isinstance(event, ShiftedGaussian)]
    if len(gaussians) < len(events):
        raise ValueError("the lattice is of Gaussian noise")
    curve, slack = LatticeCurve(gaussians), composition.slack
    found = (curve.epsilon(float_not_above(delta * (1 - slack))) for delta in deltas)
    return tuple(epsilon + float(slack) for epsilon in found)


def _gaussian(composition: Composition, deltas: Sequence[Fraction]) -> tuple[float, ...]:
    mu = sqrt_not_below(composition.mu_squared)
    return tuple(epsilon_for_mu(mu, float(delta)) for delta in deltas)


SUM = Accountant("pure epsilon, exact sum", "secgen", _sum)
PLD = Accountant("privacy loss distribution, connect-the-dots (secgen)", "numpy", _own_pld)
SECOND_PLD = Accountant(
    "privacy loss distribution, connect-the-dots (dp-accounting)", "dp-accounting", _second_pld
)
LATTICE = Accountant("exact lattice, by Fourier transform (secgen)", "scipy", _lattice)
ZCDP = Accountant("zCDP to (epsilon, delta), Canonne-Kamath-Steinke", "secgen", _zcdp)
SECOND_RENYI = Accountant(
    "Rényi differential privacy (dp-accounting)", "dp-accounting", _second_renyi
)
GAUSSIAN = Accountant("Gaussian DP, closed form", "mpmath", _gaussian)

ROLES: Mapping[Shifts, Mapping[Accountant, Role]] = MappingProxyType(
    {
        "one-dimensional": MappingProxyType(
            {
                PLD: "certifies",
                SECOND_PLD: "confirms",
                LATTICE: "checks",
                ZCDP: "bounds",
                GAUSSIAN: "estimates",
            }
        ),
        # Never a one-dimensional distribution: no single pair is known to dominate (PRIVACY 1.4).
        "competing": MappingProxyType(
            {ZCDP: "certifies", SECOND_RENYI: "confirms", GAUSSIAN: "estimates"}
        ),
        # Laplace noise.  At δ > 0 the distributions are tighter; the sum is what is promised.
        "bounded": MappingProxyType(
            {SUM: "certifies", SECOND_PLD: "confirms", PLD: "bounds", ZCDP: "bounds"}
        ),
    }
)
"""What each accountant may say of which composition, in the order of a certificate.

``certifies``: proved, and every rounding is on the safe side; must lie within the budget.
``confirms``: a library that shares no code with ours; floats without directed rounding; must lie
within the budget as well.  ``checks``: exact to rounding, either way; must agree with the certified
number.  ``bounds``: proved as well, but not what is promised.  ``estimates``: exact for continuous
noise only; plans.
"""


def certifier(composition: Composition) -> Accountant:
    """The accountant whose number is promised."""
    (found,) = (one for one, role in ROLES[composition.shifts].items() if role == "certifies")
    return found


def asked(composition: Composition, delta: Fraction) -> Mapping[Accountant, Role]:
    """The accountants that can say something at a δ, with their roles: at δ = 0 only the sum."""
    roles = ROLES[composition.shifts]
    return roles if delta > 0 else {one: role for one, role in roles.items() if one is SUM}


def certified_epsilons(
    composition: Composition, deltas: Sequence[Fraction]
) -> tuple[float | Fraction, ...] | None:
    """Upper bounds by the first accountant with a proof that can take it; None if none can.

    Where noise is beyond the certifying accountant's range, a looser proof still stands.  With
    Laplace noise it is the least of all proofs at each δ; the sum of ε stands in any case.
    """
    if composition.pure is not None:
        return tuple(_least(composition, composition.pure, delta) for delta in deltas)
    for accountant, role in ROLES[composition.shifts].items():
        if role in ("certifies", "bounds"):
            try:
                return accountant.epsilons(composition, deltas)
            except (ValueError, ArithmeticError):
                continue
    return None


def _least(composition: Composition, pure: Fraction, delta: Fraction) -> float | Fraction:
    least: float | Fraction = pure
    for accountant, role in asked(composition, delta).items():
        if role == "bounds":
            try:
                least = min(least, accountant.epsilon(composition, delta))
            except (ValueError, ArithmeticError):
                continue
    return least
