"""Saving the trained networks of a run, and loading them from its folder."""

import json
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from ktgdsl.backend.factories import initial_network
from ktgdsl.backend.normalization import input_normalization
from ktgdsl.backend.own_code import own_code
from ktgdsl.backend.weights import MEAN, STD, load_weights, normalization_of, save_weights
from ktgdsl.errors import RunError
from ktgdsl.training.datasets.preprocessing import Preprocessing
from ktgdsl.training.run_files import named_folder
from ktgdsl.training.run_folder import RunFolder, open_run_folder
from ktgdsl.training.unchanged import changed_code
from ktgdsl.vocabulary.spelling import closest


def save_network(network: nn.Module, preprocessing: Preprocessing, path: Path) -> None:
    """Write the weights of a network, with the normalisation of the images that its layers see.

    Raises OSError when the file cannot be written.
    """
    seen = input_normalization(network) or preprocessing
    mean = [0.0] if seen.mean is None else seen.mean.flatten().tolist()
    std = [1.0] if seen.std is None else seen.std.flatten().tolist()
    save_weights(network, path, {MEAN: json.dumps(mean), STD: json.dumps(std)})


def load_network(folder: str | Path, name: str, repeat: int = 1) -> nn.Module:
    """The trained network of a node, on the CPU and in eval mode: an ordinary module.

    It takes images (B, C, H, W) float32 in [0, 1], of the shape that the plan says, and
    normalises them as in the training. `repeat` is which of the run's seeds, counted from 1.

    Its attribute `class_names` has the names of the classes in the order of the logits, a tuple, or
    None where the data have none.

    Warns when the user's own code is not what the run was trained with.

    Raises:
        RunError: when the folder is not that of a run (E502), has no such node or repeat, or
            has not trained it to the end yet (E505), or its file does not fit (E406).
    """
    run = open_run_folder(named_folder(folder))
    plan = run.plan()
    names = plan.graph.networks
    if name not in names:
        near = closest(name, names)
        known = f"did you mean `{near}`?" if near else "its nodes are " + ", ".join(names)
        raise _no_network(run, f"the run {run.path} has no node `{name}`", known)
    if not 1 <= repeat <= plan.train.repeats:
        message = f"the run {run.path} has no repeat {repeat}"
        raise _no_network(run, message, f"its repeats are 1 to {plan.train.repeats}")
    path = run.weights(name, repeat)
    if not path.exists():
        message = f"the run {run.path} is not finished: node `{name}` is not trained to the end"
        raise _no_network(run, message, f"finish it with `ktgc run --resume {run.path}`")
    if changed := changed_code(run.environment(), own_code(plan)):
        warnings.warn(
            f"the code that {run.path} was trained with has changed, and its networks may compute "
            f"something else now: {', '.join(changed)}; it is kept in {run.path / 'code'}",
            stacklevel=2,
        )
    network = initial_network(plan, names[name], plan.train.seed)
    if (wrong := load_weights(network, path)) is not None:
        raise RunError([wrong])
    loaded: Any = _with_normalisation(network, path).eval()
    loaded.class_names = run.classes()
    module: nn.Module = loaded
    return module


def _with_normalisation(network: nn.Module, path: Path) -> nn.Module:
    normalization = normalization_of(path)
    # A network that normalises by itself takes images in [0, 1] as it is.
    if normalization is None or input_normalization(network) is not None:
        return network
    mean, std = normalization
    if not any(mean) and all(each == 1 for each in std):
        return network
    transforms: Any = import_module("torchvision.transforms.v2")  # slow, and it has no types
    return nn.Sequential(transforms.Normalize(mean, std), network)


def _no_network(folder: RunFolder, message: str, help: str) -> RunError:
    return RunError.single("E505", message, help=help, path=folder.path)
