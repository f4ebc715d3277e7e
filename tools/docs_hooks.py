"""What mkdocs adds to the pages in docs/: a page for each code of a diagnostic, and their index.

The pages are those that `secgen explain` shows (secgen_dsl/diagnostics/pages); titles and codes are
the compiler's.
"""

import re
from importlib.resources import files

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from secgen_dsl.diagnostics.codes import TITLES

_TABLE = re.compile(r"^```table (\S+)$", re.MULTILINE)
"""A site's table on a page."""

FOLDER = "reference/diagnostics"
IN_THE_REPOSITORY = "](../secgen_dsl/diagnostics/pages/)"
"""How the page HOME links to the pages of codes: on GitHub, too, the link leads somewhere."""

HOME = "index.md"
DECISIONS = "decisions/README.md"
GROUPS = {
    "SG1": "The text of a spec",
    "SG2": "Names and values",
    "SG3": "The promise and the plan",
    "SG4": "A site's data",
    "SG5": "The parties",
    "SG6": "Synthesis",
    "SG7": "Files that secgen writes and reads",
    "SG8": "The ledger",
    "SG9": "secgen itself",
}


def on_files(given: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {code: text for code in TITLES if (text := _page(code))}
    for code, text in pages.items():
        title = f"# {code}: {TITLES[code]}\n\n"
        uri = f"{FOLDER}/{code}.md"
        given.append(File.generated(config, uri, content=title + text))
    index = _index(frozenset(pages))
    given.append(File.generated(config, f"{FOLDER}/index.md", content=index))
    return given


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Below the text on decisions, the list of them; the home page's link leads to the index."""
    if page.file.src_uri == HOME:
        return markdown.replace(IN_THE_REPOSITORY, f"]({FOLDER}/index.md)")
    if page.file.src_uri != DECISIONS:
        return markdown
    lines = []
    for file in sorted(files.documentation_pages(), key=lambda file: file.src_uri):
        if file.src_uri.startswith("decisions/") and file.src_uri != DECISIONS:
            title = file.content_string.split("\n", 1)[0].lstrip("# ")
            lines.append(f"- [{title}]({file.src_uri.removeprefix('decisions/')})")
    return markdown + "\n" + "\n".join(lines) + "\n"


def _page(code: str) -> str:
    """The page of a code; empty if it has none."""
    file = files("secgen_dsl.diagnostics") / "pages" / f"{code}.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return _TABLE.sub(r'```{ .text title="\1" }', text)


def _index(pages: frozenset[str]) -> str:
    lines = [
        "# Messages, by code",
        "",
        "Every message has a code, a place, what is wrong, and behind `next:` what to do.",
        "`error[…]` ends a command, `warning[…]` does not. Several errors are reported at",
        "once: begin with the first. Codes are permanent; `secgen explain CODE` shows their pages.",
        "",
    ]
    for prefix, heading in GROUPS.items():
        lines += [f"## {heading}", "", "| code | |", "|---|---|"]
        for code in sorted(TITLES):
            if code.startswith(prefix):
                shown = f"[{code}]({code}.md)" if code in pages else code
                lines.append(f"| {shown} | {TITLES[code]} |")
        lines.append("")
    return "\n".join(lines)
