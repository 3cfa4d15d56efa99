"""Pre-training of frozen nodes on the labels, and the cache of their weights."""

import atexit
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import nn

from ktgdsl.backend.process_group import process_group
from ktgdsl.diagnostics.diagnostic import Subject
from ktgdsl.errors import RunError
from ktgdsl.files import cache_root
from ktgdsl.plan.model import Node, Plan
from ktgdsl.program.pretraining import NAME, pretraining_names, pretraining_plan
from ktgdsl.training.assemble import assemble
from ktgdsl.training.data import load_training_data
from ktgdsl.training.events import (
    EpochDone,
    Listener,
    PretrainAwaited,
    PretrainDone,
    PretrainStarted,
    ignore,
)
from ktgdsl.training.group import broadcast_weights, computed_on_main
from ktgdsl.training.loop import epochs
from ktgdsl.training.pretrain_cache import (
    content_facts,
    file_name,
    load_entry,
    save_entry,
    why_unused,
)

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

LOCK_INTERVAL = 0.1
"""Seconds between two attempts to get the lock of another process that pre-trains the same."""


@dataclass(frozen=True)
class Pretraining:
    """The pre-training settings that trainings with the same pre-trained weights share.

    Attributes:
        seed: of all random streams of a pre-training.
        folder: keeps the weights if there is no cache. Without a folder they are kept for this
            process only.
        data: the digest of the data's content, if it is known already.
    """

    seed: int
    folder: Path | None = None
    data: str | None = None


def load_pretrained(
    network: nn.Module,
    plan: Plan,
    node: Node,
    *,
    device: torch.device,
    pretraining: Pretraining,
    listener: Listener = ignore,
) -> Path:
    """Load a frozen node's weights into its network, from the cache or else by training.

    A file of the cache is known by its plan and by the content of the user's own code and of the
    data, and carries a digest of its own content: what is stale, damaged or of another training is
    not used. Of processes that need the same weights at once one trains them, and the others wait
    for it, where the system and the disk have locks.

    Args:
        network: of the node.
        plan: of the graph that the node is in.
        node: the frozen node.
        device: where to train.
        pretraining: seed, folder and data.
        listener: receives the events of the training, and of waiting for another process.

    Returns:
        The file of the weights.

    Raises:
        RunError: when a loss of the training is not finite (E503), or the data are missing
            or damaged (E508).
    """
    alone = pretraining_plan(plan, node, pretraining.seed)
    names = pretraining_names(plan.graph, node)
    content = content_facts(alone, pretraining.data)
    folder = cache_folder(pretraining.folder)
    paths = {
        name: folder / file_name(alone, content, None if own == NAME else own)
        for name, own in names.items()
    }
    path, lock = paths[node.name], folder / file_name(alone, content)
    if (done := _entry(network, path, node.name)) is not None:
        listener(done)
        return path
    with _locked(lock.with_suffix(".lock"), lambda: listener(PretrainAwaited(node.name))):
        if (done := _entry(network, path, node.name)) is not None:
            listener(done)
            return path
        listener(PretrainStarted(node.name, alone, why_unused(path, content)))
        trained = _train(alone, node.name, names, device, listener)
        network.load_state_dict(trained[node.name][0].state_dict())
        try:
            for name, (module, done) in trained.items() if process_group().is_main else ():
                save_entry(module, paths[name], content, done)
        except OSError as error:
            warnings.warn(
                f"the pre-trained weights of node {node.name} cannot be kept in {folder}: {error}",
                stacklevel=2,
            )
        listener(trained[node.name][1])
    return path


def _entry(network: nn.Module, path: Path, node: str) -> PretrainDone | None:
    """`load_entry`, read by the first of several processes, and copied to the others."""
    done = computed_on_main(lambda: load_entry(network, path, node))
    if done is not None and process_group().is_distributed:
        broadcast_weights(network)
    return done


def _train(
    alone: Plan, name: str, names: Mapping[str, str], device: torch.device, listener: Listener
) -> dict[str, tuple[nn.Module, PretrainDone]]:
    """The networks of node `name` and its sharers by node, and the accuracy of each.

    They are trained by a plan of their own, in which they have other `names`. Events are those of
    `name` alone.
    """
    seed = alone.train.seed
    accuracy: Mapping[str, float] = {}
    stopped = None
    try:
        step = assemble(alone, device, seed=seed)
        data = load_training_data(alone.data, seed, device)
        for done in epochs(step, data, seed=seed, listener=listener):
            listener(_of_node(done, names[name]))
            accuracy = step.kept(done.accuracy)
            stopped = done.epoch if done.stopped else None
    except RunError as error:
        raise RunError(
            replace(
                each,
                message=f"pre-training of node {name}: {each.message}",
                subject=Subject(name) if each.subject and not each.subject.block else each.subject,
            )
            for each in error.diagnostics
        ) from error
    split = data.evaluation_name
    return {
        each: (step.networks[own], PretrainDone(each, accuracy[own], split, stopped=stopped))
        for each, own in names.items()
    }


def _of_node(done: EpochDone, name: str) -> EpochDone:
    """The event of an epoch, reduced to one node."""
    metrics = done.metrics
    loss, accuracy = ({name: values[name]} for values in (metrics.loss, metrics.accuracy))
    return replace(
        done,
        metrics=replace(metrics, loss=loss, accuracy=accuracy),
        accuracy={name: done.accuracy[name]},
    )


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock at `path`; while another process has it, call `waiting` again and again.

    Where the system or the disk has no such locks, other processes are not kept out. The file
    is not removed, since a third process could then create and lock a new one.
    """
    if not process_group().is_main:  # which the first holds for all of them
        yield
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield
        return
    try:
        while _held_by_another(descriptor):
            waiting()
            time.sleep(LOCK_INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _held_by_another(descriptor: int) -> bool:
    """Whether another process has the lock; else it is ours, if there are locks."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # of a disk that has no locks
            return False
    return False


def cache_folder(fallback: Path | None = None) -> Path:
    """The folder of pre-trained weights in the cache, created if need be.

    $KTGDSL_CACHE, else ktgdsl in $XDG_CACHE_HOME or in ~/.cache. When it cannot be written,
    the folder `fallback`, or a temporary one of this process, and a warning.
    """
    try:
        folder = cache_root() / "pretrained"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        lasting = "this process" if fallback is None else f"the folder {fallback}"
        warnings.warn(
            f"the cache cannot be used ({error}), so pre-trained weights last only as long as "
            f"{lasting}; set KTGDSL_CACHE to a folder that can be written",
            stacklevel=2,
        )
        return _own_folder(fallback)


def _own_folder(folder: Path | None) -> Path:
    if folder is None:
        return _temporary_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="ktgdsl-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
