"""`ktgc explain`: the pages, and that every example is what it says."""

import re
from pathlib import Path

import pytest

from ktgdsl.cli.parser import VERBS, parser
from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.explanations import FAMILIES, code_explanations
from ktgdsl.diagnostics.source import Source
from ktgdsl.report.explain import (
    BLOCKS,
    commands,
    explain,
    keywords,
    overview,
    suggest,
    written_files,
)
from ktgdsl.report.filled_text import WIDTH
from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.vocabulary import rare_settings, search, settings
from ktgdsl.vocabulary.entry import Parameters
from ktgdsl.vocabulary.registry import KINDS, entries

WORDS = [(kind, word) for kind in KINDS for word in entries(kind)]
KEYWORDS = keywords().by_name
SETTINGS = [(block, name) for block, cls in BLOCKS.items() for name in cls.model_fields]
NAMES = [
    *CODES,
    *FAMILIES,
    *KINDS,
    *BLOCKS,
    *KEYWORDS,
    *commands().by_name,
    *written_files().by_name,
    *(f"{kind}:{word}" for kind, word in WORDS),
    *(f"{block}.{name}" for block, name in SETTINGS),
    "resnet32",
    "resnet33",
    "wrn28_2",
]


def page(name: str) -> str:
    text = explain(name)
    assert text is not None
    return text


def flat(text: str) -> str:
    return " ".join(text.split())


class TestCodes:
    @pytest.mark.parametrize("code", CODES)
    def test_page(self, code: str) -> None:
        explanation = code_explanations(code[:2]).by_name[code]
        text = page(code)
        assert text.startswith(f"{code}: {CODES[code]}\n\n")
        assert flat(explanation.text) in flat(text)
        for _, example in explanation.examples:
            assert "\n".join(f"    {line}".rstrip() for line in example.splitlines()) in text
        assert explain(code.lower()) == text

    def test_the_whole_of_one(self) -> None:
        assert page("E209") == (
            "E209: an argument given twice\n"
            "\n"
            "An argument is given twice: by name, or once by its place and once by name.\n"
            "\n"
            "A mistake:\n"
            "\n"
            "    graph one {\n"
            "        node a = resnet(8, depth=14)\n"
            "        target a\n"
            "        edge label -> a\n"
            "    }\n"
            "\n"
            "Its correction:\n"
            "\n"
            "    graph one {\n"
            "        node a = resnet(depth=14)\n"
            "        target a\n"
            "        edge label -> a\n"
            "    }"
        )

    def test_a_family_lists_its_codes(self) -> None:
        assert page("W3").startswith("W3: ")
        assert "\n\n  W301  " in page("W3")


