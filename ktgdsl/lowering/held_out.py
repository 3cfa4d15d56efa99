"""Refuses settings that go by held-out samples, such as `take = best`, where none are held out."""

from collections.abc import Iterable

from ktgdsl.lowering.blocks import Settings
from ktgdsl.lowering.draft import DraftContext
from ktgdsl.plan import model
from ktgdsl.syntax.tree import Block, CallExpression, File
from ktgdsl.syntax.walk import walk

_HOLD_OUT = "say `holdout = true` in the `data` block"
_REASONS = {
    "take": "the best epoch is chosen on held-out samples, and none are held out",
    "stop": "progress is measured on held-out samples, and none are held out",
}
"""Why a setting needs held-out samples, by its name."""


def refuse_judging_by_test_samples(
    context: DraftContext, file: File, found: Settings, phases: Iterable[model.Phase] | None
) -> None:
    """Report all settings that need held-out samples where none are held out."""
    for block, settings in (("train", found.train), ("pretrain", found.pretrain)):
        written = file.block(block)
        if written is not None:
            refuse_settings(context, written, settings.take, settings.stop.word, "E302")
    of_nodes = [node.settings.schedule for node in context.draft.nodes.values()]
    of_blocks = (found.train.schedule, found.pretrain.schedule)
    calls = [each.call() for each in (*of_blocks, *of_nodes) if each is not None]
    calls += [phase.schedule for phase in phases or () if phase.schedule is not None]
    watching = {call.name for call in calls if call.arguments.get("on") == "accuracy"}
    if watching:
        places = [part for part in walk(file) if isinstance(part, CallExpression)]
        place = next((each.span for each in places if each.name in watching), file.span)
        context.resolver.complain(
            "E302",
            "`plateau(on=accuracy)` watches held-out samples, and none are held out",
            place,
            f"{_HOLD_OUT}, or watch the training loss: `on=loss`",
        )


def refuse_settings(context: DraftContext, block: Block, take: str, stop: str, code: str) -> None:
    """Complain about `take` and `stop` where a block gives them and they need held-out samples."""
    needed = {"take": take == "best", "stop": stop != "never"}
    for setting in block.settings:
        if needed.get(setting.name):
            reason = _REASONS[setting.name]
            context.resolver.complain(code, reason, setting.value.span, _HOLD_OUT)
