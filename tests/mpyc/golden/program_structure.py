"""What every party of this study runs, in order; generated from the plan, to be read beside it.

A site never runs the copy that lies in a bundle: it generates its own from the plan it has
verified, compares the bytes, and runs its own.  Steps are numbered as in PROTOCOL.
"""

from fractions import Fraction

from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.queries.maps import apply_map

PLAN_SHA256 = "80e43ac47ff8826b9ca2c8c01c4ca587f297bbd6d184df469fe34acce06a1647"
PARTIES = (
    "northeast",
    "south",
    "west",
)
THRESHOLD = 1  # so many parties may collude and learn no site's values
MODULUS = 2305843009213693951  # the field of the shares


async def protocol(party: Party) -> None:
    """Encode, add noise, map, store; then connect, share, add and open, round by round."""
    party.check_plan(PLAN_SHA256, PARTIES, THRESHOLD, MODULUS)

    # Step 0: what the first round takes from a site's people happens before it connects, so that
    # the others can neither time it nor see it fail.

    # ---- Round 1 of 2, before connecting ----
    if party.draws(1):  # a restart uses what it stored and draws nothing
        # marginal pairs of markers within hallmark { HALLMARK_P53_PATHWAY,
        # HALLMARK_ESTROGEN_RESPONSE_EARLY } in 3 bins from elsewhere keep 40 by correlation in
        # elsewhere
        # Step 1: x, 40 x 3 x 3 = 360 exact counts.  It never leaves this process.
        x = party.encode("pairs of markers")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("pairs of markers", Fraction(10297, 32))
        # Step 3: y, 360 values: the noised counts as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "pairs of markers", y)
        # marginal pam50
        # Step 1: x, 1 x 5 x 1 = 5 exact counts.  It never leaves this process.
        x = party.encode("pam50")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("pam50", Fraction(301, 32))
        # Step 3: y, 5 values: the noised counts as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "pam50", y)
        # means of moments l1000 by pam50
        # Step 1: x, 1 x 1 x 979 = 979 exact sums of vectors, clipped to a norm of 38035.  It never
        # leaves this process.
        x = party.encode("means of moments l1000 by pam50")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("means of moments l1000 by pam50", Fraction(394256272805, 32))
        # Step 3: y, 979 values: the noised sums as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "means of moments l1000 by pam50", y)
        # scores of moments l1000 by pam50
        # Step 1: x, 1 x 5 x 12 = 60 exact sums of vectors, clipped to a norm of 5113.  It never
        # leaves this process.
        x = party.encode("scores of moments l1000 by pam50")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("scores of moments l1000 by pam50", Fraction(641218237, 8))
        # Step 3: y, 60 values: the noised sums as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "scores of moments l1000 by pam50", y)
        # second moment of moments l1000 by pam50
        # Step 1: x, 1 x 1 x 78 = 78 exact sums of products of scores, clipped to a norm of 5113.
        # It never leaves this process.
        x = party.encode("second moment of moments l1000 by pam50")
        # Step 2: z, discrete Gaussian, one draw for each (the last 66 of half the variance); the
        # variance is this party's part.
        z = party.noise("second moment of moments l1000 by pam50", Fraction(27938700407338559, 8))
        # Step 3: y, 78 values: the noised sums as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "second moment of moments l1000 by pam50", y)
        # means of pam50*markers
        # Step 1: x, 1 x 1 x 80 = 80 exact sums of vectors, clipped to a norm of 10811.  It never
        # leaves this process.
        x = party.encode("means of pam50*markers")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("means of pam50*markers", Fraction(133735729501, 32))
        # Step 3: y, 80 values: the noised sums as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "means of pam50*markers", y)
        # squares of pam50*markers
        # Step 1: x, 1 x 1 x 79 = 79 exact sums of vectors, clipped to a norm of 18918.  It never
        # leaves this process.
        x = party.encode("squares of pam50*markers")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("squares of pam50*markers", Fraction(409511553153, 32))
        # Step 3: y, 79 values: the noised sums as they are.  The noise goes in before the map.
        y = apply_map("identity", x + z)
        party.keep(1, "squares of pam50*markers", y)

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
    openings = (
        ("pairs of markers", 360),
        ("pam50", 5),
        ("means of moments l1000 by pam50", 979),
        ("scores of moments l1000 by pam50", 60),
        ("second moment of moments l1000 by pam50", 78),
        ("means of pam50*markers", 80),
        ("squares of pam50*markers", 79),
    )
    await party.open(1, total, openings)

    # ---- Round 2 of 2, at this site again ----
    if party.draws(2):  # a restart uses what it stored and draws nothing
        # marginal pam50 * markers in 4 learned bins from elsewhere share 30%
        # Step 1: x, 79 x 5 x 4 = 1580 exact counts.  It never leaves this process.
        x = party.encode("pam50*markers")
        # Step 2: z, discrete Gaussian, one draw for each; the variance is this party's part.
        z = party.noise("pam50*markers", Fraction(2991, 16))
        # Step 3: y, 1185 values: each row v of 4 counts as 4*v - sum(v), its last entry left out.
        # The noise goes in before the map.
        y = apply_map("centred", x + z)
        party.keep(2, "pam50*markers", y)

    # Shares leave 3 s after the last opening, so that work on the rows does not show in it.
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
    openings = (("pam50*markers", 1185),)
    await party.open(2, total, openings)

    # Step 6: each party signs what was opened, and goes on only with everybody's signature.
    await party.close()
