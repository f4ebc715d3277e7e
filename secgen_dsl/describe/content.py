"""What the protocol description says, derived from the plan: no figure is written twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import erf, sqrt
from types import MappingProxyType

from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import LinearMap, Plan
from secgen_dsl.ir.program import Audience, Person, Study, decimal_text
from secgen_dsl.planner.predict import Prediction, predict

NOT_STATED = "Not stated; the institution completes this."

MEASURED_AS: Mapping[LinearMap, str] = MappingProxyType(
    {
        "identity": "plain counts",
        "centred": "counts with each row's mean taken out (after the noise went in)",
        "double-centred": "counts with the means of each row and each column taken out (after the "
        "noise went in)",
    }
)
"""A release's map, in words."""


@dataclass(frozen=True)
class Disclosure:
    """One row of the disclosure table: a group of values that all parties see."""

    statement: str
    source: str
    measured_as: str
    values: int
    sensitivity_squared: str
    certified_sigma: str
    released_sigma: str
    share: str
    error: str


@dataclass(frozen=True)
class Content:
    """Everything that the template prints."""

    study: Study
    plan: Plan
    certificate: Certificate
    plan_sha256: str
    study_sha256: str
    epsilon: str
    delta: str
    certified_epsilon: str
    attacker_accuracy: str
    flagged_of_1000: int
    people_bound: str
    replaced: bool
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
    sources: dict[str, str],
    messages_bytes: int,
    messages_rounds: int,
) -> Content:
    """The content of the description of a plan."""
    mu = float(certificate.mu)
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
        certified_epsilon=max(
            (a.epsilon for a in certificate.accountings if a.role == "certifies"), key=float
        ),
        attacker_accuracy=attacker_accuracy(mu),
        flagged_of_1000=flagged_of_1000(mu),
        people_bound=f"{person.people_bound:,}" if person.people_bound else "",
        replaced=plan.program.privacy.adjacency == "replace-one",
        samples_rule=_samples_rule(person),
        samples_audience=audience_words(samples.audience) if samples else "",
        measurements_audience=audience_words(plan.program.measurements),
        disclosures=tuple(_disclosure(p, sources) for p in predict(plan)),
        parties=_parties(plan, study),
        messages_bytes=messages_bytes,
        messages_rounds=messages_rounds,
    )


def attacker_accuracy(mu: float) -> str:
    """How often the best test is right whether a person took part, at equal odds: Φ(μ/2).

    μ-GDP: Dong, Roth, Su, J. R. Stat. Soc. B 84 (2022) 3.
    """
    return f"{100 * _normal(mu / 2):.1f}%"


def flagged_of_1000(mu: float) -> int:
    """Of 1,000 participants, at most so many are flagged by a test that wrongly flags 1% of others.

    μ-GDP, as above: Φ(Φ⁻¹(.01) + μ), rounded up.
    """
    return _ceiling(1000 * _normal(-2.3263478740408408 + mu))


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


def _normal(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))


def _ceiling(x: float) -> int:
    return int(x) + (x > int(x))


def _disclosure(prediction: Prediction, sources: dict[str, str]) -> Disclosure:
    release = prediction.release
    return Disclosure(
        statement=prediction.query.statement
        + ("" if prediction.asked else " (added: the rows' totals)"),
        source=sources.get(prediction.query.id, ""),
        measured_as=MEASURED_AS[release.map],
        values=release.opened,
        sensitivity_squared=str(release.noise.sensitivity_squared),
        certified_sigma=f"{prediction.certified_sigma:.4g}",
        released_sigma=f"{prediction.released_sigma:.4g}",
        share=f"{100 * prediction.budget_share:.1f}%",
        error=error_words(prediction),
    )


def error_words(prediction: Prediction) -> str:
    """The predicted error of a cell: ``±8.7 people (3.5%)``."""
    words = f"±{prediction.standard_error:.3g} people"
    if prediction.relative_error is not None:
        words += f" ({100 * prediction.relative_error:.1f}%)"
    return words


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
