"""Errors of the user's own code during training, as errors about its nodes and edges."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb

import torch
from torch import nn

from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import EdgeError, NodeError, RunError, describe
from ktgdsl.plan.gate_expressions import gate_calls
from ktgdsl.plan.model import Edge, Plan
from ktgdsl.training.memory_errors import is_out_of_memory


@contextmanager
def blaming_own_code(networks: Mapping[str, nn.Module], plan: Plan) -> Iterator[None]:
    """Raise NodeError or EdgeError (E505) where what is not ours fails, RunError if unclear which.

    Networks were tried before, but a forward may depend on the images, or on how often it was
    called; and a loss may fail in its gradient alone. A lack of memory and an error of the device
    are nobody's fault.
    """
    try:
        yield
    except (RunError, torch.AcceleratorError):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) or not is_out_of_memory(error):
            foreign = [n for n, each in networks.items() if not isinstance(each, StagedNetwork)]
            if (blamed := _forward(error, networks, foreign)) is not None:
                raise blamed from error
            if (blamed := _backward(error, plan, foreign)) is not None:
                raise blamed from error
        raise


def _forward(
    error: BaseException, networks: Mapping[str, nn.Module], foreign: list[str]
) -> RunError | None:
    """The error about the network in whose forward it was raised."""
    called = {id(frame.f_locals.get("self")) for frame, _ in walk_tb(error.__traceback__)}
    node = next((name for name in foreign if id(networks[name]) in called), None)
    if node is None:
        return None
    message = f"the network of node `{node}` fails: {describe(error)}"
    return NodeError(node, Diagnostic("E505", message))


def _backward(error: BaseException, plan: Plan, foreign: list[str]) -> RunError | None:
    """The error about the own code whose gradient cannot be computed.

    The modules that the traceback passes say which it is, or there is only one; an operation in
    place is found by torch, which tells nobody whose it was.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    if all(frame.f_code is not torch.autograd.backward.__code__ for frame in frames):
        return None
    passed = {frame.f_globals.get("__name__") for frame in frames}
    suspects: dict[str, tuple[str, RunError]] = {}
    problem = f"fails in the backward pass: {describe(error)}".partition("\n")[0]
    for name in foreign:
        function = str(plan.graph.networks[name].network.arguments.get("function", ""))
        message = f"the network of node `{name}` {problem}"
        blamed = NodeError(name, Diagnostic("E505", message))
        suspects[f"node `{name}`"] = function.partition(":")[0], blamed
    for edge in plan.graph.edges:
        for function in _own_functions(edge):
            message = f'python("{function}") of edge {edge} {problem}'
            suspect = EdgeError(edge.key, Diagnostic("E505", message))
            suspects[f'python("{function}") of edge {edge}'] = function.partition(":")[0], suspect
    known = {name: blamed for name, (module, blamed) in suspects.items() if module in passed}
    likely = known or {name: blamed for name, (_, blamed) in suspects.items()}
    if len(likely) > 1:
        message = f"code that is not ours {problem}"
        return RunError.single("E505", message, help=f"it may be that of {' or of '.join(likely)}")
    return next(iter(likely.values()), None)


def _own_functions(edge: Edge) -> list[str]:
    """The paths of the user's functions in the losses and gates of an edge."""
    calls = [part.loss for term in edge.terms for part in term.parts]
    calls += [call for term in edge.terms for call in gate_calls(term.gate)]
    return [str(each.arguments["function"]) for each in calls if each.name == "python"]
