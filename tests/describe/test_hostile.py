"""Names that try to be markup, of other scripts, and a panel of 20,000 genes, by the command."""

import io
import re
from pathlib import Path

import pypdf
import pytest
from markdown_it import MarkdownIt

from tests.cli.commands import secgen

SPEC = """secgen 1
study "<b>panel</b> #let x = 1 *strong* [a](http://example.org) | `c` {{{{ 7 * 7 }}}}" {{
  purpose "</p><script>alert(1)</script> <!-- secgen-record: {{}} -->"; contact "c@d.example"
}}
silos hold patients {{
  north "مستشفى الجامعة <script>alert(2)</script>" terms open
  south "大学病院 & <img src=x onerror=alert(3)>" terms open
  west  "**bold** _it_ | cell #import \\"x.typ\\"" terms open
}}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }}
columns {{ "**sex** | <b>" category {{ "ж", "♀ <i>", "#m $x$", "בית" }} }}
panel "בית <u>" expression log2 0..16 {genes}
privacy {{ add or remove one person; epsilon 4; delta 1e-6 }}
measure {{ marginal "**sex** | <b>" * "בית <u>" in bins at 4, 8, 12 }}
release {{ samples 300 to silos as csv }}
"""


def studied(folder: Path, genes: str) -> Path:
    spec = folder / "s.secgen"
    spec.write_text(SPEC.format(genes=genes), encoding="utf-8")
    return spec


def test_names_that_try_to_be_markup(tmp_path: Path) -> None:
    spec, out = studied(tmp_path, '{ "HLA-A", "<script>", "a|b" }'), tmp_path / "out"
    ended = secgen("describe", spec, "-o", out)
    assert ended.code == 0, ended.err
    page = (out / "description.html").read_text("utf-8")
    assert not re.search(r"<(script|img|u|i)[\s>]", page)
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page
    assert "大学病院" in page
    assert "مستشفى الجامعة" in page
    text = (out / "description.md").read_text("utf-8")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inner = [each for token in tokens for each in token.children or []]
    assert not [each for each in inner if each.type in ("em_open", "image")]
    links = [str(each.attrs["href"]) for each in inner if each.type == "link_open"]
    assert all(each.startswith("#") for each in links)
    raw = "".join(each.content for each in inner if each.type == "html_inline")
    assert not re.search("script|img|<b>|<u>", raw)
    pages = pypdf.PdfReader(out / "description.pdf").pages
    assert "alert(3)" in "".join(each.extract_text() for each in pages)
    for form in ("html", "md", "pdf"):
        checked = secgen("describe", spec, "--check", out / f"description.{form}")
        assert checked.code == 0, checked.err


@pytest.mark.slow
def test_twenty_thousand_genes(tmp_path: Path) -> None:
    """Summarised before the annexes, complete in them."""
    names = [f"GENE{place}" for place in range(20_000)]
    (tmp_path / "genes.txt").write_text("\n".join(names), encoding="utf-8")
    spec, out = studied(tmp_path, 'from "genes.txt"'), tmp_path / "out"
    assert secgen("describe", spec, "-o", out).code == 0
    for form in ("html", "md"):
        text = (out / f"description.{form}").read_text("utf-8")
        start = text.rindex('id="annex_plan"')
        assert len(re.findall(r"GENE\d+", text[:start])) < 100, form
        assert set(re.findall(r"GENE\d+", text[start:])) == set(names), form
        assert len(text) < 2_000_000
    pages = pypdf.PdfReader(io.BytesIO((out / "description.pdf").read_bytes())).pages
    assert len(pages) < 200
