"""The training graph: an fx module that computes every loss of a plan for one batch."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from ktgdsl.backend.batched import batch_edges
from ktgdsl.backend.emit import emit, module_names
from ktgdsl.backend.factories import initial_network
from ktgdsl.backend.frozen import ForwardOnly, Frozen
from ktgdsl.backend.supported import require_supported
from ktgdsl.backend.weights import load_weights
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Node, Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.vocabulary.spelling import closest


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
    """Networks, losses and gates of a plan as one module (paper, Algorithm 1, one batch).

    `graph(image, label, progress)` takes images (B, channels, height, width), labels (B,)
    as int64 with -1 for unlabeled, and k / k_end in (0, 1], and gives an `Output`.
    """

    def __init__(self, plan: Plan, modules: Mapping[str, nn.Module]) -> None:
        graph = emit(plan)
        if not torch.are_deterministic_algorithms_enabled():
            batch_edges(graph)
        graph.set_codegen(_ShortNames())
        super().__init__(dict(modules), graph, class_name="TrainingGraph")
        self.meta["plan"] = plan

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its plan and modules: the code is made again, not stored."""
        return _rebuild, (self.plan.to_json(), dict(self._modules))

    @property
    def plan(self) -> Plan:
        """The plan that the graph computes."""
        plan: Plan = self.meta["plan"]
        return plan

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The network of each node by the node's name, frozen ones included."""
        modules = {name: getattr(self, at) for name, at in module_names(self.plan).items()}
        return {
            name: module.network if isinstance(module, Frozen | ForwardOnly) else module
            for name, module in modules.items()
        }

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


def _rebuild(plan: str, modules: Mapping[str, nn.Module]) -> TrainingGraph:
    return TrainingGraph(Plan.from_json(plan), modules)


def _is_ours(function: object) -> bool:
    return str(getattr(function, "__module__", "")).startswith("ktgdsl.")


def build(
    plan: Plan, networks: Mapping[str, nn.Module] | None = None, *, seed: int | None = None
) -> TrainingGraph:
    """Build the training graph of a plan on the CPU; nothing is trained.

    `networks` gives your own modules for nodes; each is used as it is and must map images
    to logits (B, classes, ...). The other networks are made by the plan, with initial
    weights from the node's own random stream of `seed` (the plan's seed by default), or
    from the file that the node names. A frozen node without weights has initial weights
    here: `stepper` and `run` pre-train it.

    Raises RunError when a network cannot be made, weights do not fit, `networks` names a
    node that the graph does not have, or the plan is one that cannot be trained (a space,
    E506; what is not supported yet, E901; data of your own that `complete` has not read, E508).
    """
    require_plan(plan, "build")
    require_supported(plan)
    _require_known(plan)
    own = dict(networks or {})
    _check_networks(plan, own)
    seed = plan.train.seed if seed is None else seed
    modules: dict[str, nn.Module] = {}
    for node in plan.graph.nodes:
        network = own.get(node.name)
        if network is None:
            network = initial_network(plan, node, seed)
            _load(node, network)
        name = module_names(plan)[node.name]
        modules[name] = network if node.learns else Frozen(network, node.mode)
    return TrainingGraph(plan, modules)


def _require_known(plan: Plan) -> None:
    if plan.data.facts is None:
        message = "the plan's data are not read yet, so their shape and classes are unknown"
        help = "read them first: `plan = ktgdsl.complete(plan)`"
        raise RunError([Diagnostic("E508", message, help=help)])


def _load(node: Node, network: nn.Module) -> None:
    file = node.weights_file
    if file is None:
        return
    from pathlib import Path

    problem = load_weights(network, Path(file.file), file.sha256)
    if problem is not None:
        raise RunError([replace(problem, message=f"node `{node.name}`: {problem.message}")])


def _check_networks(plan: Plan, networks: dict[str, nn.Module]) -> None:
    """Check the caller's networks; those of dropped nodes are removed, with a warning."""
    names = [node.name for node in plan.graph.nodes]
    dropped = [d.name for d in plan.graph.dropped if d.kind == "node"]
    owners: dict[int, str] = {}
    for name, module in list(networks.items()):
        if name in dropped:
            warnings.warn(
                f"the node `{name}` is dropped from the graph, so its network is not used",
                stacklevel=3,
            )
            del networks[name]
        elif name not in names:
            guess = closest(name, names)
            fix = f"did you mean `{guess}`?" if guess else f"there are {', '.join(names)}"
            message = f"`networks` names `{name}`, and the graph has no such node"
            raise RunError([Diagnostic("E505", message, help=fix)])
        elif not isinstance(module, nn.Module):
            message = f"`networks` gives a {type(module).__name__} to `{name}`, not an nn.Module"
            raise RunError([Diagnostic("E505", message, help="leave out what the plan makes")])
        elif id(module) in owners:
            message = f"`networks` gives one module to `{owners[id(module)]}` and to `{name}`"
            fix = "each node needs a network of its own: copy.deepcopy(module)"
            raise RunError([Diagnostic("E505", message, help=fix)])
        else:
            owners[id(module)] = name
