"""What colours `.ktg` text: the Pygments lexer and the TextMate grammar, held against ktg.lark."""

import json
import re
import subprocess
import sys
from itertools import accumulate
from pathlib import Path
from typing import Any

import lark
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String
from pygments.token import Whitespace as Blank

from ktgdsl.syntax import grammar
from ktgdsl.syntax.highlighter import KEYWORDS, KtgLexer
from ktgdsl.vocabulary import registry
from tests.paths import ROOT
from tests.textmate import paint, patterns, rules

SPECS = sorted([*ROOT.glob("specs/**/*.ktg"), *ROOT.glob("tests/good/**/*.ktg")])
TEXTMATE = json.loads((ROOT / "grammar" / "ktg.tmLanguage.json").read_text(encoding="utf-8"))
LARK = grammar.build()
WORDS = {  # the keywords in the wider sense, with the names that the grammar has for them
    terminal.pattern.value: terminal.name
    for terminal in LARK.terminals
    if terminal.pattern.type == "str" and terminal.pattern.value.isalpha()
}
KEYWORD_TERMINALS = set(WORDS.values()) - {"TRUE", "FALSE", "LABEL"}
OPERATORS = ["ARROW", "BOTH", "DOTS", "BAR", "PLUS", "MINUS", "STAR", "SLASH", "EQUALS"]

SAMPLE = """\
# A "comment".
use "base.ktg"
let each g = through | -0.5 * (1 - correct)
graph one {
    node h[3], m = wrn28_2 { frozen = true }
    target h[0]
    share [h, m] { layers = [stem] }
    edge label -> * : ce, mine(lr=5e-4, with=m.stem) via g
    edge m.(stage1 | stage2) <-> h."a.b" : hint
}
phase warm { epochs = 1 .. 30% }
"""

# Of each word of the sample, punctuation left out: what Pygments and TextMate make of it.
COLOURS = """
# A "comment".  Comment.Single          comment.line.number-sign
use             Keyword.Namespace       keyword.other.declaration
"base.ktg"      Literal.String.Double   string.quoted.double
let             Keyword.Declaration     keyword.other.declaration
each            Keyword.Declaration     keyword.other.declaration
g               Name.Constant           variable.other.constant
=               Operator                keyword.operator.assignment
through         Name.Builtin            variable.other
|               Operator                keyword.operator.choice
-               Operator                keyword.operator.arithmetic
0.5             Literal.Number          constant.numeric
*               Operator                keyword.operator.arithmetic
1               Literal.Number          constant.numeric
-               Operator                keyword.operator.arithmetic
correct         Name.Builtin            variable.other
graph           Keyword.Declaration     keyword.other.declaration
one             Name.Class              entity.name.type
node            Keyword.Declaration     keyword.other.declaration
h               Name.Variable           variable.other.node
3               Literal.Number          constant.numeric
m               Name.Variable           variable.other.node
=               Operator                keyword.operator.assignment
wrn28_2         Name.Builtin            variable.other
frozen          Name.Attribute          entity.other.attribute-name
=               Operator                keyword.operator.assignment
true            Keyword.Constant        constant.language.boolean
target          Keyword.Declaration     keyword.other.declaration
h               Name.Variable           variable.other.node
0               Literal.Number          constant.numeric
share           Keyword.Declaration     keyword.other.declaration
h               Name.Variable           variable.other.node
m               Name.Variable           variable.other.node
layers          Name.Attribute          entity.other.attribute-name
=               Operator                keyword.operator.assignment
stem            Name                    variable.other
edge            Keyword.Declaration     keyword.other.declaration
label           Name.Builtin.Pseudo     variable.language.label
->              Operator                keyword.operator.arrow
*               Operator                keyword.operator.arithmetic
ce              Name.Builtin            variable.other
mine            Name.Function           entity.name.function
lr              Name.Attribute          entity.other.attribute-name
=               Operator                keyword.operator.assignment
5e-4            Literal.Number          constant.numeric
with            Name.Attribute          entity.other.attribute-name
=               Operator                keyword.operator.assignment
m               Name.Variable           variable.other.node
stem            Name.Property           variable.other.property
via             Keyword                 keyword.control
g               Name                    variable.other
edge            Keyword.Declaration     keyword.other.declaration
m               Name.Variable           variable.other.node
stage1          Name.Property           variable.other.property
|               Operator                keyword.operator.choice
stage2          Name.Property           variable.other.property
<->             Operator                keyword.operator.arrow
h               Name.Variable           variable.other.node
"a.b"           Literal.String.Double   string.quoted.double
hint            Name.Builtin            variable.other
phase           Keyword.Declaration     keyword.other.declaration
warm            Name.Class              entity.name.type
epochs          Name.Attribute          entity.other.attribute-name
=               Operator                keyword.operator.assignment
1               Literal.Number          constant.numeric
..              Operator                keyword.operator.range
30%             Literal.Number          constant.numeric.percentage
"""
EXPECTED = [tuple(re.split(r"  +", line)) for line in COLOURS.strip().splitlines()]

