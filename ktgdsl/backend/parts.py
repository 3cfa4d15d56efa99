"""Makes the modules of a program besides its networks: connectors, and mixers of ensembles."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ktgdsl.backend.connectors import connector
from ktgdsl.backend.mixers import mixer
from ktgdsl.backend.seeds import derive
from ktgdsl.backend.taps import Tapped, tapped
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError
from ktgdsl.plan.ensembles import ensembles_of
from ktgdsl.plan.heads import answers, classes_answered, heads_of
from ktgdsl.plan.model import Plan
from ktgdsl.program.model import Program
from ktgdsl.program.values import Mixer, Read

Features = Mapping[tuple[str, str], Tensor]
"""The features of networks at taps, by node and tap."""


def make_parts(
    plan: Plan, program: Program, networks: Mapping[str, nn.Module], seed: int | None = None
) -> dict[str, nn.Module]:
    """The connectors and mixers of a program by their names, with initial weights.

    Each has a random stream of its own, by its edge or by its ensemble. Shapes are those of
    features, for which the networks are called on two images in eval mode. Raises TapError where
    a network has no such module, NodeError where features cannot be combined (E505).
    """
    seed = plan.train.seed if seed is None else seed
    made = make_mixers(plan, program.mixers, networks, seed)
    return _connectors(program, networks, plan, seed) | made


def _connectors(
    program: Program, networks: Mapping[str, nn.Module], plan: Plan, seed: int
) -> dict[str, nn.Module]:
    ends = [end for each in program.connectors for end in (each.source, each.destination)]
    trunks = {each.name: networks[each.nodes[0]] for each in program.trunks}
    features = _features(ends, {**networks, **trunks}, plan)
    made: dict[str, nn.Module] = {}
    for each in program.connectors:
        source, destination = (features[e.node, e.tap] for e in (each.source, each.destination))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "connector", each.kind, *each.stream))
            module = connector(each.kind, source.shape[1:], destination.shape[1:])
        made[each.name] = module.to(destination.device, destination.dtype)
    return made


def make_mixers(
    plan: Plan, mixers: Sequence[Mixer], networks: Mapping[str, nn.Module], seed: int = 0
) -> dict[str, nn.Module]:
    """The modules of ensembles that learn how to combine; see `make_parts`."""
    combines = {name: each.combine for name, each in ensembles_of(plan.graph).items()}
    sizes = {node.name: len(node.sources) for node in plan.graph.derived}
    read = {each.name: _reads(each) for each in mixers}
    ends = [end for reads in read.values() for end in reads]
    heads = heads_of(plan.graph)
    logits = {
        name: Read(
            reads[0].node, "logits", answers(reads[0].node, heads.get(reads[0].node, ()))[0].tap
        )
        for name, reads in read.items()
        if reads
    }
    features = _features([*ends, *logits.values()], networks, plan)
    like = next((p for each in networks.values() for p in each.parameters()), torch.zeros(()))
    made: dict[str, nn.Module] = {}
    for each in mixers:
        inputs = [features[e.node, e.tap] for e in read[each.name]]
        like_logits = logits.get(each.name)
        dense = like_logits is not None and features[like_logits.node, like_logits.tap].ndim > 2
        classes = classes_answered(plan.graph, plan.data, each.node)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "mixer", each.node))
            shapes = [value.shape[1:] for value in inputs]
            try:
                module = mixer(combines[each.node], shapes, sizes[each.node], classes, dense=dense)
            except ValueError as error:
                message = f"the ensemble `{each.node}` cannot be made: {error}"
                raise NodeError(each.node, Diagnostic("E505", message)) from None
        first = inputs[0] if inputs else like
        made[each.name] = module.to(first.device, first.dtype)
    return made


def _reads(mixer: Mixer) -> list[Read]:
    return [each for each in mixer.inputs if isinstance(each, Read)]


def _features(ends: Iterable[Read], networks: Mapping[str, nn.Module], plan: Plan) -> Features:
    """The features of networks at taps for two images, in eval mode."""
    taps: dict[str, dict[str, None]] = {}
    heads = heads_of(plan.graph)
    for end in ends:
        taps.setdefault(end.node, {})[end.tap] = None
    return {
        (node, tap): value
        for node, own in taps.items()
        for tap, value in _evaluated(
            tapped(node, networks[node], tuple(own), heads.get(node, ())), plan.data.shape
        ).items()
    }


@torch.no_grad()
def _evaluated(network: Tapped, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """The outputs of a network at its taps for two images, in eval mode."""
    modes = {module: module.training for module in network.modules()}
    like = next(network.parameters(), torch.zeros(()))
    try:
        for module in modes:
            module.training = False
        return network.forward(torch.zeros(2, *shape, device=like.device, dtype=like.dtype))
    finally:
        for module, mode in modes.items():
            module.training = mode
