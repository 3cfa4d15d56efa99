"""Syntax error messages: one rule for each kind of mistake.

Each rule knows one kind of mistake by the token that does not fit and those that would;
the first that recognises its own speaks.
"""

from collections.abc import Callable

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.syntax import foreign_syntax
from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.syntax.missing_operators import beside
from ktgdsl.syntax.number_errors import comma, point, spaced, touching
from ktgdsl.syntax.parse_failure import SETTING, ParseFailure
from ktgdsl.syntax.tap_errors import tap
from ktgdsl.syntax.tokens import shown, span

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_NAMED = {
    "GRAPH": "a graph",
    "NODE": "a node",
    "PHASE": "a phase",
    "LET": "a value",
    SETTING: "a setting",
}
_MISSING = {
    "EQUALS": "a value",
    "COLON": "a loss",
    "VIA": "a gate",
    "ARROW": "a destination",
    "BOTH": "a destination",
    "DOTS": "the upper end of the range",
    "DOT": "a layer",
    "NODE": "the name of a node",
    "EDGE": "the source of the edge",
    "TARGET": "the name of a node",
    "SHARE": "the name of a node",
    "USE": "the path of a file",
    **dict.fromkeys(("GRAPH", "PHASE", "LET", "EACH"), "a name"),
    **dict.fromkeys(("PLUS", "MINUS", "STAR", "SLASH", "BAR"), "a value"),
}
_NAMELESS = {
    "GRAPH": "a graph needs a name",
    "PHASE": "a phase needs a name",
    "DATA": "a data block needs the name of a data set",
}


def explain(failure: ParseFailure) -> Diagnostic:
    """The error where the parser cannot go on."""
    for rule in _RULES:
        found = rule(failure)
        if found is not None:
            return found
    if failure.token is None:
        last = shown(failure.tokens[-1])
        return failure.error(f"something is missing after {last}", failure.example)
    before = failure.near(-1)
    where = "stand here" if before is None else f"follow {shown(before)}"
    return failure.error(f"{shown(failure.token)} cannot {where}", failure.example)


def _comment(failure: ParseFailure) -> Diagnostic | None:
    """`// text`"""
    for first, second in ((failure.near(-1), failure.token), (failure.token, failure.near(1))):
        if first is None or second is None or not touching(first, second):
            continue
        if first.type == second.type == "SLASH":
            place = span(failure.path, first, second)
            return failure.error("`//` starts no comment", "a comment starts with `#`", place)
    return None


def _keyword(failure: ParseFailure) -> Diagnostic | None:
    """A reserved word where a name or a value is needed."""
    word = failure.token
    if word is None or word.type not in RESERVED or "NAME" not in failure.accepts:
        return None
    if word.type == "VIA" and failure.kind_near(-1) in ("COLON", "COMMA"):
        before = shown(failure.tokens[failure.position - 1])
        message = f"a loss is missing between {before} and `via`"
        return failure.error(message, failure.example, code="E103")
    if failure.opened() is not None and failure.kind_near(1) == "EQUALS":
        what = "name an argument"
    elif "NUMBER" in failure.accepts:
        what = "stand for a value"
    elif failure.kind_near(-1) == "DOT":
        what = "name a layer"
    else:
        what = f"name {_NAMED.get(failure.kind, 'a node')}"
    why = "stands for the labels" if word.type == "LABEL" else "is a keyword"
    return failure.error(f"`{word}` {why} and cannot {what}", code="E105")


def _nameless(failure: ParseFailure) -> Diagnostic | None:
    """`graph {`, `data {`, `phase {`"""
    if failure.position != 1 or failure.type not in ("LBRACE", "") or failure.kind not in _NAMELESS:
        return None
    return failure.error(_NAMELESS[failure.kind], failure.example, code="E103")


