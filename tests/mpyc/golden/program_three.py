"""What every party of this study runs, in order; generated from the plan, to be read beside it.

A site never runs the copy that lies in a bundle: it generates its own from the plan it has
verified, compares the bytes, and runs its own.  Steps are numbered as in PROTOCOL.
"""

from fractions import Fraction

from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.queries.maps import apply_map

PLAN_SHA256 = "a9a80c6e1f817a339c0020708087396b51bb05f0d2ec17036c2d911945beb709"
PARTIES = (
    "europe",
    "northeast",
    "south",
)
THRESHOLD = 1  # so many parties may collude and learn no site's values
MODULUS = 2305843009213693951  # the field of the shares


async def protocol(party: Party) -> None:
    """Encode, add noise, map, store; then connect, share, add and open, round by round."""
    party.check_plan(PLAN_SHA256, PARTIES, THRESHOLD, MODULUS)

    # Step 0: what the first round takes from a site's people happens before it connects, so that
    # the others can neither time it nor see it fail.

    # ---- Round 1 of 1, before connecting ----
    if party.draws(1):  # a restart uses what it stored and draws nothing
        # marginal subtype * cycle in 4 equal bins  [colorectal.secgen:47]
        # Step 1: x, 6 x 4 x 4 = 96 exact counts.  It never leaves this process.
        x = party.encode("subtype*cycle")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("subtype*cycle", Fraction(18))
        # Step 3: y, 72 values: each row v of 4 counts as 4*v - sum(v), its last entry left out.
        # The noise goes in before the map.
        y = apply_map("centred", x + z)
        party.keep(1, "subtype*cycle", y)
        # marginal subtype  [colorectal.secgen:47]
        # Step 1: x, 1 x 4 x 1 = 4 exact counts.  It never leaves this process.
        x = party.encode("subtype")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("subtype", Fraction(4))
        # Step 3: y, 4 values: the noised counts as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "subtype", y)

    # ---- Round 1 of 1, among the parties ----
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
    openings = (
        ("subtype*cycle", 72),
        ("subtype", 4),
    )
    await party.open(1, total, openings)

    # Step 6: each party signs what was opened, and goes on only with everybody's signature.
    await party.close()
