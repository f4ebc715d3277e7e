"""The bugs of differential privacy that `tools.mutations` puts into copies of the tree.

One entry a bug: what it is, where the text to change is, and the tests that have to notice.  An
edit's text must stand exactly once in its file; ``tests/trials/test_mutation_table.py`` holds that,
so an entry whose code moved is noticed by the next `make test`.
"""

from tools.mutation import Edit, Mutation, bug
from tools.mutations_mechanisms import BULK_SAMPLER, DOUBLE_CENTRED, LAPLACE, SHAMIR
from tools.mutations_vectors import LEARNED, ROUNDS, VECTORS

NOISE = "secgen_dsl/runtime/noise.py"
CONTRIBUTION = "secgen_dsl/queries/contribution.py"
EXPANSION = "secgen_dsl/planner/expansion.py"
ALLOCATION = "secgen_dsl/planner/allocation.py"
VERIFIER = "secgen_dsl/verifier/verify.py"
SENSITIVITY = "secgen_dsl/privacy/sensitivity.py"
EVENTS = "secgen_dsl/privacy/events.py"
BOUND = "secgen_dsl/privacy/bound.py"
ACCOUNTANTS = "secgen_dsl/privacy/accountants.py"
PLD = "secgen_dsl/privacy/pld.py"
CHOICE = "secgen_dsl/runtime/site/choice.py"
STORE = "secgen_dsl/runtime/store.py"
OPENINGS = "secgen_dsl/runtime/openings.py"
PARTY = "backends/mpyc/party.py"

LAW = "tests/trials/test_noise_law.py"
GAME = "tests/trials/test_distinguishing.py"

_SAMPLE = "np.asarray(_sampler(scale)([0] * cells))"
_COUNTED = "count = tables * contribution.groups\n    if contribution.samples > 1 or"
_ADD = "apply_map(release.map, x + z.reshape(shape))"

SAMPLER = (
    bug("σ for σ²", NOISE, "_sampler(scale)([", "_sampler(scale**0.5)([", LAW),
    bug(
        "half the variance",
        NOISE,
        "scale = scale_not_below(variance)",
        "scale = scale_not_below(variance / 2)",
        LAW,
    ),
    bug(
        "the variance is rounded down to a float",
        NOISE,
        "return sqrt_not_below(variance)",
        "return float(variance) ** 0.5",
        "tests/runtime/test_noise.py::test_the_scale_never_undercuts_the_variance",
    ),
    bug(
        "a built-in seed, shared by all sites",
        NOISE,
        _SAMPLE,
        "np.rint(np.random.default_rng(cells).normal(0, scale, cells)).astype(np.int64)",
        LAW,
    ),
    bug(
        "rounded continuous noise",
        NOISE,
        _SAMPLE,
        "np.rint(np.random.default_rng().normal(0, scale, cells)).astype(np.int64)",
        "tests/runtime/test_noise.py::test_the_law_of_the_noise",
    ),
    Mutation(
        "noise reused between releases, parties and runs",
        (
            Edit(NOISE, _SAMPLE, "np.asarray(_vector(scale, cells))"),
            Edit(
                NOISE,
                "def _failure(",
                "@lru_cache(maxsize=64)\ndef _vector(scale: float, cells: int) -> Any:\n"
                "    return _sampler(scale)([0] * cells)\n\n\ndef _failure(",
            ),
        ),
        (LAW,),
    ),
    bug(
        "noise reused between the tables of a release",
        NOISE,
        _SAMPLE,
        "np.resize(np.asarray(_sampler(scale)([0] * max(1, cells // 20))), cells)",
        LAW,
    ),
)

