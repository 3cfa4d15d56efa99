"""Errors of the user's networks during training, as errors about their nodes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb

import torch
from torch import nn

from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError, RunError, describe
from ktgdsl.training.memory_errors import is_out_of_memory


@contextmanager
def blaming_networks(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Raise NodeError (E505) where one of the networks fails that is not ours.

    They were tried before, but a forward may depend on the images, or on how often it was called.
    A lack of memory and an error of the device are nobody's fault.
    """
    try:
        yield
    except (RunError, torch.AcceleratorError):
        raise
    except Exception as error:
        called = {id(frame.f_locals.get("self")) for frame, _ in walk_tb(error.__traceback__)}
        for node, network in networks.items():
            is_ours = isinstance(network, StagedNetwork)
            if id(network) in called and not is_ours and not is_out_of_memory(error):
                message = f"the network of node `{node}` fails: {describe(error)}"
                raise NodeError(node, Diagnostic("E505", message)) from error
        raise
