"""One party of a run: verifies, prepares, connects, shares, opens; started by the launcher.

``python -E -P -m secgen_dsl.backends.mpyc.party`` reads a configuration from standard input, writes
JSON lines to standard output and ends with 0 or 1.  Noise comes from the system's generator; there
is no argument or field that changes that, and variables of Python, MPyC and opendp are ignored.
(Whoever controls a site's account controls its noise: nothing in a process can change that.)
"""

import asyncio
import math
import socket
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.cost import values_per_round
from secgen_dsl.backends.mpyc.messages import PartyConfig
from secgen_dsl.backends.mpyc.opened import (
    by_query,
    contribution_key,
    measurements_of,
    stored_openings,
)
from secgen_dsl.backends.mpyc.sharing import local_share, secure_array
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import LaplaceNoise, Measurements, Plan, Release, Round
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import as_table
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.ledger import Debit
from secgen_dsl.runtime.network.channel import Status
from secgen_dsl.runtime.network.check import Check, clock
from secgen_dsl.runtime.network.frames import NO_SESSION
from secgen_dsl.runtime.network.greeting import Statement
from secgen_dsl.runtime.network.hello import fresh_nonce
from secgen_dsl.runtime.network.links import Endpoint
from secgen_dsl.runtime.network.mesh import Mesh, Session
from secgen_dsl.runtime.noise import NoiseSource, draw_cells
from secgen_dsl.runtime.openings import OpeningsManifest
from secgen_dsl.runtime.shamir import add_into, open_shares, split
from secgen_dsl.runtime.store import ContributionKey, ContributionStore, digest_of_opened
from secgen_dsl.runtime.trust.consortium import roster_sha256

_NOTHING = np.zeros(0, dtype=np.int64)


