"""The program of a plan: its phases, their updates, and what each update calls."""

from collections.abc import Iterator
from dataclasses import replace

from ktgdsl.lowering.gates import CUTOFF
from ktgdsl.lowering.phases import in_phase
from ktgdsl.plan import model as plan_model
from ktgdsl.plan.model import LOGITS, Call, Edge, Plan, node_of
from ktgdsl.program.edges import edge_loss
from ktgdsl.program.model import (
    Access,
    EdgeLoss,
    Follower,
    Learner,
    Module,
    Phase,
    Program,
    StageCall,
    Update,
    on_second_view,
)
from ktgdsl.program.names import identifier, unique
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.program.reads import connectors_of, reads_of
from ktgdsl.program.trunks import trunks_of, with_trunks
from ktgdsl.vocabulary.registry import entry_of
from ktgdsl.vocabulary.stopping import Patience, Stop


def program_of(plan: Plan, steps: int | None = None) -> Program:
    """The program of a plan that has the facts of its data; ValueError without them.

    `steps` is the length of each phase if it is another than the plan's.
    """
    names = module_names(plan)
    followed = {each.name: each.follows for each in plan.graph.followers}
    modules = tuple(Module(name, node, followed.get(node)) for node, name in names.items())
    trunks = trunks_of(plan)
    phases = tuple(
        with_trunks(plan, _phase(plan, names, each, steps), trunks)
        for each in plan.phases or (None,)
    )
    connectors = connectors_of(edge for phase in phases for edge in phase.edges)
    pretrainings = tuple(
        _phase(pretraining_plan(plan, node, 0, node.name), {node.name: names[node.name]}, None)
        for node in plan.graph.nodes
        if node.pretrained
    )
    return Program(modules, connectors, phases, trunks, pretrainings)


def module_names(plan: Plan) -> dict[str, str]:
    """The attribute that holds each node's network: `node_a`; an array's `p[0]` is `node_p_0`.

    The prefix keeps names such as `train` or `code` apart from the module's own.
    """
    return unique({name: f"node_{identifier(name)}" for name in plan.graph.networks})


def _phase(
    plan: Plan,
    names: dict[str, str],
    written: plan_model.Phase | None,
    steps: int | None = None,
) -> Phase:
    """One phase of a plan; without phases all nodes that learn do so in one."""
    train, nodes = plan.train, plan.graph.nodes
    if written is None:
        epochs, optimizer, schedule = train.epochs, None, None
        edges = plan.graph.edges
        called = {*names}
    else:
        epochs, optimizer, schedule = written.epochs, written.optimizer, written.schedule
        edges = _open_edges(plan, written)
        called = {name for edge in edges for name in _ends(edge)}
    learning = {edge.destination.node for edge in edges}
    followers = [each for each in plan.graph.followers if each.follows in learning]
    moving = {f.name for f in followers if f.made.arguments["buffers"] == "own"}
    called |= moving
    pairs = unique({e.key: "_to_".join(map(identifier, e.key)) for e in plan.graph.edges})
    losses = [
        edge_loss(edge, pairs[edge.key], train.reduce, epochs, plan.data.steps_per_epoch)
        for edge in edges
    ]
    connectors = connectors_of(losses)
    return Phase(
        name=None if written is None else written.name,
        epochs=epochs,
        steps=epochs * plan.data.steps_per_epoch if steps is None else steps,
        learners=tuple(
            Learner(
                node.name,
                (
                    names[node.name],
                    *(each.name for each in connectors if each.destination.node == node.name),
                ),
                optimizer or node.optimizer,
                schedule or node.schedule,
            )
            for node in nodes
            if node.name in learning
        ),
        updates=_updates(
            [
                # Without phases the accuracy of every node is reported.
                StageCall(
                    names[name],
                    name,
                    "follow" if name in moving else "frozen",
                    taps=(LOGITS,) * (written is None),
                )
                for name in names
                if name in called
            ],
            losses,
            sequential=train.update == "sequential",
        ),
        take=(written or train).take,
        followers=tuple(Follower(f.name, f.sources[0], f.made) for f in followers),
        patience=_patience((written or train).stop),
    )


def _patience(stop: Call | None) -> int | None:
    if stop is None:
        return None
    rule = entry_of(Stop, stop)
    assert isinstance(rule, Patience)
    return rule.epochs


def _open_edges(plan: Plan, phase: plan_model.Phase) -> tuple[Edge, ...]:
    """The edges into the nodes that learn in a phase, as they are in it: `during` is 1 or 0."""
    found = []
    for edge in plan.graph.edges:
        if edge.destination.node in phase.learn:
            gates = [(term, in_phase(term.gate, phase.name)) for term in edge.terms]
            terms = [t.model_copy(update={"gate": gate}) for t, gate in gates if gate != CUTOFF]
            if terms:
                found.append(edge.model_copy(update={"terms": tuple(terms)}))
    return tuple(found)


def _ends(edge: Edge) -> Iterator[str]:
    yield edge.destination.node
    if (source := node_of(edge.source)) is not None:
        yield source


def _updates(
    calls: list[StageCall], edges: list[EdgeLoss], *, sequential: bool
) -> tuple[Update, ...]:
    """One update of all learners, or with `update = sequential` one of each in turn.

    In its own update a node learns from new outputs of its sources (Zhang et al., CVPR 2018,
    Algorithm 1), which need no gradient. They are in train mode, with the statistics of the
    batch, and their running statistics change in their own update alone, as in the authors' code
    (`train_models.py`); those of a frozen node with `mode = train`, and of a follower, change in
    the first update that calls it. A frozen node that nobody learns from is called in the first
    update.
    """
    taught = {edge.learner for edge in edges}
    learning = tuple(call.node for call in calls if call.node in taught)
    if not sequential:
        learn = [replace(c, access="learn") if c.node in taught else c for c in calls]
        return (Update(learning, _with_outputs(learn, edges), tuple(edges)),)
    into = {name: [edge for edge in edges if edge.learner == name] for name in learning}
    needed = {name: {name, *_read_nodes(own)} for name, own in into.items()}
    used = set().union(*needed.values())
    needed[learning[0]] |= {call.node for call in calls} - used
    updates, called = [], set(learning)
    for name, own in into.items():
        mine = [
            replace(call, access=_access(call, name, called))
            for call in calls
            if call.node in needed[name]
        ]
        called |= needed[name]
        updates.append(Update((name,), _with_outputs(mine, own), tuple(own)))
    return tuple(updates)


def _with_outputs(calls: list[StageCall], edges: list[EdgeLoss]) -> tuple[StageCall, ...]:
    """The calls with all outputs that the edges read, on the second view as well if it is read."""
    found, reads = [], reads_of(edges)
    for call in calls:
        first, second = (
            tuple(dict.fromkeys(each.tap for each in reads if (each.node, each.view) == key))
            for key in ((call.node, 0), (call.node, 1))
        )
        taps = tuple(dict.fromkeys([*call.taps, *first])) or (LOGITS,)
        found.append(replace(call, taps=taps))
        if second:
            found.append(replace(on_second_view(call), taps=second))
    return tuple(found)


def _read_nodes(edges: list[EdgeLoss]) -> set[str]:
    """The nodes that edges have as their sources."""
    return {edge.source_node for edge in edges if edge.source_node is not None}


def _access(call: StageCall, learner: str, called: set[str]) -> Access:
    if call.node == learner:
        return "learn"
    return "source" if call.node in called else call.access
