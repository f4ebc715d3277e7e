"""Sums of clipped vectors: units, clips and how far a person's vector can reach.

A person's value x of a gene becomes the whole number ``trunc(2^10·(x − centre)/scale)``, clamped to
±6·2^10; sums and noise are in that unit.  The clips are public: they follow from the number of
genes or from the public table's factors alone.
"""

from fractions import Fraction
from math import isqrt

from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Moments, SecondMoment, Vector

QUANTUM = 1024
"""One standard deviation of the public scale."""

GREATEST_DEVIATION = 6
"""Standardised values are clamped to ±6: a rule on one person's row, fixed for all studies."""

LOADING_ONE = 2**14
"""Loadings of factors are in units of 2^−14."""

COUNT_PART = 4
"""The entry that counts people is a quarter of the clip: it costs 3% of a mean's accuracy."""


def means_clip(genes: int) -> int:
    """C of a panel's standardised genes: 1.15·√G deviations (SYNTHESIS), over √(1 − 1/16).

    G values of variance 1 have the norm √G; the factor leaves most people unclipped where the
    public scale fits.
    """
    return _root(Fraction(115, 100) ** 2 * genes * Fraction(16, 15) * QUANTUM**2)


def centres_clip(genes: int) -> int:
    """C of genes on the scale of the panel's range: ¾·√G of a sixth of it, over √(1 − 1/16).

    So far do genes of tumours lie from the middle of ranges in use, 20 or 25 log2 units.
    """
    return _root(Fraction(9, 16) * genes * Fraction(16, 15) * QUANTUM**2)


def squares_clip(genes: int) -> int:
    """C of squared standardised genes: 1.2·√(3G), for a normal value's fourth moment is 3."""
    return _root(Fraction(12, 10) ** 2 * 3 * genes * QUANTUM**2)


def scores_clip(moments: Moments) -> int:
    """C of divided factor scores: √Σ λ/d², λ the factors' public variances (SYNTHESIS)."""
    total = sum(
        (v / d**2 for v, d in zip(moments.variances, moments.divisors, strict=True)),
        start=Fraction(0),
    )
    return max(_root(total * QUANTUM**2), 1)


def coordinate_names(program: Program, query: Vector) -> list[str]:
    """What each coordinate of a vector, or entry of a second moment, stands for."""
    if isinstance(query, SecondMoment):
        factors = [f"factor {k + 1}" for k in range(query.coordinates)]
        products = [
            f"{one} × {other}" for k, one in enumerate(factors) for other in factors[k + 1 :]
        ]
        return [f"{factor}²" for factor in factors] + products
    if query.content == "scores":
        return [f"factor {k + 1}" for k in range(query.coordinates)]
    genes = list(program.genes(program.query(query.serves)))
    return [*genes, "people"] if query.content in ("centres", "means") else genes


def _root(number: Fraction) -> int:
    """√number, rounded up to a whole number."""
    whole = -(-number.numerator // number.denominator)
    root = isqrt(whole)
    return root if root * root == whole else root + 1
