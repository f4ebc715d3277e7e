"""The committed example documents: `docs/examples`, from two specs of `specs`.

`make examples` writes them, and a test makes them again and compares.
"""

from pathlib import Path

from secgen_dsl.cli.describing import Additions, subject_with
from secgen_dsl.cli.documents import write_documents
from secgen_dsl.cli.study import plan_of

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
STUDIES = ("colorectal", "brca_structure")
FILES = ("description.html", "description.md", "registry.json")
DAY = "2026-11-23"
"""Of the documents: a fixed one, so that they change with the studies and the program alone."""


def write_example(name: str, folder: Path) -> None:
    """Write the ``FILES`` of one of the ``STUDIES`` into a folder."""
    spec = ROOT / "specs" / f"{name}.secgen"
    subject = subject_with(plan_of(spec), spec, Additions(), DAY)
    for file in FILES:
        write_documents(subject, "en", folder / file)


def main() -> None:
    """Write all of them."""
    for name in STUDIES:
        folder = EXAMPLES / name
        folder.mkdir(parents=True, exist_ok=True)
        write_example(name, folder)
        print(f"written  {folder.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