PATH = (
    bug(
        "noise after centring",
        CONTRIBUTION,
        _ADD,
        "apply_map(release.map, x) + z[: release.opened]",
        LAW,
    ),
    bug("x is shared in place of y", CONTRIBUTION, _ADD, "apply_map(release.map, x)", LAW),
    bug(
        "x is shared in place of y, in the parties' program",
        "backends/mpyc/template.py",
        "y = apply_map(SLOT_MAP, x + z)",
        "y = apply_map(SLOT_MAP, x)",
        "tests/mpyc/test_generate.py::test_golden",
    ),
    bug(
        "noise after centring, in the parties' program",
        "backends/mpyc/template.py",
        "y = apply_map(SLOT_MAP, x + z)",
        "y = apply_map(SLOT_MAP, x) + z.reshape(-1)[: len(apply_map(SLOT_MAP, x))]",
        "tests/mpyc/test_generate.py::test_golden",
    ),
    bug(
        "n is exact: label histograms get no noise",
        CONTRIBUTION,
        _ADD,
        "apply_map(release.map, x + (shape[-1] > 1) * z.reshape(shape))",
        GAME,
    ),
    bug(
        "the values are not clamped",
        "secgen_dsl/queries/bins.py",
        "return np.clip(codes, bisect_right(edges, low), bisect_right(edges, high))",
        "return codes",
        "tests/queries/test_bins.py",
    ),
    bug(
        "NaN passes into a bin",
        "secgen_dsl/queries/expression.py",
        "return np.where(absent, stand_in, codes)",
        "return codes",
        "tests/queries/test_raw_cells.py",
    ),
    bug(
        "a person's second sample is not capped",
        CHOICE,
        "elif len(some) == cap:",
        "elif len(some) == cap + 1:",
        "tests/runtime/test_site_choice.py",
    ),
    bug(
        "a sample that stands twice counts twice",
        CHOICE,
        "if sample and sample in seen:",
        "if False:",
        "tests/runtime/test_site_choice.py",
    ),
    bug(
        "draws depend on the data: an empty table adds no noise",
        CONTRIBUTION,
        "    for release in one_round.releases:\n",
        "    for release in one_round.releases[: None if table.rows else 1]:\n",
        "tests/trials/test_same_steps.py",
    ),
)

PLANNING = (
    bug(
        "m for m − t, in the planner",
        EXPANSION,
        "party_variance=variance / honest",
        "party_variance=variance / (honest + 1)",
        "tests/planner/test_plan.py",
    ),
    Mutation(
        "m for m − t, in planner and verifier",
        (
            Edit(
                EXPANSION,
                "party_variance=variance / honest",
                "party_variance=variance / (honest + 1)",
            ),
            Edit(
                VERIFIER,
                "honest = len(plan.parties) - plan.threshold",
                "honest = len(plan.parties)",
            ),
        ),
        ("tests/planner/test_plan.py", "tests/verifier"),
    ),
    bug(
        "sensitivity counted once, in the planner's releases",
        EXPANSION,
        "_noise(sensitivity_squared(program, one.query, one.map), ",
        "_noise(sensitivity_squared(program, one.query, one.map) / tables, ",
        "tests/planner/test_plan.py",
    ),
    bug(
        "sensitivity counted once, in the accountant's events",
        EVENTS,
        _COUNTED,
        _COUNTED.replace("tables * ", ""),
        "tests/privacy/test_centred_tables.py",
    ),
    Mutation(
        "sensitivity counted once, everywhere",
        (
            Edit(SENSITIVITY, "return program.tables(query) * table", "return table"),
            Edit(
                ALLOCATION,
                "return self.tables * self.table_sensitivity_squared / variance",
                "return self.table_sensitivity_squared / variance",
            ),
            Edit(
                ALLOCATION,
                "self.load = _decimal(example.tables * example.table_sensitivity_squared)",
                "self.load = _decimal(example.table_sensitivity_squared)",
            ),
            Edit(EVENTS, _COUNTED, _COUNTED.replace("tables * ", "")),
        ),
        (GAME,),
    ),
    bug(
        "the planner's variances are rounded down",
        ALLOCATION,
        "to_integral_value(ROUND_CEILING)",
        'to_integral_value("ROUND_FLOOR")',
        "tests/planner/test_allocation.py",
        "tests/planner/test_plan.py",
    ),
    bug(
        "predicted errors forget the colluding parties' noise",
        "secgen_dsl/planner/predict.py",
        "variance = plan.released_variance(release)\n        cell_variance",
        "variance = release.noise.variance\n        cell_variance",
        "tests/trials/test_predicted_errors.py",
    ),
)

