"""Where names are declared and mentioned, and how they are changed everywhere."""

from pathlib import Path

import pytest

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.editor.document import Document
from ktgdsl.editor.names import Refused, definition, edited, references, rename
from tests.editor.texts import HERE, MARK, at, document, marked

EVERYWHERE = """\
graph g {
    node n[2] = resnet8           # n in a comment
    node linear = resnet14        # a node may be called as a gate is
    node mix = ensemble(n, combine=gated(by=n[0].stage2))
    node slow = ema(n)
    target n
    share n { layers = [stem] }
    edge label -> *
    edge linear -> n : kl(T=T) via linear
    edge n[0].stage1 -> n[1].stage1 : fsp(with=n[0].stage2)
    edge mix -> n : kl(T=T * 2)
}
let T = base
let base = 4
phase first { learn = [n, linear] }
phase last { learn = [n] take = best }
search { objective = accuracy(n[0]) }
"""


def found(place: str) -> list[str]:
    """The lines that mention the name at a place."""
    text, offset = at(place, EVERYWHERE)
    return [_line(EVERYWHERE, span.start) for span in references(text, offset)]


def _line(text: str, offset: int) -> str:
    return text[text.rfind("\n", 0, offset) + 1 :].partition("\n")[0].split()[0]


class TestFinds:
    def test_a_node(self) -> None:
        assert len(found("node ‸n[2]")) == 14
        assert found("target ‸n") == found("accuracy(‸n[0])")

    def test_a_node_that_is_called_as_a_gate(self) -> None:
        assert found("edge lin‸ear ->") == ["node", "edge", "phase"]

    def test_a_gate_where_a_node_is_called_so(self) -> None:
        assert found("via lin‸ear") == ["edge"]

    def test_a_let(self) -> None:
        assert found("let ‸T") == ["edge", "edge", "let"]
        assert found("let T = ba‸se") == ["let", "let"]

    def test_where_it_is_declared(self) -> None:
        text, offset = at("accuracy(‸n[0])", EVERYWHERE)
        (span,) = definition(text, offset)
        assert (span.start, span.end) == (EVERYWHERE.index("n[2]"), EVERYWHERE.index("n[2]") + 1)

    def test_what_is_declared_in_a_used_file(self, tmp_path: Path) -> None:
        recipe = tmp_path / "base.ktg"
        recipe.write_text("let rate = 0.1", encoding="utf-8")
        text = 'use "base.ktg"\ntrain { clip = ra‸te }'
        (span,) = definition(*marked(text, tmp_path))
        assert (span.path, span.start, span.end) == (str(recipe), 4, 8)
        (span,) = definition(*marked(f'use "ba{MARK}se.ktg"', tmp_path))
        assert (span.path, span.start) == (str(recipe), 0)

    @pytest.mark.parametrize("place", ["‸edge linear", "via lin‸ear", "# ‸n in"])
    def test_nothing_is_declared(self, place: str) -> None:
        assert definition(*at(place, EVERYWHERE)) == []


class TestRenames:
    @pytest.mark.parametrize(
        ("place", "new"),
        [
            ("target ‸n", "student"),
            ("node lin‸ear", "teacher"),
            ("let ‸T", "temperature"),
            ("let ba‸se", "b"),
            ("phase fi‸rst", "warm"),
            ("graph ‸g", "other"),
            ("node m‸ix", "correct"),
        ],
    )
    def test_everywhere(self, place: str, new: str) -> None:
        text, offset = at(place, EVERYWHERE)
        before = compile_source(text.source, HERE)
        edits = rename(text, offset, new)
        assert not isinstance(edits, Refused)
        assert len(edits) == len(references(text, offset))
        after = compile_source(edited(text.source, edits), HERE)
        assert [d.code for d in after.diagnostics] == [d.code for d in before.diagnostics]
        # Back again it is the text that it was.
        changed = document(edited(text.source, edits).text)
        old = text.text(edits[0].span)
        back = rename(changed, min(e.span.start for e in edits), old)
        assert not isinstance(back, Refused)
        assert edited(changed.source, back).text == EVERYWHERE

    @pytest.mark.parametrize(
        ("place", "new", "why"),
        [
            ("target ‸n", "mix", "`mix` is the name of something else already"),
            ("target ‸n", "T", "`T` is the name of something else already"),
            ("target ‸n", "edge", "`edge` is a keyword"),
            ("target ‸n", "label", "`label` is a keyword"),
            ("target ‸n", "2n", "`2n` is not a name: letters, digits and `_`"),
            ("target ‸n", "", "`` is not a name: letters, digits and `_`"),
            ("let ‸T", "kl", "`kl` is the name of a loss and cannot be given to a `let`"),
            ("let ‸T", "n", "`n` is the name of something else already"),
            ("phase fi‸rst", "last", "`last` is the name of something else already"),
            ("via lin‸ear", "x", "there is no name to change here: a node, a `let`, a phase"),
            ("learn ‸= [n]", "x", "there is no name to change here: a node, a `let`, a phase"),
        ],
    )
    def test_refuses(self, place: str, new: str, why: str) -> None:
        refused = rename(*at(place, EVERYWHERE), new)
        assert isinstance(refused, Refused)
        assert refused.reason.startswith(why)

    def test_refuses_what_may_stand_in_a_broken_part(self) -> None:
        body = "node a, b = resnet8 target ‸a edge label -> * edge {} -> }}"
        refused = rename(*marked(f"graph g {{ {body.format('a')}"), "x")
        assert refused == Refused("`a` may stand in what does not parse: correct that first")
        edits = rename(*marked(f"graph g {{ {body.format('b')}"), "x")
        assert not isinstance(edits, Refused)
        assert len(edits) == 2

    def test_refuses_what_another_open_text_says_that_uses_this_one(self, tmp_path: Path) -> None:
        (tmp_path / "x.ktg").write_text("let rate = 0.1\nlet other = 1", encoding="utf-8")
        user = Source(str(tmp_path / "user.ktg"), 'use "x.ktg"\ntrain { clip = rate }')
        others = [Document(user, tmp_path)]
        refused = rename(*marked("let ra‸te = 0.1\nlet other = 1", tmp_path), "y", others)
        assert refused == Refused(
            "`rate` stands in user.ktg as well, which is not changed with this file"
        )
        edits = rename(*marked("let rate = 0.1\nlet oth‸er = 1", tmp_path), "y", others)
        assert not isinstance(edits, Refused)

    def test_refuses_what_a_used_file_says(self, tmp_path: Path) -> None:
        (tmp_path / "p.ktg").write_text("phase p { learn = [a] }", encoding="utf-8")
        text = 'use "p.ktg"\ngraph g { node ‸a = resnet8 target a edge label -> a }'
        refused = rename(*marked(text, tmp_path), "x")
        assert refused == Refused(
            "`a` stands in p.ktg as well, which is not changed with this file"
        )
