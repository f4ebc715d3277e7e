"""Section 5, the privacy budget; section 6, the guarantee as odds."""

from collections.abc import Sequence
from decimal import Decimal
from math import ceil

from secgen_dsl.describe.catalogue import Part, code, given
from secgen_dsl.describe.document import Block, Figure, Section, Table, Text
from secgen_dsl.describe.guarantees import has_estimates
from secgen_dsl.describe.odds import flagged, odds_of
from secgen_dsl.describe.writer import Writer
from secgen_dsl.ir.certificate import EpsilonAt, Guarantee
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.privacy.bound import compose
from secgen_dsl.privacy.rounding import six_digits_up, three_digits_up

FALSE_ALARMS = (1, 10, 100)
"""Of 1,000."""


def budget(w: Writer, figure: Figure | None) -> Section:
    """Section 5: the promise, its certificate, other cases, and what else was spent."""
    plan, certificate, say = w.subject.plan, w.subject.certificate, w.say
    privacy = plan.program.privacy
    pure = privacy.delta == 0
    replaced = privacy.adjacency == "replace-one"
    delta = w.rational(privacy.delta, "plan: program.privacy.delta")
    certified = next(one.epsilon for one in certificate.accountings if one.role == "certifies")
    return w.section(
        "budget",
        "5",
        w.paragraph(
            "budget.promise",
            change=say("budget.replace" if replaced else "budget.add"),
            delta=() if pure else say("budget.up_to_delta"),
            threshold=w.integer(plan.threshold, "plan: threshold"),
            epsilon=w.rational(privacy.epsilon, "plan: program.privacy.epsilon"),
            at=say("budget.pure") if pure else say("budget.at_delta", delta=delta),
        ),
        w.paragraph(
            "budget.certified",
            epsilon=w.decimal(certified, "certificate: accountings[].epsilon", "certified"),
        ),
        _accountants(w),
        w.paragraph(
            "budget.mu",
            mu=w.decimal(certificate.mu, "certificate: mu", "mu"),
            slack=w.decimal(certificate.slack, "certificate: slack", "slack"),
        ),
        figure,
        w.heading("budget.cases_title"),
        _cases(w, certificate.guarantees),
        w.paragraph("budget.cases_note"),
        w.paragraph("budget.cases_estimate") if has_estimates(certificate.guarantees) else None,
        w.paragraph("budget.cases_replaced") if replaced else None,
        w.heading("budget.ledger_title"),
        *_ledger(w),
    )


def _accountants(w: Writer) -> Table:
    rows: list[list[Part]] = []
    for one in w.subject.certificate.accountings:
        role = w.say(f"budget.{one.role}")
        if one.covers != "plan":
            role = (*role, *w.say("budget.largest"))
        epsilon = w.decimal(one.epsilon, "certificate: accountings[].epsilon", "accountant")
        rows.append([one.accountant, one.version, epsilon, role])
    columns = ("accountant", "version", "epsilon", "role")
    return w.table("budget.accountants_caption", columns, rows, numeric=(2,))


def _cases(w: Writer, found: Sequence[Guarantee]) -> Table:
    say = w.say
    deltas = [point.delta for point in found[0].epsilons]
    rows: list[list[Part]] = []
    for one in found:
        verb = "added" if one.adjacency == "add-or-remove" else "replaced"
        number = "one" if one.people == 1 else "many"
        hidden = say(f"budget.{number}_{verb}", number=str(one.people))
        observer = say(
            f"budget.{one.against.replace('-', '_')}",
            threshold=str(w.subject.plan.threshold),
            parties=str(len(w.subject.plan.parties)),
        )
        rows.append([hidden, observer, *(_epsilon(w, point) for point in one.epsilons)])
    headings = tuple(
        (*say("budget.epsilon"), *say("budget.at_delta", delta=say.decimal(decimal_text(delta))))
        for delta in deltas
    )
    table = w.table(
        "budget.cases_caption",
        ("hidden", "from_whom", *["epsilon"] * len(deltas)),
        rows,
        numeric=range(2, 2 + len(deltas)),
    )
    return table.model_copy(update={"columns": (*table.columns[:2], *headings)})


def _epsilon(w: Writer, point: EpsilonAt) -> Text:
    field = "certificate: guarantees[].epsilons[]"
    if point.certified is not None:
        return (w.decimal(three_digits_up(point.certified), field, "case"),)
    if point.estimate is None:
        return w.say("budget.unknown")
    estimate = w.decimal(three_digits_up(point.estimate), field, "estimate")
    return w.say("budget.estimate", epsilon=estimate)


def _ledger(w: Writer) -> list[Block]:
    subject, say = w.subject, w.say
    own = w.decimal(mu_squared_text(w), "plan: rounds[].releases[].noise", "mu_squared")
    spending = subject.spending
    if spending is None:
        return [w.paragraph("budget.ledger_none", mu_squared=own)]
    blocks: list[Block] = [
        w.paragraph(
            "budget.ledger_intro",
            site=given(spending.site),
            number=say.integer(len(spending.earlier)),
            own=own,
        )
    ]
    if spending.debited:
        blocks.append(w.paragraph("budget.ledger_debited"))
    if spending.earlier:
        rows: list[list[Part]] = [
            [day, code(plan), say.decimal(epsilon)] for day, plan, epsilon in spending.earlier
        ]
        columns = ("ledger_date", "ledger_plan", "ledger_epsilon")
        blocks.append(
            w.table("budget.ledger_caption", columns, rows, numeric=(2,), site=given(spending.site))
        )
    after = [[say.decimal(delta), say.decimal(epsilon)] for delta, epsilon in spending.after]
    blocks.append(
        w.table("budget.ledger_after_caption", ("delta", "epsilon"), after, numeric=(0, 1))
    )
    if spending.limit is None:
        blocks.append(w.paragraph("budget.ledger_policy_none"))
    else:
        delta, epsilon = map(say.decimal, spending.limit)
        blocks.append(w.paragraph("budget.ledger_limit", epsilon=epsilon, delta=delta))
    return blocks


def mu_squared_text(w: Writer) -> str:
    """μ² of the plan, rounded up in the sixth digit."""
    return str(Decimal(six_digits_up(compose(w.subject.plan).mu_squared)).normalize())


def odds(w: Writer, figure: Figure | None) -> Section:
    """Section 6: what a test for taking part can reach."""
    say = w.say
    composition = compose(w.subject.plan)
    field = "plan: rounds[].releases[].noise"
    rows: list[list[Part]] = []
    shares = flagged(composition, [wrongly / 1000 for wrongly in FALSE_ALARMS])
    for wrongly, share in zip(FALSE_ALARMS, shares, strict=True):
        rightly = ceil(1000 * share)
        rows.append(
            [
                say.integer(wrongly),
                w.integer(rightly, field, "flagged"),
                say.integer(wrongly),
            ]
        )
    return w.section(
        "odds",
        "6",
        w.paragraph("odds.intro", threshold=w.integer(w.subject.plan.threshold, "plan: threshold")),
        w.table(
            "odds.caption", ("wrongly", "rightly", "nothing_revealed"), rows, numeric=(0, 1, 2)
        ),
        w.paragraph(
            "odds.accuracy",
            accuracy=w.value(say.percent(odds_of(composition).right / 1000), field, "accuracy"),
        ),
        figure,
        w.paragraph("odds.rest"),
        w.paragraph("odds.attack"),
    )
