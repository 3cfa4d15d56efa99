"""Assembles a stepper: networks on the device, and the executors that were chosen for them."""

from collections.abc import Mapping

import torch
from torch import nn

from ktgdsl.backend.initial import make_networks
from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.execution import choose_execution
from ktgdsl.training.executors import apply_memory_format
from ktgdsl.training.process_settings import choose_convolutions_by_time, keep_freed_pages
from ktgdsl.training.step import Stepper


def assemble(
    plan: Plan,
    device: torch.device,
    *,
    networks: Mapping[str, nn.Module] | None = None,
    seed: int,
    steps: int | None = None,
) -> Stepper:
    """Make a stepper in which frozen nodes that need pre-training have initial weights.

    That is all that a plan without such nodes needs, and a benchmark.

    Args:
        plan: what to train, with the facts of its data.
        device: where.
        networks: modules of the user's by node, used as they are.
        seed: of the initial weights and all other random streams.
        steps: k_end, the length of the training; by default the plan's epochs.

    Raises:
        RunError: when the machine cannot compute as the plan says (E504), or the graph cannot be
            built (as `ktgdsl.build` says).
    """
    own = networks or {}
    execution = choose_execution(plan, device, own)
    keep_freed_pages()
    choose_convolutions_by_time(device)
    made = make_networks(plan, own, seed)
    for node in plan.graph.nodes:
        network = made[node.name].to(device)
        if node.name not in own:
            apply_memory_format(network, node.network.name, execution)
    unchecked = [
        name for name, network in made.items() if not _gives_logits(network, plan.data.classes)
    ]
    program = program_of(plan, steps)
    return Stepper(plan, program, made, device, execution, unchecked=unchecked)


def _gives_logits(network: nn.Module, classes: int) -> bool:
    """Whether it is one of ours with so many logits; others are asked for them before a step."""
    last = network.get_submodule("logits") if isinstance(network, StagedNetwork) else None
    return isinstance(last, nn.Linear) and last.out_features == classes
