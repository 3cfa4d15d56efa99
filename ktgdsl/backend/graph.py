"""The training graph: an fx module that computes every loss of an update for one batch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn

from ktgdsl.backend.cached import CachedOutputs, Lookup
from ktgdsl.backend.emit import emit
from ktgdsl.backend.frozen import ForwardOnly, Frozen, Transparent, WithoutGradient
from ktgdsl.backend.initial import make_networks
from ktgdsl.backend.margins import Margin, norm_before
from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.backend.parts import make_parts
from ktgdsl.backend.taps import Tapped, tapped
from ktgdsl.backend.trunks import Part, average_gradients
from ktgdsl.backend.user_functions import ImportedFunction
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import EdgeError
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of, without_caches
from ktgdsl.program.model import Access, Phase, StageCall, Update
from ktgdsl.program.reads import connectors_of, margin_names, reads_of
from ktgdsl.program.trunks import trunks_of


class _ShortNames(fx.graph.CodeGen):
    """Prints our functions under their own names, not behind the names of their modules."""

    def _gen_python_code(
        self, nodes: Any, root_module: str, namespace: Any, *more: Any, **options: Any
    ) -> Any:
        for node in nodes:
            if node.op == "call_function" and _is_ours(node.target):
                namespace.create_name(node.target.__name__, node.target)
        return super()._gen_python_code(nodes, root_module, namespace, *more, **options)


class TrainingGraph(fx.GraphModule):
    """Networks, losses and gates of an update as one module (paper, Algorithm 1, one batch).

    `graph(image, label, progress)` takes images (B, channels, height, width), labels (B,)
    as int64 with -1 for unlabeled, and k / k_end in (0, 1], and gives an `Output`. Where a gate
    reads the numbers of the samples, `shard` for one, or outputs are kept (`caches`), further
    inputs are `sample`, the numbers (B,) as int64, and where an edge reads the other view of the
    samples `second_view`, in that order. With `gather` several processes compute it together, each
    on its part of the images.
    """

    def __init__(
        self, plan: Plan, update: Update, modules: Mapping[str, nn.Module], *, gather: bool = False
    ) -> None:
        together = not torch.are_deterministic_algorithms_enabled()
        graph = emit(update, plan.folder, together=together, gather=gather)
        graph.set_codegen(_ShortNames())
        super().__init__(dict(modules), graph, class_name="TrainingGraph")
        self.meta["plan"] = plan
        self.meta["update"] = update
        self.meta["gather"] = gather

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its plan, update and modules: the code is made again, not stored."""
        gather = self.meta["gather"]
        return _rebuild, (self.plan.to_json(), self.update, dict(self._modules), gather)

    @property
    def plan(self) -> Plan:
        """The plan that the graph is of."""
        plan: Plan = self.meta["plan"]
        return plan

    @property
    def update(self) -> Update:
        """The update that the graph computes."""
        update: Update = self.meta["update"]
        return update

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The network of each node that is called, by the node's name, frozen ones included."""
        return {
            name: _network(getattr(self, call.attribute))
            for call in self.update.calls
            if call.trunk is None or call.gives_logits
            for name in call.nodes
        }

    @property
    def caches(self) -> dict[str, CachedOutputs]:
        """The outputs that are kept, by the name of the node, which `prepare` has to fill."""
        modules = {call.node: getattr(self, call.attribute) for call in self.update.calls}
        return {name: m.cache for name, m in modules.items() if isinstance(m, Lookup)}

    @property
    def code(self) -> str:
        """The Python that runs, with its imports; `self` is this module."""
        imports: dict[str, list[str]] = {}
        for name, value in self.graph.python_code("self").globals.items():
            if _is_ours(value):
                alias = "" if name == value.__name__ else f" as {name}"
                imports.setdefault(value.__module__, []).append(value.__name__ + alias)
        lines = [f"from {m} import {', '.join(sorted(n))}" for m, n in sorted(imports.items())]
        return "\n".join(lines) + "\n\n\n" + super().code.strip() + "\n"


def _rebuild(
    plan: str, update: Update, modules: Mapping[str, nn.Module], gather: bool
) -> TrainingGraph:
    graph = TrainingGraph(Plan.from_json(plan), update, modules, gather=gather)
    average_gradients(trunks_of(graph.plan), graph.networks)  # hooks are not stored either
    return graph


def _is_ours(function: object) -> bool:
    """Whether a function is ktgdsl's or one of the user's that a plan names."""
    module = str(getattr(function, "__module__", ""))
    return module.startswith("ktgdsl.") or isinstance(function, ImportedFunction)


def build(
    plan: Plan,
    networks: Mapping[str, nn.Module] | None = None,
    *,
    seed: int | None = None,
    phase: str | None = None,
) -> TrainingGraph:
    """Build the training graph of a plan on the CPU; nothing is trained.

    It computes all nodes at once, also where `update = sequential` trains them in turn or
    outputs are kept. Of a plan with phases it is the graph of the first, or of the one that
    `phase` names. `networks` gives your own modules for nodes; each is used as it is, but for
    layers that it shares and gets from the first sharer, and must map images to logits (B,
    classes, ...). The other networks are made by the plan, with initial weights from the node's
    own random stream of `seed` (the plan's seed by default), or from the file that the node
    names. A frozen node without weights has initial weights here: `stepper` and `run` pre-train
    it.

    Raises RunError when a network cannot be made, weights do not fit, `networks` names a
    node that the graph does not have, or the plan is one that cannot be trained (a space,
    E506; data of your own that `complete` has not read, E508).
    ValueError when there is no such phase.
    """
    made = make_networks(plan, networks, seed)
    plan = without_caches(plan)
    train = plan.train.model_copy(update={"update": "simultaneous"})
    program = program_of(plan.model_copy(update={"train": train}))
    phases = program.phases
    found = {each.name: each for each in phases}
    chosen = phases[0] if phase is None else found.get(phase)
    if chosen is None:
        names = ", ".join(str(name) for name in found if name is not None) or "none"
        raise ValueError(f"there is no phase `{phase}`; there are {names}")
    (graph,) = phase_graphs(plan, chosen, made, make_parts(plan, program, made, seed))
    return graph