def _unclosed(failure: ParseFailure) -> Diagnostic | None:
    """A bracket that is open where its statement ends, or where another kind of it closes."""
    opened = failure.opened()
    if opened is None or opened.type == "LBRACE":
        return None
    closing, place = _CLOSING[opened.value], span(failure.path, opened, opened)
    finished = "NUMBER" not in failure.accepts or failure.near(-1) is opened
    ends = ("LBRACE", "RBRACE", "COLON", "ARROW", "BOTH")
    if (
        failure.type in ends
        or (failure.type == "EQUALS" and opened.type == "LBRACKET")
        or (failure.token is None and (finished or failure.kind_near(-1) == "COMMA"))
    ):
        message = f"this `{opened}` is never closed"
        return failure.error(message, f"add a `{closing}`", place, "E103")
    if (
        failure.type in ("RPAR", "RBRACKET")
        and failure.token is not None
        and failure.token.value != closing
        and finished
    ):
        label = Label(place, "this is open")
        message = f"{shown(failure.tokens[failure.position])} cannot close a `{opened}`"
        return failure.error(message, f"did you mean `{closing}`?", labels=(label,))
    return None


def _ends_early(failure: ParseFailure) -> Diagnostic | None:
    """A part that ends where something more is needed."""
    if failure.token is not None:
        return None
    last = failure.tokens[-1]
    missing = _MISSING.get(last.type)
    if last.type == "COMMA":
        missing = "a value" if "NUMBER" in failure.accepts else "a name"
    if missing is None:
        return None
    help_ = failure.example if "NUMBER" not in failure.accepts else None
    return failure.error(f"{missing} is missing after `{last}`", help_)


def _path(failure: ParseFailure) -> Diagnostic | None:
    if failure.kind != "USE" or "STRING" not in failure.accepts:
        return None
    message = "`use` needs the path of a file between double quotes"
    return failure.error(message, failure.example)


def _argument(failure: ParseFailure) -> Diagnostic | None:
    """`kl(T=4, 3)`"""
    opened = failure.opened()
    if opened is None or opened.type != "LPAR":
        return None
    if not failure.accepts <= {"EQUALS", "NAME", "RPAR"}:
        return None
    message = "an argument without a name cannot follow one with a name"
    place = failure.before if failure.kind_near(-1) == "NAME" else failure.place
    return failure.error(message, "put it first, or name it", place)


def _assignment(failure: ParseFailure) -> Diagnostic | None:
    """No `=` where nothing else can stand."""
    if failure.accepts - {"COMMA", "LBRACKET", "EACH", "NAME"} != {"EQUALS"}:
        return None
    before = failure.near(-1)
    if failure.kind == "LET" and failure.type == "NAME" and before is not None:
        return failure.error(
            f"{shown(before)} cannot stand here",
            "a value drawn afresh at each mention is named by `let each g = ...`",
            failure.before,
        )
    if failure.kind == SETTING:
        name = failure.tokens[0]
        help_ = f"write `{name} = ...`" if name.type == "NAME" else None
        return failure.error("a setting is written `name = value`", help_)
    if failure.kind == "NODE":
        return failure.error("a node needs a network: `=` is missing", failure.example)
    message = f"`=` is missing after the name of {_NAMED.get(failure.kind, 'the value')}"
    return failure.error(message, failure.example)


def _word(failure: ParseFailure) -> Diagnostic | None:
    """A misspelt keyword within a statement, such as `via`."""
    if failure.token is None or failure.type != "NAME" or "NAME" in failure.accepts:
        return None
    import difflib  # only a mistake needs it

    words = [kind.lower() for kind in failure.accepts if kind in RESERVED]
    match = difflib.get_close_matches(failure.token.value.lower(), words, n=1, cutoff=0.6)
    if not match:
        return None
    return failure.error(f"{shown(failure.token)} cannot stand here", f"did you mean `{match[0]}`?")


def _edge(failure: ParseFailure) -> Diagnostic | None:
    """Mistakes in edges: the arrow, the colon, settings."""
    if failure.kind != "EDGE":
        return None
    message = None
    if "ARROW" in failure.accepts:
        message = "`->` expected after the sources of an edge"
        if failure.type == "VIA":
            message = "a gate without a loss needs an edge with an arrow"
    elif failure.type in ("ARROW", "BOTH") and failure.kind_near(-1) == "EDGE":
        message = (
            f"the source of the edge is missing before {shown(failure.tokens[failure.position])}"
        )
    elif failure.type in ("ARROW", "BOTH") and "NAME" not in failure.accepts:
        return failure.error("an edge has one arrow", "write an edge for each arrow")
    elif failure.type == "LBRACE":
        message = "an edge has no block of settings"
    elif "COLON" in failure.accepts and failure.type in ("NAME", "NUMBER", "EQUALS", "LPAR"):
        message = "`:` expected between the destinations of an edge and its loss"
    return None if message is None else failure.error(message, failure.example)


