"""What is shown of a word with its arguments, and that it means the same in a spec."""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.vocabulary.call import Call, format_path
from ktgdsl.vocabulary.entry import Entry, Percentage
from ktgdsl.vocabulary.refs import NodeRef, PhaseRef, Tap
from ktgdsl.vocabulary.registry import entries
from tests.words import ALL, found, name_of

KEYWORDS = {keyword.lower() for keyword in RESERVED}
Values = st.SearchStrategy[Any]

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in KEYWORDS
)
# No spec can have a carriage return in a string.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NODES = st.builds(NodeRef, NAMES, st.none() | st.just("*") | st.integers(0, 99))
ANSWERS = NODES | st.builds(Tap, NAMES, NODES)
PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(10**20), 10**20)
    | FLOATS
    | TEXTS
    | st.builds(Percentage, FLOATS.map(abs)),
    lambda item: st.lists(item, max_size=3),
    max_leaves=5,
)
# Names that mean something else to Python or to pydantic.
STRANGE = st.sampled_from(["on", "cls", "self", "kind", "word", "call", "model_config", "values"])
EXTRAS = st.dictionaries((STRANGE | NAMES).filter(lambda n: n != "function"), PLAIN, max_size=3)
PARTICULAR: dict[str, Values] = {
    "network resnet depth": st.integers(1, 99).map(lambda n: 6 * n + 2),
    "network wrn depth": st.integers(1, 99).map(lambda n: 6 * n + 4),
    "network torchvision name": st.sampled_from(["resnet18", "vit_b_16", "densenet121"]),
    "network timm name": st.from_regex(r"[a-z][\w.-]*", fullmatch=True),
    "combine gated by": st.builds(Tap, TEXTS | NAMES, NODES),
    "objective accuracy of": ANSWERS,
    "objective miou of": ANSWERS,
    "objective f1 of": ANSWERS,
}
PLACES: dict[object, Values] = {
    NodeRef: NODES,
    Tap: st.builds(Tap, TEXTS | NAMES),
    PhaseRef: st.builds(PhaseRef, NAMES),
    Percentage: st.builds(Percentage, st.floats(0, 100)),
    bool: st.booleans(),
    str: TEXTS,
    NoneType: st.none(),
}


def values(annotation: Any, metadata: tuple[Any, ...] = ()) -> Values:
    """Values of a type within its limits."""
    if get_origin(annotation) is Annotated:
        base, *notes = get_args(annotation)
        return values(base, tuple(note for each in notes for note in getattr(each, "metadata", ())))
    limits = {
        name: getattr(each, name)
        for each in metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length")
        if hasattr(each, name)
    }
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return st.one_of([values(each, metadata) for each in get_args(annotation)])
    if get_origin(annotation) is list:
        least, most = limits.get("min_length", 0), limits.get("max_length", 4)
        return st.lists(values(get_args(annotation)[0]), min_size=least, max_size=most)
    if annotation is int:
        return st.integers(limits.get("ge", 0), limits.get("le", 10**9))
    if annotation is float:
        above, below = limits.get("gt", limits.get("ge", 0)), limits.get("lt", limits.get("le"))
        return st.floats(above, below, exclude_min="gt" in limits, exclude_max="lt" in limits,
                         allow_infinity=False)  # fmt: skip
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return st.sampled_from(list(entries(annotation.kind).values())).flatmap(words)
    return PLACES[annotation]


@st.composite
def words(draw: st.DrawFn, entry: type[Entry]) -> Entry:
    """The word with random arguments."""
    arguments = {
        name: draw(
            PARTICULAR.get(f"{name_of(entry)} {name}", values(field.annotation, (*field.metadata,)))
            if name != "function"
            else st.just("package.module:name")
        )
        for name, field in entry.model_fields.items()
        if field.is_required() or draw(st.booleans())
    }
    extra = draw(EXTRAS) if entry.word == "python" else {}
    try:
        return entry.model_validate({**extra, **arguments})
    except ValidationError:  # such as a momentum of 0 where `nesterov` needs one
        reject()


