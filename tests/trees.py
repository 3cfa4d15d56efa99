"""Hypothesis strategies for trees that say anything the grammar allows, sense or not."""

from typing import TypeVar

from hypothesis import strategies as st

from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.tree import (
    All,
    Argument,
    Binary,
    Block,
    Boolean,
    CallExpression,
    Choice,
    Declared,
    Edge,
    File,
    Graph,
    Let,
    List,
    Node,
    Number,
    PercentLiteral,
    Range,
    Reference,
    Setting,
    ShareStatement,
    StepsLiteral,
    String,
    Target,
    Term,
    Unary,
    Use,
    Value,
)

_T = TypeVar("_T")
AT = Span("generated", 0, 0)
NAMES = st.sampled_from(["a", "kl", "correct", "T", "stage2", "h_1", "a_rather_long_name"])
NUMBERS = st.integers(0, 10**9) | st.floats(
    0, allow_nan=False, allow_infinity=False, allow_subnormal=False
)
PERCENTS = st.integers(0, 1000) | st.sampled_from([12.5, 0.1, 99.99, 1e-7])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"))
STRINGS = TEXTS.map(lambda text: String(span=AT, value=text))
LEAVES = st.one_of(
    NUMBERS.map(lambda n: Number(span=AT, value=n)),
    PERCENTS.map(lambda n: PercentLiteral(span=AT, value=n)),
    NUMBERS.map(lambda n: StepsLiteral(span=AT, number=Number(span=AT, value=n))),
    st.booleans().map(lambda b: Boolean(span=AT, value=b)),
    STRINGS,
    NAMES.map(lambda n: CallExpression(span=AT, name=n, name_span=AT)),
    st.builds(
        lambda name, index: Reference(span=AT, name=name, index=Number(span=AT, value=index)),
        NAMES,
        st.integers(0, 9),
    ),
)


def _flat(options: list[Value]) -> Choice:
    inner = [
        o
        for option in options
        for o in (option.options if isinstance(option, Choice) else (option,))
    ]
    return Choice(span=AT, options=tuple(inner))


def _deeper(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.one_of(
        st.lists(values, max_size=3).map(lambda items: List(span=AT, items=tuple(items))),
        st.builds(lambda v: Unary(span=AT, operator="-", operand=v), values),
        st.builds(
            lambda o, left, right: Binary(span=AT, operator=o, left=left, right=right),
            st.sampled_from("+-*/"),
            values,
            values,
        ),
        st.builds(lambda low, high: Range(span=AT, low=low, high=high), values, values),
        st.lists(values, min_size=2, max_size=3).map(_flat),
        st.builds(
            lambda name, positional, named: CallExpression(
                span=AT,
                name=name,
                name_span=AT,
                arguments=(
                    *(Argument(span=AT, name=None, value=v) for v in positional),
                    *(Argument(span=AT, name=n, value=v) for n, v in named.items()),
                ),
            ),
            NAMES,
            st.lists(values, max_size=2),
            st.dictionaries(NAMES, values, max_size=2),
        ),
    )


def values(max_leaves: int = 12) -> st.SearchStrategy[Value]:
    """Values of every kind, nested."""
    return st.recursive(LEAVES, _deeper, max_leaves=max_leaves)


_SMALL = values(4)
_NAME_TAPS = NAMES.map(lambda n: CallExpression(span=AT, name=n, name_span=AT))
REFERENCES = st.builds(
    lambda name, index, tap: Reference(span=AT, name=name, index=index, tap=tap),
    NAMES | st.sampled_from(["*", "label"]),
    st.none() | st.just(All(span=AT)) | _SMALL,
    st.none() | _NAME_TAPS | STRINGS | _SMALL,
)


def _some(part: st.SearchStrategy[_T], least: int = 1) -> st.SearchStrategy[tuple[_T, ...]]:
    return st.lists(part, min_size=least, max_size=3).map(tuple)


SETTINGS = _some(
    st.builds(lambda n, v: Setting(span=AT, name=n, name_span=AT, value=v), NAMES, _SMALL), 0
)
_DECLARED = st.builds(
    lambda n, size: Declared(span=AT, name=n, size=size), NAMES, st.none() | _SMALL
)
_TERMS = st.one_of(
    st.just(()),
    _SMALL.map(lambda gate: (Term(span=AT, loss=None, gate=gate),)),
    _some(st.builds(lambda v, g: Term(span=AT, loss=v, gate=g), _SMALL, st.none() | _SMALL)),
)
_LOSSES = _some(st.builds(lambda v, g: Term(span=AT, loss=v, gate=g), _SMALL, st.none() | _SMALL))
MEMBERS = st.one_of(
    st.builds(
        lambda names, network, settings: Node(
            span=AT, names=names, network=network, settings=settings
        ),
        _some(_DECLARED),
        _SMALL,
        SETTINGS,
    ),
    _some(REFERENCES).map(lambda names: Target(span=AT, names=names)),
    st.builds(
        lambda sources, arrow, destinations, terms: Edge(
            span=AT, sources=sources, arrow=arrow, destinations=destinations, terms=terms
        ),
        _some(REFERENCES),
        st.sampled_from(["->", "<->"]),
        _some(REFERENCES),
        _TERMS,
    ),
    st.builds(
        lambda sources, terms: Edge(
            span=AT, sources=sources, arrow=None, destinations=(), terms=terms
        ),
        _some(REFERENCES),
        _LOSSES,
    ),
    st.builds(
        lambda names, s: ShareStatement(span=AT, names=names, settings=s),
        _some(REFERENCES),
        SETTINGS,
    ),
)
STATEMENTS = st.one_of(
    st.builds(
        lambda name, members: Graph(span=AT, name=name, statements=tuple(members)),
        NAMES,
        st.lists(MEMBERS, max_size=6),
    ),
    st.builds(lambda v, s: Block(span=AT, kind="data", subject=v, settings=s), _SMALL, SETTINGS),
    st.builds(lambda n, s: Block(span=AT, kind="phase", name=n, settings=s), NAMES, SETTINGS),
    st.builds(
        lambda kind, s: Block(span=AT, kind=kind, settings=s),
        st.sampled_from(["train", "pretrain", "search"]),
        SETTINGS,
    ),
    st.builds(
        lambda name, each, value: Let(span=AT, name=name, name_span=AT, each=each, value=value),
        NAMES,
        st.booleans(),
        _SMALL,
    ),
    STRINGS.map(lambda file: Use(span=AT, file=file)),
)
FILES = st.lists(STATEMENTS, max_size=4).map(lambda s: File(span=AT, statements=tuple(s)))
