"""How much of the budget a query asks for: weight, share, accuracy."""

from collections.abc import Sequence
from fractions import Fraction

from secgen_dsl.ir.program import Person
from secgen_dsl.ir.queries import ErrorTarget, Importance
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree


def resolve_importance(
    reader: Reader, clauses: Sequence[tree.ImportanceClause], person: Person | None
) -> Importance:
    """The clauses of one statement; what is at fault is reported and left out."""
    known = reader.once(clauses, lambda clause: clause.kind.split()[0])
    weight, share, error = Fraction(1), None, None
    for kind, clause in known.items():
        value = clause.number.value
        if kind == "weight":
            if Fraction(1, 10**6) <= value <= 10**6:
                weight = value
                continue
            reader.found.error(
                "SG216",
                "a weight lies between 0.000001 and 1,000,000",
                clause.span,
                "out of range",
                "write, for example: weight 2; without one it is 1",
            )
        elif kind == "share":
            if 0 < value <= 100:
                share = value / 100
                continue
            reader.found.error(
                "SG216",
                "a share of the budget lies above 0% and is at most 100%",
                clause.span,
                "out of range",
                "write, for example: share 30%",
            )
        else:
            error = _error(reader, clause, person)
    if share is not None and "weight" in known:
        reader.found.error(
            "SG220",
            "a query with a share of its own is not weighed against others",
            known["weight"].span,
            "a weight beside a share",
            "keep one of the two",
        )
    return Importance(weight=weight, share=share, error=error)


def _error(
    reader: Reader, clause: tree.ImportanceClause, person: Person | None
) -> ErrorTarget | None:
    value = clause.number.value
    if not 0 < value <= 10**9:
        reader.found.error(
            "SG216",
            "an error is a positive number of people, or a positive percentage",
            clause.span,
            "out of range",
            "write, for example: error 12 people, or: error 5%",
        )
        return None
    if clause.kind == "error people":
        return ErrorTarget(unit="people", value=value)
    if person is not None and person.people_bound is None:
        reader.found.error(
            "SG220",
            "a percentage needs a public number of people that it is of",
            clause.span,
            "`person` states no bound on people",
            "add to `person`: at most 1000 people in all; or write: error 12 people",
        )
        return None
    return ErrorTarget(unit="percent", value=value)


def check_shares(
    reader: Reader, stated: Sequence[tuple[tree.ImportanceClause | None, Fraction | None]]
) -> None:
    """Shares leave something for the other queries; if all are stated they are the whole.

    Args:
        stated: for each query its ``share`` clause and fraction, or None and None.
    """
    clauses = [clause for clause, _ in stated if clause is not None]
    if not clauses:
        return
    total = sum((share for _, share in stated if share is not None), Fraction(0))
    shown = f"{float(100 * total):.6g}%"
    unshared = len(stated) - len(clauses)
    if total > 1 or (total == 1 and unshared):
        reader.found.error(
            "SG220",
            f"the shares add up to {shown}"
            + (", which leaves nothing for the other queries" if unshared and total == 1 else ""),
            clauses[-1].span,
            "the last share",
            "lower some of them" + (" below 100% in all" if unshared else " to 100% in all"),
        )
    elif not unshared and total < 1:
        reader.found.error(
            "SG220",
            f"every query has a share, and together they are only {shown} of the budget",
            clauses[-1].span,
            f"{float(100 - 100 * total):.6g}% would be spent on nothing",
            "raise some of them to 100% in all, or leave one query without a share",
        )
