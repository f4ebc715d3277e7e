"""S01–S20 (PRIVACY 7.3): for each rule what breaks it, and the like that keeps it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from secgen_dsl.backends.mpyc.messages import read_config
from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.backends.mpyc.sharing import secure_array
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.queries.maps import apply_map
from tests.mpyc.test_party import BOTH, PLAN, contribution, prepare
from tests.rules.surfaces import Surface, command, noise_of, party, plan, refused, spec
from tests.study import STUDY

LABELS = "columns { subtype category { CIN, GS, MSI } else MSI; sex category { f, m } else m }"
NAME = "subtype*cycle"


@dataclass(frozen=True)
class Case:
    """One way to break a rule, or to keep it.

    Attributes:
        rule: ``S01`` to ``S20``.
        surface: ``spec``, ``plan``, ``party`` (of a run) or ``command``.
        found: what the surface says.
        code: that it has to give; empty where the rule is kept.
        says: part of the message.
    """

    rule: str
    surface: str
    what: str
    found: Surface
    code: str = ""
    says: str = ""

    @property
    def id(self) -> str:
        return f"{self.rule} {self.surface}: {self.what}"


def at(*path: str | int) -> Callable[[Any], Any]:
    def get(data: Any) -> Any:
        for part in path:
            data = data[part]
        return data

    return get


def setting(value: object, *path: str | int) -> Callable[[Any], object]:
    """Another value at a path of a plan."""

    def change(data: Any) -> None:
        at(*path[:-1])(data)[path[-1]] = value

    return change


def nothing(data: Any) -> None:
    """The plan as it is."""


def noises(change_one: Callable[[Fraction], Fraction]) -> Callable[[Any], object]:
    """Another variance of all noise, of which m − t = 2 parties draw a half each."""

    def change(data: Any) -> None:
        for one_round in data["rounds"]:
            for release in one_round["releases"]:
                variance = change_one(Fraction(release["noise"]["variance"]))
                release["noise"]["variance"] = str(variance)
                release["noise"]["party_variance"] = str(variance / 2)

    return change


def rounded_down(variance: Fraction) -> Fraction:
    """A hundredth less, in sixteenths."""
    return Fraction(int(variance * 16 * 99 / 100), 16)


def counted_by_all(data: Any) -> None:
    """σ²/m in place of σ²/(m − t), as if all three parties were honest."""
    for release in data["rounds"][0]["releases"]:
        noise = release["noise"]
        noise["party_variance"] = str(Fraction(noise["variance"]) / len(data["parties"]))


def one_more_opening(data: Any) -> None:
    data["openings"].append(
        {"round": 1, "query": "people of north", "values": 1, "recipients": "parties"}
    )


def released_twice(data: Any) -> None:
    data["rounds"][0]["releases"].append(data["rounds"][0]["releases"][0])


def edges_of_its_own(data: Any) -> None:
    """A gene's edges that neither a public table nor the spec gives."""
    query = next(q for q in data["program"]["queries"] if q["binning"] == "equal")
    query["edges"][0][0] = "1/7"


def small_noise_of_one(variance: str, map_: str) -> Callable[[Any], object]:
    def change(data: Any) -> None:
        release = next(r for r in data["rounds"][0]["releases"] if r["map"] == map_)
        release["noise"]["party_variance"] = variance
        release["noise"]["variance"] = str(2 * Fraction(variance))

    return change


def opens(openings: tuple[tuple[str, int], ...]) -> Callable[[Party], object]:
    def steps(one: Party) -> None:
        prepare(one)
        asyncio.run(one.open(1, secure_array(np.zeros(76, dtype=np.uint64)), openings))

    return steps


def draws_twice(one: Party) -> None:
    one.noise("subtype", noise_of("subtype"))
    one.noise("subtype", noise_of("subtype"))


def uses_noise_again(one: Party) -> None:
    x, z = one.encode(NAME), one.noise(NAME, noise_of(NAME))
    other = one.noise("subtype", noise_of("subtype"))
    assert z.size > other.size
    one.keep(1, NAME, apply_map("centred", x + np.resize(other, x.shape)))


