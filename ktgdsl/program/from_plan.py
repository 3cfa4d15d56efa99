"""Lowers a plan to its program: phases, their updates, and the calls of each update."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from ktgdsl.lowering.gates import CUTOFF
from ktgdsl.lowering.phases import in_phase
from ktgdsl.plan import model as plan_model
from ktgdsl.plan.model import Call, Edge, Plan
from ktgdsl.program.derived import Outputs
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
)
from ktgdsl.program.names import identifier, unique
from ktgdsl.program.pretraining import pretraining_plan, sharers_of
from ktgdsl.program.reads import connectors_of, mixers_of, reads_of
from ktgdsl.program.trunks import trunks_of, with_trunks
from ktgdsl.program.updates import needed_nodes, updates_of, with_outputs
from ktgdsl.program.values import IMAGE, SAMPLE
from ktgdsl.vocabulary.registry import entry_of
from ktgdsl.vocabulary.stopping import Patience, Stop


def program_of(plan: Plan, steps: int | None = None) -> Program:
    """The program of a plan that has the facts of its data; ValueError without them.

    `steps` is the length of each phase if it is another than the plan's.
    """
    names = module_names(plan)
    outputs = Outputs(plan.graph, mixer_names(plan), plan.data.labels)
    followed = {each.name: each.follows for each in plan.graph.followers}
    modules = tuple(Module(name, node, followed.get(node)) for node, name in names.items())
    trunks = trunks_of(plan)
    phases = tuple(
        with_trunks(plan, _phase(plan, names, outputs, each, steps), trunks)
        for each in plan.phases or (None,)
    )
    connectors = connectors_of(edge for phase in phases for edge in phase.edges)
    mixers = {each.node: each for each in mixers_of((), evaluation_of(plan).reported)}
    pretrainings = tuple(
        _pretraining(plan, node, names)
        for node in plan.graph.nodes
        if node.pretrained and node == sharers_of(plan.graph, node)[0]
    )
    return Program(modules, connectors, tuple(mixers.values()), phases, trunks, pretrainings)


def _pretraining(plan: Plan, node: plan_model.Node, names: dict[str, str]) -> Phase:
    alone = pretraining_plan(plan, node, 0, node.name)
    own = {each.name: names[each.name] for each in alone.graph.nodes}
    phase = _phase(alone, own, Outputs(alone.graph, {}, alone.data.labels), None)
    return with_trunks(alone, phase, trunks_of(alone))


def without_caches(plan: Plan) -> Plan:
    """The same plan without `cache = outputs`."""
    nodes = tuple(node.model_copy(update={"cache": "none"}) for node in plan.graph.nodes)
    return plan.model_copy(update={"graph": plan.graph.model_copy(update={"nodes": nodes})})


def module_names(plan: Plan) -> dict[str, str]:
    """The attribute that holds each node's network: `node_a`; an array's `p[0]` is `node_p_0`.

    The prefix keeps names such as `train` or `code` apart from the module's own.
    """
    return unique({name: f"node_{identifier(name)}" for name in plan.graph.networks})


def mixer_names(plan: Plan) -> dict[str, str]:
    """The attribute that holds the module of each ensemble that learns how to combine."""
    learned = [node.name for node in plan.graph.derived if node.optimizer is not None]
    return unique({name: f"mixer_{identifier(name)}" for name in learned})


def evaluation_of(plan: Plan, nodes: Collection[str] | None = None) -> Update:
    """The update that evaluates nodes, by default all: it computes logits, and no loss.

    Networks are called as wholes, whatever they share.
    """
    outputs = Outputs(plan.graph, mixer_names(plan), plan.data.labels)
    reported = [
        each
        for name in outputs.ensembles
        if nodes is None or name in nodes
        for each in outputs.reported(name)
    ]
    needed = {read.node for read in reads_of((), reported)}
    calls = []
    for node, module in module_names(plan).items():
        wanted = nodes is None or node in nodes
        if wanted or node in needed:
            taps = outputs.answer_taps(node)
            read = taps if wanted else ()
            calls.append(StageCall(module, node, "frozen", taps=read, answers=taps))
    mixers: dict[str, Access] = {each.name: "frozen" for each in mixers_of((), reported)}
    return Update((), with_outputs(calls, (), reported), (), tuple(reported), mixers)


def _phase(
    plan: Plan,
    names: Mapping[str, str],
    outputs: Outputs,
    written: plan_model.Phase | None,
    steps: int | None = None,
) -> Phase:
    """One phase of a plan; without phases all nodes that learn do so in one."""
    train = plan.train
    if written is None:
        epochs, edges = train.epochs, plan.graph.edges
    else:
        epochs, edges = written.epochs, _open_edges(written, plan.graph.edges, outputs)
    pairs = unique({e.key: "_to_".join(map(identifier, e.key)) for e in plan.graph.edges})
    losses = [
        edge_loss(edge, pairs[edge.key], outputs, train.reduce, epochs, plan.data.steps_per_epoch)
        for edge in edges
    ]
    learners = tuple(_learners(plan, names, outputs, written, losses))
    learning = {learner.name for learner in learners}
    followers = [each for each in plan.graph.followers if each.follows in learning]
    moving = {f.name for f in followers if f.made.arguments["buffers"] == "own"}
    kept = {n.name for n in plan.graph.nodes if n.cache == "outputs"} - learning
    called = moving.union(*map(needed_nodes, losses))
    calls = [
        # Without phases the accuracy of every node is reported.
        StageCall(
            names[name],
            name,
            "follow" if name in moving else "cached" if name in kept else "frozen",
            (SAMPLE if name in kept else IMAGE,),
            taps=outputs.answer_taps(name) if written is None else (),
            answers=outputs.answer_taps(name),
        )
        for name in names
        if name in called or written is None
    ]
    reported = [each for name in outputs.ensembles for each in outputs.reported(name)]
    return Phase(
        name=None if written is None else written.name,
        epochs=epochs,
        steps=epochs * plan.data.steps_per_epoch if steps is None else steps,
        learners=learners,
        updates=updates_of(
            calls, losses, learners, reported, sequential=train.update == "sequential"
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


def _open_edges(
    phase: plan_model.Phase, edges: Iterable[Edge], outputs: Outputs
) -> tuple[Edge, ...]:
    """The edges that teach what learns in a phase, as they are in it: `during` is 1 or 0."""
    found = []
    for edge in edges:
        if outputs.taught(edge.destination.node) & {*phase.learn}:
            gates = [(term, in_phase(term.gate, phase.name)) for term in edge.terms]
            terms = [t.model_copy(update={"gate": gate}) for t, gate in gates if gate != CUTOFF]
            if terms:
                found.append(edge.model_copy(update={"terms": tuple(terms)}))
    return tuple(found)


def _learners(
    plan: Plan,
    names: Mapping[str, str],
    outputs: Outputs,
    phase: plan_model.Phase | None,
    edges: Collection[EdgeLoss],
) -> Iterator[Learner]:
    """The learners of these edges: networks with their connectors, and ensembles."""
    taught = dict.fromkeys(edge.learner for edge in edges)
    reached = {name: outputs.reached(name) for name in taught}
    connectors = connectors_of(edges)
    modules = {
        n.name: (names[n.name], *(c.name for c in connectors if c.destination.node == n.name))
        for n in plan.graph.nodes
        if n.learns
    } | {name: (module,) for name, module in outputs.mixers.items()}
    nodes: list[plan_model.Node | plan_model.DerivedNode] = [*plan.graph.nodes, *plan.graph.derived]
    for node in nodes:
        own = [node.name] if node.name in taught else []
        losses = [*own, *(n for n in taught if n != node.name and node.name in reached[n])]
        if node.name in modules and losses and (phase is None or node.name in phase.learn):
            optimizer = (phase and phase.optimizer) or node.optimizer
            schedule = (phase and phase.schedule) or node.schedule
            assert optimizer is not None
            assert schedule is not None
            yield Learner(node.name, modules[node.name], optimizer, schedule, losses=tuple(losses))
