"""Tables and figures of docs/quality.md, from the CSV that the sweep wrote.

    .venv/bin/python -m benchmarks.quality.report

Reads benchmarks/quality/results/*.csv.  Replaces what stands between ``<!-- NAME -->`` and
``<!-- end -->`` in the page, and writes docs/assets/quality-*.svg.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from secgen_dsl.describe.chart import Chart, Line, svg

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "quality" / "results"
PAGE = ROOT / "docs" / "quality.md"
ASSETS = ROOT / "docs" / "assets"

SHOWN = ("0.25", "0.5", "1", "2", "4", "5", "10")

COLUMNS = (
    ("accuracy", "accuracy", ".2f"),
    ("macro_f1", "macro F1", ".2f"),
    ("correlation_error", "mean \\|Δr\\|", ".3f"),
    ("de_tpr", "DE TPR", ".2f"),
    ("de_fpr", "at FPR", ".2f"),
    ("wasserstein", "Wasserstein", ".3f"),
    ("sign_agreement", "signs of edges", ".2f"),
)
SHOWN_AS_FIGURES = ("brca", "colorectal")
FIGURES = (
    ("accuracy", "accuracy on real people of a classifier trained on synthetic rows"),
    ("correlation_error", "mean |Δr| of gene pairs"),
)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for file in sorted(RESULTS.glob("*.csv")):
        if file.stem in OTHER_TABLES:
            own = OTHER_TABLES[file.stem](pd.read_csv(file))
            page = replaced(page, f"table {file.stem}", own)
            continue
        lines = pd.read_csv(file, dtype={"epsilon": "string"}, keep_default_na=True)
        lines["epsilon"] = lines["epsilon"].fillna("")
        name = file.stem
        page = replaced(page, f"table {name}", table(lines))
        for metric, words in FIGURES if name in SHOWN_AS_FIGURES else ():
            if lines.loc[lines["epsilon"] != "", "epsilon"].nunique() > 1:
                figure = svg(chart(name, lines, metric, words))
                (ASSETS / f"quality-{name}-{metric}.svg").write_text(figure, encoding="utf-8")
    PAGE.write_text(page, encoding="utf-8")


def table(lines: pd.DataFrame) -> str:
    """Means over folds and seeds, a line a method and epsilon."""
    head = ["method", "ε", "runs", *(title for _, title, _ in COLUMNS)]
    rows = [head, ["---"] * len(head)]
    for method in dict.fromkeys(lines["method"]):
        own = lines[lines["method"] == method]
        for epsilon in ("", *SHOWN):
            runs = own[own["epsilon"] == epsilon]
            if len(runs):
                figures = [f"{runs[key].mean():{form}}" for key, _, form in COLUMNS]
                rows.append([method, epsilon or "–", str(len(runs)), *figures])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def attack_table(lines: pd.DataFrame) -> str:
    """Means over seeds, a line an attack and epsilon; the greatest p of the seeds."""
    rows = [
        ["attack", "ε", "AUC", "greatest p", "finds at 1% false alarms (bound)", "at 10% (bound)"],
        ["---"] * 6,
    ]
    for (attack, epsilon), runs in lines.groupby(["attack", "epsilon"], sort=False):
        mean = runs.mean(numeric_only=True)
        rows.append(
            [
                str(attack),
                str(epsilon),
                f"{mean['auc']:.3f}",
                f"{runs['p_value'].max():.2g}",
                f"{mean['tpr_at_1']:.1%} ({mean['bound_at_1']:.1%})",
                f"{mean['tpr_at_10']:.1%} ({mean['bound_at_10']:.1%})",
            ]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def level_table(lines: pd.DataFrame) -> str:
    """Means over folds and seeds, a line a method and epsilon, a column a level."""
    levels = sorted(lines["level"].unique())
    rows = [["method", "ε", *(f"q < {level:g}" for level in levels)], ["---"] * (2 + len(levels))]
    for (method, epsilon), runs in lines.groupby(["method", "epsilon"], sort=False):
        means = runs.groupby("level")[["de_tpr", "de_fpr"]].mean()
        rates = [f"{tpr:.2f} at {fpr:.2f}" for tpr, fpr in means.loc[levels].to_numpy()]
        rows.append([str(method), str(epsilon), *rates])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


OTHER_TABLES = {"attacks": attack_table, "thresholds": level_table}
"""File of results → the table of it; of all others ``table``."""


def chart(name: str, lines: pd.DataFrame, metric: str, words: str) -> Chart:
    """A line a method that depends on epsilon."""
    drawn = []
    for method in dict.fromkeys(lines.loc[lines["epsilon"] != "", "method"]):
        own = lines[(lines["method"] == method) & (lines["epsilon"] != "")]
        means = own.groupby(own["epsilon"].astype(float))[metric].mean()
        points = tuple((float(x), max(float(y), 1e-3)) for x, y in means.items())
        drawn.append(Line(method, _spoken(method, points), points))
    return Chart(
        title=f"{name}: {words}",
        about=f"{words} against epsilon, means over folds and seeds. Both axes are logarithmic. "
        + " ".join(line.about + "." for line in drawn),
        x_name="epsilon (delta 1e-5)",
        y_name=words,
        mark=1.0,
        mark_name="epsilon 1",
        lines=tuple(drawn),
    )


def _spoken(method: str, points: Sequence[tuple[float, float]]) -> str:
    return f"{method}: " + ", ".join(f"{y:.3g} at epsilon {x:g}" for x, y in points)


def replaced(page: str, name: str, text: str) -> str:
    """The page with another text in a place.  Raises ValueError if it has no such place."""
    place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"docs/quality.md has no place for {name}")
    return place.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


if __name__ == "__main__":
    main()