def keeps_floats(one: Party) -> None:
    one.keep(1, "subtype", contribution(one, "subtype") * 1.0)


def as_long_as_the_data(one: Party) -> None:
    """Only the cells in which somebody is: none here."""
    y = contribution(one, "subtype")
    one.keep(1, "subtype", y[one.encode("subtype").reshape(-1) > 0])


def noise_by_what_was_seen(one: Party) -> None:
    cells = one.encode("subtype")
    one.noise("subtype", noise_of("subtype") * (1 + Fraction(int(cells.max()), 10)) / 2)


def another_plan(one: Party) -> None:
    one.check_plan("00" * 32, PLAN.parties, PLAN.threshold, PLAN.modulus)


def this_plan(one: Party) -> None:
    one.check_plan(sha256_of(PLAN), PLAN.parties, PLAN.threshold, PLAN.modulus)


CONFIGURATION: dict[str, object] = {
    "format": "secgen.party/2", "index": 0, "plan": "{}", "study_sha256": "", "program": "",
    "source_lines": {}, "data_file": None, "state": "", "entries": [], "key": "",
    "certificate": "", "listener": None, "relay": "", "proxy": "", "approvals": [],
    "connect_timeout": 1.0, "timeout": 1.0, "preparation": 0.0,
}  # fmt: skip


def configured(**more: object) -> Surface:
    """What an installed party says to its configuration."""
    return lambda: refused(lambda: read_config(json.dumps(CONFIGURATION | more)))


SITE = '[files]\nexpression = "north.csv"\n'
CHANGED = "replace bundle/plan.json secgen.program/3 secgen.program/9"
RUN = "secgen run study.secgen --backend plaintext -o out --data north=site.toml"
PEOPLE = "person { key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }"
MOMENTS = """measure {
  moments repair by subtype in 2 factors from elsewhere
  marginal subtype * repair in 3 equal bins
}"""


MANY = f"""person {{
  key patient; at most 1000 samples; in at most 1 silo; at most 1000 people in all
}}
privacy {{ add or remove one person; epsilon 1; delta 1e-11 }}
{MOMENTS}"""


def fails(rule: str, surface: str, what: str, found: Surface, code: str, says: str) -> Case:
    return Case(rule, surface, what, found, code, says)


