"""Makes the networks of a plan, by node, with the weights that they start from."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import nn

from ktgdsl.backend.factories import initial_network
from ktgdsl.backend.followers import follower_network
from ktgdsl.backend.heads import answer_by_head
from ktgdsl.backend.normalization import input_normalization, normalize_inputs
from ktgdsl.backend.spec_or_space import require_spec
from ktgdsl.backend.trunks import average_gradients, require_equal, share_layers
from ktgdsl.backend.weights import load_weights, normalization_of
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Node, Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.program.trunks import trunks_of
from ktgdsl.vocabulary.spelling import closest


def make_networks(
    plan: Plan, networks: Mapping[str, nn.Module] | None = None, seed: int | None = None
) -> dict[str, nn.Module]:
    """The network of each node: the caller's, or with initial weights of `seed` or of a file.

    That of a follower is a copy. Those of frozen nodes and of followers need no gradients. Raises
    RunError as `build` says.
    """
    require_plan(plan, "build")
    require_spec(plan)
    _require_known(plan)
    own = dict(networks or {})
    _check_networks(plan, own)
    seed = plan.train.seed if seed is None else seed
    made: dict[str, nn.Module] = {}
    for node in plan.graph.nodes:
        network = own.get(node.name)
        if network is None:
            network = initial_network(plan, node, seed)
            _load(node, network)
        elif len(node.heads) > 1:
            answer_by_head(network, node.heads)
        made[node.name] = network if node.learns else network.requires_grad_(False)
    trunks = trunks_of(plan)
    fixed = {n.name for n in plan.graph.nodes if not n.learns and (n.weights or n.name in own)}
    require_equal((each for each in trunks if fixed.intersection(each.nodes)), made)
    share_layers(trunks, made)
    average_gradients(trunks, made)
    for each in plan.graph.followers:
        followed = each.sources[0]
        made[each.name] = follower_network(each.name, followed, made[followed], seed)
    return made


def _require_known(plan: Plan) -> None:
    if plan.data.facts is None:
        message = "the plan's data are not read yet, so their shape and classes are unknown"
        help = "read them first: `plan = ktgdsl.complete(plan)`"
        raise RunError([Diagnostic("E508", message, help=help)])


def _load(node: Node, network: nn.Module) -> None:
    file = node.weights_file
    if file is None:
        return
    path = Path(file.file)
    problem = load_weights(network, path, file.sha256)
    if problem is not None:
        raise RunError([replace(problem, message=f"node `{node.name}`: {problem.message}")])
    normalization = normalization_of(path)
    if normalization is not None and input_normalization(network) is None:
        # In a loop of the user's images may come as they did then; a run says how they do.
        normalize_inputs(network, *normalization, already=True)


def _check_networks(plan: Plan, networks: dict[str, nn.Module]) -> None:
    """Check the caller's networks; those of dropped nodes are removed, with a warning."""
    names = [node.name for node in plan.graph.nodes]
    followed = {each.name: each.follows for each in plan.graph.followers}
    dropped = [d.name for d in plan.graph.dropped if d.kind == "node"]
    owners: dict[int, str] = {}
    for name, module in list(networks.items()):
        if name in dropped:
            warnings.warn(
                f"the node `{name}` is dropped from the graph, so its network is not used",
                stacklevel=4,
            )
            del networks[name]
        elif name in followed:
            message = f"`networks` names `{name}`, whose network is a copy of `{followed[name]}`'s"
            help = f"give one to `{followed[name]}`, or leave it out"
            raise RunError([Diagnostic("E505", message, help=help)])
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
