"""What a pointer on a word tells: its documentation, and what it is resolved to."""

from pathlib import Path

import pytest

from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.source import Source
from ktgdsl.editor import documentation
from ktgdsl.editor.document import Document
from ktgdsl.editor.hover import hover
from ktgdsl.editor.names import definition
from ktgdsl.report.explain import explain, keywords
from ktgdsl.syntax.tokens import start_offset
from ktgdsl.vocabulary.registry import BLOCKS, KINDS, entries, settings_of
from tests.editor.texts import at, marked
from tests.paths import SPECS


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("k‸l(", "T² KL(p_s(z/T) || p_t(z/T))"),
        ("via lin‸ear", "k counts the steps of the phase from 1"),
        ("= resnet1‸4", "Short for `resnet(depth=14)`."),
        ("‸T=T", "temperature of both distributions"),
        ("T=T‸", "It is `4`."),
        ("let ‸T", "let T = 2 * 2"),
        (
            "edge ‸t ->",
            "- `t`: resnet14 (172,218 parameters); auxiliary; pre-trained on the labels",
        ),
        ("node a, ‸b", "- `b`: dropped; "),
        ("edge t -‸>", "- `t -> a`: `kl(T=4, scale=16) via 0.5 * linear(start=0, stop=1)`"),
        ("edge label -‸>", "- `label -> a`: `ce(smoothing=0) via through`"),
        ("bat‸ch", "Here it is `32`."),
        ("‸frozen", "never trained by this graph"),
        ("phase wa‸rm", "a learns, 20 epochs"),
        ("ph‸ase", "**phase**, a keyword"),
        ("dig‸its", "Handwritten digits"),
        ("graph ‸g", "2 nodes, 2 edges, target a"),
    ],
)
def test_what_is_told(place: str, said: str) -> None:
    found = hover(*at(place))
    assert found is not None
    assert said in found.markdown


def test_a_mistake_is_explained() -> None:
    found = hover(*marked("graph g { node a = res‸nt8 }"))
    assert found is not None
    assert found.markdown == documentation.code("E201")
    assert found.markdown.startswith(f"**E201**: {CODES['E201']}\n\n")


def test_a_space_shows_its_first_point() -> None:
    text = (
        "graph g { node a, b = resnet8 target a edge label -> * edge b -‸> a : kl via linear | 1 }"
    )
    found = hover(*marked(text))
    assert found is not None
    assert found.markdown.startswith("At the first valid point of the space:\n\n- `b -> a`: ")


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ("edge b ‸-> a : kl via cutoff", "- `b -> a`: dropped; "),
        ("edge b ‸-> a : kl edge b -> a : js", "No edge of the plan comes from here."),
        ("edge b <‸-> a : kl", "- `b -> a`: `kl(T=1, scale=1) via through`\n- `a -> b`: "),
        ("edge ‸a : -0.1 * entropy", "- `a`: `-0.1 * entropy via through`"),
    ],
)
def test_what_became_of_an_edge(edges: str, said: str) -> None:
    text = "graph g {{ node a, b = resnet8 target a edge label -> * {} }}"
    place = edges.replace("‸", "")
    found = hover(*at(f"‸{place}", text.format(place)))
    assert found is not None
    assert said in found.markdown


def test_a_long_list_is_cut_off() -> None:
    text = "graph g { node p[5] = resnet8 target p edge label -> * edge p ‸-> p : kl }"
    found = hover(*marked(text))
    assert found is not None
    assert found.markdown.count("\n- ") == 12
    assert found.markdown.endswith("\n- and more")


@pytest.mark.parametrize("text", ["‸", "# not‸hing", "graph g { ‸  \n }", "train {‸ }"])
def test_nothing_is_told_of_nothing(text: str) -> None:
    found = hover(*marked(f"{text}\ngraph g {{ node a = resnet8 target a edge label -> a }}"))
    assert found is None or "**E" in found.markdown


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "").replace("*", "").split())


@pytest.mark.parametrize(("kind", "word"), [("loss", "kl"), ("gate", "linear"), ("network", "wrn")])
def test_it_is_what_explain_tells(kind: str, word: str) -> None:
    """The sentences are those of `ktgc explain`, in Markdown."""
    told = _plain(str(explain(f"{kind}:{word}")))
    for paragraph in documentation.word(kind, word).split("\n\n")[1:]:
        for line in paragraph.split("\n- "):
            for part in line.removeprefix("- ").split("`: "):
                assert _plain(part) in told


def test_everything_is_documented() -> None:
    for kind in KINDS:
        for word, entry in entries(kind).items():
            assert documentation.word(kind, word)
            assert all(documentation.argument(kind, word, name) for name in entry.positions())
    for block in BLOCKS:
        assert all(documentation.setting(block, name) for name in settings_of(block).model_fields)
    assert all(documentation.keyword(name) for name in keywords().by_name)
    assert all(documentation.code(code) for code in CODES)


GALLERY = sorted(SPECS.glob("*.ktg"))


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_every_name_of_a_spec_is_known(path: Path) -> None:
    """What it is, where it is declared, and a text about it."""
    text = path.read_bytes().decode()
    document = Document(Source(str(path), text), path.parent)
    known = {each.span.start: each for each in document.mentions}
    for token in document.tokens:
        if token.type == "NAME" and token.value != "log":
            mention = known[start_offset(token)]
            assert mention.name == token.value
            if mention.role in ("node", "let", "phase"):
                assert len(definition(document, start_offset(token))) == 1
            if not (mention.role == "argument" and ":python" in mention.owner):
                found = hover(document, start_offset(token))
                assert found is not None
                assert found.markdown
