"""Bugs of bulk and Laplace noise, of shares, of double-centred pairs (`tools.mutation_table`)."""

from tools.mutation import Edit, Mutation, bug

NOISE = "secgen_dsl/runtime/noise.py"
POLYA = "secgen_dsl/runtime/polya.py"
GAUSSIAN = "secgen_dsl/runtime/gaussian.py"
NATIVE = "secgen_dsl/runtime/shamir.py"
COINS = "secgen_dsl/runtime/coins.py"
PARTY = "backends/mpyc/party.py"
EVENTS = "secgen_dsl/privacy/events.py"
LAW = "secgen_dsl/privacy/laplace.py"
SENSITIVITY = "secgen_dsl/privacy/sensitivity.py"
BOUND = "secgen_dsl/privacy/bound.py"
SLACK = "secgen_dsl/privacy/slack.py"
SPEND = "secgen_dsl/privacy/spend.py"
PLANNER = "secgen_dsl/planner/laplace.py"
VERIFIER = "secgen_dsl/verifier/verify.py"
CONTRIBUTION = "secgen_dsl/queries/contribution.py"

SHARES = "tests/runtime/test_polya.py"
SHARED = "tests/runtime/test_shamir.py"
BULK = "tests/runtime/test_gaussian.py"
PATH = "tests/trials/test_laplace_path.py"
PLANS = "tests/planner/test_laplace.py"
COSTS = "tests/privacy/test_laplace.py"
REFUSED = "tests/verifier/test_laplace.py"
PAIRS = "tests/planner/test_double_centred_pairs.py"
BY_LABELS = "tests/planner/test_pairs_by_labels.py"
PAIR_LAWS = "tests/privacy/test_double_centred_tables.py"
CHANGES = "tests/privacy/test_sensitivity.py"

_DRAW = "lambda: draw_polya(cells, scale, parts)"
_PLANNED_PARTS = "parts = len(program.parties) - program.tolerated"
_L1 = "return program.tables(query) * moved"
_EVENT = "count = tables * contribution.groups * (2 if"

BULK_SAMPLER = (
    bug(
        "bulk noise of half the variance",
        GAUSSIAN,
        "return proposal.factors[np.minimum(block, _BLOCKS + _LONGEST_RUN)] * _exponential(a)",
        "return proposal.factors[np.minimum(block, _BLOCKS + _LONGEST_RUN)] * _exponential(2 * a)",
        BULK,
    ),
    bug(
        "bulk noise of half the variance, as asked for",
        NOISE,
        "lambda: draw_gaussian(cells, variance)",
        "lambda: draw_gaussian(cells, variance / 2)",
        "tests/runtime/test_noise.py",
    ),
    bug(
        "bulk noise with a sign before a magnitude: zero counts twice",
        GAUSSIAN,
        "return magnitude ^ -sign, block",
        "return magnitude * (1 - 2 * sign), block",
        BULK,
    ),
    bug("one-sided bulk noise", GAUSSIAN, "magnitude ^ -sign,", "magnitude ^ (sign * 0),", BULK),
    bug(
        "bulk noise without its tail",
        GAUSSIAN,
        "block[tail] += runs_of_heads(tail.size)",
        "block[tail] += 0 * runs_of_heads(tail.size)",
        BULK,
    ),
    bug(
        "the tail's coin has another chance than the text says",
        GAUSSIAN,
        "[*weights[:-1], 2 * weights[-1]]",
        "[weights[0] + weights[-1], *weights[1:]]",
        BULK,
    ),
    bug(
        "every bulk candidate is kept",
        GAUSSIAN,
        "kept: Flags = above < 0",
        "kept: Flags = above < 1",
        BULK,
    ),
    bug(
        "a bulk coin in doubt falls to the float",
        GAUSSIAN,
        "np.flatnonzero(np.abs(above) < _DOUBT)",
        "np.flatnonzero(np.abs(above) < 0)",
        BULK,
    ),
    bug(
        "a bulk coin in doubt reads its known bits again",
        GAUSSIAN,
        "known << 64 | int(words(1)[0])",
        "known << 64 | known % 2**64",
        BULK,
    ),
)

SHAMIR = (
    bug(
        "a sharing of degree 0: every share is the value",
        NATIVE,
        "*(_uniform(len(secret)) for _ in range(threshold))",
        "*(0 * _uniform(len(secret)) for _ in range(threshold))",
        SHARED,
    ),
    bug(
        "one polynomial for all values of a piece",
        NATIVE,
        "(_uniform(len(secret)) for",
        "(np.full_like(secret, _uniform(1)[0]) for",
        SHARED,
    ),
    bug(
        "an opening looks at one share too few",
        NATIVE,
        "any(row.any() for row in rows)",
        "any(row.any() for row in rows[:-1])",
        SHARED,
    ),
)

