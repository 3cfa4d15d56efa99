"""The tables of grammar/README.md, made from the vocabulary, the settings and the codes.

`python -m tests.reference_tables` writes them into the file, between `<!-- table NAME -->` and
`<!-- end -->`. A name is a kind of words, a block with settings, or `codes`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import cleandoc

from pydantic.fields import FieldInfo

from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.explanations import FAMILIES, subject
from ktgdsl.report.explain import BLOCKS
from ktgdsl.report.parameters import default_text, type_text
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.registry import KINDS, entries
from tests.paths import ROOT

README = ROOT / "grammar" / "README.md"
MARKED = re.compile(r"(<!-- table (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
COMMAND = "python -m tests.reference_tables"

Row = tuple[str, ...]


def with_tables(text: str) -> str:
    """The text with every table as it is now. Raises KeyError where there is no such table."""
    made = tables()
    return MARKED.sub(lambda found: f"{found[1]}{made[found[2]]}{found[4]}", text)


@cache
def tables() -> dict[str, str]:
    """All tables by their names."""
    found = {kind: _table(("word", "meaning", "source"), words(kind)) for kind in KINDS}
    for block in BLOCKS:
        found[block] = _table(("setting", "takes; default", "meaning"), settings(block))
    found["codes"] = _table(("code", "meaning"), _codes())
    return found


def words(kind: str) -> Iterator[Row]:
    """Each word with its parameters, the first paragraph of its meaning, and its source."""
    for word, entry in entries(kind).items():
        meaning, *source = re.split(r"\bSource:\s+", cleandoc(str(entry.__doc__)), maxsplit=1)
        paragraph = "".join(source).split("\n\n")[0]
        told = paragraph[:1].upper() + paragraph[1:]
        yield f"`{word}{_parameters(entry)}`", meaning.split("\n\n")[0], told


def settings(block: str) -> Iterator[Row]:
    """Each setting of a block, what it takes unless what, and its meaning."""
    for name, field in BLOCKS[block].model_fields.items():
        yield f"`{name}`", f"{type_text(field)}; {_default(field)}", field.description or ""


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in lines)


def _cell(text: str) -> str:
    """A text in one line, in which `|` ends no cell."""
    return " ".join(text.split()).replace("|", r"\|")


def _parameters(entry: type[Entry]) -> str:
    """`(depth, widen, dropout=0)`; what may be left out and has no default is in brackets."""
    told = [_parameter(entry, name) for name in entry.positions()]
    told += ["..."] if entry.model_config.get("extra") == "allow" else []
    return f"({', '.join(told)})" if told else ""


def _parameter(entry: type[Entry], name: str) -> str:
    field = entry.model_fields[name]
    if name == entry.variadic:
        return f"{name}..."
    if field.is_required():
        return name
    value = default_text(field)
    return f"[{name}]" if value is None else f"{name}={value}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = default_text(field)
    return "optional" if value is None else f"default `{value}`"


def _codes() -> Iterator[Row]:
    for family in FAMILIES:
        yield f"**{family}**", f"**{subject(family)}**"
        yield from ((f"`{code}`", title) for code, title in CODES.items() if code[:2] == family)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
