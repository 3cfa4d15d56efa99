"""Dry run of edges before the training: shapes that do not fit their losses fail here."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from ktgdsl.backend.graph import phase_graphs
from ktgdsl.backend.own_code_errors import place_in_own_code
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import EdgeError, NodeError, RunError, describe
from ktgdsl.plan.model import LOGITS, Plan
from ktgdsl.program.model import Program
from ktgdsl.program.reads import placeholders_of
from ktgdsl.program.values import IMAGE, LABEL, PROGRESS, SAMPLE, SECOND_VIEW
from ktgdsl.training.metrics import eval_mode
from ktgdsl.training.network_dry_run import CHECKED_IMAGES
from ktgdsl.training.random_labels import random_labels


def try_taps(
    plan: Plan,
    program: Program,
    networks: Mapping[str, nn.Module],
    parts: Mapping[str, nn.Module],
    device: torch.device,
) -> None:
    """Compute updates on two images, in eval mode: those that read inside of networks, or masks.

    Args:
        plan: what is trained.
        program: of the plan.
        networks: of all nodes, on the device.
        parts: connectors and mixers of the program.
        device: where.

    Raises:
        NodeError: where a network has no such module, or does not call it (E505).
        EdgeError: where features do not fit a loss (E505).
    """
    for phase in program.phases:
        calls = [call for update in phase.updates for call in update.calls]
        if plan.data.known_facts.masks or any(call.taps != (LOGITS,) for call in calls):
            for graph in phase_graphs(plan, phase, networks, parts):
                first = next(iter(networks.values()))
                dtype = next((each.dtype for each in first.parameters()), torch.float32)
                image = torch.rand(CHECKED_IMAGES, *plan.data.shape, device=device).to(dtype)
                number = torch.arange(CHECKED_IMAGES, device=device)
                values = {
                    IMAGE: image,
                    LABEL: random_labels(plan.data, len(number), torch.Generator()).to(device),
                    PROGRESS: 1.0,
                    SAMPLE: number,
                    SECOND_VIEW: image,
                }
                with torch.no_grad(), eval_mode([*networks.values(), *parts.values()]):
                    _Trial(graph).run(*map(values.__getitem__, placeholders_of(graph.update)))


class _Trial(fx.Interpreter):
    """Runs a graph and says whose fault it is where it fails."""

    def run_node(self, n: fx.Node) -> Any:
        try:
            return super().run_node(n)
        except RunError:
            raise
        except Exception as error:
            problem = describe(error).partition("\n")[0] + place_in_own_code(error)
            if "network" in n.meta:
                node = n.meta["network"].node
                message = f"the network of node `{node}` cannot be read inside: {problem}"
                raise NodeError(node, Diagnostic("E505", message)) from error
            if "loss" in n.meta:
                (source, destination), word = n.meta["loss"]
                arguments = self.fetch_args_kwargs_from_env(n)[0]
                shapes = [tuple(each.shape) for each in arguments if isinstance(each, Tensor)]
                message = (
                    f"the loss `{word}` of edge {source} -> {destination} does not fit features "
                    f"of {' and '.join(map(str, shapes))}: {problem}"
                )
                help = "take taps that fit, or a loss that does not compare them one by one"
                raise EdgeError(
                    (source, destination), Diagnostic("E505", message, help=help)
                ) from error
            if "reduced" in n.meta:
                source, destination = n.meta["reduced"]
                message = f"the gate of edge {source} -> {destination} does not fit: {problem}"
                help = (
                    "with masks `correct` and its like have a weight for each pixel, and a loss "
                    "between layers one value for each sample: weigh that by numbers or schedules"
                )
                raise EdgeError(
                    (source, destination), Diagnostic("E505", message, help=help)
                ) from error
            raise
