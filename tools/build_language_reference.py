"""Writes docs/reference/language.md from the grammar, the compiler's types and its own messages.

What the page says of limits, defaults and words of later releases is what the compiler answers:
each is tried on the small spec below.

    python -m tools.build_language_reference
"""

from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from click.testing import CliRunner
from jinja2 import Environment, StrictUndefined

from secgen_dsl.cli.main import group
from secgen_dsl.diagnostics.diagnostic import SecgenError, Source
from secgen_dsl.ir.program import AUDIENCES, COUNT_TRANSFORM, UNITS, Terms
from secgen_dsl.semantics.marginals import MAXIMUM_CELLS, MAXIMUM_QUERIES
from secgen_dsl.semantics.promise import _FORMATS
from secgen_dsl.semantics.resolve import Resolved, resolve
from secgen_dsl.semantics.vocabulary import MAXIMUM_GENES, MUTATION_VALUES
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.parser import MAXIMUM_BYTES, parse
from tools.grammar_forms import Grammar

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "language.md"
TEMPLATE = Path(__file__).with_name("language_reference.md.jinja")

BASE = """\
secgen 1

study "A small study" { purpose "Shows the language." }

silos hold patients {
  north  "North Hospital"  terms open
  east   "East Hospital"   terms open
  south  "South Hospital"  terms consent "GRU"
}

trust { tolerate 1 colluding party }

person { key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }

columns {
  subtype  category { CIN, GS, MSI, unknown } else unknown
  sex      category { female, male }
}

public elsewhere from "specs/data/colorectal_reference.csv.gz" log2 "TCGA, other regions"

panel repair expression log2 0..20 { MLH1, MSH2, MSH6 }

privacy { add or remove one person; epsilon 1; delta 1e-6 }

measure { marginal subtype * repair in 4 bins from elsewhere; marginal sex }

release { samples 300 to silos as csv }
"""

AUDIENCE_WORDS = {
    "silos": "all parties, helpers included",
    "named": 'a group that the spec names: `named "Members of the consortium"`',
    "registered": "people who registered and agreed to terms of use",
    "public": "anybody",
}

# Statement of the small spec → what stands there instead.
LIMITS = (
    ("epsilon 1", "epsilon 0"),
    ("epsilon 1", "epsilon 51"),
    ("delta 1e-6", "delta 0.01"),
    ("at most 1 sample", "at most 1001 samples"),
    ("in at most 1 silo", "in at most 4 silos"),
    ("tolerate 1 colluding party", "tolerate 2 colluding parties"),
    ("in 4 bins from elsewhere", "in 65 equal bins"),
    ("in 4 bins from elsewhere", "in bins at 4, 2"),
    ("samples 300", "samples 2000000"),
    ("{ female, male }", "{ female }"),
    ("repair in 4 bins from elsewhere", "repair in 4 bins from elsewhere weight 0"),
)
LATER = (
    ("silos hold patients", "silos hold columns"),
    ("in 4 bins from elsewhere", "in 4 quantile bins"),
    ("delta 1e-6", "noise joint"),
    ("in 4 bins from elsewhere", "in 4 bins from elsewhere selected by correlation"),
    ("log2 0..20 {", "counts as vst 0..20 {"),
)  # fmt: skip
DEFAULTS = (
    ("; keep earliest collected", "`keep …`"),
    ("; delta 1e-6", "`delta …`"),
    ("; mechanism gaussian", "`mechanism …`"),
    (" as csv", "`as …` behind `samples`"),
    ("; measurements to silos", "`measurements to …`"),
)


def meaning(text: str) -> Resolved:
    """The meaning of a spec whose paths are relative to the repository."""
    source = Source("small.secgen", text)
    return resolve(parse(source), source, ROOT)


