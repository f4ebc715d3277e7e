"""MPyC's secure arrays over the field of 2⁶¹ − 1, and none of its network.

MPyC's own messages are unpickled by the receiver, and its ``output`` recombines t + 1 shares
without looking at the others (PROTOCOL, facts 1 and 4).  Shares therefore travel in our frames,
are dealt and opened by ``runtime.shamir``, and every method of MPyC that would send or receive is
disabled.
"""

import sys
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
