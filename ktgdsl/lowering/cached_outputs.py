"""Checks `cache = outputs`: the outputs of a sample have to be the same in every epoch."""

from collections.abc import Iterator

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.passes import PassState
from ktgdsl.syntax.tree import File, Node, Setting
from ktgdsl.vocabulary.registry import entry
from ktgdsl.vocabulary.settings import DataSettings


def check_cached_outputs(
    state: PassState, data: DataSettings, source: str, file: File
) -> PassState:
    """Report nodes whose outputs are to be cached and change from epoch to epoch.

    Args:
        state: after freezing.
        data: the settings of the data.
        source: the word of the data set.
        file: says where the settings stand.
    """
    found = []
    for name, node in state.draft.nodes.items():
        if node.settings.cache == "outputs":
            for problem, fix in _problems(state, name, data, source):
                message = f"the outputs of `{name}` cannot be kept: {problem}"
                found.append(Diagnostic("E302", message, _place(file, node.span), fix))
    return state.with_diagnostics(found)


def _problems(
    state: PassState, name: str, data: DataSettings, source: str
) -> Iterator[tuple[str, str]]:
    """The reasons why the outputs of a node change, each with a fix."""
    busy = [phase for phase in state.phases if name in phase.learn]
    if name not in state.frozen and len(busy) == len(state.phases):
        yield "it learns" + " in all phases" * bool(busy), "leave `cache` out, or let it be frozen"
        return
    if any(name in share.nodes for share in state.draft.shares):
        yield "it shares layers, which are computed for all", "leave `cache` out"
    if state.draft.nodes[name].settings.mode == "train":
        problem = "in `mode = train` they depend on the other samples of a batch"
        yield problem, "leave `mode` or `cache` out"
    word = entry("dataset", source)
    pads = word is not None and getattr(word, "pad", 0) > 0
    if data.augment == "paper" or (data.augment == "standard" and pads):
        yield f"`augment = {data.augment}` changes the images", "leave `cache` out, or `augment`"
    if data.crop == "random":
        yield "`crop = random` changes the images", "write `crop = center`, or leave `cache` out"
    if data.views > 1:
        yield "each sample has two views", "leave `cache` out, or `views`"


def _place(file: File, declared: Span) -> Span:
    """The place of `cache` in the statement that declares a node."""
    statements = file.graph.statements if file.graph else ()
    for statement in statements:
        if isinstance(statement, Node) and any(d.span == declared for d in statement.names):
            settings: tuple[Setting, ...] = tuple(statement.settings)
            return next((s.value.span for s in settings if s.name == "cache"), declared)
    return declared
