"""`ktgc explain`: what a code, a word or a setting means, as plain text of 80 columns."""

import sys
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from textwrap import indent

from pydantic import ValidationError

from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.explanations import (
    FAMILIES,
    Explanation,
    Explanations,
    code_explanations,
    read_explanations,
    subject,
)
from ktgdsl.lowering.named_values import with_article
from ktgdsl.lowering.pydantic_errors import invalid
from ktgdsl.report.filled_text import filled, page, table
from ktgdsl.report.parameters import heading, meaning
from ktgdsl.vocabulary import registry
from ktgdsl.vocabulary.entry import Entry, Parameters
from ktgdsl.vocabulary.installed import GROUPS, installed_words
from ktgdsl.vocabulary.networks import expand_shorthand, suggest_shorthand
from ktgdsl.vocabulary.registry import KINDS, entries, kinds_of, settings_of
from ktgdsl.vocabulary.spelling import closest
from ktgdsl.vocabulary.synonyms import arguments_of_synonym, word_of_synonym

BLOCKS = {block: settings_of(block) for block in registry.BLOCKS}
"""The settings by what has them, the name that paths such as `train.epochs` begin with."""

PLACES = {
    "network": "A network makes a node: `node a = NETWORK`.",
    "loss": "A loss stands behind the colon of an edge: `edge a -> b : LOSS via GATE`.",
    "gate": "A gate stands behind `via`: `edge a -> b : LOSS via GATE`.",
    "optimizer": "It is a setting of `train`, or of a node: `train { optimizer = OPTIMIZER }`.",
    "schedule": "It is a setting of `train`, or of a node: `train { schedule = SCHEDULE }`.",
    "stop": "It is a setting of `train` and of phases: `train { stop = STOP }`.",
    "dataset": "A data set stands at the head of the data block: `data DATASET { ... }`.",
    "combine": "It says how an ensemble combines nodes: `ensemble(a, b, combine=COMBINE)`.",
    "sampler": "It is a setting of `search`: `search { sampler = SAMPLER }`.",
    "pruner": "It is a setting of `search`: `search { pruner = PRUNER }`.",
    "objective": "It is a setting of `search`: `search { objective = OBJECTIVE }`.",
}
"""The place of the words of each kind in a spec."""


def explain(name: str) -> str | None:
    """All that there is to say about a name; None where it is unknown.

    A name is a code (`E304`), a family of codes (`E3`), a word (`correct`, `gate:cosine`,
    `resnet32`), a kind of words (`gate`), a keyword (`edge`), a block (`train`), a setting
    (`batch`, `data.batch`), a command (`table`) or a file (`result.json`). What has several
    meanings has a page for each. Of a call as a spec has it, such as `kl(T=4)`, the word counts.
    """
    name = name.partition("(")[0].rstrip() if name.endswith(")") else name
    pages = [
        *_codes(name),
        *_ambiguous(name),
        *_words(name),
        *_kinds(name),
        *_keywords(name),
        *_blocks(name),
        *_settings(name),
        *_documents(name),
    ]
    return "\n\n\n".join(pages) or None


def suggest(name: str) -> list[str]:
    """The known names that a misspelt one, or one of papers and other programs, probably meant."""
    written, colon, word = name.rpartition(":")
    others = (word_of_synonym(kind, word) for kind in KINDS if not colon or kind == written)
    called = list(dict.fromkeys(filter(None, others)))
    arguments = [name, *arguments_of_synonym(name.rpartition(".")[2])]
    return called or _with_arguments(arguments) or list(filter(None, [_closest(name)]))


def _with_arguments(names: Sequence[str]) -> list[str]:
    """The settings of these names, or else the first words that have such arguments."""
    settings = [name for cls in BLOCKS.values() for name in names if name in cls.model_fields]
    every = ((word, entry) for kind in KINDS for word, entry in entries(kind).items())
    words = (word for word, entry in every if {*names} & entry.model_fields.keys())
    return list(dict.fromkeys(settings or words))[:3]


def _closest(name: str) -> str | None:
    words = [(kind, word) for kind in KINDS for word in entries(kind)]
    settings = [(block, name) for block, cls in BLOCKS.items() for name in cls.model_fields]
    _, dot, setting = name.rpartition(".")
    elsewhere = [f"{block}.{each}" for block, each in settings if dot and each == setting]
    if elsewhere:
        return elsewhere[0]
    return suggest_shorthand(name) or closest(
        name,
        [
            *CODES,
            *KINDS,
            *BLOCKS,
            *keywords().by_name,
            *commands().by_name,
            *written_files().by_name,
            *(each for _, each in (*words, *settings)),
            *(f"{kind}:{word}" for kind, word in words),
            *(f"{block}.{setting}" for block, setting in settings),
        ],
        cutoff=0.75,  # of so many names some are a little like any
    )


def overview() -> str:
    """A short list of all names that can be explained."""
    return page(
        "ktgc explain NAME, where a name is one of these",
        "The code of a diagnostic, such as `E304`; what the code begins with lists the family:",
        table((family, subject(family)) for family in FAMILIES),
        "A word of the vocabulary, such as `correct`; `gate` lists all gates, and `gate:cosine` "
        "picks the gate among what is called `cosine`:",
        table((kind, ", ".join(entries(kind))) for kind in KINDS),
        "A keyword:",
        filled(", ".join(keywords().by_name), "  ", "  "),
        "A setting, such as `batch` or `data.batch`; `train` lists all of the block:",
        table((block, ", ".join(cls.model_fields)) for block, cls in BLOCKS.items()),
        "A command, or a file in the folder of a run, a search or a table:",
        filled(", ".join([*commands().by_name, *written_files().by_name]), "  ", "  "),
    )


