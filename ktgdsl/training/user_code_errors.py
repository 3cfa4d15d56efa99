"""Turns exceptions of the user's own code during training into errors about nodes and edges."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb

import torch
from torch import nn

from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.backend.own_code_errors import describe_with_place, place_in_own_code
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import EdgeError, NodeError, RunError, describe
from ktgdsl.plan.gate_expressions import gate_calls
from ktgdsl.plan.model import Edge, Plan
from ktgdsl.training.memory_errors import is_out_of_memory


@contextmanager
def locating_user_errors(networks: Mapping[str, nn.Module], plan: Plan) -> Iterator[None]:
    """Turn exceptions of the user's code in the block into NodeError or EdgeError (E505).

    RunError where several nodes or edges may have failed. The dry run does not find all: a forward
    may depend on the images, or on how often it was called, and a loss may fail in its gradient
    alone. A lack of memory and an error of the device pass through as they are.
    """
    try:
        yield
    except (RunError, torch.AcceleratorError):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) or not is_out_of_memory(error):
            foreign = [n for n, each in networks.items() if not isinstance(each, StagedNetwork)]
            if (located := _forward_error(error, networks, foreign)) is not None:
                raise located from error
            if (located := _backward_error(error, plan, foreign)) is not None:
                raise located from error
        raise


def _forward_error(
    error: BaseException, networks: Mapping[str, nn.Module], foreign: list[str]
) -> RunError | None:
    """The error about the network in whose forward it was raised, None if in none."""
    called = {id(frame.f_locals.get("self")) for frame, _ in walk_tb(error.__traceback__)}
    node = next((name for name in foreign if id(networks[name]) in called), None)
    if node is None:
        return None
    message = f"the network of node `{node}` fails: {describe_with_place(error)}"
    return NodeError(node, Diagnostic("E505", message))


def _backward_error(error: BaseException, plan: Plan, foreign: list[str]) -> RunError | None:
    """The error about the user's code whose gradient cannot be computed, None outside a backward.

    The modules in the traceback tell whose it is, or there is only one candidate. For a tensor
    that was changed in place torch raises from its own code, so that all are candidates.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    if all(frame.f_code is not torch.autograd.backward.__code__ for frame in frames):
        return None
    modules = {frame.f_globals.get("__name__") for frame in frames}
    candidates: dict[str, tuple[str, RunError]] = {}
    problem = f"fails in the backward pass: {describe(error)}".partition("\n")[0]
    problem += place_in_own_code(error)
    for name in foreign:
        function = str(plan.graph.networks[name].network.arguments.get("function", ""))
        message = f"the network of node `{name}` {problem}"
        node_error = NodeError(name, Diagnostic("E505", message))
        candidates[f"node `{name}`"] = function.partition(":")[0], node_error
    for edge in plan.graph.edges:
        for function in _user_functions(edge):
            message = f'python("{function}") of edge {edge} {problem}'
            edge_error = EdgeError(edge.key, Diagnostic("E505", message))
            label = f'python("{function}") of edge {edge}'
            candidates[label] = function.partition(":")[0], edge_error
    in_traceback = {name: e for name, (module, e) in candidates.items() if module in modules}
    likely = in_traceback or {name: e for name, (_, e) in candidates.items()}
    if len(likely) > 1:
        message = f"code that is not ours {problem}"
        return RunError.single("E505", message, help=f"it may be that of {' or of '.join(likely)}")
    return next(iter(likely.values()), None)


def _user_functions(edge: Edge) -> list[str]:
    """The paths of the user's functions in the losses and gates of an edge."""
    calls = [part.loss for term in edge.terms for part in term.parts]
    calls += [call for term in edge.terms for call in gate_calls(term.gate)]
    return [str(each.arguments["function"]) for each in calls if each.name == "python"]