@pytest.mark.parametrize("entry", ALL, ids=name_of)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_what_is_shown_means_the_same(entry: type[Entry], data: st.DataObject) -> None:
    made = data.draw(words(entry))
    again = found(entry.kind, str(made.call()))
    assert again.call() == made.call()
    if getattr(made, "scale", 1) is not None:  # the default is told as T²
        assert again == made


WORDS = {"on", "by", "std", "connector", "margin", "norm", "buffers", "labels"}


def test_arguments_that_are_one_of_several_words_have_names_of_their_own() -> None:
    """What is shown knows by the name of an argument that a word stands without quotes."""
    told = {
        (name, get_origin(field.annotation) is Literal)
        for entry in ALL
        for name, field in entry.model_fields.items()
    }
    assert {name for name, one_of_several in told if one_of_several} == WORDS
    assert not {(name, False) for name in WORDS - {"by"}} & told  # `gated(by=tap)`


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("network", "resnet8", "resnet(depth=8, stride=1)"),
        ("network", 'torchvision("resnet18")', 'torchvision("resnet18")'),
        ("network", "ema(p[*])", "ema(of=p[*], decay=0.999, warmup=true, buffers=own)"),
        ("network", "ensemble(h, combine=gated(h[0].stem))",
         "ensemble(members=[h], combine=gated(by=h[0].stem), on=logits, others=false, "
         "detach=true)"),
        ("network", 'python("m:f", on="logits", low=-1.0, at=[1%, 2])',
         'python("m:f", on="logits", low=-1, at=[1%, 2])'),
        ("loss", "kl(T=4)", "kl(T=4, scale=16)"),
        ("loss", "mse", "mse(on=logits)"),
        ("loss", 'fsp("stage2")', "fsp(with=stage2)"),
        ("loss", 'fsp("share")', 'fsp(with="share")'),
        ("loss", 'fsp("a b")', 'fsp(with="a b")'),
        ("gate", "through", "through"),
        ("gate", "during(hints, distil)", "during(phases=[hints, distil])"),
        ("gate", "until(0.00001%)", "until(moment=0.00001%)"),
        ("combine", "gated(h[0].stage2)", "gated(by=h[0].stage2)"),
        ("combine", 'gated(h[0]."layer1.0")', 'gated(by=h[0]."layer1.0")'),
        ("objective", "accuracy(a)", "accuracy(of=a, on=validation)"),
    ],
)  # fmt: skip
def test_what_is_shown(kind: str, text: str, expected: str) -> None:
    assert str(found(kind, text).call()) == expected


def test_text_is_shown_with_its_escapes() -> None:
    call = Call(name="python", arguments={"function": "m:f", "name": 'a "b" \\ c\td\n'})
    assert str(call) == r'python("m:f", name="a \"b\" \\ c\td\n")'


def test_what_is_not_given_is_not_shown() -> None:
    assert str(Call(name="f", arguments={"a": None, "b": 1})) == "f(b=1)"
    assert str(Call(name="f", arguments={"a": None})) == "f"


@pytest.mark.parametrize("keyword", sorted(KEYWORDS))
def test_a_place_called_like_a_keyword_stands_in_quotes(keyword: str) -> None:
    assert format_path(keyword) == f'"{keyword}"'
    assert format_path(f"{keyword}1") == f"{keyword}1"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("stage2.pre", "stage2.pre"),
        ("layer1.0.pre", '"layer1.0.pre"'),
        ("data.pre", '"data.pre"'),
        ("stage2.bn", '"stage2.bn"'),
        (".pre", '".pre"'),
    ],
)
def test_of_paths_only_those_before_a_relu_stand_without_quotes(path: str, written: str) -> None:
    assert format_path(path) == written
