"""The number of parameters of a network in a plan, counted without building it."""

from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.networks import Network
from ktgdsl.vocabulary.registry import entries


def parameter_count(network: Call, classes: int, channels: int) -> int | None:
    """The trainable parameters for images of so many channels; None for foreign networks."""
    entry = entries("network")[network.name].model_validate(network.arguments)
    assert isinstance(entry, Network)
    return entry.parameters(classes, channels)
