"""A node of a finished run: its network, and the metadata that other programs need."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

from ktgdsl.errors import RunError
from ktgdsl.plan.ensembles import ensembles_of
from ktgdsl.plan.heads import ClassNames, classes_answered, heads_of
from ktgdsl.plan.model import Plan
from ktgdsl.training.networks import load_network, names_answered
from ktgdsl.training.result import RunResult
from ktgdsl.training.run_files import FolderPath, named_folder
from ktgdsl.training.run_folder import RunFolder, open_run_folder
from ktgdsl.training.versions import installed_version


class TrainedNode(NamedTuple):
    """A node with its trained network, which normalises its images.

    `network` takes images (B, *shape) float32 in [0, 1]; `repeat` is which of the run's seeds it
    was trained with, counted from 1.
    """

    run: RunFolder
    plan: Plan
    result: RunResult
    name: str
    repeat: int
    network: nn.Module

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        return self.plan.data.shape

    @property
    def output(self) -> str:
        """The kind of output: "logits", or "log_p" of an ensemble of probabilities."""
        ensemble = ensembles_of(self.plan.graph).get(self.name)
        return "log_p" if ensemble is not None and ensemble.on == "probabilities" else "logits"

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of a node with several, which name its outputs; () for others."""
        found = heads_of(self.plan.graph).get(self.name, ())
        return found if len(found) > 1 else ()

    @property
    def outputs(self) -> dict[str, int]:
        """The number of classes of each output by its name, "logits" or "log_p" of a single one."""
        data, graph = self.plan.data, self.plan.graph
        if self.heads:
            return {head: data.classes_of(head) for head in self.heads}
        return {self.output: classes_answered(graph, data, self.name)}

    @property
    def class_names(self) -> ClassNames:
        """The classes in the order of the outputs: their numbers where the data name none.

        By head where it has several.
        """
        names = names_answered(self.run.classes(), heads_of(self.plan.graph).get(self.name, ()))
        numbers = {name: tuple(map(str, range(n))) for name, n in self.outputs.items()}
        if self.heads:
            return {**numbers, **(names if isinstance(names, Mapping) else {})}
        return names if isinstance(names, tuple) else numbers[self.output]

    @property
    def accuracy(self) -> float:
        """The accuracy of this network in percent, on the test split."""
        return self.result.nodes[self.name].accuracy.runs[self.repeat - 1]

    def facts(self) -> dict[str, str]:
        """The metadata of an exported file: strings, lists among them as JSON."""
        return {
            "class_names": json.dumps(self.class_names),
            "image_shape": json.dumps(self.shape),
            "image_values": "0 to 1, channels first; normalised by the network",
            "ktgdsl_digest": self.result.digest,
            "ktgdsl_version": installed_version("ktgdsl") or "unknown",
            "node": self.name,
            "output": self.output,
            "test_accuracy": f"{self.accuracy:.6g}",
        }


def trained_node(folder: FolderPath, name: str | None, repeat: int) -> TrainedNode:
    """The node of a finished run, by default the first target.

    Raises RunError as `load_network` does, and E505 when the run is not finished.
    """
    run = open_run_folder(named_folder(folder))
    plan, result = run.plan(), run.result()
    if result is None:
        message = f"the run {run.path} is not finished"
        help = f"finish it with `ktgc run --resume {run.path}`"
        raise RunError.single("E505", message, help=help, path=run.path)
    name = name or plan.graph.targets[0]
    return TrainedNode(run, plan, result, name, repeat, load_network(run.path, name, repeat))
