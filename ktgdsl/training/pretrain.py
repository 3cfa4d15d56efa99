"""Frozen nodes: trained on the labels once, and kept in a cache by what they were trained with."""

import atexit
import os
import shutil
import tempfile
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import nn

from ktgdsl.errors import RunError
from ktgdsl.plan.model import LABEL, Call, Constant, Edge, Graph, Node, Part, Place, Plan, Term
from ktgdsl.torch_backend.weights import load_weights, save_weights
from ktgdsl.training.events import Listener, PretrainDone, PretrainStarted, ignore

NAME = "pretrained"
"""What the node is called in its own plan, whatever it is called in the graph that needs it."""


def pretraining_plan(plan: Plan, node: Node, seed: int) -> Plan:
    """The plan that trains a frozen node's network alone on the labels (paper, Sec. 3.4).

    With the same data and settings, and the node's own optimiser and schedule where it has
    them. The node's name is no part of it, so that nodes with equal networks share a plan.
    """
    alone = Node(name=NAME, network=node.network, optimizer=node.optimizer, schedule=node.schedule)
    supervised = Part(coefficient=1.0, loss=Call(name="ce", arguments={"smoothing": 0.0}))
    edge = Edge(
        source=Place(node=LABEL),
        destination=Place(node=NAME),
        terms=(Term(parts=(supervised,), gate=Constant(value=1.0)),),
    )
    train = plan.train.model_copy(
        update={
            "optimizer": node.optimizer,
            "schedule": node.schedule,
            "seed": seed,
            "repeats": 1,
            "aggregate": "sum",  # of transfer losses, and there is none
        }
    )
    graph = Graph(name=NAME, targets=(NAME,), nodes=(alone,), edges=(edge,))
    return Plan(graph=graph, data=plan.data, train=train, folder=plan.folder)


def load_pretrained(
    network: nn.Module,
    plan: Plan,
    node: Node,
    *,
    device: torch.device,
    seed: int,
    listener: Listener = ignore,
) -> Path:
    """Give a frozen node's network its weights, from the cache or by training; return their file.

    Two processes that need the same weights at once may both train them; a file of the
    cache is whole at any time, and one that cannot be used is replaced. The weights of
    `python(...)` networks are kept for this process only.

    Raises RunError (E503) when the training fails on a loss that is not finite.
    """
    own = pretraining_plan(plan, node, seed)
    # The digest knows a user's network by its name alone, and its code may change.
    folder = _temporary_folder() if node.network.name == "python" else cache_folder()
    path = folder / f"{own.digest}.safetensors"
    if path.exists() and load_weights(network, path) is None:
        return path

    from ktgdsl.training.loop import train  # which itself takes the step from here

    listener(PretrainStarted(node.name, own))
    try:
        trained = train(own, device=device, seed=seed, listener=listener)
    except RunError as error:
        raise RunError(
            replace(each, message=f"pre-training of node {node.name}: {each.message}")
            for each in error.diagnostics
        ) from error
    network.load_state_dict(trained.stepper.graph.networks[NAME].state_dict())
    try:
        save_weights(network, path)
    except OSError as error:
        warnings.warn(
            f"the pre-trained weights of node {node.name} cannot be kept in {path.parent}: {error}",
            stacklevel=2,
        )
    listener(PretrainDone(node.name))
    return path


def cache_folder() -> Path:
    """Where pre-trained weights are kept, made if need be.

    $KTGDSL_CACHE, else ktgdsl in $XDG_CACHE_HOME or in ~/.cache. When it cannot be written,
    a folder of this process that goes with it, and a warning.
    """
    try:
        folder = _cache_root() / "pretrained"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        temporary = _temporary_folder()
        warnings.warn(
            f"the cache cannot be used ({error}), so pre-trained weights last only as long as "
            "this process; set KTGDSL_CACHE to a folder that can be written",
            stacklevel=2,
        )
        return temporary


def _cache_root() -> Path:
    if own := os.environ.get("KTGDSL_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "ktgdsl"
    return Path.home() / ".cache" / "ktgdsl"


@cache
def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="ktgdsl-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
