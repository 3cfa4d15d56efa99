"""Refuses plans that no script can carry out, with the reasons."""

from collections.abc import Iterator, Mapping

from torch import nn

from ktgdsl.backend.scripted import Scripted
from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
from ktgdsl.plan.ensembles import ensembles_of
from ktgdsl.plan.model import DataPlan, Plan
from ktgdsl.standalone.network_code import OTHERS
from ktgdsl.standalone.own_data import OwnData
from ktgdsl.standalone.read_code import differs_from_image_folder, drawn
from ktgdsl.standalone.weights_code import weights_problem

CODE = "E510"


def refusals(plan: Plan, own: OwnData | None = None) -> list[Diagnostic]:
    """A diagnostic for everything in a plan for which a script would have to train otherwise.

    `own` is what is known of data of the user's.
    """
    return [*_of_data(plan.data, own), *_of_graph(plan), *_of_training(plan)]


def _of_data(data: DataPlan, own: OwnData | None) -> Iterator[Diagnostic]:
    subject = Subject(block="data")
    if data.known_facts.masks and (own is None or data.resize is not None):
        yield _refusal("no script can have masks of files, or that are resized, yet", subject)
        return
    if own is not None and own.problem is not None:
        yield _refusal(f"no script can have the data {data.source}: it {own.problem}", subject)
    if drawn(data, own or OwnData()) is not None and data.labeled_batch is not None:
        yield _refusal(
            "no script can have `labeled_batch` of images that are drawn anew in each epoch yet",
            Subject(block="data", setting="labeled_batch"),
        )
    if data.source.name == "folder" and differs_from_image_folder(data):
        yield _refusal(
            f"no script can have the data {data.source}: torchvision's `ImageFolder`, which reads "
            "them there, finds other images or classes in it",
            subject,
            "it also takes hidden folders, and refuses a class without images",
        )
    if own is not None and own.random and data.crop == "random":
        yield _refusal(
            "no script can have `crop = random` of a Dataset whose samples are random yet",
            Subject(block="data", setting="crop"),
        )


def _of_graph(plan: Plan) -> Iterator[Diagnostic]:
    labels = plan.data.labels
    if labels and ensembles_of(plan.graph):
        yield _refusal("no script can have ensembles of networks with heads yet", Subject())
    for node in plan.graph.nodes:
        if (problem := weights_problem(node)) is not None:
            yield _refusal(
                f"no script can have the `weights` of node `{node.name}`: {problem}",
                Subject(node.name, setting="weights"),
                "save the weights alone: `torch.save(network.state_dict(), path)`",
            )
        if labels and node.heads != labels:
            yield _refusal(
                f"no script can have node `{node.name}` yet, which does not answer all labels of a "
                f"sample, {' and '.join(labels)}, in this order",
                Subject(node.name, setting="heads"),
            )
        if node.device is not None:
            yield _refusal(
                f"no script can have node `{node.name}` on a `device` of its own: a script "
                "trains on one device",
                Subject(node.name, setting="device"),
            )


def network_refusals(plan: Plan, networks: Mapping[str, nn.Module]) -> list[Diagnostic]:
    """The same about the networks as they are made."""
    others = [node.name for node in plan.graph.nodes if node.network.name in OTHERS]
    found = [
        _refusal(f"no script can have the TorchScript network of node `{name}`", Subject(name))
        for name in others
        if isinstance(networks[name], Scripted)
    ]
    shared = sorted({*others} & {name for share in plan.graph.shares for name in share.nodes})
    found += [
        _refusal(
            f"no script can have shared layers of a network that is not ktgdsl's, as of `{name}`",
            Subject(name),
        )
        for name in shared[:1]
    ]
    return found


def _of_training(plan: Plan) -> Iterator[Diagnostic]:
    blocks = {"train": plan.train, "pretrain": plan.pretrain}
    for name, settings in blocks.items():
        if settings is None:
            continue
        if settings.compile == "on":
            yield _refusal(
                "no script can have `compile = on`: what is compiled differs in its last bits",
                Subject(block=name, setting="compile"),
                "leave it out",
            )
        if settings.precision == "auto":
            yield _refusal(
                "no script can have `precision = auto`, which depends on the machine",
                Subject(block=name, setting="precision"),
                "say which: `fp32` or `bf16`",
            )


def _refusal(message: str, subject: Subject, help: str | None = None) -> Diagnostic:
    return Diagnostic(CODE, message, help=help, subject=subject)
