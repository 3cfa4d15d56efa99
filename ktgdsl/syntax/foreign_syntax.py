"""Syntax errors in what other languages write: `and`, `**`, dotted names, tuples, `lr: 1`."""

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.syntax.parse_failure import SETTING, ParseFailure
from ktgdsl.syntax.tokens import shown, span
from ktgdsl.vocabulary.synonyms import word_of_synonym

_LIBRARIES = ("torchvision", "timm")
_BETWEEN_GATES = {
    "and": "gates are combined with `*`, which is 'and' for those that are 0 or 1",
    "or": "'or' of gates that are 0 or 1 is `1 - (1 - a) * (1 - b)`; `|` leaves open which it is",
}
_NOT = "what is 1 where a gate is 0 is written `1 - correct`"
_POWER = "there is no power; write the value itself, such as `1e-3`"
_BAR = "one `|` leaves a value open; 'or' of gates that are 0 or 1 is `1 - (1 - a) * (1 - b)`"


def operator(failure: ParseFailure) -> Diagnostic | None:
    """`a and b`, `a or b`, `not a`, `a ** 2`, `a || b`, `kl if correct`, `-> a with kl`"""
    token, before = failure.token, failure.near(-1)
    if token is None or before is None:
        return None
    help_ = None
    if failure.type == "NAME" and "NAME" not in failure.accepts:
        help_ = _BETWEEN_GATES.get(token.value) or (_NOT if before.value == "not" else None)
        if token.value in ("if", "when", "where") and _is_after_loss(failure):
            help_ = "a gate stands after `via`: `edge a -> b : kl via correct`"
    elif failure.type == before.type == "STAR":
        help_ = _POWER
    elif failure.type == before.type == "BAR":
        help_ = _BAR
    if help_ is None:
        return None
    where = f"follow {shown(before)}"
    if failure.type == "NAME":
        return failure.error(f"{shown(token)} cannot {where}", help_)
    return failure.error(f"a value is expected here, not {shown(token)}", help_)


def _is_after_loss(failure: ParseFailure) -> bool:
    return failure.kind == "EDGE" and any(
        token.type == "COLON" for token in failure.tokens[: failure.position]
    )


def dotted(failure: ParseFailure) -> Diagnostic | None:
    """`torchvision.models.resnet18`, `nets.net()`, `torch.optim.SGD(lr=0.1)`"""
    deeper = failure.accepts == {"PRE"}
    if failure.kind not in ("NODE", SETTING, "DATA"):
        return None
    if failure.type not in ("DOT", "LPAR") and not (deeper and failure.type == "NAME"):
        return None
    first = last = failure.position - (0 if deeper else 1)
    while first >= 2 and failure.tokens[first].type == "NAME":
        if failure.tokens[first - 1].type != "DOT":
            break
        first -= 2
    if first == last:
        return None
    while failure.kind_at(last + 1) == "DOT" and failure.kind_at(last + 2) == "NAME":
        last += 2
    names = [token.value for token in failure.tokens[first : last + 1 : 2]]
    help_ = name_of_module(names)
    if failure.kind == SETTING:
        meant = [word_of_synonym(kind, names[-1]) for kind in ("optimizer", "schedule")]
        word = next(filter(None, meant), names[-1].lower())
        help_ = f"a word of the language stands alone: `{word}`"
    place = span(failure.path, failure.tokens[first], failure.tokens[last])
    message = f"`{'.'.join(names)}` is a name of Python's, not of the language"
    return failure.error(message, help_, place)


def name_of_module(names: list[str]) -> str:
    """A fix for a dotted Python name: how a spec writes it."""
    if names[0] in _LIBRARIES:
        return f'a network of {names[0]} is written `{names[0]}("{names[-1]}")`'
    return f'own code is called by `python("{".".join(names[:-1])}:{names[-1]}")`'


def named_by_colon(failure: ParseFailure) -> Diagnostic | None:
    """`sgd(lr: 0.1)` and `"epochs": 20`"""
    opened, name = failure.opened(), failure.near(-1)
    in_call = opened is not None and opened.type == "LPAR"
    if failure.type == "COLON" and in_call and name is not None and name.type == "NAME":
        return failure.error("an argument is named with `=`", f"write `{name}=...`")
    if failure.type == "STRING" and failure.kind == SETTING and failure.position == 0:
        text = str(failure.token).strip('"')
        if text.isidentifier() and failure.kind_near(1) in ("COLON", "EQUALS"):
            message = f"the name of a setting is expected here, not {shown(failure.tokens[0])}"
            return failure.error(message, f"write it without quotes: `{text} = ...`")
    return None


def one_network_each(failure: ParseFailure) -> Diagnostic | None:
    """`node a, b = resnet8, resnet14`"""
    if failure.kind != "NODE" or failure.type != "COMMA" or failure.opened() is not None:
        return None
    equals = next((i for i, token in enumerate(failure.tokens) if token.type == "EQUALS"), None)
    if equals is None or equals > failure.position:
        return None
    help_ = "write a statement for each network: `node a = resnet8  node b = resnet14`"
    return failure.error("the nodes of a statement have one network", help_)


RULES = (operator, dotted, named_by_colon, one_network_each)