FAILS = (
    fails("S01", "spec", "no cap on a person's samples",
          spec("person { key patient; in at most 1 silo }"), "SG306",
          "at most … sample"),
    fails("S01", "spec", "nobody said whose presence is hidden",
          spec("privacy { epsilon 1; delta 1e-6 }"), "SG306",
          "does not say what is hidden"),
    fails("S01", "plan", "nothing tells people apart",
          plan(setting("", "program", "person", "key")), "SG320",
          "no column with a printable name tells"),
    fails("S02", "plan", "a count that no query yields is opened", plan(one_more_opening), "SG320",
          "does not list exactly the releases"),
    fails("S02", "party", "a count that no query yields is opened",
          party(opens((*BOTH, ("people of north", 1)))), "SG506",
          "people of north"),
    fails("S03", "spec", "a public table that is not there",
          spec('public elsewhere from "nowhere.csv" log2'), "SG213",
          "cannot be read"),
    fails("S03", "spec", "a silo's own table as the public one",
          spec('simulate { north "reference.csv" }'), "SG213",
          "table of the silo \"north\""),
    fails("S03", "plan", "a public table without a hash",
          plan(setting("", "program", "references", 0, "sha256")), "SG320",
          "has no SHA-256"),
    fails("S03", "plan", "edges from nowhere", plan(edges_of_its_own), "SG320",
          "differ from gene to gene without a public table"),
    fails("S04", "spec", "z-scores",
          spec("panel p expression counts as zscore 0..16 library size from column n { A }\n"
               "measure { marginal subtype * p in 4 equal bins }"), "SG219",
          "a site can do row by row"),
    fails("S04", "spec", "quantile normalisation",
          spec("panel p expression log2 quantile normalised 0..16 { A }"), "SG219",
          "look at several people"),
    fails("S04", "spec", "a unit that needs all samples",
          spec("panel p expression vst 0..16 { A }\n"
               "measure { marginal subtype * p in 4 equal bins }"), "SG223",
          "depend on the others"),
    fails("S05", "party", "floats are kept", party(keeps_floats), "SG514",
          "opens 4 integers"),
    fails("S06", "spec", "a party's variance below 9",
          spec("privacy { add or remove one person; epsilon 10 }"), "SG309",
          "noise of each party is small"),
    fails("S06", "plan", "a party's variance below 4",
          plan(small_noise_of_one("7/2", "identity")), "SG320",
          "below the minimum"),
    fails("S06", "plan", "noise too small to centre",
          plan(small_noise_of_one("13", "centred")), "SG320",
          "too small to centre"),
    fails("S06", "plan", "a variance that is no multiple of 1/16",
          plan(noises(lambda v: v + Fraction(1, 17))), "SG320",
          "not a multiple of 1/16"),
    fails("S06", "plan", "all noise rounded down",
          plan(noises(rounded_down)), "SG320",
          "more than the budget"),
    fails("S07", "party", "noise is drawn twice", party(draws_twice), "SG514",
          "drawn twice"),
    fails("S07", "party", "noise of another release", party(uses_noise_again), "SG514",
          "not the map of its counts and noise"),
    fails("S07", "plan", "one release twice", plan(released_twice), "SG320",
          "released twice"),
    fails("S08", "spec", "two of three may collude",
          spec("trust { tolerate 2 colluding parties }"), "SG304",
          "not a minority"),
    fails("S08", "plan", "shares of degree 0", plan(setting(0, "threshold")), "SG320",
          "does not satisfy 1 ≤ t < m/2"),
    fails("S08", "plan", "noise for m honest parties, not m − t", plan(counted_by_all), "SG320",
          "honest parties' noise"),
    fails("S09", "party", "as many values as the data have", party(as_long_as_the_data), "SG514",
          "opens 4 integers"),
    fails("S10", "party", "noise by what the data say", party(noise_by_what_was_seen), "SG514",
          "variance of 'subtype'"),
    fails("S11", "spec", "a one-way marginal of a two-way one",
          spec(f"{LABELS}\nmeasure {{ marginal sex; marginal sex * subtype }}"), "SG315",
          "measured twice"),
    fails("S12", "spec", "marginals that the data select",
          spec("measure { marginal subtype selected by correlation }"), "SG112",
          "selecting marginals by the data"),
    fails("S13", "spec", "delta above one in the people",
          spec("person { key patient; at most 1 sample; in at most 1 silo; "
               "at most 50000 people in all }\n"
               "privacy { add or remove one person; epsilon 1; delta 1e-4 }"), "SG305",
          "greater than one in 50,000 people"),
    fails("S13", "plan", "delta above one in the people",
          plan(setting(2**31, "program", "person", "people_bound")), "SG320",
          "greater than one in the bound on people"),
    fails("S14", "spec", "a table that noise drowns",
          spec(f"{PEOPLE}\n{LABELS}\nprivacy {{ add or remove one person; epsilon 0.05 }}\n"
               "measure { marginal subtype * sex }"), "SG314",
          "noise on a cell"),
    fails("S15", "spec", "as many samples as people",
          spec("release { samples 1000 to silos as csv }"), "SG316",
          "as many samples as people"),
    fails("S16", "spec", "wider than a silo's terms",
          spec('silos hold patients { north terms consent "GRU"; east terms open\n'
               "south terms open }\nrelease { samples 100 to public }"), "SG307",
          "terms of \"north\""),
    fails("S16", "plan", "wider than a silo's terms",
          plan(setting({"kind": "controlled", "reference": "phs1", "approval": ""},
                       "program", "silos", 0, "terms"),
               f"{STUDY.replace('to silos', 'to public')}"), "SG320",
          "terms of \"north\" do not allow"),
    fails("S17", "command", "a bundle whose plan was changed",
          command("secgen compile study.secgen -o bundle", CHANGED, "secgen plan bundle"),
          "SG703",
          "was changed"),
    fails("S17", "party", "a program for another plan", party(another_plan), "SG514",
          "another plan"),
    fails("S18", "party", "a configuration with a seed", configured(seed=1), "SG515",
          "seed"),
    fails("S18", "command", "a site.toml with a seed",
          command(RUN, files={"site.toml": "seed = 1\n" + SITE}), "SG418",
          "seed"),
    fails("S19", "spec", "sums beyond the field",
          spec("person { key patient; at most 1000 samples; in at most 3 silos; "
               "at most 4000000000 people in all }\n"
               f"privacy {{ add or remove one person; epsilon 1; delta 1e-11 }}\n{MOMENTS}"),
          "SG317",
          "too great for the field"),
    fails("S19", "plan", "more people than the field holds",
          plan(setting(2**32, "program", "person", "people_bound"), MANY), "SG320",
          "field is too small"),
    fails("S20", "command", "more than the site allows",
          command(RUN, files={
              "site.toml": SITE + "[policy]\nmax_epsilon = 0.4\ndelta = 1e-6\n"}), "SG804",
          "max_epsilon"),
)  # fmt: skip


