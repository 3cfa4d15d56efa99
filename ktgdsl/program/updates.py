"""The updates of a phase: one for all learners, or one for each in turn, with their calls."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from ktgdsl.program.model import Access, EdgeLoss, Learner, StageCall, Update, on_second_view
from ktgdsl.program.reads import mixers_of, reads_of
from ktgdsl.program.values import DerivedOutput


def updates_of(
    calls: Sequence[StageCall],
    edges: Sequence[EdgeLoss],
    learners: Sequence[Learner],
    ensembles: Iterable[DerivedOutput],
    *,
    sequential: bool,
) -> tuple[Update, ...]:
    """One update of all learners, or with `update = sequential` one of each in turn.

    In its own update a node learns from new outputs of its sources (Zhang et al., CVPR 2018,
    Algorithm 1), which need no gradient. They are in train mode, with the statistics of the
    batch, and their running statistics change in their own update alone, as in the authors' code
    (`train_models.py`); those of a frozen node with `mode = train`, and of a follower, change in
    the first update that calls it. A frozen node that nobody learns from is called in the first
    update. What flows into an ensemble that passes it on is part of the update of each node that it
    reaches.

    `ensembles` are reported by the first update that computes the logits of their members.
    """
    names = [learner.name for learner in learners]
    if sequential:
        turns = list(_in_turn(calls, edges, learners))
    else:
        losses = [edge.learner for edge in edges]
        taught = dict.fromkeys([*(name for name in names if name in losses), *losses])
        learn = [replace(c, access="learn") if c.node in names else c for c in calls]
        turns = [(names, Update(tuple(taught), with_outputs(learn, edges), tuple(edges)))]
    unreported, updates = list(ensembles), []
    for learning, update in turns:
        answering = {call.node for call in update.calls if call.gives_logits}
        reported = [each for each in unreported if _networks_of(each) <= answering]
        unreported = [each for each in unreported if each not in reported]
        mixers = mixers_of(update.edges, reported)
        updates.append(
            replace(
                update,
                calls=_with_ensembles(update.calls, reported),
                reported=tuple(reported),
                mixers={mixer.name: _mixer_access(mixer.node, learning, names) for mixer in mixers},
            )
        )
    return tuple(updates)


def _with_ensembles(
    calls: Iterable[StageCall], ensembles: Iterable[DerivedOutput]
) -> tuple[StageCall, ...]:
    """The calls, extended by what ensembles read of the first view."""
    first = {c.node: c for c in with_outputs([c for c in calls if c.view == 0], (), ensembles)}
    return tuple(first[call.node] if call.view == 0 else call for call in calls)


def _in_turn(
    calls: Sequence[StageCall], edges: Sequence[EdgeLoss], learners: Sequence[Learner]
) -> Iterator[tuple[list[str], Update]]:
    """The learners of each update, and the update."""
    edges_into = {
        learner.name: [edge for edge in edges if edge.learner in learner.losses]
        for learner in learners
    }
    needed = {name: {name}.union(*map(needed_nodes, into)) for name, into in edges_into.items()}
    unneeded = {call.node for call in calls}.difference(*needed.values())
    needed[learners[0].name] |= unneeded
    called = set(edges_into)
    for learner in learners:
        name, into = learner.name, edges_into[learner.name]
        own_calls = [
            replace(call, access=_access(call, name, called))
            for call in calls
            if call.node in needed[name]
        ]
        called |= needed[name]
        yield [name], Update(learner.losses, with_outputs(own_calls, into), tuple(into))


def _networks_of(output: DerivedOutput) -> set[str]:
    return {read.node for read in reads_of((), [output]) if read.derived is None}


def needed_nodes(edge: EdgeLoss) -> set[str]:
    """The nodes whose outputs an edge needs."""
    ends = {edge.learner} if edge.source_node is None else {edge.learner, edge.source_node}
    return ends.union(read.node for read in reads_of([edge]))


def with_outputs(
    calls: Iterable[StageCall], edges: Iterable[EdgeLoss], ensembles: Iterable[DerivedOutput] = ()
) -> tuple[StageCall, ...]:
    """The calls with the taps that are read, and further calls where the second view is read."""
    extended, reads = [], reads_of(edges, ensembles)
    for call in calls:
        first, second = (
            tuple(dict.fromkeys(read.tap for read in reads if (read.node, read.view) == key))
            for key in ((call.node, 0), (call.node, 1))
        )
        taps = tuple(dict.fromkeys([*call.taps, *first])) or call.answers
        extended.append(replace(call, taps=taps))
        if second:
            extended.append(replace(on_second_view(call), taps=second))
    return tuple(extended)


def _access(call: StageCall, learner: str, called: Collection[str]) -> Access:
    if call.node == learner:
        return "learn"
    return "source" if call.node in called and call.access != "cached" else call.access


def _mixer_access(node: str, learners: Collection[str], others: Collection[str]) -> Access:
    if node in learners:
        return "learn"
    return "source" if node in others else "frozen"
