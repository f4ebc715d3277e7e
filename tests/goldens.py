"""Golden files: what a program writes, compared with what was looked at and kept."""

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
UPDATE = bool(os.environ.get("SECGEN_UPDATE_GOLDEN"))


def check_golden(path: Path, text: str) -> None:
    """Compare with a golden file, or write it where SECGEN_UPDATE_GOLDEN is set."""
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, (
        f"{path.name} differs; if that is meant, run the test with SECGEN_UPDATE_GOLDEN=1"
    )
