"""The language reference is so: its examples compile, and it leaves no word out."""

import os
import re
from pathlib import Path

import pytest
from rich.markdown import Markdown

from ktgdsl.cli import main as cli
from ktgdsl.compiler import Compiled, compile_source
from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.source import Source
from ktgdsl.lowering import let_checks as lets
from ktgdsl.lowering.edges import MAX_PAIRS
from ktgdsl.lowering.names import MAX_NODES
from ktgdsl.lowering.validate import LONGEST_NAME
from ktgdsl.report.explain import BLOCKS
from ktgdsl.space.size import ONE_BY_ONE
from ktgdsl.space.space import MAX_OPTIONS, TRIES
from ktgdsl.syntax.boundaries import MAX_LEVELS, RESERVED
from ktgdsl.syntax.format import format_source
from ktgdsl.syntax.includes import MAX_FILES
from ktgdsl.syntax.read import MAX_BYTES
from ktgdsl.vocabulary.registry import KINDS, entries
from tests.paths import ROOT
from tests.reference_tables import COMMAND, MARKED, README, settings, tables, with_tables, words
from tests.specs import sound

REFERENCE = README.read_text("utf-8")
BLOCK = re.compile(r"^```ktg(?: bad (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [text for code, text in BLOCK.findall(REFERENCE) if not code]
MISTAKES = [(code, text) for code, text in BLOCK.findall(REFERENCE) if code]
TRANSCRIPTS = re.findall(r"^```console\n\$ ktgc (.*)\n([^`]*)^```$", REFERENCE, re.MULTILINE)
GRAPH_STATEMENTS = ("node", "edge", "share", "target")


def whole(text: str) -> str:
    """An example as a file: what stands in a graph gets one, and so does what has none."""
    if "\ngraph " in f"\n{text}":
        return text
    first = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).split()[0]
    inside, outside = (text, "") if first in GRAPH_STATEMENTS else ("", text)
    nodes = "node a = resnet20\nnode b, c = resnet20 { keep = true }\ntarget a\n"
    return f"graph example {{\n{nodes}edge label -> *\n{inside}}}\n{outside}"


def compiled(text: str, folder: Path) -> Compiled:
    (folder / "recipes").mkdir()
    (folder / "recipes" / "short.ktg").write_text("train { epochs = 2 }")
    return compile_source(Source(str(folder / "spec.ktg"), whole(text)), folder)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_compile(text: str, tmp_path: Path) -> None:
    found = compiled(text, tmp_path)
    assert found.diagnostics == ()
    assert found.plan is not None


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_are_laid_out(text: str) -> None:
    if text == whole(text):
        assert format_source(Source("example", text)) == (text, ())


@pytest.mark.parametrize(("code", "text"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_have_their_code(code: str, text: str, tmp_path: Path) -> None:
    assert f"# {code}: " in text
    assert {each.code for each in compiled(text, tmp_path).diagnostics} == {code}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 12
    assert len(MISTAKES) >= 12
    assert len(TRANSCRIPTS) == 1


@pytest.mark.parametrize(("command", "shown"), TRANSCRIPTS)
def test_transcripts(
    command: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line is printed, in this order; `...` stands for lines left out."""
    monkeypatch.chdir(ROOT)
    assert cli.main(command.split()) == 0
    printed = iter(capsys.readouterr().out.splitlines())
    for line in shown.splitlines():
        assert line == "..." or line in printed, line


OPEN = """
let T = 1 | 2
graph g {
    node a = resnet8
    node b = resnet(depth=8 | 14) | wrn10_2 { frozen = true | false }
    node peer[1 .. 2] = resnet8 | resnet14
    target a
    edge label, peer -> a
    edge b -> a : kl(T=T | 4) | mse via until(10% | 20%),
        js via linear | 0.5 * (correct | linear), mse via correct | 0.5
    edge b.(stem | stage1) -> a.(stem | stage1) : hint
}
data digits | mnist { batch = 32 | 64 }
train { optimizer = sgd(lr=0.1 | 0.2) }
phase distil { learn = [a]  epochs = 5 | 10 }
"""


def test_draws_have_the_names_that_it_says() -> None:
    table = REFERENCE.partition("**Names of draws.**")[2].partition("\n\nChoices")[0]
    names = re.findall(r"`((?:node|edge|data|train|phase|let)\..*?)`", table)
    space = sound(OPEN).space
    assert space is not None
    assert len(names) >= 17
    assert set(names) <= {draw.name for draw in space.draws}


def test_tables_are_current() -> None:
    """KTG_UPDATE_GOLDEN=1 writes them anew."""
    if os.environ.get("KTG_UPDATE_GOLDEN"):
        README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
    text = README.read_text("utf-8")
    made = tables()
    stale = [found[2] for found in MARKED.finditer(text) if found[3] != made[found[2]]]
    assert stale == [], f"tables of grammar/README.md are out of date: run `{COMMAND}`"


def test_every_table_is_there_once() -> None:
    assert sorted(found[2] for found in MARKED.finditer(REFERENCE)) == sorted(tables())


@pytest.mark.parametrize("name", [*KINDS, *BLOCKS])
def test_cells_hold_what_was_put_into_them(name: str) -> None:
    """As a Markdown parser reads a table, a cell is its text on one line, whatever is in it."""
    rows = words(name) if name in KINDS else settings(name)
    put = [" ".join(text.split()) for row in rows for text in row]
    tokens = Markdown(tables()[name]).parsed
    read = [token.content for token in tokens if token.type == "inline"]
    assert read[3:] == put
    marked = {child.type for token in tokens for child in token.children or ()}
    assert marked <= {"text", "code_inline"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_is_there(kind: str) -> None:
    assert [word for word in entries(kind) if not re.search(rf"`{word}\b", REFERENCE)] == []


@pytest.mark.parametrize("block", BLOCKS)
def test_every_setting_is_there(block: str) -> None:
    names = BLOCKS[block].model_fields
    assert [name for name in names if not re.search(rf"`{name}\b", REFERENCE)] == []


def test_every_code_is_there() -> None:
    assert [code for code in CODES if f"`{code}`" not in REFERENCE] == []


def test_codes_in_the_text_exist() -> None:
    assert set(re.findall(r"\b[EW][0-9]{3}\b", REFERENCE)) <= set(CODES)


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", REFERENCE, re.MULTILINE)
    places = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    assert set(re.findall(r"\]\(#(.*?)\)", REFERENCE)) <= places


def test_the_keywords_are_there() -> None:
    for keyword in RESERVED:
        assert re.search(rf"\b{keyword.lower()}\b", REFERENCE)


def test_the_limits_are_those_of_the_code() -> None:
    text = " ".join(REFERENCE.split())
    limits = (
        f"{MAX_NODES} nodes; {LONGEST_NAME} characters of the name of a graph or node; edge "
        f"statements that stand for {MAX_PAIRS:,} pairs; {MAX_LEVELS} levels of nesting, with "
        "`let`s put in and gates and losses written out; "
        f"{MAX_FILES} files used; {MAX_BYTES >> 20} MiB a file; a `let` of "
        f"{MAX_LEVELS} levels and {lets.MAX_PARTS:,} parts once the names in it are "
        f"replaced; {MAX_OPTIONS:,} options of an open value"
    )
    assert limits in text
    assert f"and {TRIES} points drawn at random" in text
    assert f"in spaces of at most {ONE_BY_ONE:,} points" in text
