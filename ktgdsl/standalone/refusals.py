"""Refuses plans that no script can carry out, with the reasons."""

from collections.abc import Iterator, Mapping

from torch import nn

from ktgdsl.backend.scripted import Scripted
from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
from ktgdsl.plan.model import DataPlan, Plan
from ktgdsl.standalone.data_code import TORCHVISION
from ktgdsl.standalone.network_code import BUILT_IN, OTHERS
from ktgdsl.training.datasets.python_function import gives_pixels

CODE = "E510"


def refusals(plan: Plan) -> list[Diagnostic]:
    """A diagnostic for everything in a plan for which a script would have to train otherwise."""
    return [*_of_data(plan.data), *_of_graph(plan), *_of_training(plan)]


def _of_data(data: DataPlan) -> Iterator[Diagnostic]:
    word, facts = data.source.name, data.known_facts
    if word == "python" and not data.labels and not facts.masks and not gives_pixels(data):
        yield _refusal(
            "no script can have data of your own but arrays of uint8 with a label a sample: "
            "ktgdsl itself reads Datasets and converts numbers",
            Subject(block="data"),
        )
    elif word not in ("digits", "python", *TORCHVISION):
        yield _refusal(
            f"no script can have the data `{word}`: ktgdsl itself reads, resizes and checks them",
            Subject(block="data"),
            "scripts read `digits`, arrays of `python(...)`, and by torchvision "
            + ", ".join(f"`{each}`" for each in TORCHVISION),
        )
    if data.resize is not None:
        yield _refusal(
            "no script can have `resize`: ktgdsl itself resizes images",
            Subject(block="data", setting="resize"),
        )
    if data.labels:
        yield _refusal("no script can have samples with several labels yet", Subject(block="data"))
    if facts.masks:
        yield _refusal("no script can have data with masks yet", Subject(block="data"))


def _of_graph(plan: Plan) -> Iterator[Diagnostic]:
    for node in plan.graph.nodes:
        word = node.network.name
        if word not in (*BUILT_IN, *OTHERS):
            yield _refusal(
                f"no script can have the network `{word}` of node `{node.name}`: it would need "
                "more than torch and torchvision",
                Subject(node.name),
                "scripts have the networks "
                + ", ".join(f"`{each}`" for each in (*BUILT_IN, *OTHERS)),
            )
        if node.network.arguments.get("weights") is not None and word == "torchvision":
            yield _refusal(
                f"no script can have the library's weights of node `{node.name}` yet: ktgdsl "
                "itself fits them to the classes and normalises images for them",
                Subject(node.name),
            )
        if node.weights_file is not None:
            yield _refusal(
                f"no script can have the `weights` of node `{node.name}` yet: reading them needs "
                "more than torch",
                Subject(node.name, setting="weights"),
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