class TestWords:
    @pytest.mark.parametrize(("kind", "word"), WORDS)
    def test_meaning_source_and_every_parameter(self, kind: str, word: str) -> None:
        entry = entries(kind)[word]
        text = page(f"{kind}:{word}")
        assert text.startswith(f"{word}, a")
        assert "__doc__" in vars(entry), "an entry has a docstring of its own"
        assert flat(str(entry.__doc__)) in flat(text)
        assert "not supported" not in text
        for name, field in entry.model_fields.items():
            lines = [line for line in text.splitlines() if line.startswith(f"  {name} ")]
            assert len(lines) == 1
            assert (lines[0] == f"  {name} (required)") == field.is_required()
            assert field.description
            assert flat(field.description) in flat(text)

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("kl", "  T = 1\n      a number or a schedule, greater than 0 and at most 10000;"),
            ("kl", "  scale (optional)\n      a number, at least 0; factor on the divergence"),
            ("ce", "  smoothing = 0\n      a number, at least 0 and less than 1; share of"),
            ("mse", "  on = logits\n      `logits` or `probabilities`; what is compared"),
            ("sgd", "  nesterov = false\n      true or false; look ahead along the momentum"),
            ("adamw", "  betas = [0.9, 0.999]\n      a list of 2, each a number, at least 0 and"),
            ("adamw", "  lr = 0.001\n"),
            ("resnet", "  depth (required)\n      a whole number, at least 8; layers, 6n + 2"),
            (
                "until",
                "  moment (required)\n"
                "      a number of epochs, or a percentage of the steps; the last open step",
            ),
            (
                "rampup",
                "  length (required)\n"
                "      a number of epochs, or a percentage of the steps, greater than 0;",
            ),
            ("multistep", "  at (required)\n      a list of 1 or more, each a number of epochs,"),
        ],
    )
    def test_types_ranges_and_defaults(self, name: str, expected: str) -> None:
        assert expected in page(name)

    def test_the_letters_of_a_formula_are_said(self) -> None:
        assert "k counts the steps of the phase from 1, k_end is their number." in page("linear")
        assert "p = softmax(z)" in page("kl")

    def test_one_word_of_two_kinds(self) -> None:
        kinds, gate, schedule = page("cosine").split("\n\n\n")
        assert kinds.startswith("cosine: a gate and a schedule\n")
        assert "`ktgc explain schedule:cosine` shows one alone" in flat(kinds)
        assert gate.startswith("cosine, a gate\n")
        assert schedule.startswith("cosine, a schedule\n")
        assert page("gate:cosine") == gate
        assert page("schedule:cosine") == schedule
        assert explain("loss:cosine") is None

    @pytest.mark.parametrize(
        ("word", "kinds"),
        [
            ("constant", ["network", "schedule"]),
            ("attention", ["loss", "combine"]),
            ("linear", ["gate", "combine"]),
            ("python", ["network", "loss", "gate", "dataset"]),
        ],
    )
    def test_a_word_is_listed_in_each_of_its_kinds(self, word: str, kinds: list[str]) -> None:
        first, *titles = [each.partition("\n")[0] for each in page(word).split("\n\n\n")]
        assert titles == [f"{word}, a {kind}" for kind in kinds]
        *others, last = [f"a {kind}" for kind in kinds]
        assert first == f"{word}: {', '.join(others)} and {last}"

    def test_a_word_of_one_kind_has_one_page(self) -> None:
        assert page("sum").startswith("sum, a combine\n")
        assert "\n\n\n" not in page("sum")

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("during", "  phases (required)\n      a list of 1 or more, each a phase; phases with"),
            ("gated", "  by (required)\n      a place inside a network; where the gate looks"),
            ("ensemble", "  members (required)\n      a list of 1 or more, each a node; the nodes"),
            ("ensemble", "  combine = mean\n      a combine; how they are combined"),
            ("accuracy", "  of (required)\n      a node, or one of its heads; whose answers count"),
            (
                "dkd",
                "  warmup = 20\n      a number of epochs, or a percentage of the steps; rise",
            ),
            ("shard", "  index (required)\n      a whole number, at least 0; which part"),
            ("learn", "  learn (required)\n      a list of 1 or more, each a node; the nodes that"),
            ("layers", "  layers (required)\n      a list of 1 or more, each a place inside a"),
            ("search.objective", "  objective (optional)\n      an objective; what counts;"),
            ("data.labeled", "  labeled (optional)\n      a number of samples, or a percentage"),
        ],
    )
    def test_places_and_words_within_words(self, name: str, expected: str) -> None:
        assert expected in page(name)

    @pytest.mark.parametrize(
        ("short", "full"),
        [("resnet32", "resnet(depth=32)"), ("wrn28_2", "wrn(depth=28, widen=2)")],
    )
    def test_short_forms(self, short: str, full: str) -> None:
        word = full.partition("(")[0]
        title, told, rest = page(short).split("\n\n", 2)
        assert title == f"{short}, a network"
        assert told == f"Short for `{full}`."
        assert page(word) == f"{word}, a network\n\n{rest}"
        assert page(f"network:{short}") == page(short)

    def test_a_short_form_of_nothing(self) -> None:
        told = "It would be short for `resnet(depth=33)`, but its `depth` must be 6n + 2, such as"
        assert told in flat(page("resnet33"))

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_kind_lists_its_words(self, kind: str) -> None:
        text = page(kind).split("\n\n\n")[0]
        assert text.startswith(f"{kind}, a kind of words\n")
        assert all(f"\n  {word} " in text for word in entries(kind))


class TestKeywords:
    def test_every_keyword_is_explained(self) -> None:
        assert {word.upper() for word in KEYWORDS} == RESERVED

    @pytest.mark.parametrize("word", KEYWORDS)
    def test_the_example_has_it_and_is_sound(self, word: str, tmp_path: Path) -> None:
        (tmp_path / "mine.ktg").write_text("train { epochs = 5 }\n")
        (example,) = KEYWORDS[word].examples
        assert re.search(rf"\b{word}\b", example.text)
        assert compile_source(Source("x", f"{example.text}\n"), tmp_path).diagnostics == ()

    @pytest.mark.parametrize("word", KEYWORDS)
    def test_page(self, word: str) -> None:
        first, *others = page(word).split("\n\n\n")
        assert first.startswith(f"{word}, a keyword\n")
        assert flat(KEYWORDS[word].text) in flat(first)
        titles = [each.partition("\n")[0] for each in others if not each.startswith("ktgc ")]
        assert titles[:1] == ([f"{word}, and its settings"] if word in BLOCKS else [])


