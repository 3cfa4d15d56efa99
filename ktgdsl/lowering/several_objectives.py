"""Lowers a list of objectives of a search: measures of answers, and costs with a minus."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.draft import DraftContext
from ktgdsl.lowering.objectives import (
    NO_MEASURE,
    SEVERAL,
    cost_call,
    measure_call,
    refuse_auxiliary,
)
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan import model
from ktgdsl.plan.goals import COSTS, goal
from ktgdsl.syntax.tree import Binary, List, Setting, Unary, Value

if TYPE_CHECKING:
    from ktgdsl.vocabulary.search import Objective


class Written(NamedTuple):
    """An objective of a list: its value without a minus, and the whole."""

    value: Value
    is_negative: bool
    span: Span


def several_objectives(resolver: Resolver, settings: Sequence[Setting]) -> Setting | None:
    """The setting of the objective where it is a list, or has a sign in it."""
    found = (each for each in settings if each.name == "objective")
    is_listed = (List, Unary, Binary)
    return next((e for e in found if isinstance(resolver.expand(e.value), is_listed)), None)


def objective_calls(context: DraftContext, setting: Setting) -> tuple[model.Call, ...] | None:
    """The objectives of a list, costs among them, in its order; None after a complaint."""
    resolver = context.resolver
    if isinstance(resolver.expand(setting.value), Binary):
        message = "objectives are not computed with: each is a value of its own"
        resolver.complain("E411", message, setting.value.span, f"list them, {SEVERAL}")
        return None
    before = len(resolver.diagnostics)
    written = [*_written(resolver, setting.value)]
    calls = [_checked(context, each) for each in written]
    known = tuple(call for call in calls if call is not None)
    if any(each.severity == "error" for each in resolver.diagnostics[before:]):
        return None
    whole = setting.value.span
    names = [str(goal(call)) for call in known]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    measures = [call for call in known if call.name not in COSTS]
    splits = dict.fromkeys(str(call.arguments["on"]) for call in measures)
    if not measures:
        resolver.complain("E411", NO_MEASURE, whole, SEVERAL)
    elif twice is not None:
        message = f"`objective` must name each objective once, and names `{twice}` twice"
        resolver.complain("E302", message, whole)
    elif len(splits) > 1:
        message = f"all objectives are judged on one split, not on {' and '.join(splits)}"
        resolver.complain("E411", message, whole, "give each the same `on`, or none")
    else:
        return known
    return None


def measure_of(calls: Sequence[model.Call]) -> model.Call | None:
    """The first objective that is a measure of answers, by which trials are judged."""
    return next((call for call in calls if call.name not in COSTS), None)


def default_sampler() -> model.Call:
    """The default sampler for several objectives."""
    from ktgdsl.vocabulary.search import Nsga2

    return Nsga2().call()


def complain_of_pruner(resolver: Resolver, word: str, objectives: int, span: Span) -> None:
    """Report a pruner in a search with several objectives, which has none."""
    message = f"`{word}` ends trials by one value, and this search has {objectives} objectives"
    fix = "leave `pruner` out: trials with several objectives are trained to the end"
    resolver.complain("E411", message, span, fix)


def _written(resolver: Resolver, value: Value) -> Iterator[Written]:
    listed = resolver.expand(value)
    for item in listed.items if isinstance(listed, List) else (listed,):
        inner = resolver.expand(item)
        is_negative = isinstance(inner, Unary)
        yield Written(inner.operand if isinstance(inner, Unary) else inner, is_negative, item.span)


def _checked(context: DraftContext, written: Written) -> model.Call | None:
    """An objective; None after a complaint."""
    resolver = context.resolver
    entry = cast("Objective | None", resolver.known_word(written.value, "objective"))
    if entry is None:
        return None
    is_cost = entry.word in COSTS
    lowered = cost_call if is_cost else measure_call
    call = lowered(context, entry, written.span)
    if call is None or refuse_auxiliary(context, call, written.span):
        return None
    measure = goal(call).measure
    if written.is_negative == is_cost:
        return call
    if is_cost:
        message = f"`{measure}` would be maximised, and a cost is to be small"
        resolver.complain("E411", message, written.span, f"write `-{measure}`")
    else:
        message = f"`-{measure}` would be maximised, and a measure of answers is to be large"
        resolver.complain("E411", message, written.span, f"write `{measure}`")
    return None
