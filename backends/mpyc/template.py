"""What every party of this study runs, in order; generated from the plan, to be read beside it.

A site never runs the copy that lies in a bundle: it generates its own from the plan it has
verified, compares the bytes, and runs its own.  Steps are numbered as in PROTOCOL.
"""

from fractions import Fraction

from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.queries.maps import apply_map

# <slots>
SLOT_PLAN = ""  # names that stand for text of the plan; only here for linters and type checkers
SLOT_PARTIES = ("",)
SLOT_THRESHOLD = 1
SLOT_MODULUS = 2
SLOT_ROUND = 1
SLOT_QUERY = ""
SLOT_VARIANCE = Fraction(4)
SLOT_SCALE = Fraction(4)
SLOT_PARTS = 2
SLOT_DEALER = 1
SLOT_OPENINGS = (("", 0),)
from secgen_dsl.ir.plan import LinearMap  # noqa: E402

SLOT_MAP: LinearMap = "identity"
# </slots>
PLAN_SHA256 = SLOT_PLAN
PARTIES = SLOT_PARTIES
THRESHOLD = SLOT_THRESHOLD  # so many parties may collude and learn no site's values
MODULUS = SLOT_MODULUS  # the field of the shares


async def protocol(party: Party) -> None:
    """Encode, add noise, map, store; then connect, share, add and open, round by round."""
    party.check_plan(PLAN_SHA256, PARTIES, THRESHOLD, MODULUS)

    # Step 0: what the first round takes from a site's people happens before it connects, so that
    # the others can neither time it nor see it fail.
    # <prepare>

    # ---- SLOT_ROUND_TITLE, SLOT_WHEN ----
    if party.draws(SLOT_ROUND):  # a restart uses what it stored and draws nothing
        # <release>
        # SLOT_STATEMENT
        # Step 1: x, SLOT_SHAPE.  It never leaves this process.
        x = party.encode(SLOT_QUERY)
        # <gaussian>
        # Step 2: z, discrete Gaussian, SLOT_DRAWS; the variance is this party's part.
        z = party.noise(SLOT_QUERY, SLOT_VARIANCE)
        # </gaussian>
        # <laplace>
        # Step 2: z, for each the difference of two negative binomial numbers (Pólya) of shape
        # 1/SLOT_PARTS and q = exp(-1/scale); the draws of SLOT_PARTS parties, the honest ones, add
        # up to discrete Laplace noise of that scale, exactly.
        z = party.polya_noise(SLOT_QUERY, SLOT_SCALE, SLOT_PARTS)
        # </laplace>
        # Step 3: y, SLOT_OPENED.  The noise goes in before the map.
        y = apply_map(SLOT_MAP, x + z)
        party.keep(SLOT_ROUND, SLOT_QUERY, y)
        # </release>
    # <wait>

    # Shares leave SLOT_DELAY after the last opening, so that work on the rows does not show in it.
    await party.wait(SLOT_ROUND)

    # </wait>
    # </prepare>

    # <exchange>
    # ---- SLOT_ROUND_TITLE, among the parties ----
    # <connect>
    await party.connect()
    # </connect>
    # Step 3: every y of the round is on disk, at every party, before a share of any leaves.
    party.store(SLOT_ROUND)
    await party.all_stored(SLOT_ROUND)
    # <arrays>
    # Step 4: y is split by fresh random polynomials; one secure array comes back for each dealer.
    shares = await party.share(SLOT_ROUND)
    # Step 5: the secure arrays are added, and the sum opened if all parties' shares agree.
    total = shares[0]
    # <add>
    total += shares[SLOT_DEALER]
    # </add>
    # </arrays>
    # <native>
    # Step 4: y is split by fresh random polynomials; SLOT_VALUES values are too many for MPyC's
    # arrays, so the shares of all dealers are added as they come, modulo 2**61 - 1.
    total = await party.share_and_add(SLOT_ROUND)
    # Step 5: the sum is opened if all parties' shares agree.
    # </native>
    openings = SLOT_OPENINGS
    await party.open(SLOT_ROUND, total, openings)

    # </exchange>
    # Step 6: each party signs what was opened, and goes on only with everybody's signature.
    await party.close()
