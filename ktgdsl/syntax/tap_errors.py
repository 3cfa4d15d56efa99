"""Syntax errors in taps: what follows the name of a stage, as in `a.stage2.pre`."""

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.syntax.parse_failure import SETTING, ParseFailure
from ktgdsl.syntax.tokens import span
from ktgdsl.vocabulary.call import BEFORE_RELU
from ktgdsl.vocabulary.networks import STAGES

_PARTS = ("NAME", "NUMBER", "PRE")


def tap(failure: ParseFailure) -> Diagnostic | None:
    """`b.stage2.post`, `b.stage2.pre.pre` and `t.layer1.0.conv1`"""
    deeper = failure.accepts == {"PRE"} and failure.type in _PARTS
    again = failure.type == "DOT" and failure.kind_near(-1) == "PRE"
    if not deeper and not again:
        return None
    first = failure.position - (2 if deeper else 3)  # the name after the node's
    if failure.kind in ("NODE", SETTING, "DATA") and str(failure.tokens[first]) not in STAGES:
        return None
    last = failure.position - (0 if deeper else 1)
    while failure.kind_at(last + 1) == "DOT" and failure.kind_at(last + 2) in _PARTS:
        last += 2
    path = "".join(failure.tokens[first : last + 1])
    place = span(failure.path, failure.tokens[first], failure.tokens[last])
    return failure.error(f"`{path}` is no place inside of a network", _meant(path), place)


def _meant(path: str) -> str:
    stage = path.partition(".")[0]
    if stage in STAGES:
        return f"before its last ReLU it is `{stage}{BEFORE_RELU}`"
    return f'the path of a module stands between quotes: `"{path}"`'
