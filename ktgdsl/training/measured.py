"""A stepper to be measured: nothing is read and nothing pre-trained for it."""

import torch

from ktgdsl.backend.initial import initial_network
from ktgdsl.plan.model import Plan
from ktgdsl.training.computing import lay_out
from ktgdsl.training.step import Stepper, stepper


def measured_stepper(plan: Plan, device: str | torch.device | None, steps: int) -> Stepper:
    """A stepper that computes as in a run. What is frozen has initial weights.

    Raises RunError as `stepper` does, and when a frozen network does not give logits (E505).
    """
    frozen = {
        node.name: initial_network(plan, node, 0) for node in plan.graph.nodes if node.pretrained
    }
    step = stepper(plan, device, networks=frozen, seed=0, steps=steps)
    for name, network in frozen.items():  # what is given is left in its memory format
        lay_out(network, plan.graph.node(name).network.name, step.computing)
    # The first step that is measured is one as all others are.
    image = torch.zeros(1, *plan.data.shape, device=step.device)
    step.try_given(image, torch.zeros(1, dtype=torch.int64))
    return step
