"""The updates of a phase: one for all learners, or one for each in turn, with their calls."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from ktgdsl.program.model import Access, EdgeLoss, Learner, StageCall, Update, on_second_view
from ktgdsl.program.reads import mixers_of, reads_of
from ktgdsl.program.values import DerivedOutput


def updates(
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
        found = list(_in_turn(calls, edges, learners))
    else:
        losses = [edge.learner for edge in edges]
        taught = dict.fromkeys([*(each for each in names if each in losses), *losses])
        learn = [replace(c, access="learn") if c.node in names else c for c in calls]
        found = [(names, Update(tuple(taught), with_outputs(learn, edges), tuple(edges)))]
    waiting, done = list(ensembles), []
    for own, update in found:
        answering = {call.node for call in update.calls if call.gives_logits}
        now = [each for each in waiting if _networks_of(each) <= answering]
        waiting = [each for each in waiting if each not in now]
        mixers = mixers_of(update.edges, now)
        done.append(
            replace(
                update,
                calls=_with_more(update.calls, now),
                reported=tuple(now),
                mixers={each.name: _mixer_access(each.node, own, names) for each in mixers},
            )
        )
    return tuple(done)


def _with_more(
    calls: Iterable[StageCall], ensembles: Iterable[DerivedOutput]
) -> tuple[StageCall, ...]:
    """The calls, extended by what ensembles read of the first view."""
    first = {c.node: c for c in with_outputs([c for c in calls if c.view == 0], (), ensembles)}
    return tuple(first[call.node] if call.view == 0 else call for call in calls)


def _in_turn(
    calls: Sequence[StageCall], edges: Sequence[EdgeLoss], learners: Sequence[Learner]
) -> Iterator[tuple[list[str], Update]]:
    """The learners of each update, and the update."""
    into = {each.name: [e for e in edges if e.learner in each.losses] for each in learners}
    needed = {name: {name}.union(*map(needed_nodes, own)) for name, own in into.items()}
    used = set().union(*needed.values())
    needed[learners[0].name] |= {call.node for call in calls} - used
    called = set(into)
    for learner in learners:
        name = learner.name
        mine = [
            replace(call, access=_access(call, name, called))
            for call in calls
            if call.node in needed[name]
        ]
        called |= needed[name]
        yield [name], Update(learner.losses, with_outputs(mine, into[name]), tuple(into[name]))


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
    found, reads = [], reads_of(edges, ensembles)
    for call in calls:
        first, second = (
            tuple(dict.fromkeys(each.tap for each in reads if (each.node, each.view) == key))
            for key in ((call.node, 0), (call.node, 1))
        )
        taps = tuple(dict.fromkeys([*call.taps, *first])) or call.answers
        found.append(replace(call, taps=taps))
        if second:
            found.append(replace(on_second_view(call), taps=second))
    return tuple(found)


def _access(call: StageCall, learner: str, called: Collection[str]) -> Access:
    if call.node == learner:
        return "learn"
    return "source" if call.node in called and call.access != "cached" else call.access


def _mixer_access(node: str, learners: Collection[str], others: Collection[str]) -> Access:
    if node in learners:
        return "learn"
    return "source" if node in others else "frozen"
