"""The plan: a program with its rounds, noise and openings.  Its SHA-256 is what sites approve."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from secgen_dsl.ir.base import BigInteger, Node, Rational
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Moments, Query

MERSENNE_61 = 2**61 - 1
"""The field of every share in this format: a prime; products of two elements fit 128 bits."""

LinearMap = Literal["identity", "centred", "double-centred"]
"""The fixed integer-linear map A of a release, y = A(x + z).

``identity``: y = v.  ``centred``: for each gene and label the row v of B cells becomes
``B·v − Σv``, whose first B − 1 entries are kept (the last is minus their sum).
``double-centred``: for each gene pair the B×B table v becomes
``B²·v_ij − B·Σ_j v_ij − B·Σ_i v_ij + Σ v``, of which the entries with i, j < B are kept (every row
and every column sums to zero).
"""


class GaussianNoise(Node):
    """Discrete Gaussian noise on every raw cell of a release.

    Attributes:
        sensitivity_squared: squared L2 sensitivity of the release, after the map and in units of
            the noise of a raw cell (``privacy.sensitivity``).
        variance: σ², the variance of one raw cell's noise as seen by a coalition of t parties;
            this is what the certificate counts.
        party_variance: σᵢ² = σ²/(m − t), exactly; what every party draws for one raw cell.  (ε of a
            discrete Gaussian is not monotone in its variance, so "at least" would not do.)
    """

    kind: Literal["gaussian"]
    sensitivity_squared: Rational
    variance: Rational
    party_variance: Rational

    @property
    def cost(self) -> Fraction:
        """What the release takes of μ²: Δ²/σ².  Raises ZeroDivisionError without noise."""
        return self.sensitivity_squared / self.variance


class LaplaceNoise(Node):
    """Discrete Laplace noise on every raw cell of a release, in whole numbers.

    The mass of x is proportional to exp(−|x|/b): the law of a difference of two geometric ones.

    Attributes:
        sensitivity: L1 sensitivity of the release, a whole number (``privacy.sensitivity``).
        scale: b > 0, of one raw cell's noise as seen by a coalition of t parties.
        parts: m − t.  Every party draws a Pólya share for one raw cell, the difference of two
            negative binomial numbers of shape 1/(m − t) (``runtime.polya``): the shares of
            m − t parties add up to exactly that law.
    """

    kind: Literal["laplace"]
    sensitivity: int
    scale: Rational
    parts: int

    @property
    def variance(self) -> Fraction:
        """Of one raw cell's noise as seen by a coalition of t parties (``laplace_variance``)."""
        return laplace_variance(self.scale)

    @property
    def cost(self) -> Fraction:
        """What the release takes of ε: Δ/b.  Raises ZeroDivisionError without noise."""
        return self.sensitivity / self.scale


Noise: TypeAlias = Annotated[GaussianNoise | LaplaceNoise, Field(discriminator="kind")]
"""How a release is noised."""


@lru_cache(maxsize=4096)
def laplace_variance(scale: Fraction) -> Fraction:
    """2q/(1 − q)² with q = exp(−1/b), the variance of discrete Laplace noise of scale b.

    Rounded up, in the 25th digit, the same on every machine: ``Decimal.exp`` is rounded correctly.
    """
    with localcontext() as context:
        # 1 − q loses as many digits as b has.
        context.prec = 60 + len(str(scale.numerator))
        context.rounding = ROUND_HALF_EVEN
        ratio = (-Decimal(scale.denominator) / Decimal(scale.numerator)).exp()
        variance = 2 * ratio / (1 - ratio) ** 2
        context.prec = 25
        context.rounding = ROUND_CEILING
        return Fraction(+variance)


class Release(Node):
    """One measured query: what every silo adds noise to, and what is opened.

    Attributes:
        query: id of a query of the program, or of one the planner added.
        map: the map A.
        tables: number of tables T; one sample changes each by one unit vector.  1 for a vector.
        raw_cells: length of x and z, before the map.
        halved: the last so many raw cells have half the variance of the others (the off-diagonal
            entries of a second moment); else 0.
        opened: length of y = A(x + z).
    """

    query: str
    map: LinearMap
    tables: int
    raw_cells: int
    halved: int
    opened: int
    noise: Noise


class Round(Node):
    """Releases that are shared and opened together.

    Attributes:
        number: from 1.
        delay: seconds from the opening of the round before to the first share of this one, fixed
            so that nobody's work on their rows shows in time; 0 in the first round, whose work is
            done before the parties connect.
    """

    number: int
    delay: int
    releases: tuple[Release, ...]


class Opening(Node):
    """One entry of the openings manifest: nothing else may leave secret sharing."""

    round: int
    query: str
    values: int
    recipients: Literal["parties"]


class Plan(Node):
    """A program and how it is carried out.

    Attributes:
        added: queries that the planner measures in addition: label histograms, and the vector sums
            that moments and learned bins stand for.
        parties: silos, then helpers; a party's index is its position.
        threshold: t, the degree of the sharing polynomials.
        modulus: p, the prime field of the shares.
    """

    format: Literal["secgen.plan/3"]
    program: Program
    added: tuple[Query, ...]
    parties: tuple[str, ...]
    threshold: int
    modulus: BigInteger
    rounds: tuple[Round, ...]
    openings: tuple[Opening, ...]

    def query(self, name: str) -> Query:
        """What is measured under that id.  Raises KeyError if nothing is, as for moments."""
        return self.measured()[name]

    def measured(self) -> dict[str, Query]:
        """Everything that is measured, by its id."""
        return {
            query.id: query
            for query in (*self.program.queries, *self.added)
            if not isinstance(query, Moments)
        }

    def releases(self) -> Iterator[Release]:
        """All releases, round by round."""
        for one_round in self.rounds:
            yield from one_round.releases

    def released_variance(self, release: Release) -> Fraction:
        """Variance of a raw cell's noise in the opened sum: all m parties' draws."""
        noise = release.noise
        if isinstance(noise, LaplaceNoise):
            return len(self.parties) * noise.variance / noise.parts
        return len(self.parties) * noise.party_variance


class Measurement(Node):
    """The opened values of one release, in the order of its opened cells."""

    query: str
    values: tuple[int, ...]


class Measurements(Node):
    """All opened values of a run: noised, exact integers.  Nothing else leaves the protocol."""

    format: Literal["secgen.measurements/2"]
    plan_sha256: str
    measurements: tuple[Measurement, ...]

    def values(self, query: str) -> tuple[int, ...]:
        """The opened values of a query.  Raises KeyError if it was not measured."""
        for measurement in self.measurements:
            if measurement.query == query:
                return measurement.values
        raise KeyError(query)