def _codes(name: str) -> Iterator[str]:
    code = name.upper()
    if code in FAMILIES:
        titles = [(each, title) for each, title in CODES.items() if each.startswith(code)]
        yield page(code_explanations(code).title, table(titles))
    elif code in CODES:
        explanation = code_explanations(code[:2]).by_name[code]
        yield page(f"{code}: {CODES[code]}", *_explained(explanation))


def _explained(explanation: Explanation) -> Iterator[str]:
    yield explanation.text
    for example in explanation.examples:
        yield example.caption
        yield indent(example.text, "    ")


def _ambiguous(name: str) -> Iterator[str]:
    """The introduction to the pages of a word of several kinds."""
    kinds = kinds_of(name)
    if len(kinds) > 1:
        *others, last = [with_article(kind) for kind in kinds]
        yield page(
            f"{name}: {', '.join(others)} and {last}",
            f"Each has its page below; `ktgc explain {kinds[-1]}:{name}` shows one alone.",
        )


def _words(name: str) -> Iterator[str]:
    kind, colon, word = name.rpartition(":")
    for each in kinds_of(word):
        if not colon or kind == each:
            yield _word(each, word)
    for each in GROUPS:
        if not colon or kind == each:
            for meant in installed_words(each).get(word, ()):
                yield page(
                    f"{word}, {with_article(each)} of the package {meant.package}",
                    f'Short for `python("{meant.function}")`; arguments are given by name.',
                    PLACES[each],
                )


def _word(kind: str, word: str) -> str:
    title = f"{word}, {with_article(kind)}"
    if word in entries(kind):
        return page(title, *_entry(entries(kind)[word]))
    short = expand_shorthand(word)
    assert short is not None  # else it would be of no kind
    full, numbers = short
    entry = entries(kind)[full]
    call = short_for(word)
    try:
        entry.model_validate(numbers)
    except ValidationError as failure:
        error = failure.errors(include_url=False)[0]
        _, problem = invalid(error, f"its `{error['loc'][0]}`")
        return page(title, f"It would be short for `{call}`, but {problem}.", *_entry(entry))
    return page(title, f"Short for `{call}`.", *_entry(entry))


def short_for(word: str) -> str | None:
    """The call that `resnet32` or `wrn28_2` is short for; None for other words."""
    if (short := expand_shorthand(word)) is None:
        return None
    name, numbers = short
    return f"{name}({', '.join(f'{key}={value}' for key, value in numbers.items())})"


def _entry(entry: type[Entry]) -> Iterator[str]:
    """Meaning and source, the letters of the formula, the place, the parameters."""
    yield _doc(entry)
    _, _, letters = str(sys.modules[entry.__module__].__doc__).partition("\n\n")
    yield letters
    yield PLACES[entry.kind]
    if names := entry.positions():
        yield "Parameters, in the order of their places:"
        yield "\n".join(_parameter(entry, name) for name in names)
    else:
        yield "It has no parameters."


def _kinds(name: str) -> Iterator[str]:
    if name in KINDS:
        first = ((word, _doc(entry).split("\n\n")[0]) for word, entry in entries(name).items())
        yield page(f"{name}, a kind of words", PLACES[name], table(first))


def _keywords(name: str) -> Iterator[str]:
    if explanation := keywords().by_name.get(name):
        yield page(f"{name}, a keyword", *_explained(explanation))


def keywords() -> Explanations:
    """The explanations of all keywords."""
    return read_explanations("ktgdsl.syntax", "keywords.md")


def commands() -> Explanations:
    """The explanations of the verbs of the command line."""
    return read_explanations("ktgdsl.report", "commands.md")


def written_files() -> Explanations:
    """The explanations of the files in the folders of runs, searches and tables."""
    return read_explanations("ktgdsl.report", "files.md")


def _documents(name: str) -> Iterator[str]:
    if explanation := commands().by_name.get(name.removeprefix("ktgc ")):
        yield page(f"ktgc {name.removeprefix('ktgc ')}, a command", *_explained(explanation))
    place = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    file = "best.ktg" if place == "top" else place
    if explanation := written_files().by_name.get(file):
        yield page(f"{file}, {'a file' if '.' in file else 'a folder'}", *_explained(explanation))


def _blocks(name: str) -> Iterator[str]:
    if cls := BLOCKS.get(name):
        settings = "\n".join(_parameter(cls, each) for each in cls.model_fields)
        yield page(f"{name}, and its settings", _doc(cls), settings)


def _settings(name: str) -> Iterator[str]:
    block, dot, setting = name.rpartition(".")
    for each, cls in BLOCKS.items():
        if setting in cls.model_fields and (not dot or block == each):
            yield page(f"{each}.{setting}, a setting", _parameter(cls, setting), _doc(cls))


def _parameter(cls: type[Parameters], name: str) -> str:
    """The name and default of a parameter, and below what it takes and means."""
    field = cls.model_fields[name]
    head = filled(heading(name, field), "  ", "      ")
    return f"{head}\n{filled(meaning(field), '      ', '      ')}"


def _doc(cls: type) -> str:
    return cleandoc(str(cls.__doc__))
