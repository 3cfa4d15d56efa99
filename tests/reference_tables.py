"""The tables of grammar/README.md, made from the vocabulary itself.

`python -m tests.reference_tables` writes them into the file, between their markers.
"""

import re
from collections.abc import Iterable
from inspect import cleandoc
from pathlib import Path

from ktgdsl.report.explain import BLOCKS
from ktgdsl.report.parameters import default, takes
from ktgdsl.torch_backend.supported import DATASETS, GATES, LOSSES, NETWORKS
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.registry import KINDS, entries

README = Path(__file__).parents[1] / "grammar" / "README.md"
MARKED = re.compile(r"(<!-- table (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(name: str) -> str:
    """The table of a kind of words, of the settings of a block, or of what trains today."""
    if name in KINDS:
        rows = [_entry(entry) for entry in entries(name).values()]
        return _table(("word", "meaning"), rows)
    if name == "trained":
        known = {"networks": NETWORKS, "losses": LOSSES, "gates": GATES, "data": DATASETS}
        told = [(kind, ", ".join(f"`{w}`" for w in sorted(words))) for kind, words in known.items()]
        return _table(("", "trained today"), told)
    cls = BLOCKS[name]
    rows = []
    for setting, field in cls.model_fields.items():
        value = default(field)
        usual = "" if field.is_required() or value is None else f" = {value}"
        meaning = "; ".join(filter(None, [takes(field), field.description]))
        rows.append((f"`{setting}{usual}`", meaning))
    return _table(("setting", "meaning"), rows)


def _entry(entry: type[Entry]) -> tuple[str, str]:
    arguments = []
    for name in entry.positions():
        field = entry.model_fields[name]
        value = default(field)
        plain = field.is_required() or value is None
        arguments.append(name if plain else f"{name}={value}")
    call = f"{entry.word}({', '.join(arguments)})" if arguments else entry.word
    paragraphs = cleandoc(str(entry.__doc__)).split("\n\n")
    return f"`{call}`", paragraphs[0]


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---|---|"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def with_tables(text: str) -> str:
    """The text with every table as it is now."""
    return MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[4]}", text)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
