"""Refuses plans that no script can carry out, with the reasons."""

from collections.abc import Iterator

from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
from ktgdsl.plan.model import DataPlan, Plan
from ktgdsl.standalone.data_code import TORCHVISION
from ktgdsl.standalone.network_code import BUILT_IN

CODE = "E510"


def refusals(plan: Plan) -> list[Diagnostic]:
    """A diagnostic for everything in a plan for which a script would have to train otherwise."""
    return [*_of_data(plan.data), *_of_graph(plan), *_of_training(plan)]


def _of_data(data: DataPlan) -> Iterator[Diagnostic]:
    word, facts = data.source.name, data.known_facts
    if word != "digits" and word not in TORCHVISION:
        yield _refusal(
            f"no script can have the data `{word}`: ktgdsl itself reads, resizes and checks them",
            Subject(block="data"),
            "scripts read `digits`, and by torchvision "
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
        if word not in BUILT_IN:
            yield _refusal(
                f"no script can have the network `{word}` of node `{node.name}` yet: its "
                "preparations and random numbers are ktgdsl's",
                Subject(node.name),
                "scripts have the networks " + ", ".join(f"`{each}`" for each in BUILT_IN),
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
