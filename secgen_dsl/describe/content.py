"""What the protocol description says, derived from the plan: no figure is written twice."""

from collections.abc import Mapping
from dataclasses import dataclass

from secgen_dsl.describe.guarantees import guarantee_rows, has_estimates
from secgen_dsl.describe.measured import added_for, error_words, measured_as, sensitivity_words
from secgen_dsl.describe.odds import odds_of
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import LaplaceNoise, Plan
from secgen_dsl.ir.program import Audience, Person, Study, decimal_text
from secgen_dsl.ir.queries import Marginal, SecondMoment, VectorSum
from secgen_dsl.planner.predict import Prediction, predict
from secgen_dsl.privacy.bound import compose

NOT_STATED = "Not stated; the institution completes this."


@dataclass(frozen=True)
class Disclosure:
    """One row of the disclosure table: a group of values that all parties see."""

    statement: str
    source: str
    measured_as: str
    values: int
    sensitivity: tuple[str, str]
    certified_sigma: str
    released_sigma: str
    share: str
    error: str


@dataclass(frozen=True)
class Content:
    """Everything that the template prints.

    Attributes:
        sums: vectors are summed beside the counts.
        learned: statements whose bins are learned.
    """

    study: Study
    plan: Plan
    certificate: Certificate
    plan_sha256: str
    study_sha256: str
    epsilon: str
    delta: str
    certified_epsilon: str
    guarantees: tuple[tuple[str, ...], ...]
    estimates: bool
    attacker_accuracy: str
    flagged_of_1000: int
    laplace: bool
    people_bound: str
    replaced: bool
    sums: bool
    learned: tuple[str, ...]
    samples_rule: str
    samples_audience: str
    measurements_audience: str
    disclosures: tuple[Disclosure, ...]
    parties: tuple[tuple[str, str, str, str], ...]
    messages_bytes: int
    messages_rounds: int


def content_of(
    plan: Plan,
    study: Study,
    certificate: Certificate,
    sources: Mapping[str, str],
    messages_bytes: int,
    messages_rounds: int,
) -> Content:
    """The content of the description of a plan."""
    odds = odds_of(compose(plan))
    person = plan.program.person
    samples = plan.program.samples
    return Content(
        study=study,
        plan=plan,
        certificate=certificate,
        plan_sha256=certificate.plan_sha256,
        study_sha256=sha256_of(study),
        epsilon=decimal_text(plan.program.privacy.epsilon),
        delta=decimal_text(plan.program.privacy.delta),
        certified_epsilon=next(a.epsilon for a in certificate.accountings if a.role == "certifies"),
        guarantees=tuple(map(tuple, guarantee_rows(plan, certificate.guarantees))),
        estimates=has_estimates(certificate.guarantees),
        attacker_accuracy=odds.accuracy,
        flagged_of_1000=odds.flagged,
        laplace=plan.program.privacy.mechanism == "laplace",
        people_bound=f"{person.people_bound:,}" if person.people_bound else "",
        sums=any(isinstance(query, VectorSum | SecondMoment) for query in plan.added),
        learned=tuple(
            query.statement
            for query in plan.program.queries
            if isinstance(query, Marginal) and query.learned is not None
        ),
        replaced=plan.program.privacy.adjacency == "replace-one",
        samples_rule=_samples_rule(person),
        samples_audience=audience_words(samples.audience) if samples else "",
        measurements_audience=audience_words(plan.program.measurements),
        disclosures=tuple(_disclosure(p, sources) for p in predict(plan)),
        parties=_parties(plan, study),
        messages_bytes=messages_bytes,
        messages_rounds=messages_rounds,
    )


def _samples_rule(person: Person) -> str:
    """How many samples of one person count, and which, in a sentence."""
    number = "one sample" if person.samples == 1 else f"{person.samples} samples"
    per = f" for each value of {person.per}" if person.per is not None else ""
    which = "those that a keyed hash at the site picks"
    if person.keep is not None:
        which = f"the earliest by {person.keep}"
    silos = "one silo only" if person.silos == 1 else f"at most {person.silos} silos"
    return (
        f"At most {number} of a person{per} counts at a site; of more, {which}. "
        f"A person is assumed to be in {silos}."
    )


def audience_words(audience: Audience) -> str:
    """Who an audience is, in a sentence."""
    return {
        "silos": "the parties only",
        "named": f"the parties and {audience.name}",
        "registered": "registered users",
        "public": "the public",
    }[audience.kind]


def _disclosure(prediction: Prediction, sources: Mapping[str, str]) -> Disclosure:
    release = prediction.release
    return Disclosure(
        statement=prediction.query.statement
        + ("" if prediction.asked else f" (added: {added_for(prediction)})"),
        source=sources.get(prediction.query.id, ""),
        measured_as=measured_as(prediction),
        values=release.opened,
        sensitivity=_sensitivity(prediction),
        certified_sigma=f"{prediction.certified_sigma:.4g}",
        released_sigma=f"{prediction.released_sigma:.4g}",
        share=f"{100 * prediction.budget_share:.1f}%",
        error=error_words(prediction),
    )


def _sensitivity(prediction: Prediction) -> tuple[str, str]:
    """Its name and value; the value names the scale of Laplace noise."""
    noise = prediction.release.noise
    if isinstance(noise, LaplaceNoise):
        scale = decimal_text(noise.scale)
        return "Sensitivity", f"{sensitivity_words(prediction)} (noise of scale {scale})"
    return "Squared sensitivity", sensitivity_words(prediction)


def _parties(plan: Plan, study: Study) -> tuple[tuple[str, str, str, str], ...]:
    rows = []
    for silo, title, source in zip(
        plan.program.silos, study.silo_titles, study.silo_sources, strict=True
    ):
        terms = silo.terms.kind + (f' "{silo.terms.reference}"' if silo.terms.reference else "")
        if silo.terms.approval:
            terms += f'; wider release approved: "{silo.terms.approval}"'
        rows.append((silo.name, title or NOT_STATED, terms, source or NOT_STATED))
    for name, title in zip(plan.program.helpers, study.helper_titles, strict=True):
        rows.append((name, title or NOT_STATED, "holds no data", "none"))
    return tuple(rows)