def phase_graphs(
    plan: Plan,
    phase: Phase,
    networks: Mapping[str, nn.Module],
    parts: Mapping[str, nn.Module],
    *,
    gather: bool = False,
) -> tuple[TrainingGraph, ...]:
    """The training graph of each update of a phase, over the same networks and other modules.

    Networks are by node, connectors and mixers by the names of their modules. `gather` as of
    `TrainingGraph`.
    """
    caches = _caches(plan, phase, networks)
    return tuple(
        _update_graph(plan, update, networks, parts, caches, gather) for update in phase.updates
    )


def _update_graph(
    plan: Plan,
    update: Update,
    networks: Mapping[str, nn.Module],
    parts: Mapping[str, nn.Module],
    caches: Mapping[str, CachedOutputs],
    gather: bool,
) -> TrainingGraph:
    modes = {node.name: node.mode for node in plan.graph.nodes}
    modes |= {each.name: "eval" for each in plan.graph.followers}
    modules = {
        c.attribute: Lookup(caches[c.node], c.taps)
        if c.access == "cached"
        else _called(c, networks[c.nodes[0]], modes[c.nodes[0]])
        for c in update.calls
    }
    modules |= {c.name: parts[c.name] for c in connectors_of(update.edges)}
    modules |= {name: _mixer(parts[name], access) for name, access in update.mixers.items()}
    return TrainingGraph(plan, update, modules | _margins(update, networks), gather=gather)


def evaluation_graph(
    plan: Plan,
    update: Update,
    networks: Mapping[str, nn.Module],
    parts: Mapping[str, nn.Module],
) -> TrainingGraph:
    """The graph that computes the logits of nodes, in the modes in which the modules are."""
    modules = {c.attribute: reading(c, networks[c.nodes[0]]) for c in update.calls}
    return TrainingGraph(plan, update, modules | {name: parts[name] for name in update.mixers})


def _margins(update: Update, networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The modules of the margins that edges read. Raises EdgeError without a batch norm there."""
    found: dict[str, nn.Module] = {}
    for read, name in margin_names(update.edges).items():
        norm = norm_before(networks[read.node], read.tap)
        if norm is None:
            edge = next(each for each in update.edges if read in reads_of([each]))
            message = (
                f"the loss `overhaul` of edge {' -> '.join(edge.key)} takes its margins from the "
                f"batch norm before `{read.tap}`, and in the network of node `{read.node}` that "
                "does not come from one"
            )
            raise EdgeError(edge.key, Diagnostic("E505", message, help=_NO_NORM))
        found[name] = Margin(norm)
    return found


_NO_NORM = (
    "take the tap before a ReLU, such as `stage2.pre`, or the path of a batch norm, or the margins "
    "of each batch: `overhaul(margin=batch)`"
)


def _caches(
    plan: Plan, phase: Phase, networks: Mapping[str, nn.Module]
) -> dict[str, CachedOutputs]:
    """The kept outputs of each node that is not computed in every step, by the node's name."""
    taps: dict[str, dict[str, None]] = {}
    heads: dict[str, tuple[str, ...]] = {}
    for call in (call for update in phase.updates for call in update.calls):
        if call.access == "cached":
            taps.setdefault(call.node, {}).update(dict.fromkeys(call.taps))
            heads[call.node] = call.heads
    samples = plan.data.trained_samples if taps else 0
    return {
        node: CachedOutputs(node, networks[node], tuple(read), samples, heads[node])
        for node, read in taps.items()
    }


def _called(call: StageCall, network: nn.Module, mode: str) -> nn.Module:
    """The module that a call is to, with what its access forbids left out."""
    module = reading(call, network)
    match call.access:
        case "learn":
            return module
        case "forward":
            return WithoutGradient(module)
        case "source":
            return ForwardOnly(module)
        case "frozen":
            return Frozen(module, mode)
        case "follow":
            return Frozen(module, "train")
        case "cached":
            raise ValueError(f"the outputs of {call.node} are kept, not computed")


def reading(call: StageCall, network: nn.Module) -> nn.Module:
    """The stages of a network that a call is to, giving what is read of them."""
    if call.stages:
        assert isinstance(network, StagedNetwork)  # as `share_layers` has made sure
        network = Part(network, call.stages)
    return (
        network
        if call.taps == (call.output,)
        else tapped(call.nodes[0], network, call.taps, call.heads)
    )


def _mixer(module: nn.Module, access: Access) -> nn.Module:
    if access == "learn":
        return module
    return Transparent(module) if access == "source" else Frozen(module, "eval")


def _network(module: nn.Module) -> nn.Module:
    """The network that a called module wraps, or is."""
    if isinstance(module, Lookup):
        module = module.cache.network
    while isinstance(module, Frozen | ForwardOnly | WithoutGradient | Tapped):
        module = module.network
    return module.whole if isinstance(module, Part) else module
