"""Section 3, what leaves each site; section 4, every value that is seen; section 7, how."""

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.document import Figure, Items, Section, Table, Text
from secgen_dsl.describe.measured import added_for, error_words, measured_as, sensitivity_words
from secgen_dsl.describe.subject import Message
from secgen_dsl.describe.writer import Writer, join, listed
from secgen_dsl.ir.plan import LaplaceNoise
from secgen_dsl.ir.queries import Marginal, Moments, PairMarginal, SecondMoment, VectorSum
from secgen_dsl.planner.predict import Prediction, predict


def messages(w: Writer, figure: Figure | None) -> Section:
    """Section 3: every message."""
    subject = w.subject
    others = len(subject.plan.parties) - 1
    return w.section(
        "messages",
        "3",
        w.paragraph(
            "messages.intro",
            bytes=w.integer(
                others * sum(one.size for one in subject.messages), "plan", "bytes_sent"
            ),
            rounds=w.integer(max(one.step for one in subject.messages), "plan: rounds", "rounds"),
        ),
        figure,
        _messages(w),
        _other_messages(w),
        w.paragraph("messages.transport"),
    )


def _messages(w: Writer) -> Table:
    def row(message: Message) -> list[Part]:
        kind, say = message.kind, w.say
        everybody, none = say("messages.everybody"), say("messages.none")
        readable, depends = everybody, none
        if kind == "share":
            needed = w.integer(w.subject.plan.threshold + 1, "plan: threshold", "threshold_and_one")
            parties = w.integer(len(w.subject.plan.parties), "plan: parties")
            readable = say("messages.share_readable", number=needed, parties=parties)
            depends = say("messages.share_dependence")
        elif kind == "opening":
            readable = say("messages.opening_readable")
            depends = say("messages.opening_dependence")
        elif kind == "hello":
            depends = say("messages.hello_dependence")
        return [
            str(message.step),
            say(f"messages.{kind}", round=str(message.round)),
            say(f"messages.{kind}_content"),
            w.integer(message.size, "plan", "message_bytes"),
            readable,
            depends,
        ]

    columns = ("step", "message", "content", "size", "readable", "protection")
    rows = [row(message) for message in w.subject.messages]
    return w.table("messages.caption", columns, rows, numeric=(0, 3))


def _other_messages(w: Writer) -> Table:
    """What a run that goes through has no need of, and what is sent beside a run."""
    rows = [
        [w.say(f"messages.{name}{part}") for part in ("", "_receiver", "_content", "_dependence")]
        for name in ("again", "abort", "check", "relay", "evidence")
    ]
    columns = ("message", "receiver", "content", "protection")
    return w.table("messages.others_caption", columns, rows)


def disclosure(w: Writer) -> Section:
    """Section 4: exactly the plan's openings."""
    plan, say = w.subject.plan, w.say
    laplace = plan.program.privacy.mechanism == "laplace"
    sums = any(isinstance(query, VectorSum | SecondMoment) for query in plan.added)
    learned = [
        query.statement
        for query in plan.program.queries
        if isinstance(query, Marginal) and query.learned is not None
    ]
    scales = [
        query.statement
        for query in plan.program.queries
        if isinstance(query, Moments) and query.learns_scale
    ]
    total = sum(opening.values for opening in plan.openings)
    suffix = "_laplace" if laplace else ""
    reading = [
        say(f"disclosure.reading_sensitivity{suffix}"),
        say("disclosure.reading_noise"),
        join([say("disclosure.reading_error")]
             + ([say("disclosure.reading_error_sums")] if sums else [])),
    ]  # fmt: skip
    return w.section(
        "disclosure",
        "4",
        w.paragraph("disclosure.intro", values=w.integer(total, "plan: openings[].values", "sum")),
        w.heading("disclosure.reading_title"),
        Items(items=tuple(reading)),
        w.paragraph("disclosure.learned", statements=listed(learned)) if learned else None,
        w.paragraph("disclosure.learned_scales", statements=listed(scales)) if scales else None,
        _openings(w, laplace=laplace),
        w.paragraph("disclosure.unprotected"),
    )


