"""What a certificate composes: one-dimensional pairs of laws, of Gaussian or of Laplace noise.

*Discrete Gaussian.*  Where a person has at most one sample in each group of cells
(``sensitivity``), every release of a plan reduces to one such event:

- ``identity``: a person moves one cell of each group by 1.  All other cells have the same law in
  both worlds and cancel, so a group is N_Z(0, σ²) against its shift by 1; under replace-one it is
  two such pairs, the old cell and the new one.  (A person who moves fewer cells than that gives
  pairs without a shift in place of some; their loss is 0, which cannot raise the curve.)
- ``centred``: by ``docs/decisions/0002-centred-tables-as-one-dimensional-gaussians.md`` the
  likelihood ratio of a row's release depends, up to a factor that ``slack.centring_slack``
  bounds, only on the integer T = B·z_b − Σz; and T's law is, up to another factor bounded there,
  N_Z(0, B(B − 1)σ²) against its shift by B − 1.
- ``double-centred``: by ``docs/decisions/0014-double-centred-tables.md`` the same holds of
  T = B²·z_b − B·(sums of b's row and column) + Σz, up to factors that
  ``slack.double_centring_slack`` bounds, with N_Z(0, B²(B − 1)²σ²) against its shift by (B − 1)².
  Of tables by labels that is one block in each group: the others have one law in both worlds.

*Discrete Laplace.*  A cell that a person moves by c has the loss (|x − c| − |x|)/b, at most c/b
either way.  Every such pair is a post-processing of randomised response with odds e^(c/b) (Kairouz,
Oh, Viswanath, "The composition theorem for differential privacy", ICML 2015), and for
c = 1 it is that very pair: its loss is +1/b for x ≤ 0 and −1/b for x ≥ 1.  So the event of a
release is randomised response, composed.  c samples that fall into different cells of a group are
c pairs of 1/b, whose composition is again c/b-DP and covered by the same pair.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

import mpmath

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.privacy.rounding import exact, multiple_not_below
from secgen_dsl.privacy.sensitivity import Contribution


@dataclass(frozen=True)
class ShiftedGaussian:
    """``count`` independent pairs N_Z(0, variance) against N_Z(shift, variance).

    N_Z(0, V) has mass proportional to exp(−x²/2V) on the integers (Canonne, Kamath, Steinke,
    NeurIPS 2020).  By the symmetry x → shift − x the two worlds may be exchanged.

    Attributes:
        variance: the parameter V > 0.
        shift: d ≥ 1, the whole number by which one person moves the value.
        count: number of such pairs, ≥ 1.
    """

    variance: Fraction
    shift: int
    count: int

    def __post_init__(self) -> None:
        if self.variance <= 0 or self.shift < 1 or self.count < 1:
            raise ValueError("an event needs variance > 0, shift ≥ 1 and count ≥ 1")

    @property
    def mu_squared(self) -> Fraction:
        """count·d²/V, its part in a plan's μ²."""
        return self.count * self.shift**2 / self.variance


@dataclass(frozen=True)
class BoundedLoss:
    """``count`` independent pairs of randomised response with odds e^loss.

    The answer is right with probability e^loss/(1 + e^loss); the two worlds are mirror images.

    Attributes:
        loss: greatest loss > 0 of a pair, its ε.
        count: number of such pairs, ≥ 1.
    """

    loss: Fraction
    count: int

    def __post_init__(self) -> None:
        if self.loss <= 0 or self.count < 1:
            raise ValueError("an event needs loss > 0 and count ≥ 1")

    @property
    def epsilon(self) -> Fraction:
        """count·loss, its part in a plan's ε: pure differential privacy adds up."""
        return self.count * self.loss

    @property
    def mu_squared(self) -> Fraction:
        """Twice its ρ of zero-concentrated DP, count·2e·tanh(e/2) with e the loss, rounded up.

        *Proof.*  With s = α − 1/2 the Rényi divergence D_α of a pair satisfies
        (α − 1)·D_α = ln cosh(s·e) − ln cosh(e/2).  As a function of u = s² the right side is
        concave, for its slope e·tanh(e√u)/(2√u) falls, and it is 0 at u = 1/4, where the slope
        is e·tanh(e/2).  So it is at most (u − 1/4)·e·tanh(e/2) = α(α − 1)·e·tanh(e/2).
        (For small e this is e²/2·α, Bun and Steinke 2016; for large e far less.)
        """
        with mpmath.workdps(40):
            loss = exact(self.loss)
            rho = self.count * loss * mpmath.tanh(loss / 2)
            # A few operations of 40 digits, on a number that the grid of 2^−128 may round anyway.
            return multiple_not_below(2 * rho * (1 + mpmath.mpf(10) ** -30), 128)


