"""Assembles a stepper: networks on the device, and the executors that were chosen for them."""

from collections.abc import Mapping

import torch
from torch import nn

from ktgdsl.backend.initial import make_networks
from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.backend.parts import make_parts
from ktgdsl.backend.process_group import process_group
from ktgdsl.backend.random_streams import ForwardStream
from ktgdsl.backend.seeds import derive
from ktgdsl.backend.synchronized import synchronize
from ktgdsl.plan.heads import classes_answered
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of, without_caches
from ktgdsl.training.edge_dry_run import try_taps
from ktgdsl.training.execution import Execution, choose_execution
from ktgdsl.training.executors import apply_memory_format
from ktgdsl.training.network_dry_run import try_networks
from ktgdsl.training.node_devices import node_devices, place
from ktgdsl.training.process_settings import choose_convolutions_by_time, keep_freed_pages
from ktgdsl.training.step import Stepper


def assemble(
    plan: Plan,
    device: torch.device,
    *,
    networks: Mapping[str, nn.Module] | None = None,
    seed: int,
    steps: int | None = None,
    execution: Execution | None = None,
) -> Stepper:
    """Make a stepper in which frozen nodes that need pre-training have initial weights.

    A benchmark, or a plan without such nodes, needs no more.

    Args:
        plan: what to train, with the facts of its data.
        device: where.
        networks: modules of the user's by node, used as they are.
        seed: of the initial weights and all other random streams.
        steps: k_end, the length of the training; by default the plan's epochs.
        execution: how to compute steps; by default as the rule has it.

    Raises:
        RunError: when the machine cannot compute as the plan says (E504), the graph cannot be
            built (as `ktgdsl.build` says), or a network of the plan's does not fit (E505).
    """
    own = networks or {}
    execution = execution or choose_execution(plan, device, own)
    keep_freed_pages()
    choose_convolutions_by_time(device)
    made = make_networks(plan, own, seed)
    group = process_group()
    if group.is_distributed:
        synchronize(made.values(), norms=plan.train.sync_bn)
    elsewhere = node_devices(plan, device)
    for name, node in plan.graph.networks.items():
        network = made[name].to(elsewhere.get(name, device))
        if name in elsewhere:
            place(network, elsewhere[name], device)
        if node.name not in own:
            apply_memory_format(network, node.network.name, execution)
    classes = {name: classes_answered(plan.graph, plan.data, name) for name in made}
    foreign = {
        name: each
        for name, each in made.items()
        if plan.data.known_facts.masks or not _gives_logits(each, classes[name])
    }
    unchecked = [name for name in foreign if name in own]
    made_here = {name for name, node in plan.graph.networks.items() if node.name not in own}
    tried = {name: each for name, each in foreign.items() if name in made_here}
    own_rank = (group.rank,) if group.is_distributed else ()
    streams = [
        ForwardStream(network, derive(seed, "forward", name, *own_rank))
        for name, network in tried.items()
    ]
    try_networks(plan, tried, device, half=execution.precision.value == "bf16")
    # What is kept of images in one process is not there in the others.
    program = program_of(without_caches(plan) if group.is_distributed else plan, steps)
    parts = make_parts(plan, program, made, seed)
    try_taps(plan, program_of(without_caches(plan)), made, parts, device)
    return Stepper(
        plan,
        program,
        made,
        device,
        execution,
        parts=parts,
        unchecked=unchecked,
        streams=streams,
    )


def _gives_logits(network: nn.Module, classes: int) -> bool:
    """Whether it is one of ours with so many logits; others are tried before they are used."""
    last = network.get_submodule("logits") if isinstance(network, StagedNetwork) else None
    return isinstance(last, nn.Linear) and last.out_features == classes
