"""Bugs of clipped vectors, learned bins and later rounds (`tools.mutation_table`)."""

from tools.mutation import Edit, Mutation, bug

ENCODER = "secgen_dsl/queries/vectors.py"
NOISE = "secgen_dsl/runtime/noise.py"
PARTY = "backends/mpyc/party.py"
STORE = "secgen_dsl/runtime/store.py"
SENSITIVITY = "secgen_dsl/privacy/sensitivity.py"
BOUND = "secgen_dsl/privacy/bound.py"
EXPANSION = "secgen_dsl/planner/expansion.py"
VERIFIER = "secgen_dsl/verifier/verify.py"
VECTOR_RULES = "secgen_dsl/verifier/vectors.py"

DEFINITION = "tests/queries/test_vectors.py::test_exactly_what_the_definition_says"
MOVED = "tests/queries/test_vectors.py::test_no_person_moves_a_sum_by_more_than_its_sensitivity"
HALVED = (
    "tests/runtime/test_noise.py::test_the_last_cells_of_a_second_moment_have_half_the_variance"
)
REFUSED = "tests/verifier/test_vector_plans.py"
ROUNDS_OF_A_PARTY = "tests/mpyc/test_later_rounds.py"

_NORMS = "norms = np.maximum((vectors * vectors).sum(axis=1), 1).astype(object)"
_MEANS = "clipped = clip(values, isqrt(query.clip**2 - weight**2))"
_ALL = "for release in plan.releases():\n        query = queries[release.query]\n        noise"
_CHANGE = "moved = contribution.groups * contribution.samples**2\n"

VECTORS = (
    bug("vectors are not clipped", ENCODER, _NORMS, "return vectors\n    " + _NORMS, DEFINITION),
    bug(
        "each coordinate is clipped",
        ENCODER,
        _NORMS,
        "return np.clip(vectors, -bound, bound)\n    " + _NORMS,
        DEFINITION,
    ),
    bug(
        "clipped in L1",
        ENCODER,
        _NORMS,
        "norms = np.maximum(np.abs(vectors).sum(axis=1) ** 2, 1).astype(object)",
        DEFINITION,
    ),
    Mutation(
        "the sum is clipped, not each person",
        (
            Edit(ENCODER, _MEANS, "clipped = values"),
            Edit(ENCODER, "return sums[np.newaxis]", "return clip(sums, query.clip)[np.newaxis]"),
        ),
        (DEFINITION,),
    ),
    bug(
        "the count of people is beside the clip",
        ENCODER,
        _MEANS,
        "clipped = clip(values, query.clip)",
        DEFINITION,
    ),
    bug(
        "values are clipped, their squares are not",
        ENCODER,
        "return clip(values * values // QUANTUM, query.clip)",
        "return clip(values, query.clip) ** 2 // QUANTUM",
        DEFINITION,
    ),
    bug(
        "a second moment of scores that are not clipped",
        ENCODER,
        "scores = clip(_scores(program, moments, table), query.clip)",
        "scores = _scores(program, moments, table)",
        DEFINITION,
    ),
    bug(
        "samples are clipped one by one and counted once",
        SENSITIVITY,
        _CHANGE,
        "moved = contribution.groups\n",
        MOVED,
    ),
    bug(
        "samples in different label cells counted once",
        SENSITIVITY,
        _CHANGE,
        "moved = contribution.samples**2\n",
        MOVED,
    ),
    bug(
        "a replaced vector moves by √2·C",
        SENSITIVITY,
        "query.clip**2 * (4 if",
        "query.clip**2 * (2 if",
        MOVED,
    ),
    bug(
        "a second moment moves by C",
        SENSITIVITY,
        "query.clip**4 * (2 if",
        "query.clip**2 * (2 if",
        MOVED,
    ),
    bug("C for C²", SENSITIVITY, "moved * query.clip**2 *", "moved * query.clip *", MOVED),
    bug(
        "products have a quarter of the variance",
        NOISE,
        "(release.halved, variance / 2)]",
        "(release.halved, variance / 4)]",
        HALVED,
    ),
    bug(
        "the squares, not the products, have half the variance",
        NOISE,
        "[(release.raw_cells - release.halved, variance), (release.halved, variance / 2)]",
        "[(release.raw_cells - release.halved, variance / 2), (release.halved, variance)]",
        HALVED,
    ),
    bug(
        "a privacy loss distribution certifies moments",
        BOUND,
        "        event = None\n",
        "        event: ShiftedGaussian | None = ShiftedGaussian(variance / moved, 1, 1)\n",
        REFUSED,
    ),
    bug(
        "moments are certified without their sums",
        BOUND,
        "costs.append(many *",
        "costs.append((contribution is not None) * many *",
        REFUSED,
    ),
    bug(
        "a verifier that lets any cells have half the variance",
        VERIFIER,
        "if release.halved != products:",
        "if False:",
        REFUSED,
    ),
    bug(
        "halved noise may be below the minimum",
        VERIFIER,
        "if noise.party_variance / (2 if products else 1) < MINIMUM",
        "if noise.party_variance < MINIMUM",
        REFUSED,
    ),
    bug(
        "scores clipped in two ways are accepted",
        VECTOR_RULES,
        "if other is not None and other.clip != query.clip:",
        "if False:",
        REFUSED,
    ),
    bug(
        "sums that nothing needs are accepted",
        VECTOR_RULES,
        "    if shapes != wanted:",
        "    if not wanted.keys() <= shapes.keys():",
        REFUSED,
    ),
    bug(
        "long loadings are accepted",
        VECTOR_RULES,
        "or sum(v * v for v in row) > (2 * _ONE_LOADING) ** 2",
        "or False",
        REFUSED,
    ),
    bug(
        "the field of sums is that of counts",
        VERIFIER,
        "greatest = query.clip\n",
        "greatest = 1\n",
        REFUSED,
    ),
)