def passes(rule: str, surface: str, what: str, found: Surface) -> Case:
    return Case(rule, surface, what, found)


PASSES = (
    passes("S01", "spec", "all is said", spec(STUDY)),
    passes("S02", "plan", "what is listed is what queries yield", plan(nothing)),
    passes("S03", "spec", "a pinned public table",
           spec("measure { marginal subtype * repair in 4 bins from elsewhere }")),
    passes("S04", "spec", "each row by itself",
           spec("panel p expression counts as log2(cpm + 1) 0..16 library size from column n { A }"
                "\nmeasure { marginal subtype * p in 4 equal bins }")),
    passes("S05", "party", "integers are kept", party(prepare)),
    passes("S06", "spec", "ample noise",
           spec("privacy { add or remove one person; epsilon 0.5; delta 1e-6 }")),
    passes("S06", "plan", "a party's variance of 9 times 16ths", plan(nothing)),
    passes("S07", "party", "one draw a release", party(prepare)),
    passes("S08", "spec", "one of three", spec("trust { tolerate 1 colluding party }")),
    passes("S09", "party", "lengths of the plan", party(prepare)),
    passes("S10", "party", "the plan's noise",
           party(lambda one: one.noise("subtype", noise_of("subtype")))),
    passes("S11", "spec", "the label histogram of a gene table",
           spec(f"{LABELS}\nmeasure {{ marginal subtype; marginal sex * subtype\n"
                "marginal subtype * repair in 4 equal bins }")),
    passes("S12", "spec", "pairs that a public table selects",
           spec("measure { marginal pairs of repair in 3 bins from elsewhere "
                "keep 2 by correlation in elsewhere }")),
    passes("S13", "spec", "delta far below one in the people",
           spec(f"{PEOPLE}\nprivacy {{ add or remove one person; epsilon 0.5; delta 1e-6 }}")),
    passes("S14", "spec", "a table that says something",
           spec(f"{PEOPLE}\n{LABELS}\nprivacy {{ add or remove one person; epsilon 0.5 }}\n"
                "measure { marginal subtype * sex }")),
    passes("S15", "spec", "a number of its own",
           spec("release { samples 600 to silos as csv }")),
    passes("S16", "spec", "as far as the terms allow",
           spec('silos hold patients { north terms consent "GRU"; east terms open\n'
                "south terms open }\nrelease { samples 100 to registered as csv }")),
    passes("S17", "command", "a bundle as it was compiled",
           command("secgen compile study.secgen -o bundle", "secgen plan bundle")),
    passes("S17", "party", "a program for this plan", party(this_plan)),
    passes("S18", "party", "a configuration without a seed", configured()),
    passes("S19", "spec", "sums within the field",
           spec(f"{PEOPLE}\nprivacy {{ add or remove one person; epsilon 0.5; delta 1e-6 }}\n"
                f"{MOMENTS}")),
    passes("S20", "command", "within what the site allows",
           command(RUN, files={
               "site.toml": SITE + "[policy]\nmax_epsilon = 1\ndelta = 1e-6\n"})),
)  # fmt: skip
