"""What is timed computes as a run does."""

import torch

from ktgdsl.training.measured import measured_stepper
from tests.specs import sound

TAUGHT = """
graph g {
    node a = resnet8
    node b = resnet8 { frozen = true }
    target a
    edge label, b -> a
}
"""


def test_frozen_networks_have_the_memory_format_of_the_others() -> None:
    step = measured_stepper(sound(f"{TAUGHT}\ndata digits"), "cpu", 2)
    assert step.computing.memory_format.value == "channels_last"
    weights = [step.graph.networks[name].get_parameter("stage2.0.conv1.weight") for name in "ab"]
    assert [each.is_contiguous(memory_format=torch.channels_last) for each in weights] == [True] * 2
    assert [each.requires_grad for each in weights] == [True, False]