# What every token of the language must be; what is not named here is punctuation.
TYPES = {
    "NAME": Name,
    "NUMBER": Number,
    "PERCENT": Number,
    "STRING": String.Double,
    "COMMENT": Comment.Single,
    "TRUE": Keyword.Constant,
    "FALSE": Keyword.Constant,
    "LABEL": Name.Builtin.Pseudo,
    **dict.fromkeys(KEYWORD_TERMINALS, Keyword),
    **dict.fromkeys(OPERATORS, Operator),
}
SCOPES = {
    "NAME": r"(variable\.other|entity)\..*",
    "NUMBER": r"constant\.numeric\.ktg",
    "PERCENT": r"constant\.numeric\.percentage\.ktg",
    "STRING": r"string\.quoted\.double\.ktg( constant\.character\.escape\.ktg)?",
    "COMMENT": r"comment\.line\.number-sign\.ktg",
    "TRUE": r"constant\.language\.boolean\.ktg",
    "FALSE": r"constant\.language\.boolean\.ktg",
    "LABEL": r"variable\.language\.label\.ktg",
    **dict.fromkeys(KEYWORD_TERMINALS, r"keyword\.(other\.declaration|control)\.ktg"),
    **dict.fromkeys(OPERATORS, r"keyword\.operator\.\w+\.ktg"),
}

each_spec = pytest.mark.parametrize(
    "path", SPECS, ids=lambda path: path.relative_to(ROOT).as_posix()
)
each_word = pytest.mark.parametrize("word", WORDS)


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")


def true_tokens(text: str) -> list[lark.Token]:
    """The tokens of the language itself, with the comments and without the blanks."""
    return [token for token in LARK.lex(text, dont_ignore=True) if token.type != "SPACE"]


def lexed(text: str) -> list[tuple[int, Any, str]]:
    return list(KtgLexer().get_tokens_unprocessed(text))


def without_blanks(text: str) -> list[tuple[int, Any, str]]:
    return [token for token in lexed(text) if token[1] is not Blank]


def sample() -> list[tuple[int, Any, str]]:
    return [token for token in without_blanks(SAMPLE) if token[1] is not Punctuation]


def test_there_are_specs() -> None:
    assert {path.stem for path in SPECS} >= {"dml3", "gates", "one", "fitnets", "space"}


class TestPygments:
    @each_spec
    def test_splits_a_spec_as_the_language_does(self, path: Path) -> None:
        found, expected = without_blanks(text_of(path)), true_tokens(text_of(path))
        assert [(i, word) for i, _, word in found] == [(t.start_pos, str(t)) for t in expected]
        for (_, kind, _), token in zip(found, expected, strict=True):
            assert kind in TYPES.get(token.type, Punctuation), token

    @each_spec
    def test_has_no_errors_and_loses_nothing(self, path: Path) -> None:
        text = text_of(path)
        tokens = list(KtgLexer(stripnl=False, ensurenl=False).get_tokens(text))
        assert not [word for kind, word in tokens if kind in Error]
        assert "".join(word for _, word in tokens) == text.replace("\r\n", "\n")

    @given(st.lists(st.sampled_from([*WORDS, "..", "->", *'a3%"#.[(){},:=\\é '])))
    def test_loses_nothing_of_any_text(self, words: list[str]) -> None:
        for text in ("".join(words), " ".join(words), "\r\n".join(words)):
            values = [word for _, _, word in lexed(text)]
            assert "".join(values) == text
            assert [i for i, _, _ in lexed(text)] == [0, *accumulate(map(len, values))][:-1]

    def test_types_of_a_sample(self) -> None:
        found = [(word, str(kind).removeprefix("Token.")) for _, kind, word in sample()]
        assert found == [(word, kind) for word, kind, _ in EXPECTED]

    def test_has_the_keywords_of_the_grammar(self) -> None:
        assert set(KEYWORDS.split()) == WORDS.keys()

    @each_word
    @pytest.mark.parametrize("start", ["", "graph ", "node a ", "edge a ", "a.", "a.(b ", "let "])
    def test_a_keyword_is_one_wherever_it_stands(self, start: str, word: str) -> None:
        _, kind, found = lexed(start + word)[-1]
        assert found == word
        assert kind in TYPES[WORDS[word]]

    @each_word
    def test_a_longer_word_is_no_keyword(self, word: str) -> None:
        for longer in (f"{word}s", f"{word}_1", f"{word}2", f"_{word}"):
            assert lexed(longer) == [(0, Name, longer)]

    @pytest.mark.parametrize("kind", registry.KINDS)
    def test_knows_every_word_of_the_vocabulary(self, kind: str) -> None:
        for word in registry.words(kind):
            assert lexed(f"x = {word}")[-1] == (4, Name.Builtin, word)

    @pytest.mark.parametrize("text", ["3px", "1.2.3", '"open', "$", "'", "\u2192", "1e", "5 %"])
    def test_what_is_no_token_is_an_error(self, text: str) -> None:
        assert any(kind is Error for _, kind, _ in lexed(text))

    @pytest.mark.parametrize(
        "broken", ["node a =", "node a[", "edge a.", "edge a.(b", "let", "phase", 'use "a']
    )
    def test_a_broken_statement_does_not_discolour_the_next(self, broken: str) -> None:
        assert without_blanks(f"{broken}\nnode b = kl")[-4:] == [
            (len(broken) + 1, Keyword.Declaration, "node"),
            (len(broken) + 6, Name.Variable, "b"),
            (len(broken) + 8, Operator, "="),
            (len(broken) + 10, Name.Builtin, "kl"),
        ]

    def test_is_found_by_name_and_by_file(self) -> None:
        assert isinstance(get_lexer_by_name("ktg"), KtgLexer)
        assert isinstance(get_lexer_for_filename("specs/dml3.ktg"), KtgLexer)

    @pytest.mark.parametrize(
        ("imported", "other", "expected"),
        [
            ("ktgdsl.cli.main, ktgdsl.compiler, ktgdsl.diagnostics.render", "pygments", False),
            ("ktgdsl.syntax.highlighter", "pygments", True),
            ("ktgdsl.syntax.highlighter", "torch", False),
        ],
    )
    def test_is_no_part_of_starting_up(self, imported: str, other: str, expected: bool) -> None:
        code = f"import sys, {imported}; print({other!r} in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert done.stdout.decode().strip() == str(expected)


