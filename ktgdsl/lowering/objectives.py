"""Lowers the objective of a search: what is measured of which node, on which split."""

from typing import TYPE_CHECKING, cast

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.draft import Drafting
from ktgdsl.lowering.heads import plain_tap, unknown_head
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan import model
from ktgdsl.syntax.tree import Block
from ktgdsl.vocabulary.refs import Tap

if TYPE_CHECKING:
    from ktgdsl.vocabulary.search import Measure, Objective


def objective_call(
    drafting: Drafting, block: Block, objective: "Objective | None"
) -> model.Call | None:
    """What a search maximises, the accuracy of the only target unless given.

    None after a complaint. `block` is the `search` block.
    """
    if objective is None:
        target = _only_target(drafting, block)
        return None if target is None else _call("accuracy", {"node": target}, "validation")
    measure = cast("Measure", objective)
    resolver = drafting.resolver
    place = next(each.value.span for each in block.settings if each.name == "objective")
    path = measure.of.path if isinstance(measure.of, Tap) else None
    reference = measure.of.node if isinstance(measure.of, Tap) else measure.of
    assert reference is not None
    named = drafting.names.referenced(reference)
    if len(named) != 1:
        message = f"the objective is the {measure.word} of one node, not of {len(named)}"
        resolver.complain("E411", message, place, f"such as `{measure.word}(a[0])`")
        return None
    (node,) = named
    if path is not None and (problem := unknown_head(drafting.draft, node, path)):
        resolver.complain("E412", problem[0], place, problem[1])
        return None
    if measure.on == "test":
        _warn_of_test(resolver, place)
    of = {"node": node}
    if path is not None and (tap := plain_tap(drafting.draft, node, path)) != model.LOGITS:
        of["tap"] = tap
    return _call(measure.word, of, measure.on)


def _call(word: str, of: dict[str, str], split: str) -> model.Call:
    return model.Call(name=word, arguments={"of": {**of}, "on": split})


def _only_target(drafting: Drafting, block: Block) -> str | None:
    targets = list(drafting.draft.targets)
    if len(targets) > 1:
        names = " and ".join(f"`{name}`" for name in targets)
        drafting.resolver.complain(
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