class Party:
    """What the generated program calls, step by step.

    Every method compares what it is asked with the verified plan and refuses anything else with
    SG506 (an opening or frame) or SG514 (another step), so that the program cannot do more than
    the plan says.

    Args:
        config: from the launcher.
        plan: the verified plan.
        table: this site's people; an empty table for a helper.
        noise: where z comes from.
        store: this party's durable store.
        debit: what the plan costs this site; None for a helper.
        mpc: MPyC's runtime without its network.
        endpoint: the parties as the network knows them.
        transcript: takes what is sent and received.
        listener: its bound socket; None: nobody can dial it.
        report: called with the name of each phase, and how far the mesh is.
        started: when its process began, as ``time.monotonic`` counts.
    """

    def __init__(
        self,
        config: PartyConfig,
        plan: Plan,
        *,
        table: SampleTable,
        noise: NoiseSource,
        store: ContributionStore,
        debit: Debit | None,
        mpc: Any,
        endpoint: Endpoint,
        transcript: Transcript,
        listener: socket.socket | None,
        report: Callable[[str, Status], None],
        started: float,
    ) -> None:
        self._started = started
        self._config = config
        self._plan = plan
        self._plan_sha256 = sha256_of(plan)
        self._table = table
        self._noise = noise
        self._store = store
        self._debit = debit
        self._mpc = mpc
        self._endpoint = endpoint
        self._transcript = transcript
        self._listener = listener
        self._report = report
        self._phase = "connecting"
        self._manifest = OpeningsManifest(plan)
        self._mesh: Mesh | None = None
        self._stored_by_all = 0
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._drawn: dict[str, NDArray[np.int64]] = {}
        self._kept: dict[int, dict[str, NDArray[np.int64]]] = {}
        self._stored: dict[int, NDArray[np.int64]] = {}
        self._opened: list[NDArray[np.int64]] = []
        # These rounds are opened again from the same contributions, to the same values or not at
        # all (``ContributionStore.record_opened``), so the keys of later rounds are known already.
        self._opened_by_earlier_run = stored_openings(store, plan, config.index)
        self._opened_at = time.monotonic()

    @property
    def debit_sha256(self) -> str:
        """Hash of the ledger's entry that paid for the first round; empty at a helper."""
        return self._store.paid_by(self._key(1, []))

    @property
    def bytes_sent(self) -> int:
        """Bytes sent to all peers so far."""
        return 0 if self._mesh is None else self._mesh.bytes_sent

    @property
    def session(self) -> bytes:
        """The session's 16 bytes; zeros before there is one."""
        return NO_SESSION if self._mesh is None else self._mesh.session

    @property
    def opened_sha256(self) -> str:
        """Digest of the values of all rounds opened in this run, 64 hex digits."""
        return digest_of_opened(self._opened)

    @property
    def confirmations(self) -> dict[str, str]:
        """Party → its signature over the opened values, once all have confirmed."""
        return {} if self._mesh is None else dict(self._mesh.confirmations)

    def check_plan(
        self, plan_sha256: str, parties: tuple[str, ...], threshold: int, modulus: int
    ) -> None:
        """Refuse a program that was generated for another plan (SG514)."""
        stated = (plan_sha256, parties, threshold, modulus)
        if stated != (
            self._plan_sha256,
            self._plan.parties,
            self._plan.threshold,
            self._plan.modulus,
        ):
            raise _departs("its constants are those of another plan")

    # -- Steps 1 to 3, before connecting -------------------------------------------------------

    def draws(self, number: int) -> bool:
        """Whether round ``number`` needs a fresh contribution.

        False in a restart whose contribution is stored: that one is used, whatever the data file
        now says, and nothing is drawn.  Raises SecgenError SG511 if it was erased.
        """
        one_round = self._round(number)
        if number != len(self._opened) + 1:
            raise _departs(f"round {number} is not next")
        stored = self._store.find(self._key(number, self._opened))
        if stored is None:
            return True
        if len(stored) != sum(release.opened for release in one_round.releases):
            raise _departs("the stored contribution has another length")
        self._stored[number] = stored
        return False

    def encode(self, name: str) -> NDArray[np.int64]:
        """Step 1: x, in the query's shape; learned edges are those of the rounds opened so far.

        It cannot be changed: ``keep`` compares with it.
        """
        self._release(name)
        query = self._plan.query(name)
        program = self._learned()
        if query not in self._plan.added:
            query = as_table(program.query(name))
        self._counts[name] = _sealed(raw_cells(program, query, self._table))
        return self._counts[name]

    def noise(self, marginal: str, variance: Fraction) -> NDArray[np.int64]:
        """Step 2: z, one independent draw for each raw cell, in the shape of x; once a release.

        Args:
            marginal: whose cells.
            variance: σᵢ², as the plan has it.

        Raises:
            SecgenError: SG514, the plan has another variance, noise was drawn for these cells
                before, or the source gave something else.
        """
        release = self._release(marginal)
        if isinstance(release.noise, LaplaceNoise):
            raise _departs(f"the noise on {marginal!r} is Laplace noise in the plan")
        if variance != release.noise.party_variance:
            raise _departs(
                f"the variance of {marginal!r} is {release.noise.party_variance} in the plan"
            )
        return self._fresh(release)

    def polya_noise(self, marginal: str, scale: Fraction, parts: int) -> NDArray[np.int64]:
        """Step 2 of a plan with Laplace noise: z, one Pólya share for each raw cell.

        Args:
            marginal: whose cells.
            scale: b, as the plan has it.
            parts: m − t: so many parties' shares add up to discrete Laplace noise of b.

        Raises:
            SecgenError: SG514, as ``noise``.
        """
        release = self._release(marginal)
        noise = release.noise
        if not isinstance(noise, LaplaceNoise):
            raise _departs(f"the noise on {marginal!r} is Gaussian noise in the plan")
        if (scale, parts) != (noise.scale, noise.parts):
            raise _departs(
                f"the noise on {marginal!r} is {noise.parts} shares of scale {noise.scale} in the "
                "plan"
            )
        return self._fresh(release)

    def _fresh(self, release: Release) -> NDArray[np.int64]:
        marginal = release.query
        if marginal in self._drawn:
            raise _departs(f"the noise of {marginal!r} is drawn twice")
        try:
            drawn = draw_cells(self._noise, release)
        except ValueError as error:
            raise _departs(str(error)) from error
        shape = self._plan.program.shape(self._plan.query(marginal))
        self._drawn[marginal] = _sealed(drawn.reshape(shape))
        return self._drawn[marginal]

    def keep(self, number: int, marginal: str, contribution: NDArray[np.int64]) -> None:
        """Keep y of one release until its round is stored.

        Raises:
            SecgenError: SG514, y is not the plan's map of this release's own x + z.  So noise is
                used once, before the map, and for nothing else.
        """
        release = self._release(marginal)
        if all(release is not one for one in self._round(number).releases):
            raise _departs(f"{marginal!r} is not measured in round {number}")
        if contribution.shape != (release.opened,) or contribution.dtype != np.int64:
            raise _departs(f"{marginal!r} opens {release.opened} integers")
        kept = self._kept.setdefault(number, {})
        if marginal in kept:
            raise _departs(f"{marginal!r} is contributed twice in round {number}")
        if marginal not in self._counts or marginal not in self._drawn:
            raise _departs(f"{marginal!r} is contributed without its counts and noise")
        own = apply_map(release.map, self._counts.pop(marginal) + self._drawn[marginal])
        self._drawn[marginal] = _NOTHING  # that there was a draw is remembered
        if not np.array_equal(contribution, own):
            raise _departs(f"what {marginal!r} contributes is not the map of its counts and noise")
        kept[marginal] = contribution

    def store(self, number: int) -> None:
        """Step 3: make the round's contribution and its debit durable, in one transaction.

        Raises:
            SecgenError: SG804, the site's policy does not allow another debit; SG803; SG512.
        """
        if number in self._stored:
            return  # by an earlier run, or already
        one_round, kept = self._round(number), self._kept.get(number, {})
        missing = [one.query for one in one_round.releases if one.query not in kept]
        if missing:
            raise _departs(f"round {number} lacks {', '.join(map(repr, missing))}")
        if number != len(self._opened) + 1:
            raise _departs(f"round {number} is not next")
        contribution = np.concatenate([kept[one.query] for one in one_round.releases])
        self._store.save(self._key(number, self._opened), contribution, self._debit)
        self._stored[number] = contribution

    async def all_stored(self, number: int) -> None:
        """Wait until every party has stored its contribution to a round; only then deal."""
        self._require_stored(number)
        mesh = self._connected(f"storing for round {number}")
        await mesh.stored(number)
        self._stored_by_all = number

    async def wait(self, number: int) -> None:
        """Wait until the time after the round before that the plan fixes for this one's shares."""
        due = self._opened_at + self._round(number).delay
        await asyncio.sleep(max(0.0, due - time.monotonic()))

    # -- Steps 4 and 5 ---------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect to every peer; only now do the others see anything of this party."""
        config = self._config
        if config.preparation:
            # At a multiple of a public time: how long this site's rows took does not show.
            taken = time.monotonic() - self._started
            due = config.preparation * math.ceil(taken / config.preparation)
            await asyncio.sleep(due - taken)
        self._tell(Status())
        session = Session(
            endpoint=self._endpoint,
            statement=self._statement(),
            values=values_per_round(self._plan),
            modulus=self._plan.modulus,
            connect_timeout=config.connect_timeout,
            timeout=config.timeout,
            stored=self._contributions_by_earlier_run(),
            check=self._check,
        )
        # Nothing is stored before all are ready: what a refused run had stored would pass for
        # the lost contribution in the next.
        self._mesh = await Mesh.connect(session, self._listener, self._transcript, self._tell)

    def _statement(self) -> Statement:
        opened = self._opened_by_earlier_run
        return Statement(
            plan_sha256=self._plan_sha256,
            study_sha256=self._config.study_sha256,
            roster_sha256=roster_sha256(self._endpoint.entries),
            release=_release_of_secgen(),
            nonce=fresh_nonce(),
            begun=self._dealings_by_earlier_run(),
            opened=tuple(digest_of_opened(opened[:count]) for count in range(len(opened) + 1)),
        )

    def _check(self) -> Check:
        """What a doctor is told."""
        return Check(
            waits_to_run=True,
            release=_release_of_secgen(),
            plan_sha256=self._plan_sha256,
            study_sha256=self._config.study_sha256,
            roster_sha256=roster_sha256(self._endpoint.entries),
            milliseconds=clock(),
            approved=2 ** len(self._config.approvals) - 1,
            reached=0,
        )

    async def share(self, number: int) -> list[Any]:
        """Step 4: share the round's stored y and receive a share of everybody's.

        Returns:
            One MPyC secure array for each dealer, in the order of the parties.
        """
        mesh, rows = self._dealing(number)
        received = [np.empty_like(row) for row in rows]
        received[self._config.index] = rows[self._config.index]

        def take(dealer: int, start: int, end: int, elements: NDArray[np.uint64]) -> None:
            received[dealer][start:end] = elements

        await mesh.share(number, rows, take)
        return [secure_array(share) for share in received]

    async def share_and_add(self, number: int) -> NDArray[np.uint64]:
        """Step 4 and the sum of step 5 for a long vector: shares are added as they come.

        Returns:
            This party's share of the sum of all dealings, the same that MPyC would have.
        """
        mesh, rows = self._dealing(number)
        total = rows[self._config.index].copy()

        def take(dealer: int, start: int, end: int, elements: NDArray[np.uint64]) -> None:
            add_into(total[start:end], elements)

        await mesh.share(number, rows, take)
        return total

    def _require_stored(self, number: int) -> None:
        if number not in self._stored or number != len(self._opened) + 1:
            raise _departs(f"round {number} is not stored, or not next")

    def _dealing(self, number: int) -> tuple[Mesh, list[NDArray[np.uint64]]]:
        """A fresh dealing of the stored y of the round that is next."""
        self._require_stored(number)
        mesh = self._connected(f"sharing in round {number}")
        if number != self._stored_by_all:
            raise _departs(f"round {number} is not stored by all")
        # From here on a colluder may come to know a sum with this contribution, whoever opens it.
        self._store.mark_dealing(self._key(number, self._opened))
        return mesh, split(self._stored[number], self._plan.threshold, len(self._plan.parties))

    async def open(
        self, number: int, total: Any, openings: Sequence[tuple[str, int]]
    ) -> dict[str, NDArray[np.int64]]:
        """Step 5: open the sum of a round, if the plan lists exactly these openings.

        Args:
            number: the round.
            total: the sum of the dealers' secure arrays, or this party's share of it.
            openings: (marginal, number of values), in the order of the concatenated vector.

        Returns:
            Marginal → opened integers in (−p/2, p/2).

        Raises:
            SecgenError: SG505 the shares disagree; SG506 not on the manifest, or not next; SG513
                an earlier run of this plan opened other values, here or at a peer.
        """
        permit = self._manifest.permit(number, openings)
        mesh = self._connected(f"opening round {number}")
        if total.shape != (permit.values,):
            raise _departs(f"the sum of round {number} has {total.size} values")
        native = isinstance(total, np.ndarray)
        own = total if native else await local_share(self._mpc, total)
        shares = [np.empty_like(own) for _ in self._plan.parties]
        shares[self._config.index] = own

        def take(party: int, start: int, end: int, elements: NDArray[np.uint64]) -> None:
            shares[party][start:end] = elements

        await mesh.open(permit, own, take)
        opened = open_shares(shares, self._plan.threshold, f"round {number}")
        mesh.compare_with_hellos(number, digest_of_opened([*self._opened, opened]))
        self._store.record_opened(self._key(number, self._opened), opened)
        self._opened.append(opened)
        self._opened_at = time.monotonic()
        return by_query(permit.openings, opened)

    async def close(self) -> None:
        """Confirm what was opened, have everybody's confirmation, and leave.

        Raises:
            SecgenError: SG509 a party opened other values; SG503, SG504, SG526.
        """
        mesh = self._connected("confirming the opened values")
        await mesh.confirm(self.opened_sha256)
        await mesh.close()

    async def stop(self, error: BaseException) -> None:
        """Tell the others that this party stops, and why if that is one of them."""
        if self._mesh is not None:
            await self._mesh.stop(error)

    def measurements(self) -> Measurements:
        """All opened values, in the plan's order.  Raises SecgenError SG514 if a round is open."""
        if len(self._opened) != len(self._plan.rounds):
            raise _departs("it ended before every round was opened")
        return measurements_of(self._plan, self._opened)

    # -- inside ----------------------------------------------------------------------------------

    def _connected(self, phase: str) -> Mesh:
        if self._mesh is None:
            raise _departs(f"{phase} comes before connecting")
        self._phase = phase
        self._tell(self._mesh.status())
        return self._mesh

    def _tell(self, status: Status) -> None:
        self._report(self._phase, status)

    def _key(self, number: int, opened: Sequence[NDArray[np.int64]]) -> ContributionKey:
        return contribution_key(self._plan, self._config.index, number, opened)

    def _contributions_by_earlier_run(self) -> int:
        """How many rounds' contributions an earlier run of the same plan stored."""
        opened = self._opened_by_earlier_run
        return sum(
            self._store.find(self._key(one_round.number, opened)) is not None
            for one_round in self._plan.rounds[: len(opened) + 1]
        )

    def _learned(self) -> Program:
        """The program with the edges that the rounds opened so far decide."""
        values: dict[str, list[int]] = {}
        for one_round, opened in zip(self._plan.rounds, self._opened, strict=False):
            lengths = [(release.query, release.opened) for release in one_round.releases]
            for name, part in by_query(lengths, opened).items():
                values[name] = part.tolist()
        return with_learned_edges(self._plan, values)

    def _dealings_by_earlier_run(self) -> int:
        """In how many rounds an earlier run of the same plan dealt shares, or was about to."""
        opened = self._opened_by_earlier_run
        number = len(opened) + 1
        begun = number <= len(self._plan.rounds) and self._store.marked(self._key(number, opened))
        return len(opened) + begun

    def _round(self, number: int) -> Round:
        for one_round in self._plan.rounds:
            if one_round.number == number:
                return one_round
        raise _departs(f"the plan has no round {number}")

    def _release(self, marginal: str) -> Release:
        for release in self._plan.releases():
            if release.query == marginal:
                return release
        raise _departs(f"the plan does not measure {marginal!r}")


def _sealed(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    cells.setflags(write=False)
    return cells


def _release_of_secgen() -> str:
    from importlib.metadata import version

    return version("secgen")


def _departs(what: str) -> SecgenError:
    return fail(
        "SG514",
        f"the program departs from the plan: {what}",
        place="the party's program",
        next_step="nothing was sent; report this, it is a fault of secgen or a changed program",
    )


if __name__ == "__main__":
    from secgen_dsl.backends.mpyc.process import leave, main

    leave(main())
