"""A parse failure: the token where the parser stopped, and those around it."""

from typing import NamedTuple

from lark import Token

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.tokens import span

SETTING = "SETTING"
VALUE = "VALUE"

EXAMPLES = {
    "GRAPH": "a graph is written `graph my_graph { ... }`",
    "NODE": "a node is written `node a = resnet8`, with `{ ... }` for its settings",
    "TARGET": "a target is written `target a`",
    "EDGE": "an edge is written `edge a -> b : kl via linear`",
    "SHARE": "a share is written `share a, b { layers = [stem] }`",
    "DATA": "a data block is written `data digits { batch = 64 }`",
    "TRAIN": "a train block is written `train { epochs = 20 }`",
    "PRETRAIN": "a pretrain block is written `pretrain { epochs = 40 }`",
    "SEARCH": "a search block is written `search { trials = 60 }`",
    "PHASE": "a phase is written `phase warm_up { epochs = 5 }`",
    "LET": "a name is given to a value by `let T = 4`",
    "USE": 'another file is used by `use "recipes/cifar.ktg"`',
    SETTING: "a setting is written `name = value`",
    VALUE: None,
}


class ParseFailure(NamedTuple):
    """Where a part of a file cannot be parsed further.

    `tokens` are those of the part, `position` is that of the one that does not fit (their number
    when the part ends too early), `accepts` are the kinds of token that would fit, and `kind` is
    the keyword of the statement, `SETTING` or `VALUE`.
    """

    path: str
    tokens: list[Token]
    position: int
    accepts: frozenset[str]
    kind: str

    @property
    def code(self) -> str:
        """The code of an error by default: unfinished, or something in the wrong place."""
        return "E103" if self.token is None else "E102"

    @property
    def example(self) -> str | None:
        """An example of a statement of this kind, if there is one."""
        return EXAMPLES[self.kind]

    @property
    def token(self) -> Token | None:
        """The token that does not fit; None when the part ends too early."""
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    @property
    def type(self) -> str:
        """Its kind, or ""."""
        return self.token.type if self.token is not None else ""

    def near(self, offset: int) -> Token | None:
        """The token that many places after the one that does not fit."""
        i = self.position + offset
        return self.tokens[i] if 0 <= i < len(self.tokens) else None

    def kind_near(self, offset: int) -> str:
        """Its kind, or "" past the ends."""
        token = self.near(offset)
        return token.type if token is not None else ""

    def kind_at(self, position: int) -> str:
        """The kind of the token at a position of the part, or "" past the ends."""
        return self.tokens[position].type if 0 <= position < len(self.tokens) else ""

    @property
    def place(self) -> Span:
        """The token that does not fit, or the last one of a part that ends too early."""
        token = self.token if self.token is not None else self.tokens[-1]
        return span(self.path, token, token)

    @property
    def before(self) -> Span:
        """The token before it, if there is one."""
        token = self.near(-1)
        return self.place if token is None else span(self.path, token, token)

    def opened(self) -> Token | None:
        """The innermost bracket or brace that is open here."""
        stack: list[Token] = []
        for token in self.tokens[: self.position]:
            if token.type in ("LPAR", "LBRACKET", "LBRACE"):
                stack.append(token)
            elif token.type in ("RPAR", "RBRACKET", "RBRACE") and stack:
                stack.pop()
        return stack[-1] if stack else None

    def error(
        self,
        message: str,
        help_: str | None = None,
        place: Span | None = None,
        code: str | None = None,
        labels: tuple[Label, ...] = (),
    ) -> Diagnostic:
        """An error at this place, or at another one."""
        where = self.place if place is None else place
        return Diagnostic(code or self.code, message, where, help_, labels=labels)
