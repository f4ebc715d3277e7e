"""The certificate: the numbers that accountants give for one plan, in a file of its own.

It names the plan's hash and is outside it: library versions and floating point live here.
"""

from typing import Literal

from secgen_dsl.ir.base import Node, Rational
from secgen_dsl.ir.program import Adjacency

Role = Literal["certifies", "confirms", "checks", "bounds", "estimates"]
"""What an accountant's number is worth: ``privacy.accountants.ROLES``."""

Observer = Literal["tolerated", "outsiders", "all-others"]
"""Who draws conclusions about a person.

``tolerated``: up to t parties that collude, and whoever they tell; they know their own noise.
``outsiders``: whoever sees the opened values only; no party's noise is known to them.
``all-others``: more than t parties, perhaps all but the person's own site: they see each other
site's noised contribution by itself.  What is left is the floor.
"""


class Accounting(Node):
    """What one accountant says.

    Attributes:
        accountant: name of the method.
        version: of the library.
        covers: the whole plan; or its largest group of equal noise, compared with the certifying
            accountant's number for that group alone.
        epsilon: ε at the plan's δ, decimal text, rounded up.
        role: what the number is worth.
    """

    accountant: str
    version: str
    covers: Literal["plan", "largest group"]
    epsilon: str
    role: Role


class EpsilonAt(Node):
    """One point of a privacy curve.

    Attributes:
        delta: δ.
        certified: a proved upper bound on ε, decimal text, rounded up; None where none is known.
        estimate: the closed form of Gaussian DP: exact for continuous noise, not a promise; None
            for Laplace noise.
    """

    delta: Rational
    certified: str | None
    estimate: str | None


class Guarantee(Node):
    """What the plan's noise is worth in one case.

    Attributes:
        adjacency: how the worlds differ that cannot be told apart.  For a plan whose number of
            people is public, ``add-or-remove`` speaks about the opened values alone.
        people: in how many people they differ, 1 or more.
        against: whom it is hidden from.
        mu: μ in this case, decimal text, rounded up.
        epsilons: at the plan's δ and a grid, falling.
    """

    adjacency: Adjacency
    people: int
    against: Observer
    mu: str
    epsilons: tuple[EpsilonAt, ...]


class Certificate(Node):
    """Evidence that a plan keeps its promise.

    Attributes:
        epsilon: of the budget.
        delta: of the budget.
        mu: μ of the composition, √(Σ Δ²/σ²), decimal text, rounded up.
        slack: what splitting and centring discrete noise add to ε, rounded up.
        accountings: every accountant's number; each that certifies or confirms is at most
            ``epsilon``.
        guarantees: the promise itself first, then other cases.
    """

    format: Literal["secgen.certificate/2"]
    plan_sha256: str
    secgen_version: str
    epsilon: Rational
    delta: Rational
    mu: str
    slack: str
    accountings: tuple[Accounting, ...]
    guarantees: tuple[Guarantee, ...]
