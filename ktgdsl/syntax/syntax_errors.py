"""What to tell people where the parser cannot go on: a sentence for each kind of mistake.

Each rule knows one kind of mistake by the token that does not fit and those that would;
the first that recognises its own speaks.
"""

import difflib
from collections.abc import Callable

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.syntax.number_errors import comma, point, spaced, touching
from ktgdsl.syntax.parse_failure import SETTING, ParseFailure
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


def explain(stop: ParseFailure) -> Diagnostic:
    """The complaint about a place where the parser cannot go on."""
    for rule in _RULES:
        found = rule(stop)
        if found is not None:
            return found
    if stop.token is None:
        return stop.complain(f"something is missing after {shown(stop.tokens[-1])}", stop.example)
    before = stop.near(-1)
    where = "stand here" if before is None else f"follow {shown(before)}"
    return stop.complain(f"{shown(stop.token)} cannot {where}", stop.example)


def _comment(stop: ParseFailure) -> Diagnostic | None:
    """`// text`"""
    for first, second in ((stop.near(-1), stop.token), (stop.token, stop.near(1))):
        if first is None or second is None or not touching(first, second):
            continue
        if first.type == second.type == "SLASH":
            place = span(stop.path, first, second)
            return stop.complain("`//` starts no comment", "a comment starts with `#`", place)
    return None


def _keyword(stop: ParseFailure) -> Diagnostic | None:
    """A reserved word where a name or a value is needed."""
    word = stop.token
    if word is None or word.type not in RESERVED or "NAME" not in stop.accepts:
        return None
    if word.type == "VIA" and stop.kind_near(-1) in ("COLON", "COMMA"):
        message = f"a loss is missing between {shown(stop.tokens[stop.index - 1])} and `via`"
        return stop.complain(message, stop.example, code="E103")
    if stop.opened() is not None and stop.kind_near(1) == "EQUALS":
        what = "name an argument"
    elif "NUMBER" in stop.accepts:
        what = "stand for a value"
    elif stop.kind_near(-1) == "DOT":
        what = "name a layer"
    else:
        what = f"name {_NAMED.get(stop.kind, 'a node')}"
    why = "stands for the labels" if word.type == "LABEL" else "is a keyword"
    return stop.complain(f"`{word}` {why} and cannot {what}", code="E105")


def _nameless(stop: ParseFailure) -> Diagnostic | None:
    """`graph {`, `data {`, `phase {`"""
    if stop.index != 1 or stop.type not in ("LBRACE", "") or stop.kind not in _NAMELESS:
        return None
    return stop.complain(_NAMELESS[stop.kind], stop.example, code="E103")


def _unclosed(stop: ParseFailure) -> Diagnostic | None:
    """A bracket that is open where its statement ends, or where another kind of it closes."""
    opened = stop.opened()
    if opened is None or opened.type == "LBRACE":
        return None
    closing, place = _CLOSING[opened.value], span(stop.path, opened, opened)
    finished = "NUMBER" not in stop.accepts or stop.near(-1) is opened
    ends = ("LBRACE", "RBRACE", "COLON", "ARROW", "BOTH")
    if (
        stop.type in ends
        or (stop.type == "EQUALS" and opened.type == "LBRACKET")
        or (stop.token is None and (finished or stop.kind_near(-1) == "COMMA"))
    ):
        message = f"this `{opened}` is never closed"
        return stop.complain(message, f"add a `{closing}`", place, "E103")
    if (
        stop.type in ("RPAR", "RBRACKET")
        and stop.token is not None
        and stop.token.value != closing
        and finished
    ):
        label = Label(place, "this is open")
        message = f"{shown(stop.tokens[stop.index])} cannot close a `{opened}`"
        return stop.complain(message, f"did you mean `{closing}`?", labels=(label,))
    return None


def _ends_early(stop: ParseFailure) -> Diagnostic | None:
    """A part that ends where something more is needed."""
    if stop.token is not None:
        return None
    last = stop.tokens[-1]
    missing = _MISSING.get(last.type)
    if last.type == "COMMA":
        missing = "a value" if "NUMBER" in stop.accepts else "a name"
    if missing is None:
        return None
    help_ = stop.example if "NUMBER" not in stop.accepts else None
    return stop.complain(f"{missing} is missing after `{last}`", help_)


def _path(stop: ParseFailure) -> Diagnostic | None:
    if stop.kind != "USE" or "STRING" not in stop.accepts:
        return None
    message = "`use` needs the path of a file between double quotes"
    return stop.complain(message, stop.example)


def _argument(stop: ParseFailure) -> Diagnostic | None:
    """`kl(T=4, 3)`"""
    opened = stop.opened()
    if opened is None or opened.type != "LPAR":
        return None
    if not stop.accepts <= {"EQUALS", "NAME", "RPAR"}:
        return None
    message = "an argument without a name cannot follow one with a name"
    place = stop.before if stop.kind_near(-1) == "NAME" else stop.place
    return stop.complain(message, "put it first, or name it", place)


