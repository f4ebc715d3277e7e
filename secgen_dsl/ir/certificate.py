"""The certificate: the numbers that accountants give for one plan, in a file of its own.

It names the plan's hash and is outside it: library versions and floating point live here.
"""

from typing import Literal

from secgen_dsl.ir.base import Node, Rational


class Accounting(Node):
    """What one accountant says.

    Attributes:
        accountant: name of the method.
        version: of the library.
        epsilon: ε at the plan's δ, decimal text, rounded up.
        role: ``certifies`` must lie within the budget; ``shown`` is a second view, looser or an
            estimate.
    """

    accountant: str
    version: str
    epsilon: str
    role: Literal["certifies", "shown"]


class Certificate(Node):
    """Evidence that a plan keeps its promise.

    Attributes:
        epsilon: of the budget.
        delta: of the budget.
        mu: μ of the composition, √(Σ Δ²/σ²), decimal text, rounded up.
        slack: what splitting and centring discrete noise add to ε, rounded up.
        accountings: every accountant's number; each that certifies is at most ``epsilon``.
        outsider_epsilon: ε against somebody who sees only the opened values (μ-GDP estimate).
        floor_epsilon: ε of one site's own noise, if all other parties collude (estimate).
    """

    format: Literal["secgen.certificate/1"]
    plan_sha256: str
    secgen_version: str
    epsilon: Rational
    delta: Rational
    mu: str
    slack: str
    accountings: tuple[Accounting, ...]
    outsider_epsilon: str
    floor_epsilon: str