SENSITIVITIES = (
    bug(
        "centring without 1 − 1/B",
        SENSITIVITY,
        'return moved * left if linear_map == "centred" else moved',
        "return moved",
        "tests/privacy/test_sensitivity.py",
    ),
    bug(
        "centring with the 1 − 1/B of both directions",
        SENSITIVITY,
        "return moved * left if",
        "return moved * left**2 if",
        "tests/privacy/test_sensitivity.py",
    ),
    bug(
        "c for c²",
        SENSITIVITY,
        "moved = Fraction(contribution.groups * contribution.samples**2)",
        "moved = Fraction(contribution.groups * contribution.samples)",
        "tests/privacy/test_sensitivity.py",
    ),
    bug(
        "replace-one sold as add-or-remove",
        SENSITIVITY,
        'replace = program.privacy.adjacency == "replace-one"',
        "replace = False",
        "tests/privacy/test_bound.py",
    ),
    bug(
        "one person in several silos is forgotten",
        SENSITIVITY,
        "samples = person.samples * person.silos",
        "samples = person.samples",
        "tests/privacy/test_bound.py",
    ),
    bug(
        "samples per visit taken for samples in all",
        SENSITIVITY,
        "return Contribution(1, values * samples, replace)",
        "return Contribution(1, samples, replace)",
        "tests/privacy/test_bound.py",
    ),
    bug(
        "competing shifts certified as one-dimensional",
        EVENTS,
        'if contribution.samples > 1 or (contribution.replace and linear_map != "identity"):',
        "if False:",
        "tests/privacy/test_bound.py",
    ),
)

ACCOUNTING = (
    bug(
        "δ for each query",
        ACCOUNTANTS,
        "return epsilon_upper_bounds(events_of(composition), deltas,",
        "many = events_of(composition)[0].count\n"
        "    return epsilon_upper_bounds(events_of(composition), [d * many for d in deltas],",
        "tests/privacy/test_lattice.py::test_a_planned_study_by_every_accountant",
    ),
    bug(
        "the slack is dropped",
        ACCOUNTANTS,
        "epsilon_upper_bounds(events_of(composition), deltas, slack=composition.slack)",
        "epsilon_upper_bounds(events_of(composition), deltas)",
        "tests/privacy/test_bound.py",
    ),
    bug(
        "the slack of split noise is dropped",
        BOUND,
        "slack += count * split_noise_slack(",
        "slack += 0 * split_noise_slack(",
        "tests/privacy/test_bound.py",
    ),
    bug(
        "the slack's factor on δ is dropped",
        PLD,
        "[float_not_above(delta * (1 - slack)) for",
        "[float_not_above(delta) for",
        "tests/privacy/test_pld.py",
    ),
    Mutation(
        "a PLD without its tail's mass",
        (
            Edit(PLD, "exponent = 50.0 +", "exponent = 5.0 - 0 *"),
            Edit(PLD, "infinite=2 * math.exp(-exponent)", "infinite=0.0"),
        ),
        ("tests/privacy/test_pld.py", "tests/privacy/test_lattice.py"),
    ),
    bug(
        "losses rounded down to the grid",
        PLD,
        "[weights * share, weights * (1 - share)]",
        "[weights, 0 * weights]",
        "tests/privacy/test_lattice.py",
    ),
    bug(
        "losses rounded up to the grid (use_connect_dots=False)",
        PLD,
        "[weights * share, weights * (1 - share)]",
        "[0 * weights, weights]",
        "tests/privacy/test_lattice.py",
    ),
    bug(
        "a wrong ρ of μ",
        ACCOUNTANTS,
        "rho = composition.mu_squared / 2\n",
        "rho = composition.mu_squared / 4\n",
        "tests/privacy/test_bound.py",
    ),
    bug(
        "a wrong μ of a ρ-budget",
        "secgen_dsl/privacy/renyi.py",
        "mpmath.sqrt(2 * rho)",
        "mpmath.sqrt(4 * rho)",
        "tests/privacy/test_bound.py",
    ),
    bug(
        "noise too small to centre passes",
        "secgen_dsl/privacy/slack.py",
        "return 2 * party_variance >= 9 * bins",
        "return True",
        "tests/privacy/test_slack.py",
    ),
    bug(
        "the second accountant without connect-the-dots",
        "secgen_dsl/privacy/second_opinion.py",
        "use_connect_dots=True,\n        )\n        for",
        "use_connect_dots=False,\n        )\n        for",
        "tests/privacy/test_second_opinion.py",
    ),
)

