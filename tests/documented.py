"""What specs/README.md says of the files in the folders of runs, searches and tables."""

import re

from tests.paths import ROOT


def documented(file: str) -> set[str]:
    """The names between backticks in the section of a file, such as "`result.json` of a run"."""
    text = (ROOT / "specs" / "README.md").read_text("utf-8")
    _, _, rest = text.partition(f"\n### {file}\n")
    assert rest, f"specs/README.md has no section {file}"
    section = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"`([^`\n]+)`", section))
