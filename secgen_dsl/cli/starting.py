"""The texts that `secgen init` writes: a commented spec and a commented site.toml."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from secgen_dsl.syntax.format import format_text
from secgen_dsl.syntax.parser import keywords

RANGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "log2": ("0", "20"),
        "log2_tpm": ("0", "18"),
        "log2_fpkm": ("-4", "18"),
        "log2_rsem": ("0", "20"),
        "log2_cpm": ("0", "16"),
        "vst": ("0", "24"),
        "rlog": ("-4", "24"),
        "counts": ("0", "16"),
        "cpm": ("0", "60000"),
        "tpm": ("0", "200000"),
        "fpkm": ("0", "200000"),
    }
)
"""Unit → a range that values of the unit are usually in, whatever the data; of counts as
log2(cpm + 1)."""

FILL_IN = "FILL_IN"
"""Stands for a label's value that nobody has stated yet."""

_BARE = re.compile(r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*")


@dataclass(frozen=True)
class Label:
    """A category column.

    Attributes:
        values: its public list, two or more.
        otherwise: one of them, which stands for missing and unknown ones; empty: none does.
    """

    name: str
    values: tuple[str, ...]
    otherwise: str


@dataclass(frozen=True)
class NumberLabel:
    """A column of numbers, measured in bins.

    Attributes:
        low, high: its public range.
        edges: where a new bin begins; rising, within the range.
    """

    name: str
    low: str
    high: str
    edges: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What was answered.

    Attributes:
        silos: names of the parties with data.
        helpers: names of the parties without.
        terms: of each silo, the words behind ``terms``, for example ``open``.
        labels, numbers: the label columns; at least one in all.
        people: bound on the people in all, or their exact number; None: not stated.
        replace: one person is replaced; else added or removed.
        genes: the panel's genes; empty: they stand in ``gene_file``.
        gene_file: as the spec names it.
        library: column of library sizes, for counts; empty: all genes in the file.
    """

    title: str
    silos: tuple[str, ...]
    helpers: tuple[str, ...]
    tolerated: int
    terms: tuple[str, ...]
    key: str
    samples: int
    silos_per_person: int
    people: int | None
    replace: bool
    labels: tuple[Label, ...]
    numbers: tuple[NumberLabel, ...]
    genes: tuple[str, ...]
    gene_file: str
    unit: str
    low: str
    high: str
    library: str
    epsilon: str
    rows: int


def spec_text(answers: Answers) -> str:
    """A spec in the canonical layout, whose lines on privacy say what they mean."""
    blocks = [
        "secgen 1",
        "# Written by `secgen init`.  It holds what was said to be public, and nothing that was\n"
        "# measured.  Look at every line that tells of privacy before anybody approves a plan;\n"
        "# `secgen check` says whether it is sound, `secgen plan` how exact the answers will be.\n"
        + _study(answers),
        _silos(answers),
        f"trust {{ tolerate {answers.tolerated} colluding "
        f"{'party' if answers.tolerated == 1 else 'parties'} }}"
        "  # so many learn nothing more, even together",
        _person(answers),
        _columns(answers),
        _panel(answers),
        _privacy(answers),
        _measure(answers),
        f"release {{\n  samples {answers.rows} to silos as csv"
        "  # a number of choice, never the number of people\n"
        "  measurements to silos  # the noised counts; all parties see them in any case\n}",
        '# To try it on tables of this machine: simulate { NAME "table.csv" … }, a line a silo.\n'
        "# Without any: secgen run SPEC --mock 100 --out rehearsal",
    ]
    return format_text("\n\n".join(blocks) + "\n")


def site_text(answers: Answers, table: str) -> str:
    """A site.toml: the table that it names, and the other keys as comments.

    Args:
        table: path of the site's table, relative to the file's folder.
    """
    column, values = next(((x.name, x.values) for x in answers.labels), ("column", ("value",)))
    return f"""\
# Maps one site's files to the spec.  It stays at the site: no other party ever needs it.
# Each site has its own; `secgen check-data SPEC --site site.toml` shows how the two fit.

# [cohort]
# id = "our-cohort"                  # what is spent accrues to this; else to all the site's data

[files]
expression = {json.dumps(table, ensure_ascii=False)}
unit = {json.dumps(answers.unit)}{" " * (27 - len(answers.unit))} # of its values, as the spec says
# clinical = "clinical.tsv"          # where the columns stand in a table of their own
# orientation = "genes_by_samples"   # where genes are rows
# sample = "sample"                  # the column that names the samples

# [columns]                          # name in the spec = name in the file, where they differ
# {json.dumps(column, ensure_ascii=False)} = "name in the file"

# [values.{json.dumps(column, ensure_ascii=False)}]   # value in the file = value of the spec
# "value in the file" = {json.dumps(values[0], ensure_ascii=False)}

# [genes]
# system = "symbol"                  # or ensembl, entrez: how the file names its genes
# map = "genes.tsv"                  # where the spec names them in another system
"""


def name(text: str) -> str:
    """A name as a spec writes it: in quotes unless it is a bare word, and not of the language."""
    if _BARE.fullmatch(text) and text not in keywords():
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """A text in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _label_names(answers: Answers) -> list[str]:
    """Categories first."""
    return [x.name for x in answers.labels] + [x.name for x in answers.numbers]


def _listed(names: Iterable[str]) -> str:
    return "{ " + ", ".join(map(name, names)) + " }"


def _study(answers: Answers) -> str:
    return (
        f"study {quoted(answers.title)} {{\n"
        '  # purpose    "What the data will be used for"\n'
        '  # reference  "Number of the ethics application"\n'
        '  # contact    "Whom to ask"\n'
        '  # cohort     "Whose data"\n'
        '  # retention  "When noised inputs are deleted"\n'
        "}"
    )


def _silos(answers: Answers) -> str:
    both = zip(answers.silos, answers.terms, strict=True)
    lines = [f"  {silo} terms {terms}" for silo, terms in both]
    text = (
        "# Terms bound every release: open allows the public, consent registered users, controlled "
        "the silos.\nsilos hold patients {  # each silo: different patients, the same columns\n"
        + "\n".join(lines)
        + "\n}"
    )
    if answers.helpers:
        text += (
            f"\nhelpers {{ {'; '.join(answers.helpers)} }}"
            "  # parties without data: two alone could work out each other's numbers"
        )
    return text


def _person(answers: Answers) -> str:
    lines = [
        f"  key {name(answers.key)}  # tells people apart; read at the site, never sent",
        f"  at most {answers.samples} {'sample' if answers.samples == 1 else 'samples'}"
        "  # of a person count at a silo; a keyed hash picks them",
        "  # keep earliest DATE  # instead of the hash: the earliest by a column of the sites",
        f"  in at most {answers.silos_per_person} "
        f"{'silo' if answers.silos_per_person == 1 else 'silos'}"
        "  # what the silos vouch for; noise grows with it",
    ]
    if answers.people is not None and not answers.replace:
        lines.append(
            f"  at most {answers.people} people in all  # a public bound, never a count of the data"
        )
    elif answers.people is None:
        lines.append(
            "  # at most 1000 people in all  # a public bound; errors are shown as % of it"
        )
    return "person {\n" + "\n".join(lines) + "\n}"


def _columns(answers: Answers) -> str:
    lines = []
    for label in answers.labels:
        text = f"  {name(label.name)} category {_listed(label.values)}"
        if label.otherwise:
            text += f" else {name(label.otherwise)}"
        if FILL_IN in label.values:
            text += f"  # replace {FILL_IN} by the public values"
        lines.append(text)
    for number in answers.numbers:
        lines.append(
            f"  {name(number.name)} number {number.low}..{number.high} in bins at "
            f"{', '.join(number.edges)}  # values beyond the range count as its ends"
        )
    example = "" if answers.numbers else "\n  # age number 0..100 in bins at 40, 60, 80"
    return (
        "# Lists of values are public: from a coding scheme, never from what the data happen to "
        "hold.\ncolumns {\n"
        + "\n".join(lines)
        + example
        + "\n  # flags mutation { TP53, KRAS }  # each: yes, no, untested\n}"
    )


def _panel_name(answers: Answers) -> str:
    return "expression_genes" if "genes" in _label_names(answers) else "genes"


def _panel(answers: Answers) -> str:
    unit = answers.unit
    clauses = ""
    if unit == "counts":
        source = f"column {name(answers.library)}" if answers.library else "all genes in the file"
        unit, clauses = "counts as log2(cpm + 1)", f" library size from {source}"
    genes = _listed(answers.genes) if answers.genes else f"from {quoted(answers.gene_file)}"
    return (
        "# The range is one that the unit usually has; the data's own least and greatest values "
        "would tell\n# of people.  Values beyond it count as its ends.\n"
        f"panel {_panel_name(answers)} expression {unit} "
        f"{answers.low}..{answers.high}{clauses} {genes}"
    )


def _privacy(answers: Answers) -> str:
    adjacency = "add or remove one person  # hides whether somebody took part"
    if answers.replace:
        adjacency = (
            f"replace one person of exactly {answers.people}"
            "  # hides what somebody's row holds; how many took part is public"
        )
    return (
        f"privacy {{\n  {adjacency}\n"
        f"  epsilon {answers.epsilon}  # smaller protects more and costs accuracy\n"
        f"  delta {_delta(answers.people)}  # far below one in the number of people\n}}"
    )


def _delta(people: int | None) -> str:
    """1e-6, or less than a tenth of one in the people."""
    return f"1e-{max(6, len(str(people or 1)) + 1)}"


def _measure(answers: Answers) -> str:
    labels = _label_names(answers)
    lines = [f"  marginal {name(label)}" for label in labels]
    lines.append(
        f"  marginal {name(labels[0])} * {_panel_name(answers)} in 4 equal bins"
        "  # better: in 4 bins from a public table"
    )
    return "measure {\n" + "\n".join(lines) + "\n}"
