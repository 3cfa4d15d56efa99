"""The settings of nodes and blocks, with their defaults."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ktgdsl.vocabulary.entry import Parameters, Positive, Samples, Share
from ktgdsl.vocabulary.optimizers import Optimizer, Schedule, Sgd, Step


class NodeSettings(Parameters):
    """`node a = resnet8 { ... }`."""

    later: ClassVar[frozenset[str]] = frozenset({"device"})

    weights: Annotated[
        str | None, Field(description="file of weights, .safetensors or a state dict")
    ] = None
    frozen: Annotated[bool, Field(description="never trained by this graph")] = False
    optimizer: Annotated[Optimizer | None, Field(description="instead of the `train` block's")] = (
        None
    )
    schedule: Annotated[Schedule | None, Field(description="instead of the `train` block's")] = None
    mode: Annotated[
        Literal["eval", "train"], Field(description="batch norm of the node while frozen")
    ] = "eval"
    keep: Annotated[bool, Field(description="train and report it though no target needs it")] = (
        False
    )


class DataSettings(Parameters):
    """`data digits { ... }`."""

    later: ClassVar[frozenset[str]] = frozenset({"root", "classes", "labeled", "views", "workers"})
    later_words: ClassVar[dict[str, frozenset[str]]] = {"augment": frozenset({"paper"})}

    batch: Annotated[int, Field(ge=1, description="samples of a step")] = 64
    validation: Annotated[
        Samples, Field(description="training samples held out: a number or a share")
    ] = Share(percent=20.0)
    holdout: Annotated[bool, Field(description="hold the validation split out of a run")] = False
    augment: Annotated[Literal["none"], Field(description="augmentation of training images")] = (
        "none"
    )


def _paper_optimizer() -> Optimizer:
    return Sgd.model_construct(lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


def _paper_schedule() -> Schedule:
    return Step.model_construct(every=Share(percent=30.0), gamma=0.1)


class TrainSettings(Parameters):
    """`train { ... }`. The defaults are the paper's (Sec. 4.1), but for the epochs."""

    later: ClassVar[frozenset[str]] = frozenset({"on_zero"})
    later_words: ClassVar[dict[str, frozenset[str]]] = {
        "precision": frozenset({"bf16", "auto"}),
        "compile": frozenset({"on", "auto"}),
        "update": frozenset({"sequential"}),
    }

    epochs: Annotated[int, Field(ge=1, description="passes over the training samples")] = 20
    optimizer: Optimizer = Field(default_factory=_paper_optimizer, description="of all nodes")
    schedule: Schedule = Field(
        default_factory=_paper_schedule, description="of the learning rate of all nodes"
    )
    precision: Annotated[Literal["fp32"], Field(description="arithmetic of the networks")] = "fp32"
    compile: Annotated[Literal["off"], Field(description="torch.compile of the graph")] = "off"
    seed: Annotated[int, Field(ge=0, description="of all random streams")] = 0
    repeats: Annotated[
        int, Field(ge=1, description="trainings, with seeds seed, seed + 1, ...")
    ] = 1
    update: Annotated[Literal["simultaneous"], Field(description="Algorithm 1 of the paper")] = (
        "simultaneous"
    )
    aggregate: Annotated[
        Literal["sum", "mean"], Field(description="of the transfer losses into a node")
    ] = "sum"
    reduce: Annotated[
        Literal["mean", "active", "sum"], Field(description="of a loss over the batch")
    ] = "mean"
    clip: Annotated[Positive | None, Field(description="greatest gradient norm of a node")] = None
    checkpoint: Annotated[int, Field(ge=1, description="epochs between checkpoints")] = 1
