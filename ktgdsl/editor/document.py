"""A text in an editor with the results of compiling it, computed on demand and cached."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lark import Token

from ktgdsl.compiler import Compiled, compile_source
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.editor.mentions import Mention, mentions
from ktgdsl.lowering.let_checks import unusable
from ktgdsl.plan.model import Plan
from ktgdsl.syntax.lexer import Lexed, tokenize
from ktgdsl.syntax.parse import Parsed, parse
from ktgdsl.syntax.read import MAX_BYTES
from ktgdsl.syntax.tree import File, Let
from ktgdsl.syntax.unparsed import unparsed_words


@dataclass(frozen=True)
class Document:
    """One version of a text. `folder` is where its paths begin; nothing here raises."""

    source: Source
    folder: Path
    root: str | None = None
    pedantic: bool = False

    @cached_property
    def compiled(self) -> Compiled:
        """The result of compiling it, as `ktgc check` does."""
        return compile_source(
            self.source,
            self.folder,
            root=self.root,
            pedantic=self.pedantic,
            parsed=self._parsed,
        )

    @cached_property
    def lexed(self) -> Lexed:
        """The tokens of the text; none where it is too large to be looked at."""
        too_large = len(self.source.text) > MAX_BYTES
        return Lexed([], [], []) if too_large else tokenize(self.source)

    @property
    def tokens(self) -> list[Token]:
        """The tokens, comments left out."""
        return self.lexed.tokens

    @cached_property
    def _parsed(self) -> Parsed:
        return parse(self.source, self.lexed)

    @property
    def tree(self) -> File | None:
        """The sound statements of the text itself, without those of files that it uses."""
        return self._parsed[0]

    @property
    def plan(self) -> Plan | None:
        """The plan of the text, None where it has an error."""
        return self.compiled.plan

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """Every name in the sound statements, in the order of the text."""
        return self.mentions_of(self)

    def mentions_of(self, other: "Document") -> tuple[Mention, ...]:
        """Every name in the sound statements of a file that this one uses."""
        tree = other.tree
        return () if tree is None else mentions(other.source, tree, self.lets, self.nodes)

    @cached_property
    def used(self) -> Mapping[str, "Document"]:
        """The files that the text uses, by path."""
        own = self.source.path
        sources = {} if not self._uses else self.compiled.sources
        return {
            path: Document(source, Path(path).parent)
            for path, source in sources.items()
            if path != own
        }

    @property
    def files(self) -> Iterator["Document"]:
        """The text, then the files that it uses."""
        yield self
        yield from self.used.values()

    @cached_property
    def unparsed(self) -> frozenset[str]:
        """The words of the parts that did not parse, whose roles are unknown."""
        if self.tree is None:
            return frozenset(token.value for token in self.tokens)
        return unparsed_words(self.source, self.tree)

    @cached_property
    def lets(self) -> Mapping[str, Let]:
        """The `let`s that have a value, those of used files among them."""
        tree = self.compiled.tree if self._uses else self.tree
        if tree is None:
            return {}
        bad = unusable(tree)
        found = (each for each in tree.statements if isinstance(each, Let))
        return {each.name: each for each in found if each.name not in bad}

    @cached_property
    def nodes(self) -> frozenset[str]:
        """The names of all nodes, declared in sound statements or not."""
        return frozenset(name for each in self.files for name in declared(each.tokens, "NODE"))

    @cached_property
    def phases(self) -> frozenset[str]:
        """The names of all phases."""
        return frozenset(name for each in self.files for name in declared(each.tokens, "PHASE"))

    @cached_property
    def let_names(self) -> frozenset[str]:
        """The names of all `let`s, whether they have a value or not."""
        return frozenset(name for each in self.files for name in declared(each.tokens, "LET"))

    def mention_at(self, offset: int) -> Mention | None:
        """The name at a place, or directly before it."""
        at = [each for each in self.mentions if each.span.start <= offset <= each.span.end]
        return at[-1] if at else None

    def text(self, span: Span) -> str:
        """The text of a span."""
        return self.source.text[span.start : span.end]

    @cached_property
    def _uses(self) -> bool:
        return any(token.type == "USE" for token in self.tokens)


def declared(tokens: list[Token], keyword: str) -> Iterator[str]:
    """The names that statements of a keyword declare, sound or not."""
    for i, token in enumerate(tokens):
        if token.type == keyword:
            for following in tokens[i + 1 :]:
                if following.type == "NAME":
                    yield following.value
                    if keyword != "NODE":
                        break
                elif following.type not in _BETWEEN_NAMES:
                    break


_BETWEEN_NAMES = frozenset(("COMMA", "EACH", "LBRACKET", "RBRACKET", "NUMBER", "DOTS"))