def answer(old: str, new: str) -> tuple[str, str, str]:
    """Code, message and next step of the first error when a statement is replaced."""
    if old not in BASE:
        raise ValueError(f"{old!r} is not in the small spec")
    try:
        meaning(BASE.replace(old, new))
    except SecgenError as error:
        first = error.diagnostics[0]
        return first.code, first.message, first.next_step
    raise ValueError(f"{new!r} is allowed")


def filled_in(left_out: str) -> str:
    """What the compiler fills in for a part of the small spec, stated in full, that is left out."""
    stated = BASE.replace(" as csv", " as csv; measurements to silos")
    stated = stated.replace("at most 1 sample", "at most 1 sample; keep earliest collected")
    stated = stated.replace("delta 1e-6", "delta 1e-6; mechanism gaussian")
    if left_out not in stated or meaning(stated).defaults:
        raise ValueError(f"{left_out!r} is not in the spec, or it leaves something out")
    (filled,) = meaning(stated.replace(left_out, "")).defaults
    return filled


def checked() -> str:
    """What `secgen check` prints for the small spec."""
    with TemporaryDirectory() as folder, chdir(folder):
        Path("specs").symlink_to(ROOT / "specs")
        Path("small.secgen").write_text(BASE, encoding="utf-8")
        output = CliRunner().invoke(group, ["check", "small.secgen"]).output
    return "\n".join(line.rstrip() for line in output.strip("\n").splitlines())


def from_spec(name: str, word: str) -> str:
    """The first block of a committed spec that begins with a word, as a fenced block."""
    text = (ROOT / "specs" / name).read_text(encoding="utf-8")
    spec: tree.Spec = parse(Source(name, text))
    for item in spec.items:
        found = text[item.span.start : item.span.end]
        if found.split(maxsplit=1)[0] == word:
            return f"```secgen\n{found.rstrip()}\n```"
    raise ValueError(f"{name} has no {word}")


def _cell(text: str) -> str:
    """A text inside a Markdown table."""
    return text.replace("|", "\\|")


def _terms() -> list[tuple[str, str, str]]:
    rows = []
    for kind in ("open", "consent", "controlled"):
        plain, approved = (
            Terms(kind=kind, reference="", approval=text).widest  # type: ignore[arg-type]
            for text in ("", "x")
        )
        shown = kind if kind == "open" else f'{kind} "…"'
        rows.append((shown, f"`{plain}`", "not needed" if kind == "open" else f"`{approved}`"))
    return rows


def build() -> str:
    """The page."""
    grammar = Grammar((ROOT / "grammar" / "secgen.lark").read_text(encoding="utf-8"))
    environment = Environment(  # noqa: S701 - Markdown of our own
        undefined=StrictUndefined, keep_trailing_newline=True, lstrip_blocks=True
    )
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        base=BASE,
        checked=checked,
        form=grammar.form,
        from_spec=from_spec,
        maximum_bytes=f"{MAXIMUM_BYTES:,}",
        maximum_genes=f"{MAXIMUM_GENES:,}",
        maximum_cells=f"{MAXIMUM_CELLS:,}",
        maximum_queries=f"{MAXIMUM_QUERIES:,}",
        mutation_values=", ".join(MUTATION_VALUES),
        units=", ".join(f"`{unit}`" for unit in UNITS),
        transform=COUNT_TRANSFORM,
        formats=", ".join(f"`{name}`" for name in _FORMATS),
        audiences=[(name, AUDIENCE_WORDS[name]) for name in AUDIENCES],
        terms=_terms(),
        limits=[(_cell(new), *map(_cell, answer(old, new)[:2])) for old, new in LIMITS],
        later=[(_cell(new), *map(_cell, answer(old, new))) for old, new in LATER],
        defaults=[(words, filled_in(old)) for old, words in DEFAULTS],
    )
    unseen = grammar.reachable - grammar.shown
    if unseen:
        raise ValueError(f"rules of the grammar that the page does not show: {sorted(unseen)}")
    return page


def main() -> None:
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(build(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