LAPLACE = (
    bug("1/b for b", NOISE, _DRAW, "lambda: draw_polya(cells, 1 / scale, parts)", PATH),
    bug("q for b", NOISE, _DRAW, "lambda: draw_polya(cells, scale / (1 + scale), parts)", PATH),
    bug(
        "Pólya shares of one party too many, as drawn",
        NOISE,
        "noise.scale, noise.parts)",
        "noise.scale, noise.parts + 1)",
        PATH,
    ),
    bug(
        "Pólya shares of m in place of m − t, in the planner",
        PLANNER,
        _PLANNED_PARTS,
        "parts = len(program.parties)",
        PLANS,
    ),
    Mutation(
        "Pólya shares of m in place of m − t, in planner and verifier",
        (
            Edit(PLANNER, _PLANNED_PARTS, "parts = len(program.parties)"),
            Edit(
                "secgen_dsl/verifier/laplace.py",
                "noise.parts != len(plan.parties) - plan.threshold",
                "noise.parts != len(plan.parties)",
            ),
        ),
        (REFUSED, PATH),
    ),
    bug(
        "the verifier accepts any number of Pólya shares",
        "secgen_dsl/verifier/laplace.py",
        "if noise.parts != len(plan.parties) - plan.threshold:",
        "if noise.parts < 2:",
        REFUSED,
    ),
    bug(
        "one-sided shares: the difference is forgotten",
        POLYA,
        "both[:count] - both[count:]",
        "both[:count]",
        SHARES,
    ),
    bug(
        "shares without their tail",
        POLYA,
        "np.concatenate([*kept, keep])",
        "np.concatenate([*kept, keep & (jump < 0)])",
        SHARES,
    ),
    bug(
        "Pólya candidates of half the mean",
        POLYA,
        "parts * i, dtype",
        "2 * parts * i, dtype",
        SHARES,
    ),
    bug(
        "noise and shares from a seeded generator",
        COINS,
        "secrets.token_bytes(8 * count)",
        "np.random.default_rng(count).bytes(8 * count)",
        "tests/runtime/test_coins.py",
    ),
    bug(
        "Laplace noise that tables share",
        NOISE,
        _DRAW,
        "lambda: np.resize(draw_polya(max(1, cells // 20), scale, parts), cells)",
        PATH,
    ),
    bug(
        "a party draws shares of another scale than planned",
        PARTY,
        "if (scale, parts) != (noise.scale, noise.parts):",
        "if parts != noise.parts:",
        "tests/mpyc/test_party.py",
    ),
    bug(
        "Gaussian noise of a small variance passes for Laplace noise, at the party",
        PARTY,
        "if isinstance(release.noise, LaplaceNoise):\n            raise",
        "if False:\n            raise",
        "tests/mpyc/test_party.py",
    ),
    bug(
        "L2 for L1 sensitivity",
        SENSITIVITY,
        _L1,
        "return max(1, round((program.tables(query) * moved**2) ** 0.5))",
        PLANS,
    ),
    Mutation(
        "Laplace tables counted once, everywhere",
        (
            Edit(SENSITIVITY, _L1, "return moved"),
            Edit(EVENTS, _EVENT, "count = contribution.groups * (2 if"),
        ),
        (PLANS,),
    ),
    bug(
        "several samples cost one, of Laplace noise",
        EVENTS,
        "loss=contribution.samples / scale",
        "loss=1 / scale",
        COSTS,
    ),
    bug(
        "b for 1/b in the accountant",
        EVENTS,
        "loss=contribution.samples / scale",
        "loss=contribution.samples * scale",
        COSTS,
    ),
    bug(
        "replace-one sold as add-or-remove, of Laplace noise",
        EVENTS,
        "contribution.groups * (2 if contribution.replace else 1)\n    return Bounded",
        "contribution.groups\n    return Bounded",
        COSTS,
    ),
    bug(
        "ε is not summed over the releases",
        BOUND,
        "epsilon = total([event.epsilon for event in",
        "epsilon = max([event.epsilon for event in",
        PLANS,
    ),
    bug(
        "ρ of Laplace noise is not summed over the releases",
        BOUND,
        "mu_squared = total([event.mu_squared for event in",
        "mu_squared = max([event.mu_squared for event in",
        PLANS,
    ),
    bug(
        "ε of one pair for ε of a release",
        EVENTS,
        "return self.count * self.loss",
        "return self.loss",
        COSTS,
    ),
    bug(
        "ρ of Laplace noise is halved",
        EVENTS,
        "multiple_not_below(2 * rho *",
        "multiple_not_below(rho *",
        COSTS,
    ),
    bug("a share alone hides as much as all", BOUND, "if alone:", "if False:", PLANS),
    bug(
        "a share has the loss of Laplace noise",
        LAW,
        "return (rate - log1p(-hidden)) *",
        "return rate *",
        COSTS,
    ),
    bug("Laplace noise beyond the field", LAW, "_REACH = 47", "_REACH = 20", COSTS),
    bug(
        "centred tables with Laplace noise are accepted",
        "secgen_dsl/verifier/laplace.py",
        'if release.map != "identity":',
        "if False:",
        REFUSED,
    ),
    bug(
        "another mechanism than promised is accepted",
        VERIFIER,
        "elif release.noise.kind != mechanism:",
        "elif False:",
        REFUSED,
    ),
    Mutation(
        "scales are rounded down",
        (
            Edit(PLANNER, "to_integral_value(ROUND_CEILING)", 'to_integral_value("ROUND_FLOOR")'),
            Edit(PLANNER, "while _spent(counts, scales) > budget:", "while False:"),
        ),
        (PLANS,),
    ),
    bug(
        "the verifier rounds a sum of ε down",
        VERIFIER,
        "else composition.pure\n",
        "else Fraction(float(composition.pure))\n",
        REFUSED,
    ),
    bug(
        "studies of Laplace noise: the dearest for the sum",
        SPEND,
        "total += spend.pure",
        "total = max(total, spend.pure)",
        "tests/privacy/test_spend.py",
    ),
    bug(
        "Gaussian studies are left out of a sum of Laplace ones",
        SPEND,
        "            return None\n        total +=",
        "            continue\n        total +=",
        "tests/privacy/test_spend.py",
    ),
)

