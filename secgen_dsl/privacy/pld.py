"""Our own accountant: an upper bound on the composed privacy curve, in numpy.

**Losses.**  Between the worlds P = N_Z(0, V) and Q = N_Z(d, V) the outcome x has the loss
``ln P(x)/Q(x) = (d² − 2dx)/(2V)``, exactly; randomised response has the two losses ±e.  With L the
sum of the losses over all events, x drawn from P, the composed curve is
``δ(ε) = E[(1 − e^(ε−L))₊]``.

**One direction is enough.**  x → d − x maps P to Q, Q to P and the loss to its negative, in each
event by itself; so adding and removing a person have the same curve.

**Connect the dots** (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi, PoPETs 2022, arXiv
2207.04380).  An atom (mass p, loss l) with ε_j ≤ l < ε_{j+1} is split over those two grid points
so that its mass p under P and its mass p·e^−l under Q stay what they were: the lower point takes
``p·expm1(ε_{j+1} − l)/expm1(h)``, a ratio of positive numbers, so nothing cancels.
*It is an upper bound, and composes*: in t = e^−l the function (1 − e^ε·t)₊ is convex, the split
keeps the mean of t, so it can only raise the expectation; a composition multiplies the t's, and
given all others the function stays convex in each.
*It is the PMF of that paper*: the function's only kink lies at t = e^−ε, so for ε on the grid it
is linear between ε_j and ε_{j+1} and the split leaves δ(ε) as it was; a PMF on the grid is
determined by its δ at the grid points.

**Tilted convolution.**  A plain FFT has errors of 10⁻¹⁶ times the *largest* mass, which would
drown a δ of 10⁻¹².  So the masses are first tilted, p_j·e^(λε_j − K(λ)), with K(λ) the log of
their moment generating function, composed, and tilted back; λ puts the middle of the tilted law
at the ε sought (as in a Chernoff bound).  Errors are then relative to about δ itself.

**What is added so that floats cannot make the result too small**: truncated mass, as infinite
loss; mass beyond the FFT's window, by Chernoff's inequality (mass that wraps round *into* the
window only adds); the transforms' rounding (``spectrum``); and factors for the rounding of masses
and losses.  The last also cover a sampler whose scale is the next float above √V, so a variance
that is up to 4u larger: every loss then shrinks by at most 4u of itself, every mass grows by at
most 4u·x²/2V of itself.  (This must be covered, for ε is *not* monotone in V: one table of
variance 1.00 has ε = 4.50 at δ = 10⁻⁶, of variance 1.02 it has 4.64.)  The constants are our own,
generous ones.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.privacy.events import BoundedLoss, Event, ShiftedGaussian
from secgen_dsl.privacy.rounding import UNIT, float_not_above, float_not_below
from secgen_dsl.privacy.spectrum import Spectrum

_CUT = 32.0
"""Mass e^−32 of the tilted law may lie on either side of the window."""

_NEAR = 12.0
"""Of ln δ: so far from the δ that a convolution was tilted to, its errors are still negligible."""

_LARGEST_ATOMS = 2**25
_MOST_ATOMS = 2**28
_CHUNK = 2**18
_SMALLEST_DELTA = Fraction(1, 10**250)

MOST_DISTINCT = 4096
"""Kinds of events that one bound composes: so many take some ten seconds."""


class TooManyKindsError(ValueError):
    """Events of more than ``MOST_DISTINCT`` distinct variances and shifts."""

    def __init__(self, kinds: int) -> None:
        super().__init__(
            f"the tables have {kinds:,} different noises, more than the {MOST_DISTINCT:,} that an "
            "accountant composes"
        )


def epsilon_upper_bound(
    events: Sequence[Event],
    delta: Fraction,
    *,
    slack: Fraction = Fraction(0),
    interval: float = 1e-4,
) -> float:
    """An ε for which the composition of ``events`` is (ε, δ)-DP; within about 10⁻⁴ of the best.

    Args:
        events: what is composed; with none, the result is the slack.
        delta: 10⁻²⁵⁰ ≤ δ < 1.
        slack: sum of the slacks of ``slack``, ≥ 0: the result is ε(δ·e^−slack) + slack.
        interval: the grid's step h in units of ε, 10⁻⁷ … 10⁻¹.  It is refined for very many
            events of tiny loss, and coarsened where losses span more than 10² units.

    Returns:
        ε ≥ 0, rounded up.

    Raises:
        ValueError: a number out of its range, or a standard deviation beyond 10⁶
            (TooManyKindsError: more than ``MOST_DISTINCT`` kinds of events).
    """
    (bound,) = epsilon_upper_bounds(events, (delta,), slack=slack, interval=interval)
    return bound


def epsilon_upper_bounds(
    events: Sequence[Event],
    deltas: Sequence[Fraction],
    *,
    slack: Fraction = Fraction(0),
    interval: float = 1e-4,
) -> tuple[float, ...]:
    """``epsilon_upper_bound`` at several δ, for hardly more than the cost of the first.

    One tilted convolution serves all δ that lie near the one it was tilted to.

    Raises:
        ValueError: as above, or no δ at all.
    """
    if not deltas or not all(_SMALLEST_DELTA <= delta < 1 for delta in deltas):
        raise ValueError("δ must be at least 10^−250 and less than 1")
    if slack < 0:
        raise ValueError("a slack must not be negative")
    slack_above = float_not_below(slack)
    # e^−a ≥ 1 − a exactly in rationals; a slack of 1 or more has eaten the guarantee.
    if slack >= 1:
        raise ValueError("a slack of 1 or more leaves no guarantee")
    if not events:
        return (slack_above,) * len(deltas)
    targets = [float_not_above(delta * (1 - slack)) for delta in deltas]
    losses = _discretise(events, interval, math.log(1 / float(min(targets))))
    around = targets[0]
    tail = _tail_around(losses, around)
    bounds = []
    for target in targets:
        if abs(math.log(target / around)) > _NEAR or not tail.reaches(target):
            around, tail = target, _tail_around(losses, target)
        bound = tail.epsilon(target) + slack_above
        bounds.append(math.nextafter(bound * (1 + 8 * UNIT), math.inf) if bound else 0.0)
    return tuple(bounds)


def delta_upper_bound(
    events: Sequence[Event],
    epsilon: float,
    *,
    slack: Fraction = Fraction(0),
    interval: float = 1e-4,
) -> float:
    """A δ for which the composition of ``events`` is (ε, δ)-DP: one point of the curve.

    Args:
        events: what is composed.
        epsilon: ≥ 0.
        slack: as for ``epsilon_upper_bound``: the result is e^slack·δ(ε − slack).
        interval: as for ``epsilon_upper_bound``.

    Returns:
        0 ≤ δ ≤ 1, rounded up; 1 where ε is less than the slack.  A true δ below 10⁻²⁵⁰ may be
        overstated, up to about that number.

    Raises:
        ValueError: a number out of its range, or a standard deviation beyond 10⁶
            (TooManyKindsError: more than ``MOST_DISTINCT`` kinds of events).
    """
    if epsilon < 0 or slack < 0 or slack >= 1:
        raise ValueError("ε must not be negative, and a slack lies between 0 and 1")
    slack_above = float_not_below(slack)
    rest = math.nextafter(epsilon - slack_above, -math.inf) if slack else epsilon
    if rest < 0:
        return 1.0
    if not events:
        return 0.0
    mu_squared = float(sum(event.mu_squared for event in events))
    # The Gaussian Chernoff point again, but no further than where δ falls below e^−575.
    tilt = max((rest - mu_squared / 2) / mu_squared, 0.0)
    tilt = min(tilt, math.sqrt(2 * 575 / mu_squared))
    # e^−μ²(λ+λ²)/2 is about δ: truncated mass must stay below that.
    losses = _discretise(events, interval, min(575.0, mu_squared * (tilt + tilt**2) / 2))
    value = _compose(losses, tilt, include=rest).delta(rest)
    return min(1.0, math.nextafter(value * math.exp(slack_above) * (1 + 8 * UNIT), math.inf))


@dataclass(frozen=True)
class _EventLoss:
    """One event's loss on the grid, under P.

    Attributes:
        cells: indices j of the grid points ε_j = j·h that carry mass; may repeat; shape (k,).
        masses: the mass at each, > 0; shape (k,).
        infinite: mass that was truncated, counted as infinite loss.
        count: number of independent copies.
        rounding: bound on the absolute rounding error of each loss.
    """

    cells: NDArray[np.int64]
    masses: NDArray[np.float64]
    infinite: float
    count: int
    rounding: float


@dataclass(frozen=True)
class _Losses:
    """All events' losses on one grid of step ``interval``."""

    events: tuple[_EventLoss, ...]
    interval: float
    mu_squared: float

    @property
    def copies(self) -> int:
        """Number of composed pairs, copies counted."""
        return sum(event.count for event in self.events)


