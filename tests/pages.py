"""What pages in Markdown show: files, and commands with what they print."""

import re
import runpy
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from ktgdsl.cli import main as cli
from tests.paths import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w.]+)\n")


def blocks(page: Path, language: str) -> list[str]:
    """The texts of a page's blocks in a language."""
    return [text for each, text in BLOCK.findall(page.read_text("utf-8")) if each == language]


def write_files(page: Path, folder: Path) -> None:
    """Write every block of a page whose first line names a file, such as `# mine.py`."""
    for _, text in BLOCK.findall(page.read_text("utf-8")):
        if named := NAMED.match(text):
            (folder / named[1]).write_text(text, "utf-8")


def transcripts(page: Path) -> Iterator[tuple[str, str]]:
    """The commands of a page's console blocks, each with what is shown below it."""
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def printed_by(command: str) -> str:
    """What `ktgc ...` or `python FILE` prints, on either stream, in the working folder."""
    program, *arguments = shlex.split(command)
    output = StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        if program == "ktgc":
            cli.main(arguments)
        else:
            assert program == "python"
            runpy.run_path(arguments[0])
    return output.getvalue()


def assert_shows(shown: str, printed: str, exact: bool = False) -> None:
    """The parts of what is shown, between lines of `...`, are printed, in this order.

    Unless `exact`, other numbers are as good, since those of trainings are a machine's own.
    """
    same = str if exact else _without_numbers
    first, *others = re.split(r"^\.\.\.\n", same(shown), flags=re.MULTILINE)
    rest = same(printed)
    assert rest.startswith(first) if others else rest == first, printed
    for part in others:
        rest = rest[rest.index(first) + len(first) :]
        assert part in rest, f"{part}\nis not in what is left of\n{printed}"
        first = part


def _without_numbers(text: str) -> str:
    """A text with # for each number and duration, and single spaces."""
    text = re.sub("finished in [^,]+", "finished in #", text)
    return re.sub(" +", " ", re.sub(r"[-+]?\d[\d.,]*", "#", text))


def pages() -> list[Path]:
    """All pages of the repository."""
    folders = [ROOT / name for name in ("grammar", "specs", "tests", "ktgdsl")]
    return sorted({*ROOT.glob("*.md"), *(page for each in folders for page in each.rglob("*.md"))})
