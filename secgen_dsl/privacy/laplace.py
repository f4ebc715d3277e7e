"""Discrete Laplace noise that parties add share by share: tails, and what one share alone hides.

The law has mass ∝ q^|x| on the whole numbers, q = e^(−1/b).  It is that of a difference of two
geometric numbers, and a geometric number is a sum of n independent negative binomial ones of shape
1/n (*Pólya* numbers: mass ``C(k + 1/n − 1, k)·(1 − q)^(1/n)·q^k``, generating function
((1 − q)/(1 − qz))^(1/n)).  So shares of n = m − t parties add up to it exactly (Goryczka, Xiong, "A
comprehensive comparison of multiparty secure additions with differential privacy", IEEE TDSC
2017; Bagdasaryan and others, "Towards sparse federated analytics", PoPETs 2022).

*No floor* on the scale is needed, unlike for Gaussian noise: the sum of the honest shares has the
very law that is certified, whatever b is, and no map is applied to it.

*What a release costs.*  A cell that moves by c changes the mass of any outcome by at most e^(c/b);
cells are independent; so a release is Δ/b-DP with Δ its L1 sensitivity, and releases add up, also
when they are chosen one after the other: ε = Σ Δᵢ/bᵢ, exactly, with δ = 0 (Dwork, McSherry, Nissim,
Smith 2006; Ghosh, Roughgarden, Sundararajan 2009 for whole numbers).
"""

from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import ceil, inf, log, log1p

import numpy as np

LARGEST_SCALE = Fraction(2**40)
"""What the sampler takes (``runtime.polya``)."""

_REACH = 47
_TERMS = 2**16
_MARGIN = 1e-9
_COMPARED = 64


def greatest_noise(scale: Fraction) -> int:
    """What the noise of all parties on one cell exceeds with probability below 2⁻⁶⁰ only.

    All m shares together are a difference of two negative binomial numbers of shape m/(m − t) < 2,
    for t < m/2, each of which is stochastically below one of shape 2.  A number of shape 2 is at
    least k with probability q^k·(1 + k(1 − q)) ≤ e^(−k/b)·(1 + k/b).  Either of the two exceeds
    47·b with probability at most 2·48·e⁻⁴⁷ < 2⁻⁶⁰.

    Args:
        scale: b > 0.
    """
    return ceil(_REACH * scale)


@lru_cache(maxsize=4096)
def share_loss(scale: Fraction, parts: int) -> float:
    """What one party's share alone hides: its greatest loss for a cell that moves by 1.

    Let f be the law of a share, a difference of two Pólya numbers of shape r = 1/n and masses
    p(k) = c_k·(1 − q)^r·q^k.  For r ≤ 1, p is a mixture of geometric laws, hence so is f on
    x ≥ 0: f is log-convex there, and f(x)/f(x + 1) is greatest at x = 0.  With weights
    w_k = c_k²q^(2k) and c_(k+1)/c_k = (k + r)/(k + 1),

        f(1)/f(0) = q·Σ w_k·(k + r)/(k + 1)/Σ w_k = q·(1 − (1 − r)·M),   M = Σ w_k/(k + 1)/Σ w_k.

    M is bounded from above: the first 2¹⁶ terms are summed; those beyond have 1/(k + 1) below the
    average, so leaving some of their weight out only raises M.  Blocks [K2^j, K2^(j+1)) of
    them are counted with c_k ≥ c_K·(K/k)^(1−r) and q^(2k) at the block's end.

    Args:
        scale: b > 0.
        parts: n ≥ 1.

    Returns:
        An upper bound on ln f(0)/f(1), close for scales up to 10⁶; 1/b for n = 1.
    """
    rate = float(1 / scale)
    shape = 1 / parts
    k = np.arange(1, _TERMS, dtype=np.float64)
    masses = np.concatenate([[1.0], np.cumprod((k - 1 + shape) / k)])
    k = np.arange(_TERMS, dtype=np.float64)
    weights = masses**2 * np.exp(-2 * rate * k)
    total, mean = float(weights.sum()), float((weights / (k + 1)).sum())
    last, start = float(masses[-1]) ** 2 * (1 - _MARGIN), float(_TERMS)
    while rate * start < 50:
        ratio = (_TERMS - 1) / (2 * start)
        block = start * last * ratio ** (2 - 2 * shape) * np.exp(-4 * rate * start)
        total += float(block)
        mean += float(block) / start
        start *= 2
    hidden = (1 - shape) * mean / total * (1 + _MARGIN)
    # Rounding of 2¹⁶ products and sums stays below 10⁻¹⁰; the margin covers it.
    return (rate - log1p(-hidden)) * (1 + _MARGIN) if hidden < 1 else inf


def summed_loss(scale: Fraction, parts: int) -> float:
    """The loss, for a cell that moves by 1, of the parties' shares added up numerically.

    A check of the splitting that shares no formula with it: the first masses of a Pólya number
    are convolved n times; the sum should be geometric, with masses that fall by e^(−1/b).

    Args:
        scale: b > 0.
        parts: n ≥ 1.

    Returns:
        The greatest ln g(k)/g(k + 1) among the first masses g; 1/b but for rounding.
    """
    count = min(_COMPARED, max(2, ceil(500 * scale)))  # e^(−k/b) within the range of floats
    shares = np.ones(count)
    for k in range(1, count):
        shares[k] = shares[k - 1] * (k - 1 + 1 / parts) / k * np.exp(-float(1 / scale))
    summed = shares
    for _ in range(parts - 1):
        summed = np.convolve(summed, shares)[:count]
    return max(log(a / b) for a, b in pairwise(summed))