class TestTextMate:
    @each_spec
    def test_finds_the_scopes_of_a_spec(self, path: Path) -> None:
        text = text_of(path)
        painted = paint(TEXTMATE, text)
        for token in true_tokens(text):
            start = token.start_pos or 0
            scope = SCOPES.get(token.type, r"punctuation\..*")
            for found in painted[start : start + len(token)]:
                assert re.fullmatch(scope, found), token
            painted[start : start + len(token)] = [""] * len(token)
        assert set(painted) <= {""}  # nothing between the tokens has a colour

    def test_scopes_of_a_sample(self) -> None:
        painted = paint(TEXTMATE, SAMPLE)
        found = [(word, set(painted[i : i + len(word)])) for i, _, word in sample()]
        assert found == [(word, {f"{scope}.ktg"}) for word, _, scope in EXPECTED]

    def test_escapes_in_a_string(self) -> None:
        string, escape = "string.quoted.double.ktg", "constant.character.escape.ktg"
        illegal = "invalid.illegal.escape.ktg"
        assert paint(TEXTMATE, r'"a\n\q" 1') == [
            *[string] * 2,
            *[f"{string} {escape}"] * 2,
            *[f"{string} {illegal}"] * 2,
            string,
            "",
            "constant.numeric.ktg",
        ]

    def test_is_registered_for_files_under_its_scope(self) -> None:
        assert TEXTMATE["scopeName"] == "source.ktg"
        assert TEXTMATE["fileTypes"] == ["ktg"]

    def test_every_pattern_means_the_same_to_oniguruma(self) -> None:
        """Editors use Oniguruma: every pattern keeps to what it reads as `re` does."""
        for pattern in patterns(TEXTMATE):
            re.compile(pattern)
            escaped = {pair[1] for pair in re.findall(r"\\.", pattern)}
            assert {sign for sign in escaped if sign.isalnum()} <= {"b", "s"}
            assert set(re.findall(r"\(\?<?.", pattern)) <= {"(?:", "(?=", "(?!", "(?<!"}
            assert not re.search(r"[*+?}]\+|\[\[|&&", pattern)

    def test_every_include_leads_somewhere_and_all_is_used(self) -> None:
        included = {rule["include"] for rule in rules(TEXTMATE) if "include" in rule}
        assert included == {f"#{name}" for name in TEXTMATE["repository"]}

    def test_has_the_keywords_of_the_grammar_and_no_other_words(self) -> None:
        text = re.sub(r"\\.", " ", " ".join(patterns(TEXTMATE)))
        assert set(re.findall(r"[A-Za-z]+", re.sub(r"\[[^]]*\]", " ", text))) == WORDS.keys()

    @each_word
    def test_a_keyword_is_one_and_a_longer_word_is_not(self, word: str) -> None:
        for found in paint(TEXTMATE, word):
            assert re.fullmatch(SCOPES[WORDS[word]], found)
        for longer in (f"{word}s", f"{word}_1", f"{word}2", f"_{word}"):
            assert set(paint(TEXTMATE, longer)) == {"variable.other.ktg"}

    @pytest.mark.parametrize("broken", ["node a", "node a[", "edge a.(b", "edge a", 'use "a'])
    @pytest.mark.parametrize("word", sorted(WORDS.keys() - {"each", "true", "false", "label"}))
    def test_a_broken_statement_ends_at_the_next(self, broken: str, word: str) -> None:
        for found in paint(TEXTMATE, f"{broken}\n{word}")[len(broken) + 1 :]:
            assert re.fullmatch(SCOPES[WORDS[word]], found)