PROTOCOL = (
    Mutation(
        "values are opened that the manifest does not list",
        (
            Edit(OPENINGS, "not in self._listed[number]:", "is None:"),
            Edit(OPENINGS, "if asked != self._listed[number]:", "if not asked:"),
        ),
        ("tests/mpyc/test_openings.py",),
    ),
    bug(
        "shared before it is stored",
        PARTY,
        "if number not in self._stored or number != len(self._opened) + 1:",
        "if number != len(self._opened) + 1:",
        "tests/mpyc/test_party.py",
    ),
    bug(
        "a restart draws fresh noise",
        PARTY,
        "self._stored[number] = stored\n        return False",
        "self._stored[number] = stored\n        return True",
        "tests/mpyc/test_party.py",
    ),
    bug(
        "a party draws with another variance than planned",
        PARTY,
        "if variance != release.noise.party_variance:",
        "if variance <= 0:",
        "tests/mpyc/test_party.py",
    ),
    bug(
        "a program may draw again until the noise suits it",
        PARTY,
        "if marginal in self._drawn:",
        "if False:",
        "tests/mpyc/test_party.py",
    ),
    bug(
        "a program may contribute anything of the right length",
        PARTY,
        "if not np.array_equal(contribution, own):",
        "if False:",
        "tests/mpyc/test_party.py",
    ),
    bug(
        "an encoder may give floats",
        CONTRIBUTION,
        "if cells.dtype != np.int64 or cells.shape != program.shape(query):",
        "if cells.shape != program.shape(query):",
        "tests/queries/test_raw_cells.py",
    ),
)

LEDGER = (
    bug(
        "a debit that is lost with the power",
        "secgen_dsl/runtime/database.py",
        'connection.execute("PRAGMA synchronous = EXTRA")\n        connection.execute("PRAGMA sec',
        'connection.execute("PRAGMA synchronous = OFF")\n        connection.execute("PRAGMA sec',
        "tests/runtime/test_killed.py",
    ),
    bug(
        "a contribution without a debit",
        STORE,
        "if debit is not None and number is None:",
        "if False:",
        "tests/runtime/test_restarts.py",
    ),
    bug(
        "a second contribution to a round is free",
        STORE,
        "return None if row[0] is None else int(row[0])",
        "return 1 if self.ledger().entries else None",
        "tests/runtime/test_restarts.py",
    ),
    bug(
        "the policy is not asked",
        STORE,
        "        debit.check(ledger)\n        # A release",
        "        # A release",
        "tests/runtime/test_ledger.py",
    ),
    bug(
        "a broken chain passes",
        "secgen_dsl/runtime/ledger.py",
        "        if sha256 != before:\n",
        "        if False:\n",
        "tests/runtime/test_ledger.py",
    ),
    bug(
        "earlier studies are not composed",
        "secgen_dsl/privacy/spend.py",
        "rho = sum((spend.mu_squared for spend in spends), Fraction(0)) / 2",
        "rho = max(spend.mu_squared for spend in spends) / 2",
        "tests/privacy/test_spend.py",
    ),
)
"""PRIVACY 7.1, T9."""

MUTATIONS = (
    *SAMPLER,
    *PATH,
    *PLANNING,
    *SENSITIVITIES,
    *ACCOUNTING,
    *PROTOCOL,
    *LEDGER,
    *BULK_SAMPLER,
    *SHAMIR,
    *LAPLACE,
    *DOUBLE_CENTRED,
    *VECTORS,
    *LEARNED,
    *ROUNDS,
)
