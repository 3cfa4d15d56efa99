"""Documentation of words, settings, keywords and codes as Markdown, as `ktgc explain` has it."""

import sys
from collections.abc import Iterator
from functools import cache
from inspect import cleandoc

from pydantic.fields import FieldInfo

from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.explanations import Explanation, code_explanations
from ktgdsl.lowering.named_values import with_article
from ktgdsl.report.explain import PLACES, keywords, short_for
from ktgdsl.report.parameters import heading, meaning
from ktgdsl.vocabulary.installed import installed_words
from ktgdsl.vocabulary.registry import KINDS, entry, settings_of


@cache
def word(kind: str, name: str) -> str:
    """What a word of the vocabulary means, its formula, source and parameters; "" if unknown."""
    short = short_for(name) if kind == "network" else None
    found = entry(kind, short.partition("(")[0] if short else name)
    if found is None:
        meant = installed_words(kind).get(name, ())
        return "\n\n".join(f'`python("{m.function}")` of the package {m.package}' for m in meant)
    parts = [f"**{name}**, {with_article(kind)}"]
    parts += [f"Short for `{short}`."] if short else []
    parts.append(cleandoc(str(found.__doc__)))
    parts.append(str(sys.modules[found.__module__].__doc__).partition("\n\n")[2].strip())
    names = found.positions()
    parts.append("\n".join(parameter(each, found.model_fields[each]) for each in names))
    parts.append(PLACES[kind])
    return "\n\n".join(filter(None, parts))


def parameter(name: str, field: FieldInfo) -> str:
    """A setting or argument in a line: its default, type and meaning."""
    return f"- `{heading(name, field)}`: {meaning(field)}"


def setting(block: str, name: str) -> str:
    """What a setting means; "" if the block has none of the name."""
    field = settings_of(block).model_fields.get(name)
    return f"**{block}.{name}**, a setting\n\n{parameter(name, field)}" if field else ""


def argument(kind: str, of: str, name: str) -> str:
    """What an argument of a word means; "" if it has none of the name."""
    found = entry(kind, of) if kind in KINDS else None
    field = found.model_fields.get(name) if found else None
    return f"**{name}**, an argument of `{of}`\n\n{parameter(name, field)}" if field else ""


@cache
def keyword(name: str) -> str:
    """What a keyword means, with an example; "" if it is none."""
    found = keywords().by_name.get(name)
    return f"**{name}**, a keyword\n\n{_explained(found)}" if found else ""


@cache
def code(name: str) -> str:
    """What a code of diagnostics means: the text of `ktgc explain CODE`."""
    explanation = code_explanations(name[:2]).by_name[name]
    return f"**{name}**: {CODES[name]}\n\n{_explained(explanation)}"


def _explained(explanation: Explanation) -> str:
    return "\n\n".join([explanation.text, *_examples(explanation)])


def _examples(explanation: Explanation) -> Iterator[str]:
    for example in explanation.examples:
        yield f"{example.caption}\n\n```ktg\n{example.text}\n```"