LEARNED = (
    bug(
        "the round that learns bins is free",
        BOUND,
        _ALL,
        _ALL.replace("plan.releases()", "plan.rounds[-1].releases"),
        REFUSED,
    ),
    bug(
        "rounds after the first are free",
        BOUND,
        _ALL,
        _ALL.replace("plan.releases()", "plan.rounds[0].releases"),
        REFUSED,
    ),
    bug(
        "learning bins is charged to nobody's share",
        VERIFIER,
        'if getattr(added, "serves", None) == query.id',
        "if False",
        REFUSED,
    ),
    bug(
        "learning bins is charged to the common pool, not to its query",
        EXPANSION,
        "kept = _rounded_up(variance / (1 - learning)) if learning else variance",
        "kept = variance",
        REFUSED,
    ),
    bug(
        "learning bins may take more than its part",
        VECTOR_RULES,
        "if learning > query.learned.part * (learning + costs[query.id]):",
        "if False:",
        REFUSED,
    ),
    bug(
        "only one of two sums counts as learning",
        VECTOR_RULES,
        "learning = sum((costs[one] for one in sums), Fraction(0))",
        "learning = costs[sums[0]]",
        REFUSED,
    ),
    bug(
        "tables before their bins are learned are accepted",
        VECTOR_RULES,
        "if any(round_of[one] >= round_of[query.id] for one in sums):",
        "if False:",
        REFUSED,
    ),
    bug(
        "a round that does not wait is accepted",
        VECTOR_RULES,
        "if not least <= one_round.delay <= most:",
        "if False:",
        REFUSED,
    ),
)

ROUNDS = (
    bug(
        "a restart draws anew in round 2",
        PARTY,
        "self._stored[number] = stored\n        return False",
        "self._stored[number] = stored\n        return number > 1",
        ROUNDS_OF_A_PARTY,
    ),
    bug(
        "round 2's contribution is found whatever round 1 opened",
        "backends/mpyc/opened.py",
        "opened_before=digest_of_opened(opened[: number - 1])",
        "opened_before=digest_of_opened([])",
        ROUNDS_OF_A_PARTY,
    ),
    bug(
        "round 1 may open other values in a restart",
        STORE,
        "elif not np.array_equal(earlier, values):",
        "elif False:",
        "tests/runtime/test_restarts.py",
    ),
    bug(
        "edges do not follow what was opened",
        PARTY,
        "values[name] = part.tolist()",
        "values.setdefault(name, [0] * len(part))",
        ROUNDS_OF_A_PARTY,
    ),
    bug(
        "work on the rows shows in when round 2's shares leave",
        PARTY,
        "await asyncio.sleep(max(0.0, due - time.monotonic()))",
        "await asyncio.sleep(0)",
        ROUNDS_OF_A_PARTY,
    ),
    bug(
        "round 2 is drawn before round 1 is opened",
        PARTY,
        'raise _departs(f"round {number} is not next")\n        stored',
        '_departs(f"round {number} is not next")\n        stored',
        ROUNDS_OF_A_PARTY,
    ),
)