@dataclass(frozen=True)
class _Tail:
    """Upper bounds on the composed loss's masses within a window of the grid.

    Attributes:
        losses: ascending grid points ε_j; shape (N,).
        masses: an upper bound on the mass at each; shape (N,).
        beyond: bound on the mass above the window, infinite losses included.
        rounding: what rounding may have taken off the composed loss.
    """

    losses: NDArray[np.float64]
    masses: NDArray[np.float64]
    beyond: float
    rounding: float

    @property
    def lowest(self) -> float:
        """The least ε for which ``delta`` is a bound: below, the window lacks mass."""
        return float(self.losses[0]) + self.rounding

    @property
    def highest(self) -> float:
        """The last grid point, above which only ``beyond`` is left."""
        return float(self.losses[-1]) + self.rounding

    def reaches(self, target: float) -> bool:
        """Whether δ(ε) = target lies within the window."""
        fits = self.delta(self.highest) <= target
        return fits and (self.lowest <= 0 or self.delta(self.lowest) > target)

    def delta(self, epsilon: float) -> float:
        """An upper bound on δ(ε), for ε ≥ ``lowest``."""
        epsilon -= self.rounding
        start = int(np.searchsorted(self.losses, epsilon, side="right"))
        part = self.masses[start:] * -np.expm1(epsilon - self.losses[start:])
        return (float(part.sum()) + self.beyond) * (1 + 64 * UNIT)

    def epsilon(self, target: float) -> float:
        """An ε ≥ max(0, ``lowest``) with ``delta(ε)`` ≤ target; infinite if there is none."""
        floor = max(0.0, self.lowest)
        if self.delta(floor) <= target:
            return floor
        low = int(np.searchsorted(self.losses, floor - self.rounding, side="right")) - 1
        high = len(self.losses) - 1
        if self.delta(self.highest) > target:
            return math.inf
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.delta(float(self.losses[middle]) + self.rounding) <= target
            low, high = (low, middle) if fits else (middle, high)
        # Between two grid points δ is A − C·e^(ε − ε_high); solve, then step up until it holds.
        top = float(self.losses[high])
        mass = float(self.masses[high:].sum())
        weighted = float((self.masses[high:] * np.exp(top - self.losses[high:])).sum())
        ratio = (mass + self.beyond - target) / weighted
        guess = max(floor, top + self.rounding + (math.log(ratio) if ratio > 0 else -math.inf))
        step = 1e-13 * max(1.0, top)
        while self.delta(guess) > target:
            guess, step = guess + step, 2 * step
        return min(guess, top + self.rounding)