class TestCommandsAndFiles:
    def test_every_verb_is_explained(self) -> None:
        assert list(commands().by_name) == list(VERBS)

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_has_a_page_with_a_command_line_that_is_one(self, verb: str) -> None:
        (last,) = [p for p in page(verb).split("\n\n\n") if p.startswith(f"ktgc {verb}, a command")]
        (example,) = commands().by_name[verb].examples
        assert f"    {example.text}" in last
        program, *arguments = example.text.partition(" > ")[0].split()
        assert program == "ktgc"
        assert parser().parse_args(arguments).verb.__module__ == f"ktgdsl.cli.{verb}"
        assert page(f"ktgc {verb}") == last

    @pytest.mark.parametrize("file", written_files().by_name)
    def test_a_file_has_a_page(self, file: str) -> None:
        assert page(file).startswith(f"{file}, a f")
        assert page(f"runs/dml3/{file}") == page(file)

    def test_the_graphs_of_a_search(self) -> None:
        assert page("top") == page("runs/space/top/") == page("best.ktg")


class TestSettings:
    def test_every_class_of_settings_is_explained(self) -> None:
        classes = {
            each
            for module in (settings, rare_settings, search)
            for each in vars(module).values()
            if isinstance(each, type)
            and issubclass(each, Parameters)
            and each.__name__.endswith("Settings")
        }
        assert set(BLOCKS.values()) == classes

    @pytest.mark.parametrize(("block", "name"), SETTINGS)
    def test_block_default_and_description(self, block: str, name: str) -> None:
        field = BLOCKS[block].model_fields[name]
        text = page(f"{block}.{name}")
        assert text.startswith(f"{block}.{name}, a setting\n\n  {name} ")
        assert flat(field.description or "") in flat(text)
        assert text in page(name).split("\n\n\n")
        assert f"\n  {name} " in page(block)

    def test_the_whole_of_one(self) -> None:
        assert page("train.aggregate") == (
            "train.aggregate, a setting\n"
            "\n"
            "  aggregate = sum\n"
            "      `sum` or `mean`; of the transfer losses into a node\n"
            "\n"
            "`train { ... }`. The defaults are the paper's (Sec. 4.1), but for the epochs.\n"
            "\n"
            "The weight decay, of which the paper says nothing, is its code's."
        )

    def test_defaults_that_are_words_with_arguments(self) -> None:
        default = "optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.0005)"
        assert default in flat(page("train.optimizer"))
        assert "validation = 20%" in page("validation")


class TestAnyName:
    @pytest.mark.parametrize("name", NAMES)
    def test_fits_80_columns(self, name: str) -> None:
        assert max(map(len, page(name).splitlines())) <= WIDTH == 80

    @pytest.mark.parametrize("name", NAMES)
    def test_is_plain(self, name: str) -> None:
        text = page(name)
        assert text == text.strip()
        assert not any(line != line.rstrip() for line in text.splitlines())
        assert not any(
            leak in text for leak in ("<class", "typing.", "Annotated", "= None", "Undefined")
        )

    @pytest.mark.parametrize("name", ["", ":", ".", "gate:", "train.", "nothing", "gate.linear"])
    def test_unknown(self, name: str) -> None:
        assert explain(name) is None

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("lineer", "linear"),
            ("gate:lineer", "gate:linear"),
            ("resnt32", "resnet32"),
            ("train.agregate", "train.aggregate"),
            ("train.batch", "data.batch"),
            ("data.epochs", "train.epochs"),
            ("egde", "edge"),
            ("optimiser", "optimizer"),
            ("E3O4", "E304"),
            ("kd", "kl(T=4)"),
            ("loss:distillation", "kl(T=4)"),
            ("at", "attention"),
            ("crd", 'python("my_losses:loss")'),
            ("batch_size", "batch"),
            ("dropout", "wrn"),
            ("mean_teacher", "ema"),
        ],
    )
    def test_did_you_mean(self, name: str, expected: str) -> None:
        assert suggest(name) == [expected]

    @pytest.mark.parametrize("name", ["xyzzy", "teacher", "pkd"])
    def test_nothing_is_meant_that_is_only_a_little_alike(self, name: str) -> None:
        assert suggest(name) == []

    def test_several_that_may_be_meant(self) -> None:
        assert suggest("warm_up") == ["rampup(80)", "constant(warmup=5)"]
        assert suggest("lr") == ["sgd", "adamw", "adam"]

    def test_what_is_suggested_has_a_page(self) -> None:
        assert explain("kl(T=4)") == explain("kl")
        assert explain('python("my_losses:loss")') == explain("python")

    def test_overview(self) -> None:
        text = overview()
        assert max(map(len, text.splitlines())) <= WIDTH
        for name in (*FAMILIES, *KINDS, *BLOCKS):
            assert f"\n  {name} " in text
        words = {word for _, word in WORDS} | {name for _, name in SETTINGS} | KEYWORDS.keys()
        assert not words - set(text.replace(",", " ").split())
