"""What a plan's noise is worth, in words and rows: for tables of any format."""

from collections.abc import Sequence

from secgen_dsl.ir.certificate import Certificate, EpsilonAt, Guarantee
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.privacy.rounding import three_digits_up

CERTIFIED_NOTE = "each epsilon is a certified bound, at the delta above it"
ESTIMATE_NOTE = "~ marks an estimate: no bound is known"


def guarantee_rows(plan: Plan, found: Sequence[Guarantee]) -> list[list[str]]:
    """A table of all cases: headings, then a row for each.  ``~`` marks what is not certified."""
    headings = ["who is hidden", "from whom", "mu"]
    headings += [f"delta {decimal_text(point.delta)}" for point in found[0].epsilons]
    return [
        headings,
        *(
            [_hidden(one), _observer(one, plan), f"{float(one.mu):.4f}"]
            + [_epsilon(point) for point in one.epsilons]
            for one in found
        ),
    ]


def certified_by(certificate: Certificate) -> str:
    """Who vouches for a certificate, in a line."""
    if any(accounting.role == "confirms" for accounting in certificate.accountings):
        return "certified by two accountants"
    return "certified by an exact sum; the parties' shares add up to the noise that it counts"


def has_estimates(found: Sequence[Guarantee]) -> bool:
    """Whether a bound is missing anywhere."""
    return any(point.certified is None for one in found for point in one.epsilons)


def _hidden(guarantee: Guarantee) -> str:
    people = "one person" if guarantee.people == 1 else f"{guarantee.people} people"
    if guarantee.adjacency == "add-or-remove":
        return f"{people}, added or removed"
    return f"{people}, replaced"


def _observer(guarantee: Guarantee, plan: Plan) -> str:
    match guarantee.against:
        case "tolerated":
            return f"any {plan.threshold} of {len(plan.parties)} parties"
        case "outsiders":
            return "outsiders"
        case "all-others":
            return "all other parties together"


def _epsilon(point: EpsilonAt) -> str:
    if point.certified is not None:
        return three_digits_up(point.certified)
    return "unknown" if point.estimate is None else f"~{three_digits_up(point.estimate)}"
