"""The settings of nodes, shares and blocks, with their defaults."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from ktgdsl.vocabulary.entry import Interval, Parameters, Percentage, Positive, Samples
from ktgdsl.vocabulary.image_values import ChannelNumbers, ImageSize, PositiveChannelNumbers
from ktgdsl.vocabulary.metrics import Metric
from ktgdsl.vocabulary.optimizers import Optimizer, Schedule, Sgd, Step
from ktgdsl.vocabulary.refs import Head, HeadRef, without_repeats
from ktgdsl.vocabulary.stopping import Never, Stop


class NodeSettings(Parameters):
    """`node a = resnet8 { ... }`."""

    weights: Annotated[
        Literal["own"] | str | None,
        Field(
            description="file of weights, .safetensors or a state dict; or `own`, those that the "
            "network is made with, the default with the weights of a library"
        ),
    ] = None
    frozen: Annotated[bool, Field(description="never trained by this graph")] = False
    optimizer: Annotated[Optimizer | None, Field(description="instead of the `train` block's")] = (
        None
    )
    schedule: Annotated[Schedule | None, Field(description="instead of the `train` block's")] = None
    mode: Annotated[
        Literal["eval", "train"], Field(description="batch norm of the node while frozen")
    ] = "eval"
    cache: Annotated[
        Literal["none", "outputs"],
        Field(
            description="`outputs` computes what is read of the node once for each training "
            "sample, while it does not learn, and keeps it in memory"
        ),
    ] = "none"
    keep: Annotated[bool, Field(description="train and report it though no target needs it")] = (
        False
    )
    device: Annotated[
        str | None,
        Field(description='where it is trained, such as "cuda:1"; the run\'s unless given'),
    ] = None
    # Pydantic copies the list. With `list` as factory every start would parse its signature.
    heads: Annotated[list[Head], AfterValidator(without_repeats)] = Field(
        default=[],
        description="the labels that it answers where samples have several, such as `[colour, "
        "shape]`, in the order of its outputs",
    )

    @field_validator("heads")
    @classmethod
    def _heads(cls, heads: list[HeadRef]) -> list[HeadRef]:
        if HeadRef("logits") in heads:
            raise ValueError("must not name a head `logits`, which is a place in all networks")
        return heads

    @field_validator("device")
    @classmethod
    def _device(cls, device: str | None) -> str | None:
        if device is not None and not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d{1,3})?", device):
            raise ValueError('must be a device, such as "cpu" or "cuda:1"')
        return device


class DataSettings(Parameters):
    """`data digits { ... }`."""

    batch: Annotated[int, Field(ge=1, description="samples of a step")] = 64
    samples: Annotated[
        Samples | None,
        Field(description="training samples that are used: a number or a share; all unless given"),
    ] = None
    validation: Annotated[Samples, Field(description="of these, held out: a number or a share")] = (
        Percentage(percent=20.0)
    )
    holdout: Annotated[bool, Field(description="hold the validation split out of a run")] = False
    augment: Annotated[
        Literal["none", "paper", "standard"],
        Field(
            description="of training images: `none`, pixels from 0 to 1; `paper`, reflect-padded "
            "by 4 pixels, cropped and flipped at random; `standard`, what is usual for the data "
            "set, then normalised with its mean and standard deviation"
        ),
    ] = "none"
    resize: Annotated[
        ImageSize | None,
        Field(
            description="height and width that all images are brought to: a number of pixels, or "
            "[height, width]; as they are unless given"
        ),
    ] = None
    crop: Annotated[
        Literal["center", "random"] | None,
        Field(
            description="how `resize` keeps the proportions: `center` cuts off what is too long; "
            "`random` takes a random part of a training image, and the center of others; "
            "proportions change unless given"
        ),
    ] = None
    mean: Annotated[
        ChannelNumbers | None,
        Field(description="of the pixels by channel, where white is 1; images are normalised"),
    ] = None
    std: Annotated[
        PositiveChannelNumbers | None, Field(description="standard deviation that goes with it")
    ] = None
    root: Annotated[
        str | None, Field(description="folder of the data, relative to the file or absolute")
    ] = None
    classes: Annotated[
        int | None, Field(ge=2, description="number of classes, where the data set has no own")
    ] = None
    labeled: Annotated[
        Samples | None,
        Field(description="of these, those that keep their label: a number or a share"),
    ] = None
    labeled_batch: Annotated[
        int | None,
        Field(
            ge=1,
            description="samples of a step that have a label, whose others have none; an epoch is "
            "then one pass over those without; as they come unless given",
        ),
    ] = None
    views: Annotated[
        int, Field(ge=1, le=2, description="augmentations of each sample that a step sees")
    ] = 1
    workers: Annotated[
        int, Field(ge=0, description="processes that load data; 0 loads in the training's own")
    ] = 0
    drop_last: Annotated[
        bool, Field(description="leave out the samples that do not fill the last batch of an epoch")
    ] = True
    evaluation_batch: Annotated[
        int | None,
        Field(
            ge=1, description="images evaluated at once; 256, or `batch` if larger, unless given"
        ),
    ] = None


def _paper_optimizer() -> Optimizer:
    return Sgd.model_construct(lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


def _paper_schedule() -> Schedule:
    return Step.model_construct(every=Percentage(percent=30.0), gamma=0.1)


class TrainSettings(Parameters):
    """`train { ... }`. The defaults are the paper's (Sec. 4.1), but for the epochs.

    The weight decay, of which the paper says nothing, is its code's.
    """

    epochs: Annotated[int, Field(ge=1, description="passes over the training samples")] = 20
    optimizer: Optimizer = Field(default_factory=_paper_optimizer, description="of all nodes")
    schedule: Schedule = Field(
        default_factory=_paper_schedule, description="of the learning rate of all nodes"
    )
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        Field(description="arithmetic of the networks; `auto` is bf16 where the device is fast"),
    ] = "fp32"
    compile: Annotated[
        Literal["off", "on", "auto"],
        Field(description="torch.compile of the graph; `auto` in a long run of small networks"),
    ] = "off"
    seed: Annotated[int, Field(ge=0, description="of all random streams")] = 0
    repeats: Annotated[
        int, Field(ge=1, description="trainings, with seeds seed, seed + 1, ...")
    ] = 1
    update: Annotated[
        Literal["simultaneous", "sequential"],
        Field(description="all nodes at once (Algorithm 1 of the paper), or in turn as in DML"),
    ] = "simultaneous"
    aggregate: Annotated[
        Literal["sum", "mean"], Field(description="of the transfer losses into a node")
    ] = "sum"
    reduce: Annotated[
        Literal["mean", "active", "sum"], Field(description="of a loss over the batch")
    ] = "mean"
    on_zero: Annotated[
        Literal["step", "skip"],
        Field(description="whether a node whose loss is 0 in a batch takes its optimiser step"),
    ] = "step"
    clip: Annotated[Positive | None, Field(description="greatest gradient norm of a node")] = None
    sync_bn: Annotated[
        bool,
        Field(
            description="give batch norms the statistics of the whole batch where several "
            "processes train (`torchrun`); those of each process's part unless given"
        ),
    ] = False
    take: Annotated[
        Literal["last", "best"],
        Field(
            description="the epoch whose weights a training ends with; `best` on the validation "
            "split; also of phases that do not say it"
        ),
    ] = "last"
    stop: Stop = Field(
        default_factory=Never.model_construct,
        description="when to end early, by the validation split; also of phases that do not say it",
    )
    # Like `heads`, copied by pydantic.
    metrics: list[Metric] = Field(
        default=[],
        description="measured besides the accuracy after each epoch: `top5`, the top-5 accuracy; "
        "`f1`, the mean F1 of the classes; `ece`, the expected calibration error; `miou`, the mean "
        "intersection over union of the classes, with masks in any case",
    )
    checkpoint: Annotated[Interval, Field(description="epochs or steps between checkpoints")] = 1

    @field_validator("metrics")
    @classmethod
    def _metrics_differ(cls, metrics: list[Metric]) -> list[Metric]:
        twice = next((each for each in metrics if metrics.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"must name each metric once, and names `{twice}` twice")
        return metrics
