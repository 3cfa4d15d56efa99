"""Prepares the training of a plan: a stepper whose frozen nodes are pre-trained."""

from collections.abc import Mapping

import torch
from torch import nn

from ktgdsl.plan.model import Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.training.assemble import assemble
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.device import choose_device
from ktgdsl.training.events import Listener, ignore
from ktgdsl.training.execution import Execution
from ktgdsl.training.pretrain import Pretraining, load_pretrained
from ktgdsl.training.step import Stepper


def stepper(
    plan: Plan,
    device: str | torch.device | None = None,
    *,
    networks: Mapping[str, nn.Module] | None = None,
    seed: int | None = None,
    steps: int | None = None,
    pretraining: Pretraining | None = None,
    execution: Execution | None = None,
    listener: Listener = ignore,
) -> Stepper:
    """Make the step that trains a plan's graph, ready to be called.

    Frozen nodes without weights of their own are pre-trained on the labels here, or loaded
    from the cache of pre-trained weights.

    Args:
        plan: what to train.
        device: such as "cpu" or "cuda:1"; by default the GPU that there is, or the CPU.
        networks: modules to use, as they are, instead of the plan's networks, by node. A
            frozen one counts as pre-trained. They are moved to the device.
        seed: of all random streams; by default the plan's.
        steps: k_end, the length of the training; by default the plan's epochs.
        pretraining: the seed and folder of pre-training; by default it has `seed` too.
        execution: how to compute steps; by default as the rule has it.
        listener: receives the events of pre-training.

    Raises:
        TypeError: when `plan` is not a plan.
        RunError: when there is no such device, or it cannot compute as the plan says (E504);
            weights do not fit (E406); a network cannot be made, or `networks` does not fit
            the graph (E505); the data are missing or damaged (E508); the plan is a space
            (E506); a loss of the pre-training is not
            finite (E503).
    """
    require_plan(plan, "stepper")
    chosen = choose_device(device)
    plan = complete(plan)
    seed = plan.train.seed if seed is None else seed
    step = assemble(plan, chosen, networks=networks, seed=seed, steps=steps, execution=execution)
    pretraining = Pretraining(seed) if pretraining is None else pretraining
    for node in plan.graph.nodes:
        if node.pretrained and node.name not in (networks or {}):
            network = step.networks[node.name]
            load_pretrained(
                network, plan, node, device=chosen, pretraining=pretraining, listener=listener
            )
    for name, node in plan.graph.networks.items():
        if node.pretrained and name != node.name:  # a follower
            step.networks[name].load_state_dict(step.networks[node.name].state_dict())
    return step
