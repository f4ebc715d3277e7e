"""What is said when another party fails, departs from the plan, or stops the run."""

from dataclasses import replace

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.runtime.network.frames import OWN_FAULT, Abort, Kind

_RESTART = (
    "see that party's own message, then start all parties again: what was stored is used again and "
    "costs no budget"
)

_NOTHING_YET = (
    "nothing was sent and nothing was spent; see that party's own message, then start all parties "
    "again"
)
_AFTER_READY = (Kind.STORED, Kind.SHARE, Kind.OPENING, Kind.CONFIRMATION)

_REASONS = {
    "SG502": "{blamed} was not in the same session",
    "SG503": "{blamed} sent what the plan does not predict",
    "SG504": "it had no answer from {blamed}",
    "SG505": "the shares did not agree",
    "SG509": "{blamed} opened other values",
    "SG513": "the values were other ones than in an earlier run",
    "SG518": "its store does not hold what it contributed to an earlier run that {blamed} tells of",
    "SG525": "{blamed} showed another certificate",
    "SG527": "{blamed} knows the parties by other keys",
}
_OWN_REASON = "of something at its own site, which its operator sees"


class PeerError(SecgenError):
    """Ends a run because of another party.

    Attributes:
        abort: what the other parties are told.
    """

    def __init__(self, diagnostic: Diagnostic, abort: Abort) -> None:
        super().__init__(diagnostic)
        self.abort = abort


def phase_name(kind: Kind, number: int) -> str:
    """A phase in words."""
    return {
        Kind.CHECK: "checking",
        Kind.HELLO: "the hello",
        Kind.READY: "getting ready",
        Kind.STORED: f"storing for round {number}",
        Kind.SHARE: f"sharing in round {number}",
        Kind.OPENING: f"opening round {number}",
        Kind.CONFIRMATION: "confirming the opened values",
        Kind.ABORT: "stopping",
    }[kind]


