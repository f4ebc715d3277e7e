"""The openings manifest at work: what the plan does not list cannot leave secret sharing.

Every opening frame needs a permit, and only the manifest of the verified plan issues one: for each
round once, in order, and for exactly the marginals and lengths that the plan lists.
"""

from collections.abc import Sequence

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.plan import Plan


class OpeningPermit:
    """The right to send one opening frame, once.

    Attributes:
        round: number of the round that is opened.
        openings: (marginal, number of values), in the order of the concatenated vector.
    """

    def __init__(self, number: int, openings: tuple[tuple[str, int], ...]) -> None:
        self.round = number
        self.openings = openings
        self._used = False

    @property
    def values(self) -> int:
        """Number of field elements in the frame."""
        return sum(values for _, values in self.openings)

    def use(self) -> None:
        """Spend the permit.  Raises SecgenError SG506 when it is spent already."""
        if self._used:
            raise _refused(f"round {self.round} was opened with this permit before")
        self._used = True


class OpeningsManifest:
    """The plan's openings, handed out as permits in the plan's order."""

    def __init__(self, plan: Plan) -> None:
        self._listed = {
            one_round.number: tuple(
                (opening.query, opening.values)
                for opening in plan.openings
                if opening.round == one_round.number
            )
            for one_round in plan.rounds
        }
        self._waiting = [one_round.number for one_round in plan.rounds]

    def permit(self, number: int, openings: Sequence[tuple[str, int]]) -> OpeningPermit:
        """Permit the opening of a round.

        Args:
            number: the round.
            openings: (marginal, number of values) of everything that is to be opened.

        Raises:
            SecgenError: SG506, the plan does not list exactly these openings for this round, the
                round was opened before, or an earlier round was not.
        """
        asked = tuple(openings)
        if number not in self._listed:
            raise _refused(f"the plan has no round {number}")
        if number not in self._waiting:
            raise _refused(f"round {number} was opened before")
        if number != self._waiting[0]:
            raise _refused(f"round {number} is not next: round {self._waiting[0]} is")
        for marginal, values in asked:
            if (marginal, values) not in self._listed[number]:
                raise _refused(f"{values} values of {marginal!r} in round {number}")
        if asked != self._listed[number]:
            raise _refused(f"the openings of round {number}, in another number or order")
        self._waiting.pop(0)
        return OpeningPermit(number, asked)


def _refused(what: str) -> SecgenError:
    return fail(
        "SG506",
        f"an opening that the plan does not list was refused: {what}",
        place="openings of the plan",
        next_step="nothing was opened; report this, the program departs from the approved plan",
    )