def _tail_around(losses: _Losses, target: float) -> _Tail:
    """The composition, tilted so that the ε of the target lies within its window."""
    # The Chernoff point of a Gaussian loss; any λ is sound, a good one is also tight.
    tilt = math.sqrt(2 * math.log(1 / target) / losses.mu_squared)
    for _ in range(200):
        tail = _compose(losses, tilt)
        if tail.reaches(target):
            break
        tilt *= 2 if tail.delta(tail.highest) > target else 0.5
    return tail


def _merged(events: Sequence[Event]) -> list[Event]:
    """Equal events together; those with the greatest part of μ² first.

    The largest one's transform leaves few frequencies of note to all others (``spectrum``).
    """
    counts: Counter[Event] = Counter()
    for event in events:
        counts[replace(event, count=1)] += event.count
    merged = [replace(event, count=count) for event, count in counts.items()]
    return sorted(merged, key=lambda event: (-event.mu_squared, _kind(event)))


def _kind(event: Event) -> tuple[Fraction, int]:
    """What tells events of equal μ² apart."""
    return (event.loss, 0) if isinstance(event, BoundedLoss) else (event.variance, event.shift)


def _discretise(events: Sequence[Event], interval: float, log_inverse_delta: float) -> _Losses:
    """Connect the dots for each event, on a common grid fit for all of them."""
    if not 1e-7 <= interval <= 0.1:
        raise ValueError("the interval must lie between 1e-7 and 0.1")
    events = _merged(events)
    if len(events) > MOST_DISTINCT:
        raise TooManyKindsError(len(events))
    copies = sum(event.count for event in events)
    mu_squared = float(sum(event.mu_squared for event in events))
    # A split adds on average h²/6 to an atom's variance: keep the sum below 10⁻⁴ of the
    # composed loss's own variance μ², and the window (about 17 μ) below some 2²⁰ cells.
    interval = min(interval, math.sqrt(6e-4 * mu_squared / copies))
    interval = max(interval, math.sqrt(mu_squared) * 17 / 2**20)
    exponent = 50.0 + math.log(copies) + max(0.0, log_inverse_delta)
    gaussians = [event for event in events if isinstance(event, ShiftedGaussian)]
    if sum(2 * _reach(event, exponent) + 1 for event in gaussians) > _MOST_ATOMS:
        raise ValueError("so many kinds of so much noise are beyond the accountant's range")
    return _Losses(
        events=tuple(
            _discretise_answer(event, interval)
            if isinstance(event, BoundedLoss)
            else _discretise_event(event, interval, exponent)
            for event in events
        ),
        interval=interval,
        mu_squared=mu_squared,
    )


