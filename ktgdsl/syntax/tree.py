"""The syntax tree of a `.ktg` file: one frozen class for each construct, validated by pydantic.

Every node knows its place in the source. Two trees are equal when they say the same; where they
say it does not matter.
"""

from dataclasses import field
from typing import Literal, Union

from pydantic import TypeAdapter

from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.node import IsInstance, node, rare_node
from ktgdsl.syntax.node import Syntax as Syntax

# Values


@node
class Number(Syntax):
    """`64`, `5e-4`, `10_000`. An integer literal is an int, any other a float."""

    kind: Literal["number"] = "number"
    value: int | float


@node
class PercentLiteral(Syntax):
    """`30%`: a share of the steps of a phase or of the samples; `value` is 30."""

    kind: Literal["percent"] = "percent"
    value: int | float


@rare_node
class StepsLiteral(Syntax):
    """`500 steps`: so many steps of the training."""

    kind: Literal["steps"] = "steps"
    number: IsInstance[Number]


@node
class Boolean(Syntax):
    """`true` or `false`."""

    kind: Literal["boolean"] = "boolean"
    value: bool


@rare_node
class String(Syntax):
    """`"text"`, without its quotes and with its escapes resolved."""

    kind: Literal["string"] = "string"
    value: str


@rare_node
class List(Syntax):
    """`[a, b]`."""

    kind: Literal["list"] = "list"
    items: tuple["Value", ...]


@rare_node
class Argument(Syntax):
    """One argument of a call, by position (`name` is None) or by name."""

    name: str | None
    value: "Value"


@node
class CallExpression(Syntax):
    """`sgd(lr=0.1)` or a bare `sgd`, which says the same as `sgd()`.

    A bare name may also turn out to be a `let`, a node, or one of a few words.
    """

    kind: Literal["call"] = "call"
    name: str
    name_span: IsInstance[Span] = field(compare=False)
    arguments: tuple[IsInstance[Argument], ...] = ()


@rare_node
class Unary(Syntax):
    """`-x`."""

    kind: Literal["unary"] = "unary"
    operator: Literal["-"]
    operand: "Value"


@rare_node
class Binary(Syntax):
    """`x + y`, `x - y`, `x * y`, `x / y`."""

    kind: Literal["binary"] = "binary"
    operator: Literal["+", "-", "*", "/"]
    left: "Value"
    right: "Value"


@rare_node
class Choice(Syntax):
    """`x | y | z`: an open value, one of these. Never nested directly in a Choice."""

    kind: Literal["choice"] = "choice"
    options: tuple["Value", ...]


@rare_node
class Range(Syntax):
    """`lo .. hi`: an open value, ends included."""

    kind: Literal["range"] = "range"
    low: "Value"
    high: "Value"


@rare_node
class All(Syntax):
    """`*` as an index (`p[*]`) or as an endpoint."""

    kind: Literal["all"] = "all"


@rare_node
class Reference(Syntax):
    """A node or nodes, and maybe a place inside: `a`, `p[0]`, `p[*].stage2`, `*`, `label`.

    `name` is "*" for every network node and "label" for the labels. `tap` is a name of
    a stage, the module path as a string, or a choice of those. As a value (an argument
    such as `by=h[0].stage2`) a reference always has an index or a tap: a bare name is a
    CallExpression.
    """

    kind: Literal["reference"] = "reference"
    name: str
    index: Union["Value", IsInstance[All], None] = None
    tap: Union["Value", None] = None


Value = IsInstance[
    Number
    | PercentLiteral
    | StepsLiteral
    | Boolean
    | String
    | List
    | CallExpression
    | Unary
    | Binary
    | Choice
    | Range
    | Reference
]


# Statements


@node
class Setting(Syntax):
    """`name = value` in a block."""

    name: str
    name_span: IsInstance[Span] = field(compare=False)
    value: Value


@node
class Declared(Syntax):
    """A name that a `node` statement declares, with `[4]` or `[1 .. 6]` for an array."""

    name: str
    size: Value | None = None


@node
class Node(Syntax):
    """`node a, b[2] = resnet8 { settings }`."""

    kind: Literal["node"] = "node"
    names: tuple[IsInstance[Declared], ...]
    network: Value
    settings: tuple[IsInstance[Setting], ...] = ()


@node
class Target(Syntax):
    """`target a, b`."""

    kind: Literal["target"] = "target"
    names: tuple[IsInstance[Reference], ...]


@node
class Term(Syntax):
    """`LOSS via GATE`; what is left out is None."""

    loss: Value | None
    gate: Value | None


@node
class Edge(Syntax):
    """`edge a, b -> c : kl via linear`; without destinations (`arrow` None) unary terms.

    `terms` is empty when neither losses nor a gate are given.
    """

    kind: Literal["edge"] = "edge"
    sources: tuple[IsInstance[Reference], ...]
    arrow: Literal["->", "<->"] | None
    destinations: tuple[IsInstance[Reference], ...]
    terms: tuple[IsInstance[Term], ...] = ()


@rare_node
class ShareStatement(Syntax):
    """`share a, b { layers = [...] }`."""

    kind: Literal["share"] = "share"
    names: tuple[IsInstance[Reference], ...]
    settings: tuple[IsInstance[Setting], ...] = ()


GraphStatement = IsInstance[Node | Target | Edge | ShareStatement]


@node
class Graph(Syntax):
    """`graph NAME { node ... target ... edge ... share ... }`."""

    kind: Literal["graph"] = "graph"
    name: str
    statements: tuple[GraphStatement, ...]


@node
class Block(Syntax):
    """`data`, `train`, `pretrain`, `search` or `phase`: settings between braces.

    `subject` is the data set of a `data` block; `name` the name of a `phase`.
    """

    kind: Literal["data", "train", "pretrain", "search", "phase"]
    subject: Value | None = None
    name: str | None = None
    settings: tuple[IsInstance[Setting], ...] = ()


@rare_node
class Let(Syntax):
    """`let NAME = value`, or `let each NAME = value`, drawn afresh at each mention."""

    kind: Literal["let"] = "let"
    name: str
    name_span: IsInstance[Span] = field(compare=False)
    each: bool = False
    value: Value


@rare_node
class Use(Syntax):
    """`use "recipes/cifar.ktg"`."""

    kind: Literal["use"] = "use"
    file: IsInstance[String]


Statement = IsInstance[Graph | Block | Let | Use]


@node
class File(Syntax):
    """A whole file: its statements in the order written."""

    kind: Literal["file"] = "file"
    statements: tuple[Statement, ...]

    def to_json(self) -> str:
        """The tree as JSON, with spans, for people and tools to look at."""
        return TypeAdapter(File).dump_json(self, indent=2, exclude_none=True).decode()

    @property
    def graph(self) -> Graph | None:
        """The first graph, if there is one."""
        return next((s for s in self.statements if isinstance(s, Graph)), None)

    def block(self, kind: str) -> Block | None:
        """The first block of a kind, if there is one."""
        blocks = (s for s in self.statements if isinstance(s, Block))
        return next((b for b in blocks if b.kind == kind), None)
