"""Shared layers in a program: a trunk is called once, and the nodes continue from its output."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

from ktgdsl.plan.model import Plan
from ktgdsl.program.model import Access, Learner, Phase, StageCall, Trunk, Update, on_second_view
from ktgdsl.program.names import identifier, unique
from ktgdsl.program.values import Read, View
from ktgdsl.vocabulary.networks import STAGES, Resnet, Wrn

_NEXT = dict(pairwise(STAGES))


def trunks_of(plan: Plan) -> tuple[Trunk, ...]:
    """The trunks of a plan, each after the trunk whose output it continues from."""
    shares = {f"{share.nodes[0]}.{share.layers[-1]}": share for share in plan.graph.shares}
    modules = unique({name: f"trunk_{identifier(name)}" for name in shares})
    built_in = {n.name for n in plan.graph.nodes if n.network.name in (Resnet.word, Wrn.word)}
    found = [
        Trunk(
            name, modules[name], share.nodes, share.layers, share.grad, built_in >= {*share.nodes}
        )
        for name, share in shares.items()
    ]
    return tuple(sorted(found, key=lambda each: STAGES.index(each.layers[0]) if each.called else 0))


def with_trunks(plan: Plan, phase: Phase, trunks: tuple[Trunk, ...]) -> Phase:
    """A phase in which the layers that nodes share are called once in each update."""
    if not trunks:
        return phase
    learning = {learner.name for learner in phase.learners}
    return replace(
        phase,
        updates=tuple(with_trunk_calls(plan, update, trunks, learning) for update in phase.updates),
        trunks=tuple(
            _learner(plan, phase, trunk, learning)
            for trunk in trunks
            if learning.intersection(trunk.nodes)
        ),
    )


def _learner(plan: Plan, phase: Phase, trunk: Trunk, learning: set[str]) -> Learner:
    first = plan.graph.node(trunk.nodes[0])
    written = next((each for each in plan.phases if each.name == phase.name), None)
    return Learner(
        trunk.name,
        (trunk.module,),
        (written and written.optimizer) or first.optimizer,
        (written and written.schedule) or first.schedule,
        trunk,
        tuple(name for name in trunk.nodes if name in learning),
    )


@dataclass(frozen=True)
class _Parts:
    """Finds the trunk that a tap is in; `networks` are the words of the nodes' networks."""

    trunks: tuple[Trunk, ...]
    networks: Mapping[str, str]

    def of_tap(self, node: str, tap: str) -> Trunk | None:
        """The trunk that computes a tap of a node; None where the node's own stages do."""
        stage, _, rest = tap.partition(".")
        if rest == "pre" and self.networks.get(node) == "wrn":
            stage = _NEXT[stage]  # which begins with a batch norm and the ReLU
        return next((each for each in self._below(node) if stage in each.layers), None)

    def below(self, node: str) -> Trunk | None:
        """The trunk whose output a node or another trunk continues from."""
        return next(iter(self._below(node)), None)

    def _below(self, name: str) -> list[Trunk]:
        """The trunks under a node or a trunk, from the top down."""
        at = next((i for i, each in enumerate(self.trunks) if each.name == name), None)
        node = name if at is None else self.trunks[at].nodes[0]
        return [each for each in reversed(self.trunks[:at]) if node in each.nodes]


def with_trunk_calls(
    plan: Plan, update: Update, trunks: tuple[Trunk, ...], learning: Collection[str] = ()
) -> Update:
    """An update in which trunks are called first, and nodes continue from their outputs.

    `learning` are the nodes that learn in the phase.
    """
    parts = _Parts(
        tuple(trunk for trunk in trunks if trunk.called),
        {node.name: node.network.name for node in plan.graph.nodes},
    )
    taught_nodes = {call.node for call in update.calls if call.access == "learn"}
    taught = [trunk for trunk in parts.trunks if taught_nodes & set(trunk.nodes)]

    def trunk_read(trunk: Trunk, tap: str, sharers: int, view: View) -> Read:
        backward = trunk.backward(sharers) if trunk in taught and view == 0 else 1.0
        return Read(trunk.name, "features", tap, backward=backward, view=view)

    def from_trunk(read: Read) -> Read:
        """The same read of the trunk that computes the tap, if one does."""
        trunk = parts.of_tap(read.node, read.tap)
        if trunk is None or read.form == "margin":  # that of a network's own batch norm
            return read
        backward = 1.0 if read.detached else trunk_read(trunk, read.tap, 1, read.view).backward
        return replace(read, node=trunk.name, backward=backward)

    views: tuple[View, ...] = (0, 1)
    trunk_taps: dict[tuple[str, View], list[str]] = {
        (trunk.name, view): [] for trunk in parts.trunks for view in views
    }

    def on_trunk_below(call: StageCall, sharers: int) -> StageCall:
        """The call with the end of the trunk below it as its input, if there is one."""
        below = parts.below(call.node)
        if below is None:
            return call
        end = below.layers[-1]
        trunk_taps[below.name, call.view].append(end)
        return replace(call, inputs=(trunk_read(below, end, sharers, call.view),))

    node_calls: list[StageCall] = []
    for call in update.calls:
        own_taps: list[str] = []
        for tap in call.taps:
            trunk = parts.of_tap(call.node, tap)
            (own_taps if trunk is None else trunk_taps[trunk.name, call.view]).append(tap)
        below = parts.below(call.node)
        stages = () if below is None else STAGES[STAGES.index(below.layers[-1]) + 1 :]
        if own_taps:
            node_calls.append(
                on_trunk_below(replace(call, taps=tuple(own_taps), stages=stages), sharers=1)
            )
    trunk_calls: list[StageCall] = []  # from the top down: a call adds to the taps of those below
    for trunk in reversed(parts.trunks):
        access = _access(trunk, update, trunk in taught, learning)
        first = StageCall(trunk.module, trunk.name, access, stages=trunk.layers, trunk=trunk)
        calls = [
            replace(call, taps=tuple(dict.fromkeys(trunk_taps[trunk.name, call.view])))
            for call in (on_second_view(first), first)
        ]
        trunk_calls += [on_trunk_below(call, len(trunk.nodes)) for call in calls if call.taps]
    return replace(
        update,
        calls=(*reversed(trunk_calls), *node_calls),
        edges=_with_reads(update.edges, from_trunk),
        reported=_with_reads(update.reported, from_trunk),
    )


def _access(trunk: Trunk, update: Update, taught: bool, learning: Collection[str]) -> Access:
    if taught:
        return "learn"
    if set(learning).intersection(trunk.nodes):
        return "source"
    called = [call.access for call in update.calls if call.node in trunk.nodes]
    return "frozen" if "frozen" in called else "source"


def _with_reads(value: Any, new: Callable[[Read], Read]) -> Any:
    """A part of a program with `new(read)` in place of every read."""
    if isinstance(value, Read):
        return new(replace(value, derived=_with_reads(value.derived, new)))
    if isinstance(value, tuple):
        return tuple(_with_reads(each, new) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {
            field.name: _with_reads(getattr(value, field.name), new) for field in fields(value)
        }
        return replace(value, **parts)
    return value