Event: TypeAlias = ShiftedGaussian | BoundedLoss
"""What the accountants compose."""


Shifts = Literal["one-dimensional", "competing", "bounded"]
"""What a person does to the opened values: see ``Composition.shifts``."""


@dataclass(frozen=True)
class Composition:
    """Everything that is released, as the accountants take it.

    Attributes:
        events: equal ones together; None where no one-dimensional events are known to dominate.
        mu_squared: Σ Δ²/σ²; the whole is μ²/2-zCDP, up to the slack.
        slack: what splitting and centring discrete noise add to ε (``slack``).
        pure: Σ Δ/b, the ε of pure differential privacy; None unless all noise is Laplace.
    """

    events: tuple[Event, ...] | None
    mu_squared: Fraction
    slack: Fraction
    pure: Fraction | None = None

    @property
    def shifts(self) -> Shifts:
        """Whether a person shifts single values, or may choose between several ways (``renyi``).

        With Laplace noise the loss is bounded whatever they do.
        """
        if self.pure is not None:
            return "bounded"
        return "competing" if self.events is None else "one-dimensional"


def laplace_event(tables: int, scale: Fraction, contribution: Contribution) -> BoundedLoss:
    """The event of a release of plain tables with discrete Laplace noise of that scale.

    Args:
        tables: T ≥ 1.
        scale: b > 0, of the honest parties' noise together.
        contribution: of one person to one table.

    Returns:
        With V groups of c samples: V·T pairs of c/b, twice as many under replace-one.  Their
        ``epsilon`` is the L1 sensitivity divided by b.
    """
    count = tables * contribution.groups * (2 if contribution.replace else 1)
    return BoundedLoss(loss=contribution.samples / scale, count=count)


def event_of(
    linear_map: LinearMap, tables: int, bins: int, variance: Fraction, contribution: Contribution
) -> ShiftedGaussian | None:
    """The event of a release; None where no one-dimensional event is known to dominate it.

    None is the answer for several samples in one group (their shifts compete) and for centred
    and double-centred tables under replace-one: such plans are certified by ``renyi``
    (PRIVACY 1.4).

    Args:
        linear_map: the release's map A.
        tables: T ≥ 1.
        bins: B; unused for ``identity``, else at least 2.
        variance: σ² > 0 of a raw cell's noise, of the honest parties together: exactly
            (m − t)·σᵢ².  A smaller number is *not* a safe stand-in: ε is not monotone in the
            variance of a discrete Gaussian (see ``pld``).
        contribution: of one person to one table.

    Returns:
        With V groups: (σ², 1, V·T) for ``identity`` (2·V·T under replace-one);
        (B(B − 1)σ², B − 1, V·T) for ``centred``; (B²(B − 1)²σ², (B − 1)², V·T) for
        ``double-centred``.  The event's ``mu_squared`` equals the sensitivity of ``sensitivity``
        divided by σ².

    Raises:
        ValueError: a number out of its range.
    """
    count = tables * contribution.groups
    if contribution.samples > 1 or (contribution.replace and linear_map != "identity"):
        return None
    if linear_map == "identity":
        count *= 2 if contribution.replace else 1
        return ShiftedGaussian(variance=variance, shift=1, count=count)
    if bins < 2:
        raise ValueError("a centred table needs at least two bins")
    if linear_map == "centred":
        return ShiftedGaussian(variance=bins * (bins - 1) * variance, shift=bins - 1, count=count)
    shift = (bins - 1) ** 2
    return ShiftedGaussian(variance=bins**2 * shift * variance, shift=shift, count=count)