DOUBLE_CENTRED = (
    bug("double centring with one 1 − 1/B", SENSITIVITY, "else left**2)", "else left)", CHANGES),
    bug(
        "double centring with the 1 − 1/B of four directions",
        SENSITIVITY,
        "else left**2)",
        "else left**4)",
        CHANGES,
    ),
    bug(
        "replace-one in a double-centred table: with both 1 − 1/B",
        SENSITIVITY,
        "(2 * left if",
        "(2 * left**2 if",
        CHANGES,
    ),
    bug(
        "the statistic of double-centred tables has too much noise",
        EVENTS,
        "variance=bins**2 * shift * variance",
        "variance=bins**2 * shift**2 * variance",
        PAIR_LAWS + "::test_the_statistic",
    ),
    bug(
        "competing shifts of double-centred tables certified as one-dimensional",
        EVENTS,
        '(contribution.replace and linear_map != "identity")',
        '(contribution.replace and linear_map == "centred")',
        PAIR_LAWS + "::test_no_event_where_shifts_compete",
    ),
    bug(
        "the slack of double centring without B + 1",
        SLACK,
        "(bins + 1) * _log_ratio(",
        "_log_ratio(",
        PAIR_LAWS + "::test_slack_values",
    ),
    bug(
        "the slack of double centring with η for λ",
        SLACK,
        "_log_ratio(eta, 2 * bins - 1)",
        "_log_ratio(eta, 1)",
        PAIR_LAWS + "::test_slack_values",
    ),
    bug(
        "the slack of double centring is dropped",
        BOUND,
        "slack += count * double_centring_slack(",
        "slack += 0 * double_centring_slack(",
        PAIRS + "::test_a_double_centred_release",
    ),
    bug(
        "double-centred pairs without tables of their genes are accepted",
        VERIFIER,
        "return all(main_effects(plan.program, query).values())",
        "return True",
        PAIRS + "::test_other_bins_of_one_gene",
    ),
    bug(
        "noise too small to centre twice passes",
        VERIFIER,
        'if release.map != "identity" and not centring',
        'if release.map == "centred" and not centring',
        PAIRS + "::test_too_little_noise_to_centre",
    ),
    bug(
        "the field of double-centred tables is that of plain ones",
        VERIFIER,
        'elif release.map == "double-centred":\n        greatest',
        "elif False:\n        greatest",
        PAIRS + "::test_a_field_too_small_for_the_map",
    ),
    bug(
        "noise after double centring",
        CONTRIBUTION,
        "y = apply_map(release.map, x + z.reshape(shape))",
        "y = apply_map(release.map, x + z.reshape(shape))\n"
        '        if release.map == "double-centred":\n'
        "            y = apply_map(release.map, x) + z[: release.opened]",
        "tests/generated/test_backends.py"
        "::test_double_centred_pairs_are_opened_as_they_are_counted_by_hand",
    ),
    bug(
        "double centring without the sum of all",
        "secgen_dsl/queries/maps.py",
        "- bins * (rows + columns) + total",
        "- bins * (rows + columns)",
        PAIR_LAWS + "::test_the_laws_are_those_of_noise_before_the_map",
    ),
    bug(
        "double-centred blocks of labels with caps of their own count once",
        EVENTS,
        "variance=bins**2 * shift * variance, shift=shift, count=count",
        "variance=bins**2 * shift * variance, shift=shift, count=tables",
        BY_LABELS + "::test_double_centred_blocks",
    ),
    bug(
        "the slack of double centring is that of one block of labels",
        BOUND,
        "min(touched, labels // query.bins)",
        "1",
        BY_LABELS + "::test_slack_is_added_for_every_block_that_a_person_may_be_in",
    ),
    bug(
        "own tables that lack a label of the pairs hold their main effects",
        "secgen_dsl/ir/main_effects.py",
        "or not set(pairs.columns) <= set(query.columns)",
        "or False",
        BY_LABELS + "::test_own_tables_need_the_pairs_labels",
    ),
    bug(
        "people of any label are counted in the first one's pairs",
        "secgen_dsl/queries/pairs.py",
        "rows = labels[present] * query.bins + codes",
        "rows = 0 * labels[present] * query.bins + codes",
        "tests/generated/test_backends.py"
        "::test_double_centred_pairs_are_opened_as_they_are_counted_by_hand",
    ),
)
