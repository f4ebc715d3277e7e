"""What every party of this study runs, in order; generated from the plan, to be read beside it.

A site never runs the copy that lies in a bundle: it generates its own from the plan it has
verified, compares the bytes, and runs its own.  Steps are numbered as in PROTOCOL.
"""

from fractions import Fraction

from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.queries.maps import apply_map

PLAN_SHA256 = "94cf7e4149a53eac1b9f187e6fc56071381ad5efaef976e7ecc5c23c1bd5de40"
PARTIES = (
    "a",
    "b",
    "c",
    "d",
    "helper",
)
THRESHOLD = 2  # so many parties may collude and learn no site's values
MODULUS = 2305843009213693951  # the field of the shares


async def protocol(party: Party) -> None:
    """Encode, add noise, map, store; then connect, share, add and open, round by round."""
    party.check_plan(PLAN_SHA256, PARTIES, THRESHOLD, MODULUS)

    # Step 0: what the first round takes from a site's people happens before it connects, so that
    # the others can neither time it nor see it fail.

    # ---- Round 1 of 2, before connecting ----
    if party.draws(1):  # a restart uses what it stored and draws nothing
        # marginal subtype  [colorectal.secgen:47]
        # Step 1: x, 1 x 4 x 1 = 4 exact counts.  It never leaves this process.
        x = party.encode("subtype")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("subtype", Fraction(4))
        # Step 3: y, 4 values: the noised counts as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "subtype", y)

    # ---- Round 1 of 2, among the parties ----
    await party.connect()
    # Step 3: every y of the round is on disk, at every party, before a share of any leaves.
    party.store(1)
    await party.all_stored(1)
    # Step 4: y is split by fresh random polynomials; one secure array comes back for each dealer.
    shares = await party.share(1)
    # Step 5: the secure arrays are added, and the sum opened if all parties' shares agree.
    total = shares[0]
    total += shares[1]
    total += shares[2]
    total += shares[3]
    total += shares[4]
    openings = (("subtype", 4),)
    await party.open(1, total, openings)

    # ---- Round 2 of 2, at this site again ----
    if party.draws(2):  # a restart uses what it stored and draws nothing
        # marginal subtype * cycle in 4 equal bins  [colorectal.secgen:47]
        # Step 1: x, 6 x 4 x 4 = 96 exact counts.  It never leaves this process.
        x = party.encode("subtype*cycle")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("subtype*cycle", Fraction(5))
        # Step 3: y, 96 values: the noised counts as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(2, "subtype*cycle", y)

    # Shares leave 1 s after the last opening, so that work on the rows does not show in it.
    await party.wait(2)

    # ---- Round 2 of 2, among the parties ----
    # Step 3: every y of the round is on disk, at every party, before a share of any leaves.
    party.store(2)
    await party.all_stored(2)
    # Step 4: y is split by fresh random polynomials; one secure array comes back for each dealer.
    shares = await party.share(2)
    # Step 5: the secure arrays are added, and the sum opened if all parties' shares agree.
    total = shares[0]
    total += shares[1]
    total += shares[2]
    total += shares[3]
    total += shares[4]
    openings = (("subtype*cycle", 96),)
    await party.open(2, total, openings)

    # Step 6: each party signs what was opened, and goes on only with everybody's signature.
    await party.close()