class Faults:
    """Makes the faults of one party.

    Args:
        parties: names, in the plan's order.
        index: of this party.
        timeout: seconds that a wait may last.
    """

    def __init__(self, parties: tuple[str, ...], index: int, timeout: float) -> None:
        self._parties = parties
        self._index = index
        self._timeout = timeout

    def mismatch(self, peer: int, what: str, code: str = "SG502", next_step: str = "") -> PeerError:
        """The peer is in another session, runs another plan, or another release."""
        return self._fault(
            code,
            f"{self._parties[peer]} is not in the same session: {what}",
            Kind.HELLO,
            0,
            peer,
            next_step
            or "give every party the same bundle, the same consortium.toml and the same "
            "release of secgen; nothing was sent and nothing was spent",
        )

    def malformed(self, peer: int, kind: Kind, number: int, what: str) -> PeerError:
        """The peer sent a frame that the plan does not predict."""
        return self._fault(
            "SG503",
            f"{self._parties[peer]} sent a frame that the plan does not predict: {what}",
            kind,
            number,
            peer,
            "nothing of it was used; see that every party runs an unmodified secgen, and ask that "
            "site who has its machine's key",
        )

    def late(self, peer: int, kind: Kind, number: int) -> PeerError:
        """The peer did not answer in time."""
        return self._fault(
            "SG504",
            f"{self._parties[peer]} did not answer within {self._timeout:g} s",
            kind,
            number,
            peer,
            _RESTART,
        )

    def gone(self, peer: int, kind: Kind, number: int, *, within: bool = False) -> PeerError:
        """The peer closed its connection, or it broke."""
        where = "in the middle of a frame" if within else "before its frame"
        return self._fault(
            "SG504",
            f"{self._parties[peer]} closed its connection {where}",
            kind,
            number,
            peer,
            _RESTART,
        )

    def left(self, peer: int, others: str) -> PeerError:
        """The peer broke off when the others had begun."""
        return self._fault(
            "SG504",
            f"{self._parties[peer]} broke off when, as {others} says, that one had begun already",
            Kind.READY,
            0,
            None,  # it is hearsay
            _RESTART,
        )

    def absent(
        self, reasons: dict[int, str], seconds: float, kind: Kind = Kind.HELLO, remedy: str = ""
    ) -> PeerError:
        """Some parties were not there in time; why, and what helps, as far as it is known."""
        listed = "; ".join(
            f"{self._parties[index]} ({reason})" for index, reason in sorted(reasons.items())
        )
        return self._fault(
            "SG504",
            f"not ready within {seconds:g} s: {listed}",
            kind,
            0,
            min(reasons, default=None),
            "nothing was sent and nothing was spent; "
            + (remedy or "see whether these parties were started")
            + "; let every site run `secgen doctor`, then start again",
        )

    def refused(self, peer: int, reason: str) -> PeerError:
        """The peer refuses this party's certificate."""
        return self._fault(
            "SG525",
            f"{self._parties[peer]} refuses this party's certificate: {reason}",
            Kind.HELLO,
            0,
            None,
            "the other site's consortium.toml holds another certificate of this party, or it has "
            "expired: compare the fingerprint and the date by telephone",
        )

    def other_hellos(self, witnesses: dict[int, set[int]]) -> PeerError:
        """A party is known to others by another hello than here.

        Args:
            witnesses: that party → who says so.
        """
        listed = "; ".join(
            f"{self._parties[index]} has said another hello to "
            + " and ".join(self._parties[one] for one in sorted(witnesses[index]))
            + " than to this party, unless what they say is false"
            for index in sorted(witnesses)
        )
        return self._fault(
            "SG502",
            f"the parties are not in the same session: {listed}",
            Kind.READY,
            0,
            None,  # it is hearsay
            "nothing was sent and nothing was spent; start all parties again, and if it happens "
            "again compare the transcripts of these sites: they hold every hello, signed",
        )

    def other_opening(self, peer: int, number: int) -> PeerError:
        """A round opens other values than those that the peer has of an earlier run."""
        return self._fault(
            "SG513",
            f"round {number} opens other values than those which {self._parties[peer]} says that "
            "it has of an earlier run of the same plan",
            Kind.OPENING,
            number,
            None,
            "nothing was recorded here: some party deals something else now, or "
            f"{self._parties[peer]} says what is not so; start all parties again, and if it "
            "happens again let `secgen audit` compare what every site has of both runs",
        )

    def differs(self, peer: int) -> PeerError:
        """The peer confirms other opened values."""
        return self._fault(
            "SG509",
            f"{self._parties[peer]} confirms other opened values than this party's",
            Kind.CONFIRMATION,
            0,
            peer,
            "no value was used; a party that runs unmodified secgen cannot differ",
        )

    def lost(self, peer: int, begun: int, stored: int) -> PeerError:
        """This party's store lost what it contributed to a round that was opened."""
        return self._fault(
            "SG518",
            f"{self._parties[peer]} says that it has dealt shares in {begun} rounds of the plan, "
            "which is done only when all have stored what they contribute; this party's "
            f"store holds what it contributed to {stored} only",
            Kind.HELLO,
            0,
            peer,
            "nothing was sent: bring the lost store back, or make and approve a new plan, which "
            "is a new debit of the budget; if this store was never lost, what "
            f"{self._parties[peer]} says is not so, and its transcript of that run would have to "
            "show it",
        )

    def aborted(self, peer: int, abort: Abort, at: tuple[Kind, int]) -> PeerError:
        """The peer has stopped the run, and says why.

        Args:
            at: what this party did: what it has spent follows from that, and not from what the
                peer says of itself.
        """
        blamed = "a party" if abort.blamed is None else self._parties[abort.blamed]
        if abort.blamed == self._index:
            blamed = f"this party ({blamed})"
        reason = _REASONS.get(abort.code, _OWN_REASON).format(blamed=blamed)
        if abort.told_by is not None:
            # What it was told is no knowledge of its own.
            teller = self._parties[abort.told_by]
            if abort.told_by == self._index:
                teller = f"this party ({teller})"
            told = abort.code != OWN_FAULT
            reason = f'{teller} told it "{reason}"' if told else f"{teller} stopped it"
        doing = phase_name(abort.kind, abort.round)
        if abort.kind == Kind.HELLO:
            doing = "exchanging hellos"
        return PeerError(
            self._diagnostic(
                "SG526",
                f"{self._parties[peer]} stopped the run while {doing}, because {reason} "
                f"({abort.code})",
                *at,
                _RESTART if at[0] in _AFTER_READY else _NOTHING_YET,
            ),
            replace(abort, told_by=peer),
        )

    def _fault(
        self, code: str, message: str, kind: Kind, number: int, blamed: int | None, next_step: str
    ) -> PeerError:
        return PeerError(
            self._diagnostic(code, message, kind, number, next_step),
            Abort(code, kind, number, blamed),
        )

    def _diagnostic(
        self, code: str, message: str, kind: Kind, number: int, next_step: str
    ) -> Diagnostic:
        return Diagnostic(
            code,
            message,
            place=f"party {self._parties[self._index]}, {phase_name(kind, number)}",
            next_step=next_step,
        )
