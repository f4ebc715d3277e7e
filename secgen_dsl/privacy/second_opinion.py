"""The certificate's second accountant: Google's dp_accounting, behind one adapter.

It shares no code with ``pld``.  It works in floats without directed rounding, so it confirms and
does not replace.  Importing it takes 2–5 s; hence the import within the function.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import version

from secgen_dsl.privacy.events import BoundedLoss, Event
from secgen_dsl.privacy.rounding import float_not_above, float_not_below, sqrt_not_above


def second_epsilon(
    events: Sequence[Event],
    delta: Fraction,
    *,
    slack: Fraction = Fraction(0),
    interval: float = 1e-4,
) -> float:
    """The ε of the composition of ``events`` at δ, according to dp_accounting 0.6.

    Args:
        events: what is composed.
        delta: 0 < δ < 1; below about 10⁻¹² the library's own truncation (10⁻¹⁵ a composition)
            begins to show, and the answer may be infinite.
        slack: as for ``pld.epsilon_upper_bound``: ε(δ·e^−slack) + slack.
        interval: the library's discretisation interval.

    Returns:
        ε ≥ 0; infinite if the library finds none.

    Raises:
        ValueError: a number out of its range.
    """
    if not 0 < delta < 1 or not 0 <= slack < 1:
        raise ValueError("0 < δ < 1 and 0 ≤ slack < 1 are required")
    slack_above = float_not_below(slack)
    if not events:
        return slack_above
    from dp_accounting.pld import privacy_loss_distribution

    counts: Counter[Event] = Counter()
    for event in events:
        counts[replace(event, count=1)] += event.count
    # The default of use_connect_dots (False) rounds each loss up and adds about count·h/2 to ε.
    losses = [
        # Randomised response with odds e^loss is discrete Laplace noise of mass e^(−loss·|x|)
        # on a value that moves by 1.
        privacy_loss_distribution.from_discrete_laplace_mechanism(
            parameter=float_not_below(event.loss),
            value_discretization_interval=interval,
            use_connect_dots=True,
        )
        if isinstance(event, BoundedLoss)
        else privacy_loss_distribution.from_discrete_gaussian_mechanism(
            # Its parameter is √V of the mass exp(−x²/2V); never more noise than there is.
            sigma=sqrt_not_above(event.variance),
            sensitivity=event.shift,
            value_discretization_interval=interval,
            use_connect_dots=True,
        )
        for event in counts
    ]
    losses = [
        loss if count == 1 else loss.self_compose(count)
        for loss, count in zip(losses, counts.values(), strict=True)
    ]
    # In pairs, then pairs of pairs: most convolutions are then short.
    while len(losses) > 1:
        pairs = [one.compose(other) for one, other in zip(losses[::2], losses[1::2], strict=False)]
        losses = pairs + losses[2 * len(pairs) :]
    (composed,) = losses
    target = float_not_above(delta * (1 - slack))
    return float(composed.get_epsilon_for_delta(target)) + slack_above


def second_renyi_epsilon(
    mu_squared: Fraction, delta: Fraction, *, slack: Fraction = Fraction(0)
) -> float:
    """The ε of μ²/2-zCDP at δ, according to dp_accounting's Rényi accountant.

    Args:
        mu_squared: Σ Δ²/σ² > 0.
        delta: 0 < δ < 1.
        slack: as for ``pld.epsilon_upper_bound``.

    Raises:
        ValueError: a number out of its range.
    """
    if not 0 < delta < 1 or not 0 <= slack < 1 or mu_squared <= 0:
        raise ValueError("0 < δ < 1, 0 ≤ slack < 1 and μ² > 0 are required")
    from dp_accounting import ZCDpEvent
    from dp_accounting.rdp import RdpAccountant

    target = float_not_above(delta * (1 - slack))
    rho = float_not_below(mu_squared / 2)
    # The best order is near 1 + √(ln(1/δ)/ρ); its own list of orders is too coarse to confirm.
    middle = math.sqrt(-math.log(target) / rho)
    orders = [1 + middle * 2.0 ** (step / 64) for step in range(-192, 193)]
    accountant = RdpAccountant(orders).compose(ZCDpEvent(rho))
    return float(accountant.get_epsilon(target)) + float_not_below(slack)


def second_opinion_version() -> str:
    """Name and version of the library behind ``second_epsilon``, without importing it."""
    return f"dp-accounting {version('dp-accounting')}"
