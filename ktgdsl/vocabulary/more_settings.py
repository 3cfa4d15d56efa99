"""The settings of phases and shares, and further ones of data, training and nodes."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from ktgdsl.vocabulary.entry import Parameters, Samples
from ktgdsl.vocabulary.optimizers import Optimizer, Schedule
from ktgdsl.vocabulary.places import Layer, Node


class PhaseSettings(Parameters):
    """`phase distil { ... }`."""

    learn: Annotated[list[Node], Field(min_length=1, description="the nodes that learn in it")]
    epochs: Annotated[
        int | None,
        Field(ge=1, description="passes over the data; the `train` block's unless given"),
    ] = None
    optimizer: Annotated[
        Optimizer | None, Field(description="instead of the nodes' and the `train` block's")
    ] = None
    schedule: Annotated[
        Schedule | None, Field(description="instead of the nodes' and the `train` block's")
    ] = None
    take: Annotated[
        Literal["last", "best"],
        Field(description="the epoch whose weights go on; `best` on the validation split"),
    ] = "last"


class ShareSettings(Parameters):
    """`share a, b { ... }`."""

    layers: Annotated[
        list[Layer], Field(min_length=1, description="what is one module, such as `stem`")
    ]
    grad: Annotated[
        Literal["sum", "mean"], Field(description="of the sharers' gradients in it")
    ] = "sum"


class MoreDataSettings(Parameters):
    """Further settings of `data NAME { ... }`."""

    augment: Annotated[
        Literal["none", "paper", "standard"],
        Field(
            description="of training images: `none`, pixels from 0 to 1; `paper`, reflect-padded "
            "by 4 pixels, cropped and flipped at random; `standard`, what is usual for the data "
            "set, then normalised with its mean and standard deviation"
        ),
    ] = "standard"
    root: Annotated[
        str | None, Field(description="folder of the data, relative to the file or absolute")
    ] = None
    classes: Annotated[
        int | None, Field(ge=2, description="number of classes, where the data set has no own")
    ] = None
    labeled: Annotated[
        Samples | None,
        Field(description="training samples that keep their label: a number or a share"),
    ] = None
    views: Annotated[
        int, Field(ge=1, le=2, description="augmentations of each sample that a step sees")
    ] = 1
    workers: Annotated[
        int, Field(ge=0, description="processes that load data; 0 loads in the training's own")
    ] = 0


class MoreTrainSettings(Parameters):
    """Further settings of `train { ... }`."""

    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        Field(description="arithmetic of the networks; `auto` is bf16 where the device is fast"),
    ] = "fp32"
    compile: Annotated[
        Literal["off", "on", "auto"],
        Field(description="torch.compile of the graph; `auto` where it measures faster"),
    ] = "off"
    update: Annotated[
        Literal["simultaneous", "sequential"],
        Field(description="all nodes at once (Algorithm 1 of the paper), or in turn as in DML"),
    ] = "simultaneous"
    on_zero: Annotated[
        Literal["step", "skip"],
        Field(description="whether a node whose loss is 0 in a batch takes its optimiser step"),
    ] = "step"


class MoreNodeSettings(Parameters):
    """Further settings of `node a = resnet8 { ... }`."""

    device: Annotated[
        str | None,
        Field(description='where it is trained, such as "cuda:1"; the run\'s unless given'),
    ] = None

    @field_validator("device")
    @classmethod
    def _device(cls, device: str | None) -> str | None:
        if device is not None and not re.fullmatch(r"(cpu|cuda|mps|xpu)(:\d{1,3})?", device):
            raise ValueError('must be a device, such as "cpu" or "cuda:1"')
        return device
