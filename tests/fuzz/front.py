"""What must hold of any text, sound or not: what `ktgc check` and `ktgc fmt` do with it."""

import json
import re
from pathlib import Path
from random import Random

from ktgdsl.compiler import Compiled, compile_source
from ktgdsl.diagnostics.render import render
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.format import format_file, format_source
from ktgdsl.syntax.lexer import tokenize
from ktgdsl.syntax.parse import parse, parse_value
from ktgdsl.syntax.tree import File
from tests.fuzz.specs import spec
from tests.mutate import GOOD, LINES, MUTATIONS, mutated, random_text

NOWHERE = Path("/nowhere")
SMALL = [each for each in GOOD if len(each) < 300]
"""Sound specs of a few lines."""
NOT_SHOWN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
JARGON = re.compile(r"Token|\$END|LBRACE|Unexpected|Traceback|__")


def text(random: Random) -> str:
    """A text, nine of ten of which are short."""
    match random.randrange(20):
        case 0:
            return mutated(random)
        case 1:
            return spec(random)
        case 2:
            return _changed(random, spec(random))
        case number if number < 7:
            return random_text(random)
        case number if number < 12:
            return _changed(random, random.choice(SMALL))
    within = random.choices(LINES, k=random.choice((1, 1, 1, 2, 4)))
    return _changed(random, "\n".join(["graph g {", *within, "}", random.choice(LINES)]))


def _changed(random: Random, sound: str) -> str:
    for _ in range(random.choice((0, 1, 1, 1, 2))):
        sound = random.choice(MUTATIONS)(random, sound)
    return sound


def judge(text: str, folder: Path = NOWHERE) -> bool:
    """Compile a text, show what is wrong with it, and format it. Whether it is a sound spec."""
    source = Source("spec.ktg", text)
    lexed = tokenize(source)
    tree, problems = parse(source, lexed)
    compiled = compile_source(source, folder, pedantic=True, parsed=(tree, problems))
    judge_compiled(compiled)
    parse_value(source, lexed)
    assert tree is not None or problems
    starts = [problem.span.start for problem in problems if problem.span is not None]
    assert starts == sorted(starts)
    for problem in problems:
        assert problem.code == "E003" or problem.span is not None
        assert not JARGON.search(re.sub(r"`[^`]*`", "", problem.message))
    if tree is not None and not problems:
        _judge_layout(source, tree)
    return compiled.plan is not None


def _judge_layout(source: Source, tree: File) -> None:
    """Formatted twice it is as after once, and says the same, with its comments and without."""
    formatted, refused = format_source(source)
    if formatted is None:
        assert {each.code for each in refused} == {"E003"}
        return
    assert format_source(Source(source.path, formatted)) == (formatted, ())
    plain = Source(source.path, format_file(tree))
    assert parse(plain)[0] == tree


def judge_compiled(compiled: Compiled) -> None:
    """Diagnostics are sentences with places, shown without what a terminal would obey."""
    found, sources = compiled.diagnostics, compiled.sources
    assert (compiled.plan is None) == any(each.severity == "error" for each in found)
    for each in found:
        assert each.message
        for span in (each.span, *(label.span for label in each.labels)):
            if span is not None:
                assert 0 <= span.start <= span.end <= len(sources[span.path].text)
    if found:
        assert not NOT_SHOWN.search(render(found, sources, "full", width=80))
        assert render(found, sources, "concise").count("\n") == len(found) - 1
        assert len(json.loads(render(found, sources, "json"))) == len(found)
