"""The language reference is so: its examples compile, and it leaves no word out."""

import os
import re
from pathlib import Path

import pytest

from ktgdsl.language import lets
from ktgdsl.language.outline import MAX_LEVELS, RESERVED
from ktgdsl.language.read import MAX_BYTES
from ktgdsl.language.source import Source
from ktgdsl.language.uses import MOST_FILES
from ktgdsl.plan.names import MOST_NODES
from ktgdsl.plan.pairs import MOST_PAIRS
from ktgdsl.plan.space import MOST_OPTIONS
from ktgdsl.report.explain import BLOCKS
from ktgdsl.spec import compile_source
from ktgdsl.vocabulary.registry import KINDS, entries
from tests.reference_tables import MARKED, README, with_tables

REFERENCE = (Path(__file__).parents[1] / "grammar" / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```ktg\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_compile(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "short.ktg").write_text("train { epochs = 2 }")
    compiled = compile_source(Source(str(tmp_path / "spec.ktg"), text), tmp_path)
    assert compiled.diagnostics == ()
    assert compiled.plan is not None


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_is_there(kind: str) -> None:
    missing = [word for word in entries(kind) if not re.search(rf"`{word}\b", REFERENCE)]
    assert missing == []


def test_the_tables_are_those_of_the_vocabulary() -> None:
    """`python -m tests.reference_tables` writes them; so does KTG_UPDATE_GOLDEN=1."""
    if os.environ.get("KTG_UPDATE_GOLDEN"):
        README.write_text(with_tables(REFERENCE), "utf-8")
    text = README.read_text("utf-8")
    assert with_tables(text) == text


def test_every_kind_and_block_has_a_table() -> None:
    assert {found[2] for found in MARKED.finditer(REFERENCE)} == {*KINDS, *BLOCKS, "trained"}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_setting_is_there(block: str) -> None:
    names = BLOCKS[block].model_fields
    assert [name for name in names if not re.search(rf"`{name}\b", REFERENCE)] == []


def test_the_keywords_are_there() -> None:
    for keyword in RESERVED:
        assert re.search(rf"\b{keyword.lower()}\b", REFERENCE)


def test_the_limits_are_those_of_the_code() -> None:
    limits = (
        f"{MOST_NODES} nodes; edge statements that stand for {MOST_PAIRS:,} pairs; {MAX_LEVELS} "
        f"levels of nesting; {MOST_FILES} files used; {MAX_BYTES >> 20} MiB a file; a `let` of "
        f"{lets.MOST_LEVELS} levels and {lets.MOST_PARTS:,} parts once the names in it are "
        f"replaced; {MOST_OPTIONS:,} options of an open value"
    )
    assert limits in " ".join(REFERENCE.split())