def _reach(event: ShiftedGaussian, exponent: float) -> int:
    """k, so that all but 2·e^−exponent of N_Z(0, V) lies within −k … k."""
    # P[|X| ≥ k] ≤ 2·e^(−k²/2V): it is sub-Gaussian (CKS 2020), then Chernoff.
    return math.ceil(math.sqrt(2 * float(event.variance) * exponent)) + 1


def _discretise_answer(event: BoundedLoss, interval: float) -> _EventLoss:
    """The two atoms of randomised response, split over the grid."""
    largest = float(event.loss)
    losses = np.array([largest, -largest])
    weights = 1 / (1 + np.exp(-losses))
    cells, masses = _split(losses, weights, interval)
    return _EventLoss(
        cells=cells[masses > 0],
        masses=masses[masses > 0],
        infinite=0.0,
        count=event.count,
        rounding=16 * UNIT * (largest + interval),
    )


def _split(
    losses: NDArray[np.float64], weights: NDArray[np.float64], interval: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Connect the dots: grid cells and masses, first all lower points, then all upper ones."""
    below = np.floor(losses / interval)
    share = np.expm1((below + 1) * interval - losses) / math.expm1(interval)
    share = np.clip(share, 0.0, 1.0)
    cell = below.astype(np.int64)
    return (
        np.concatenate([cell, cell + 1]),
        np.concatenate([weights * share, weights * (1 - share)]),
    )


def _discretise_event(event: ShiftedGaussian, interval: float, exponent: float) -> _EventLoss:
    """The atoms of one event, split over the grid; all but e^−exponent of the mass."""
    variance, shift = float(event.variance), event.shift
    reach = _reach(event, exponent)
    if 2 * reach + 1 > _LARGEST_ATOMS:
        raise ValueError(f"a noise variance of {variance:.3g} is beyond the accountant's range")
    scale = shift / variance
    largest = scale * (shift / 2 + reach)
    lowest_cell = math.floor(scale * (shift / 2 - reach) / interval) - 1
    span = math.ceil(largest / interval) + 2 - lowest_cell
    dense = np.zeros(span) if 2 * (2 * reach + 1) > span else None
    cells: list[NDArray[np.int64]] = []
    masses: list[NDArray[np.float64]] = []
    total = 0.0
    for start in range(-reach, reach + 1, _CHUNK):
        x = np.arange(start, min(start + _CHUNK, reach + 1), dtype=np.float64)
        weight = np.exp(x * x / (-2 * variance))
        total += float(weight.sum())
        both, split = _split(scale * (shift / 2 - x), weight, interval)
        if dense is None:
            cells.append(both)
            masses.append(split)
        else:
            dense += np.bincount(both - lowest_cell, weights=split, minlength=span)
    if dense is not None:
        cells, masses = [np.arange(span, dtype=np.int64) + lowest_cell], [dense]
    # Normalising by the truncated total overstates every mass: the safe side.
    mass = np.concatenate(masses) / total
    kept = mass > 0
    return _EventLoss(
        cells=np.concatenate(cells)[kept],
        masses=mass[kept],
        infinite=2 * math.exp(-exponent),
        count=event.count,
        rounding=16 * UNIT * (largest + interval),
    )


def _log_moment(event: _EventLoss, interval: float, tilt: float) -> float:
    """K(λ) = ln Σ p_j·e^(λε_j) of one copy, infinite loss left out."""
    exponents = tilt * interval * event.cells
    highest = float(exponents.max())
    return highest + math.log(float(event.masses @ np.exp(exponents - highest)))


def _window(losses: _Losses, tilt: float, moments: Sequence[float]) -> tuple[int, int]:
    """Grid indices (first, last) outside which the tilted, composed law has mass ≤ e^−_CUT each.

    By Chernoff's inequality on the tilted law, whose log moment generating function at s is
    K(λ + s) − K(λ).  The choice matters for tightness only.
    """
    variance = 0.0
    for event, moment in zip(losses.events, moments, strict=True):
        loss = losses.interval * event.cells
        weight = event.masses * np.exp(tilt * loss - moment)
        mean = float(weight @ loss)
        variance += event.count * float(weight @ (loss - mean) ** 2)
    width = max(math.sqrt(variance), losses.interval)
    upper, lower = math.inf, -math.inf
    for factor in (0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 20.0):
        step = factor / width
        rise = fall = 0.0
        for event, moment in zip(losses.events, moments, strict=True):
            rise += event.count * (_log_moment(event, losses.interval, tilt + step) - moment)
            fall += event.count * (_log_moment(event, losses.interval, tilt - step) - moment)
        upper = min(upper, (rise + _CUT) / step)
        lower = max(lower, -(fall + _CUT) / step)
    return math.floor(lower / losses.interval), math.ceil(upper / losses.interval)


def _compose(losses: _Losses, tilt: float, include: float | None = None) -> _Tail:
    """Upper bounds on the composed masses, tight near the losses that ``tilt`` ≥ 0 selects.

    Args:
        losses: the events.
        tilt: λ.
        include: a loss that the window must reach down to, if given.
    """
    interval = losses.interval
    moments = [_log_moment(event, interval, tilt) for event in losses.events]
    total_moment = math.fsum(
        event.count * moment for event, moment in zip(losses.events, moments, strict=True)
    )
    first, last = _window(losses, tilt, moments)
    rounding = sum(event.count * event.rounding for event in losses.events)
    if include is not None:
        first = min(first, math.floor((include - rounding) / interval) - 1)
    size = 1 << max(4, (last - first + 1).bit_length())

    spectrum = Spectrum(size)
    extreme = 0.0  # largest |λ·ε_j − K|, of which exp loses that many ulps
    for event, moment in zip(losses.events, moments, strict=True):
        exponents = tilt * interval * event.cells - moment
        extreme = max(extreme, float(np.abs(exponents).max()))
        spectrum.multiply(event.cells, event.masses * np.exp(exponents), event.count)
    composed, fft_error = spectrum.inverse()
    composed = np.roll(composed, -(first % size))
    points = interval * np.arange(first, first + size, dtype=np.float64)
    # Rounding of masses, for every copy: exp(λε − K); exp(−x²/2V), whose argument is below 750
    # and off by 8u with the sampler's 4u; sums.  And once for the tilt back.
    relative = (losses.copies + 1) * (64 + 4 * extreme + 8 * 750) * UNIT
    # Where e^(K − λε) overflows, the bound 1 on a mass is all that is needed.
    untilt = np.exp(np.minimum(total_moment - tilt * points, 700.0))
    masses = np.minimum(1.0, (np.maximum(composed, 0.0) + fft_error) * untilt * (1 + relative))
    above = math.exp(min(0.0, total_moment - tilt * float(points[-1]) - _CUT))
    infinite = sum(event.count * event.infinite for event in losses.events)
    return _Tail(
        losses=points,
        masses=masses,
        beyond=(above + infinite) * (1 + relative),
        rounding=rounding + 4 * UNIT * float(np.abs(points).max()),
    )