def _assignment(stop: ParseFailure) -> Diagnostic | None:
    """No `=` where nothing else can stand."""
    if stop.accepts - {"COMMA", "LBRACKET", "EACH", "NAME"} != {"EQUALS"}:
        return None
    before = stop.near(-1)
    if stop.kind == "LET" and stop.type == "NAME" and before is not None:
        return stop.complain(
            f"{shown(before)} cannot stand here",
            "a value drawn afresh at each mention is named by `let each g = ...`",
            stop.before,
        )
    if stop.kind == SETTING:
        name = stop.tokens[0]
        help_ = f"write `{name} = ...`" if name.type == "NAME" else None
        return stop.complain("a setting is written `name = value`", help_)
    if stop.kind == "NODE":
        return stop.complain("a node needs a network: `=` is missing", stop.example)
    message = f"`=` is missing after the name of {_NAMED.get(stop.kind, 'the value')}"
    return stop.complain(message, stop.example)


def _word(stop: ParseFailure) -> Diagnostic | None:
    """A misspelt keyword within a statement, such as `via`."""
    if stop.token is None or stop.type != "NAME" or "NAME" in stop.accepts:
        return None
    words = [kind.lower() for kind in stop.accepts if kind in RESERVED]
    match = difflib.get_close_matches(stop.token.value.lower(), words, n=1, cutoff=0.6)
    if not match:
        return None
    return stop.complain(f"{shown(stop.token)} cannot stand here", f"did you mean `{match[0]}`?")


def _edge(stop: ParseFailure) -> Diagnostic | None:
    """What is particular to edges: the arrow, the colon, no settings."""
    if stop.kind != "EDGE":
        return None
    message = None
    if "ARROW" in stop.accepts:
        message = "`->` expected after the sources of an edge"
        if stop.type == "VIA":
            message = "a gate without a loss needs an edge with an arrow"
    elif stop.type in ("ARROW", "BOTH") and stop.kind_near(-1) == "EDGE":
        message = f"the source of the edge is missing before {shown(stop.tokens[stop.index])}"
    elif stop.type in ("ARROW", "BOTH") and "NAME" not in stop.accepts:
        return stop.complain("an edge has one arrow", "write an edge for each arrow")
    elif stop.type == "LBRACE":
        message = "an edge has no block of settings"
    elif "COLON" in stop.accepts and stop.type in ("NAME", "NUMBER", "EQUALS", "LPAR"):
        message = "`:` expected between the destinations of an edge and its loss"
    return None if message is None else stop.complain(message, stop.example)


def _block(stop: ParseFailure) -> Diagnostic | None:
    """A `{` that is missing, or one that has no business here."""
    what = stop.kind.lower()
    if stop.type == "LBRACE" and "LBRACE" not in stop.accepts:
        if stop.kind in ("LET", "USE", "TARGET"):
            return stop.complain(f"`{what}` has no block of settings", stop.example)
        if stop.kind == SETTING:
            help_ = "what belongs to a value stands in parentheses: `sgd(lr=0.1)`"
            return stop.complain("the value of a setting is no block", help_)
    if "LBRACE" not in stop.accepts or stop.kind in ("NODE", "DATA"):
        return None
    if stop.type == "EQUALS":
        return stop.complain(f"`{what}` is followed by a block, without `=`", stop.example)
    return stop.complain(f"`{{` expected to open the block of `{what}`", stop.example)


def _separator(stop: ParseFailure) -> Diagnostic | None:
    """Commas that are missing or too many, and ranges in ranges."""
    opened = stop.opened()
    if stop.type == "DOTS" and "NUMBER" not in stop.accepts:
        return stop.complain("a range has two ends: `low .. high`")
    if stop.type in ("RPAR", "RBRACKET") and opened is None:
        return stop.complain(f"{shown(stop.tokens[stop.index])} closes nothing")
    if opened is not None and opened.type != "LBRACE" and "COMMA" in stop.accepts:
        if stop.token is not None and stop.type not in ("RPAR", "RBRACKET", "EQUALS"):
            closing = _CLOSING[opened.value]
            return stop.complain(f"`,` or `{closing}` is missing before {shown(stop.token)}")
    elif stop.kind == SETTING and stop.type == "COMMA" and "NUMBER" not in stop.accepts:
        return stop.complain("settings are not separated by commas", "leave the `,` out")
    return None


def _name(stop: ParseFailure) -> Diagnostic | None:
    """Something else where a name has to stand."""
    if stop.token is None or "NAME" not in stop.accepts or "NUMBER" in stop.accepts:
        return None
    what = "a name"
    if stop.kind_near(-1) == "DOT":
        what = "a layer"
    elif "STAR" in stop.accepts:
        what = "a node, `*` or `label`"
    elif stop.kind in _NAMED and stop.opened() is None:
        what = f"the name of {_NAMED[stop.kind]}"
    return stop.complain(f"{what} is expected here, not {shown(stop.token)}", stop.example)


def _value(stop: ParseFailure) -> Diagnostic | None:
    """Something else where a value has to stand."""
    if stop.token is None or "NUMBER" not in stop.accepts:
        return None
    what = {"COLON": "a loss", "VIA": "a gate"}.get(stop.kind_near(-1), "a value")
    if stop.type == "STAR" and stop.opened() is not None:
        help_ = "`*` stands for all nodes only at the ends of an edge; name them here"
        return stop.complain(f"{what} is expected here, not `*`", help_)
    before = stop.near(-1)
    if stop.type in ("RPAR", "RBRACKET", "RBRACE") and before is not None:
        message = f"{what} is missing after {shown(before)}"
        return stop.complain(message, None, stop.before, "E103")
    return stop.complain(f"{what} is expected here, not {shown(stop.token)}")


_RULES: tuple[Callable[[ParseFailure], Diagnostic | None], ...] = (
    point,
    comma,
    spaced,
    _comment,
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
