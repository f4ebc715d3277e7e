"""Shamir sharing on MPyC: its fields, secure arrays and recombination, and none of its network.

MPyC's own messages are unpickled by the receiver, and its ``output`` recombines t + 1 shares
without looking at the others (PROTOCOL, facts 1 and 4).  Shares therefore travel in our frames,
openings check all m shares, and every method of MPyC that would send or receive is disabled.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.environment import forget_variables

_NETWORK_METHODS = (
    "start",
    "shutdown",
    "transfer",
    "input",
    "output",
    "peek",
    "barrier",
    "_distribute",
    "_reshare",
    "_send_message",
    "_receive_message",
)


def start_mpyc(index: int, parties: int, threshold: int) -> Any:
    """MPyC's runtime of one party, without a network.

    Importing MPyC reads ``sys.argv`` and its environment, once in a process; later calls return
    the same runtime, whose parties and threshold are those of the first call.

    Args:
        index: of this party.
        parties: m ≥ 3.
        threshold: t, 1 ≤ t < m/2.

    Returns:
        ``mpyc.runtime.mpc``; calling anything on it that would send or receive raises SG507.
    """
    forget_variables("MPYC_")
    arguments = sys.argv
    sys.argv = ["secgen-party", "--no-log", "--no-prss", f"-M{parties}", f"-I{index}"]
    sys.argv += [f"-T{threshold}"]
    try:
        from mpyc.runtime import mpc
    finally:
        sys.argv = arguments
    for name in _NETWORK_METHODS:
        setattr(mpc, name, _disabled(name))
    return mpc


def secure_field() -> Any:
    """MPyC's secure type over the field of p = 2⁶¹ − 1; ``.array`` is its secure array."""
    from mpyc.runtime import mpc

    return mpc.SecFld(modulus=MERSENNE_61)


def secure_array(elements: NDArray[np.uint64]) -> Any:
    """A secure array whose local share is ``elements`` (each below p)."""
    secfld = secure_field()
    return secfld.array(secfld.field.array(elements.astype(object)))


def split(values: NDArray[np.int64], threshold: int, parties: int) -> list[NDArray[np.uint64]]:
    """Share integers by fresh random polynomials of degree t (Shamir 1979), MPyC's dealer.

    Args:
        values: k integers; they enter the field modulo p.
        threshold: t.
        parties: m; party i's point is i + 1.

    Returns:
        For each party its k shares.
    """
    from mpyc import thresha

    field = secure_field().field
    secret = field.array(values.astype(object) % MERSENNE_61)
    rows = thresha.np_random_split(field, secret, threshold, parties)
    return [row.astype(np.uint64) for row in rows]


def open_shares(
    shares: Sequence[NDArray[np.uint64]], threshold: int, what: str
) -> NDArray[np.int64]:
    """The values that m shares determine, if they all lie on one polynomial of degree ≤ t.

    The first t + 1 shares fix a polynomial; it is evaluated at the remaining m − t − 1 points and
    must meet those shares.  Any change of at most m − t − 1 shares of a consistent vector is
    noticed (a Reed–Solomon code of distance m − t); t colluding parties with m ≥ 2t + 1 cannot
    therefore move an opened value.

    Args:
        shares: of party 0, 1, …, m − 1; k elements each.
        threshold: t < m − 1.
        what: names the opening in the message.

    Returns:
        k integers in (−p/2, p/2).

    Raises:
        SecgenError: SG505, the shares do not lie on one polynomial; nothing is returned.
    """
    from mpyc import thresha

    field = secure_field().field
    parties = len(shares)
    rows = [row.astype(object) for row in shares]
    points = [(index + 1, rows[index]) for index in range(threshold + 1)]
    checked = list(range(threshold + 2, parties + 1))
    recombined = thresha.np_recombine(field, points, [0, *checked]).value
    for row, point in zip(recombined[1:], checked, strict=True):
        if not np.array_equal(row, rows[point - 1]):
            raise fail(
                "SG505",
                f"the opening of {what} failed its consistency check: the parties' shares do not "
                f"lie on one polynomial of degree {threshold}",
                place="all parties",
                next_step="no value was used; some party's share is not what the others' imply.  "
                "The budget of this round is spent; a restart uses the stored contributions",
            )
    values = recombined[0].astype(np.int64)
    centred: NDArray[np.int64] = np.where(values > MERSENNE_61 // 2, values - MERSENNE_61, values)
    return centred


async def local_share(mpc: Any, secure: Any) -> NDArray[np.uint64]:
    """This party's own share of a secure array, once MPyC has computed it; sends nothing."""
    share = await mpc.gather(secure)
    elements: NDArray[np.uint64] = share.value.astype(np.uint64)
    return elements


def _disabled(name: str) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise _network_error(name)

    return refuse


def _network_error(name: str) -> SecgenError:
    return fail(
        "SG507",
        f"mpc.{name} is disabled: values travel in secgen's frames and are opened only through "
        "the plan's manifest",
        place="the party's program",
        next_step="use Party.share and Party.open",
    )
