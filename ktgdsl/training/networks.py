"""Saving the trained networks of a run, and loading them from its folder."""

import json
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from ktgdsl.backend.factories import initial_network
from ktgdsl.backend.graph import evaluation_graph
from ktgdsl.backend.normalization import input_normalization, normalize_inputs
from ktgdsl.backend.parts import make_mixers
from ktgdsl.backend.user_sources import user_sources
from ktgdsl.backend.weights import (
    MEAN,
    STD,
    is_intact_file,
    load_weights,
    normalization_of,
    save_weights,
)
from ktgdsl.errors import RunError, warn
from ktgdsl.plan.heads import ClassNames, heads_of, label_columns
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import evaluation_of
from ktgdsl.program.reads import mixers_of
from ktgdsl.training.datasets.preprocessing import Preprocessing
from ktgdsl.training.predictions import GraphPredictor, NodePredictor
from ktgdsl.training.resume_checks import changed_code
from ktgdsl.training.run_files import FolderPath, named_folder, reporting_write_errors
from ktgdsl.training.run_folder import RunFolder, open_run_folder
from ktgdsl.vocabulary.spelling import closest

TRAIN_AGAIN = "put it back from a copy, or train the spec of the run again in another folder"
"""What to do where a network of a finished run is lost."""


def save_network(network: nn.Module, preprocessing: Preprocessing, path: Path) -> None:
    """Write the weights of a network, with the normalisation of the images that its layers see.

    Raises OSError when the file cannot be written.
    """
    seen = input_normalization(network) or preprocessing
    mean = [0.0] if seen.mean is None else seen.mean.flatten().tolist()
    std = [1.0] if seen.std is None else seen.std.flatten().tolist()
    save_weights(network, path, {MEAN: json.dumps(mean), STD: json.dumps(std)})


def save_networks(
    modules: Mapping[str, nn.Module], preprocessing: Preprocessing, folder: RunFolder, repeat: int
) -> None:
    """Write the networks and other modules of a repeat of a run, by node, into its folder.

    Raises RunError (E502) when they cannot be written.
    """
    for name, module in modules.items():
        path = folder.weights(name, repeat)
        with reporting_write_errors(path):
            for part in reversed(path.relative_to(folder.path).parents[:-1]):
                (folder.path / part).mkdir(exist_ok=True)  # not a folder that is gone
            save_network(module, preprocessing, path)


def warn_of_lost_networks(folder: RunFolder, plan: Plan) -> None:
    """Warn (W310) of each network of a finished run whose file is gone or damaged."""
    for repeat in range(1, plan.train.repeats + 1):
        for name in plan.graph.networks:
            path = folder.weights(name, repeat)
            if not is_intact_file(path):
                state = "damaged" if path.exists() else "gone"
                warn("W310", f"{path} is {state}", help=TRAIN_AGAIN, path=path)


def load_network(folder: FolderPath, name: str, repeat: int = 1) -> nn.Module:
    """The trained network of a node, on the CPU and in eval mode: an ordinary module.

    It takes images (B, C, H, W) float32 in [0, 1], of the shape that the plan says, and
    normalises them as in the training. `repeat` is which of the run's seeds, counted from 1.
    Of an ensemble it has the networks of all members, and gives what it combines: logits, or log
    p of an ensemble of probabilities.

    Its attribute `class_names` has the names of the classes in the order of the logits, a tuple, or
    None where the data have none. A network with several heads gives a dict of logits by head, and
    `class_names` is a dict of the heads whose classes have names.

    Warns when the user's own code is not what the run was trained with.

    Raises:
        RunError: when the folder is not that of a run (E502), has no such node or repeat, or
            has not trained it to the end yet (E505), or its file does not fit (E406).
    """
    run = open_run_folder(named_folder(folder))
    plan = run.plan()
    names = [node.name for node in plan.graph.evaluated]
    if name not in names:
        near = closest(name, names)
        known = f"did you mean `{near}`?" if near else "its nodes are " + ", ".join(names)
        raise _no_network(run, f"the run {run.path} has no node `{name}`", known)
    if not 1 <= repeat <= plan.train.repeats:
        message = f"the run {run.path} has no repeat {repeat}"
        raise _no_network(run, message, f"its repeats are 1 to {plan.train.repeats}")
    trained = _Trained(run, plan, repeat)
    is_network = name in plan.graph.networks
    loaded: Any = trained.network(name) if is_network else trained.ensemble(name)
    if changed := changed_code(run.environment(), user_sources(plan)):
        warnings.warn(
            f"the code that {run.path} was trained with has changed, and its networks may compute "
            f"something else now: {', '.join(changed)}; it is kept in {run.path / 'code'}",
            stacklevel=2,
        )
    loaded.eval().class_names = names_answered(run.classes(), heads_of(plan.graph).get(name, ()))
    module: nn.Module = loaded
    return module


def names_answered(names: ClassNames | None, heads: tuple[str, ...]) -> ClassNames | None:
    """The names of the classes that a node of these heads tells apart."""
    if not isinstance(names, Mapping):
        return names
    own = {head: names[head] for head in heads if head in names}
    return own if len(heads) > 1 else own.get(heads[0])


class _Trained(NamedTuple):
    """The networks and other modules of a repeat of a run."""

    run: RunFolder
    plan: Plan
    repeat: int

    def network(self, name: str) -> nn.Module:
        """The network of a node, which normalises its images."""
        network, path = self._initial(name), self._weights(name)
        _load(network, path)
        return _with_normalisation(network, path)

    def ensemble(self, name: str) -> nn.Module:
        """The networks of an ensemble, and what combines their outputs."""
        update = evaluation_of(self.plan, [name])
        networks = {}
        for call in update.calls:
            network, path = self._initial(call.node), self._weights(call.node)
            _load(network, path)
            normalization = normalization_of(path)
            if normalization is not None and input_normalization(network) is None:
                normalize_inputs(network, *normalization)
            networks[call.node] = network
        mixers = mixers_of((), update.reported)
        parts = make_mixers(self.plan, mixers, networks)
        for mixer in mixers:
            _load(parts[mixer.name], self._weights(mixer.node))
        graph = evaluation_graph(self.plan, update, networks, parts)
        columns = label_columns(self.plan.graph, self.plan.data)
        return NodePredictor(GraphPredictor(graph, [name], columns))

    def _initial(self, name: str) -> nn.Module:
        return initial_network(self.plan, self.plan.graph.networks[name], self.plan.train.seed)

    def _weights(self, name: str) -> Path:
        """The file of a node's weights; RunError where it is not there, or not yet."""
        run, path = self.run, self.run.weights(name, self.repeat)
        if not path.exists() and run.result() is not None:
            raise _no_network(run, f"{path} is gone", TRAIN_AGAIN)
        if not path.exists():
            message = f"the run {run.path} is not finished: node `{name}` is not trained to the end"
            raise _no_network(run, message, f"finish it with `ktgc run --resume {run.path}`")
        return path


def _load(module: nn.Module, path: Path) -> None:
    if (wrong := load_weights(module, path)) is not None:
        raise RunError([wrong])


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
