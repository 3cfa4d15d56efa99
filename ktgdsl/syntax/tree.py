"""The tree: what a `.ktg` file says, with the place of every part, before it means anything.

Two trees are equal when they say the same; where they say it does not matter.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Annotated, Literal, Union

from pydantic import BaseModel, ConfigDict, Field

from ktgdsl.diagnostics.source import Span


class Syntax(BaseModel):
    """A part of the tree. Equality and hash ignore where it stands: fields named `...span`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    span: Span = Field(repr=False)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        said = _said(type(self))
        return bool(said(self) == said(other))

    def __hash__(self) -> int:
        return hash((type(self), _said(type(self))(self)))


@cache
def _said(part: type[Syntax]) -> Callable[[object], object]:
    """What gets from a part all that counts for equality."""
    return attrgetter(*(name for name in part.model_fields if not name.endswith("span")))


# Values


class Number(Syntax):
    """`64`, `5e-4`, `10_000`. An integer literal is an int, any other a float."""

    kind: Literal["number"] = "number"
    value: int | float


class PercentLiteral(Syntax):
    """`30%`: a share of the steps of a phase or of the samples; `value` is 30."""

    kind: Literal["percent"] = "percent"
    value: int | float


class Boolean(Syntax):
    """`true` or `false`."""

    kind: Literal["boolean"] = "boolean"
    value: bool


class String(Syntax):
    """`"text"`, without its quotes and with its escapes resolved."""

    kind: Literal["string"] = "string"
    value: str


class List(Syntax):
    """`[a, b]`."""

    kind: Literal["list"] = "list"
    items: tuple["Value", ...]


class Argument(Syntax):
    """One argument of a call, by position (`name` is None) or by name."""

    name: str | None
    value: "Value"


class CallExpression(Syntax):
    """`sgd(lr=0.1)` or a bare `sgd`, which says the same as `sgd()`.

    A bare name may also turn out to be a `let`, a node, or one of a few words.
    """

    kind: Literal["call"] = "call"
    name: str
    name_span: Span = Field(repr=False)
    arguments: tuple[Argument, ...] = ()


class Unary(Syntax):
    """`-x`."""

    kind: Literal["unary"] = "unary"
    operator: Literal["-"]
    operand: "Value"


class Binary(Syntax):
    """`x + y`, `x - y`, `x * y`, `x / y`."""

    kind: Literal["binary"] = "binary"
    operator: Literal["+", "-", "*", "/"]
    left: "Value"
    right: "Value"


class Choice(Syntax):
    """`x | y | z`: an open value, one of these. Never nested directly in a Choice."""

    kind: Literal["choice"] = "choice"
    options: tuple["Value", ...]


class Range(Syntax):
    """`lo .. hi`: an open value, ends included."""

    kind: Literal["range"] = "range"
    low: "Value"
    high: "Value"


class All(Syntax):
    """`*` as an index (`p[*]`) or as an endpoint."""

    kind: Literal["all"] = "all"


class Reference(Syntax):
    """A node or nodes, and maybe a place inside: `a`, `p[0]`, `p[*].stage2`, `*`, `label`.

    `name` is "*" for every network node and "label" for the labels. `tap` is a name of
    a stage, the module path as a string, or a choice of those. As a value (an argument
    such as `by=h[0].stage2`) a reference always has an index or a tap: a bare name is a
    CallExpression.
    """

    kind: Literal["reference"] = "reference"
    name: str
    index: Union["Value", All, None] = None
    tap: Union["Value", None] = None


Value = Annotated[
    Number
    | PercentLiteral
    | Boolean
    | String
    | List
    | CallExpression
    | Unary
    | Binary
    | Choice
    | Range
    | Reference,
    Field(discriminator="kind"),
]


# Statements


class Setting(Syntax):
    """`name = value` in a block."""

    name: str
    name_span: Span = Field(repr=False)
    value: Value


class Declared(Syntax):
    """A name that a `node` statement declares, with `[4]` or `[1 .. 6]` for an array."""

    name: str
    size: Value | None = None


class Node(Syntax):
    """`node a, b[2] = resnet8 { settings }`."""

    kind: Literal["node"] = "node"
    names: tuple[Declared, ...]
    network: Value
    settings: tuple[Setting, ...] = ()


class Target(Syntax):
    """`target a, b`."""

    kind: Literal["target"] = "target"
    names: tuple[Reference, ...]


class Term(Syntax):
    """`LOSS via GATE`; what is left out is None."""

    loss: Value | None
    gate: Value | None


class Edge(Syntax):
    """`edge a, b -> c : kl via linear`; without destinations (`arrow` None) unary terms.

    `terms` is empty when neither losses nor a gate are given.
    """

    kind: Literal["edge"] = "edge"
    sources: tuple[Reference, ...]
    arrow: Literal["->", "<->"] | None
    destinations: tuple[Reference, ...]
    terms: tuple[Term, ...] = ()


class ShareStatement(Syntax):
    """`share a, b { layers = [...] }`."""

    kind: Literal["share"] = "share"
    names: tuple[Reference, ...]
    settings: tuple[Setting, ...] = ()


GraphStatement = Annotated[Node | Target | Edge | ShareStatement, Field(discriminator="kind")]


class Graph(Syntax):
    """`graph NAME { node ... target ... edge ... share ... }`."""

    kind: Literal["graph"] = "graph"
    name: str
    statements: tuple[GraphStatement, ...]


class Block(Syntax):
    """`data`, `train`, `search` or `phase`: settings between braces.

    `subject` is the data set of a `data` block; `name` the name of a `phase`.
    """

    kind: Literal["data", "train", "search", "phase"]
    subject: Value | None = None
    name: str | None = None
    settings: tuple[Setting, ...] = ()


class Let(Syntax):
    """`let NAME = value`, or `let each NAME = value`, drawn afresh at each mention."""

    kind: Literal["let"] = "let"
    name: str
    name_span: Span = Field(repr=False)
    each: bool = False
    value: Value


class Use(Syntax):
    """`use "recipes/cifar.ktg"`."""

    kind: Literal["use"] = "use"
    file: String


Statement = Annotated[Graph | Block | Let | Use, Field(discriminator="kind")]


class File(Syntax):
    """A whole file: its statements in the order written."""

    kind: Literal["file"] = "file"
    statements: tuple[Statement, ...]

    @property
    def graph(self) -> Graph | None:
        """The first graph, if there is one."""
        return next((s for s in self.statements if isinstance(s, Graph)), None)

    def block(self, kind: str) -> Block | None:
        """The first block of a kind, if there is one."""
        blocks = (s for s in self.statements if isinstance(s, Block))
        return next((b for b in blocks if b.kind == kind), None)