def _block(failure: ParseFailure) -> Diagnostic | None:
    """A `{` that is missing, or one that has no business here."""
    what = failure.kind.lower()
    if failure.type == "LBRACE" and "LBRACE" not in failure.accepts:
        if failure.kind in ("LET", "USE", "TARGET"):
            return failure.error(f"`{what}` has no block of settings", failure.example)
        if failure.kind == SETTING:
            help_ = "what belongs to a value stands in parentheses: `sgd(lr=0.1)`"
            return failure.error("the value of a setting is no block", help_)
    if "LBRACE" not in failure.accepts or failure.kind in ("NODE", "DATA"):
        return None
    if failure.type == "EQUALS":
        return failure.error(f"`{what}` is followed by a block, without `=`", failure.example)
    return failure.error(f"`{{` expected to open the block of `{what}`", failure.example)


def _separator(failure: ParseFailure) -> Diagnostic | None:
    """Commas that are missing or too many, and ranges in ranges."""
    opened = failure.opened()
    if failure.type == "DOTS" and "NUMBER" not in failure.accepts:
        return failure.error("a range has two ends: `low .. high`")
    if failure.type in ("RPAR", "RBRACKET") and opened is None:
        return failure.error(f"{shown(failure.tokens[failure.position])} closes nothing")
    if opened is not None and opened.type != "LBRACE" and "COMMA" in failure.accepts:
        if failure.token is not None and failure.type not in ("RPAR", "RBRACKET", "EQUALS"):
            closing = _CLOSING[opened.value]
            return failure.error(f"`,` or `{closing}` is missing before {shown(failure.token)}")
    elif failure.kind == SETTING and failure.type == "COMMA" and "NUMBER" not in failure.accepts:
        return failure.error("settings are not separated by commas", "leave the `,` out")
    return None


def _name(failure: ParseFailure) -> Diagnostic | None:
    """Something else where a name has to stand."""
    if failure.token is None or "NAME" not in failure.accepts or "NUMBER" in failure.accepts:
        return None
    what = "a name"
    if failure.kind_near(-1) == "DOT":
        what = "a layer"
    elif "STAR" in failure.accepts:
        what = "a node, `*` or `label`"
    elif failure.kind in _NAMED and failure.opened() is None:
        what = f"the name of {_NAMED[failure.kind]}"
    return failure.error(f"{what} is expected here, not {shown(failure.token)}", failure.example)


def _value(failure: ParseFailure) -> Diagnostic | None:
    """Something else where a value has to stand."""
    if failure.token is None or "NUMBER" not in failure.accepts:
        return None
    what = {"COLON": "a loss", "VIA": "a gate"}.get(failure.kind_near(-1), "a value")
    if failure.type == "STAR" and failure.opened() is not None:
        help_ = "`*` stands for all nodes only at the ends of an edge; name them here"
        return failure.error(f"{what} is expected here, not `*`", help_)
    before = failure.near(-1)
    if failure.type in ("RPAR", "RBRACKET", "RBRACE") and before is not None:
        message = f"{what} is missing after {shown(before)}"
        return failure.error(message, None, failure.before, "E103")
    return failure.error(f"{what} is expected here, not {shown(failure.token)}")


_RULES: tuple[Callable[[ParseFailure], Diagnostic | None], ...] = (
    tap,
    point,
    comma,
    spaced,
    _comment,
    *foreign_syntax.RULES,
    beside,
    _keyword,
    _nameless,
    _unclosed,
    _ends_early,
    _path,
    _argument,
    _assignment,
    _word,
    _edge,
    _block,
    _separator,
    _name,
    _value,
)
