"""Lowers the objectives of a search: what is measured of which node, on which split."""

from typing import TYPE_CHECKING, cast

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.draft import DraftContext
from ktgdsl.lowering.heads import plain_tap, unknown_head
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan import model
from ktgdsl.plan.goals import COSTS, goal
from ktgdsl.syntax.tree import Block
from ktgdsl.vocabulary.refs import NodeRef, Tap

if TYPE_CHECKING:
    from ktgdsl.vocabulary.search import Cost, Measure, Objective

SEVERAL = "such as `objective = [accuracy(a), -parameters(a)]`"
NO_MEASURE = "a search needs an accuracy, or another measure of answers, among its objectives"


def objective_call(
    context: DraftContext, block: Block, objective: "Objective | None"
) -> model.Call | None:
    """The objective of a search, by default the accuracy of the only target.

    None after a complaint. `block` is the `search` block.
    """
    if objective is None:
        target = _only_target(context, block)
        return None if target is None else _call("accuracy", {"node": target}, "validation")
    place = next(each.value.span for each in block.settings if each.name == "objective")
    if objective.word in COSTS:
        context.resolver.complain("E411", NO_MEASURE, place, SEVERAL)
        return None
    call = measure_call(context, objective, place)
    return None if call is None or refuse_auxiliary(context, call, place) else call


def refuse_auxiliary(context: DraftContext, call: model.Call, place: Span) -> bool:
    """Whether an objective is of a node that a graph may drop, which is complained about."""
    draft, (measure, node) = context.draft, (goal(call).measure, goal(call).node)
    if node in (*draft.targets, *draft.derived):
        return False
    message = f"`{measure}` is of a node that is no target, and so not part of every graph"
    fix = f"name it: `target {', '.join([*draft.targets, node])}`"
    context.resolver.complain("E411", message, place, fix)
    return True


def measure_call(context: DraftContext, objective: "Objective", place: Span) -> model.Call | None:
    """A measure of answers as it stands in a plan; None after a complaint."""
    measure, resolver = cast("Measure", objective), context.resolver
    path = measure.of.path if isinstance(measure.of, Tap) else None
    reference = measure.of.node if isinstance(measure.of, Tap) else measure.of
    assert reference is not None
    if (node := _one_node(context, measure.word, reference, place)) is None:
        return None
    if path is not None and (problem := unknown_head(context.draft, node, path)):
        resolver.complain("E412", problem[0], place, problem[1])
        return None
    if measure.on == "test":
        _warn_of_test(resolver, place)
    of = {"node": node}
    if path is not None and (tap := plain_tap(context.draft, node, path)) != model.LOGITS:
        of["tap"] = tap
    return _call(measure.word, of, measure.on)


def cost_call(context: DraftContext, objective: "Objective", place: Span) -> model.Call | None:
    """A cost of a network as it stands in a plan; None after a complaint."""
    cost = cast("Cost", objective)
    node = _one_node(context, cost.word, cost.of, place)
    return None if node is None else model.Call(name=cost.word, arguments={"of": {"node": node}})


def _one_node(context: DraftContext, word: str, reference: NodeRef, place: Span) -> str | None:
    """The only node that an objective names; None after a complaint."""
    named = context.names.referenced(reference)
    if len(named) == 1:
        return named[0]
    message = f"the objective is the {word} of one node, not of {len(named)}"
    context.resolver.complain("E411", message, place, f"such as `{word}(a[0])`")
    return None


def _call(word: str, of: dict[str, str], split: str) -> model.Call:
    return model.Call(name=word, arguments={"of": {**of}, "on": split})


def _only_target(context: DraftContext, block: Block) -> str | None:
    targets = list(context.draft.targets)
    if len(targets) > 1:
        names = " and ".join(f"`{name}`" for name in targets)
        context.resolver.complain(
            "E411",
            f"a search is for one node, and the targets are {names}",
            block.span._replace(end=block.span.start + len("search")),
            f"say which: `objective = accuracy({targets[0]})`",
        )
    return targets[0] if len(targets) == 1 else None


def _warn_of_test(resolver: Resolver, span: Span) -> None:
    resolver.diagnostics.append(
        Diagnostic(
            "W105",
            "this search selects on the test split, whose accuracy then says nothing",
            span,
            "leave `on` out to select on the validation split",
            "warning",
        )
    )