def _openings(w: Writer, *, laplace: bool) -> Table:
    """A row for each entry of the manifest, in its order."""
    predictions = {prediction.release.query: prediction for prediction in predict(w.subject.plan)}
    rows = [
        _opening(w, predictions[opening.query], laplace=laplace)
        for opening in w.subject.plan.openings
    ]
    columns = (
        *("query", "released", "shape"),
        "sensitivity_laplace" if laplace else "sensitivity",
        *("noise", "share", "error", "recipients"),
    )
    return w.table("disclosure.caption", columns, rows, numeric=(3, 4, 5))


def _opening(w: Writer, prediction: Prediction, *, laplace: bool) -> list[Part]:
    say, release = w.say, prediction.release
    statement: Text = (given(prediction.query.statement),)
    if not prediction.asked:
        reason = added_for(prediction, say)
        statement = (*statement, *say("disclosure.added", reason=reason))
    source = w.subject.sources.get(prediction.query.id, "")
    if source:
        statement = (*statement, *say("disclosure.in_spec", place=given(source)))
    tables, labels, bins = w.subject.plan.program.shape(prediction.query)
    opened = w.integer(release.opened, "plan: openings[].values")
    query = prediction.query
    if tables == 1 and bins == 1:
        shape = say("disclosure.shape_flat", opened=opened)
    elif isinstance(query, PairMarginal) and query.columns:
        shape = say(
            "disclosure.shape_pairs",
            tables=say.integer(tables),
            labels=say.integer(labels // bins),
            bins=say.integer(bins),
            opened=opened,
        )
    else:
        shape = say(
            "disclosure.shape_tables",
            tables=say.integer(tables),
            labels=say.integer(labels),
            bins=say.integer(bins),
            opened=opened,
        )
    noise = "noise.scale" if laplace else "noise.sensitivity_squared"
    field = "plan: rounds[].releases[]."
    return [
        statement,
        measured_as(prediction, say),
        shape,
        w.value(
            say.decimal(sensitivity_words(prediction)),
            field + noise,
            "sensitivity_laplace" if laplace else "sensitivity",
        ),
        join(
            [
                _sigma(w, prediction.certified_sigma, "certified_noise"),
                _sigma(w, prediction.released_sigma, "released_noise"),
            ],
            " / ",
        ),
        w.value(say.percent(prediction.budget_share), field + "noise", "budget_share"),
        w.value(error_words(prediction, say), field + "noise", "expected_error"),
        w.audience(w.subject.plan.program.measurements),
    ]


def _sigma(w: Writer, sigma: float, formula: str) -> Text:
    return (w.decimal(f"{sigma:.4g}", "plan: rounds[].releases[].noise", formula),)


def computation(w: Writer, figure: Figure | None) -> Section:
    """Section 7: parties, sharing, checks, aborts and restarts."""
    plan, say = w.subject.plan, w.say
    threshold = w.integer(plan.threshold, "plan: threshold")
    parties = w.integer(len(plan.parties), "plan: parties")
    laplace = any(isinstance(release.noise, LaplaceNoise) for release in plan.releases())
    needed = w.integer(plan.threshold + 1, "plan: threshold", "threshold_and_one")
    honest = w.integer(
        len(plan.parties) - plan.threshold, "plan: parties, threshold", "honest_parties"
    )
    law = say("computation.law_laplace" if laplace else "computation.law_gaussian")
    steps = [
        say("computation.step_plan"),
        say("computation.step_count"),
        say("computation.step_noise", law=law, honest=honest),
        say("computation.step_store"),
        say(
            "computation.step_share",
            threshold=threshold,
            modulus=code(str(plan.modulus)),
            needed=needed,
        ),
        say("computation.step_add"),
        say("computation.step_open", parties=parties, threshold=threshold),
        say("computation.step_confirm"),
    ]
    if plan.program.samples is not None:
        steps.append(say("computation.step_model"))
    return w.section(
        "computation",
        "7",
        w.paragraph(
            "computation.intro",
            parties=parties,
            silos=w.integer(len(plan.program.silos), "plan: program.silos", "length"),
            helpers=w.integer(len(plan.program.helpers), "plan: program.helpers", "length"),
            threshold=threshold,
        ),
        figure,
        w.heading("computation.steps_title"),
        Items(items=tuple(steps)),
        w.paragraph("computation.abort"),
    )
