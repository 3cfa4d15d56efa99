"""The settings of `pretrain`, `phase` and `share`, imported only for the few specs with one."""

from typing import Annotated, Literal

from pydantic import Field

from ktgdsl.vocabulary.entry import Epochs, Parameters, Positive
from ktgdsl.vocabulary.optimizers import Optimizer, Schedule
from ktgdsl.vocabulary.refs import Layer, Node
from ktgdsl.vocabulary.stopping import Stop

_SILENT = "as in `train` unless given"


class PretrainSettings(Parameters):
    """`pretrain { ... }`: of nodes that are pre-trained on the labels.

    The settings of `train` that concern a single node; `train` has those that are not given.
    """

    epochs: Annotated[Epochs | None, Field(description=_SILENT)] = None
    optimizer: Annotated[Optimizer | None, Field(description=_SILENT)] = None
    schedule: Annotated[Schedule | None, Field(description=_SILENT)] = None
    precision: Annotated[Literal["fp32", "bf16", "auto"] | None, Field(description=_SILENT)] = None
    compile: Annotated[Literal["off", "on", "auto"] | None, Field(description=_SILENT)] = None
    reduce: Annotated[Literal["mean", "active", "sum"] | None, Field(description=_SILENT)] = None
    on_zero: Annotated[Literal["step", "skip"] | None, Field(description=_SILENT)] = None
    clip: Annotated[Positive | None, Field(description=_SILENT)] = None
    take: Annotated[Literal["last", "best"] | None, Field(description=_SILENT)] = None
    stop: Annotated[Stop | None, Field(description=_SILENT)] = None


class PhaseSettings(Parameters):
    """`phase distil { ... }`."""

    learn: Annotated[list[Node], Field(min_length=1, description="the nodes that learn in it")]
    epochs: Annotated[
        Epochs | None,
        Field(description="passes over the data; the `train` block's unless given"),
    ] = None
    optimizer: Annotated[
        Optimizer | None, Field(description="instead of the nodes' and the `train` block's")
    ] = None
    schedule: Annotated[
        Schedule | None, Field(description="instead of the nodes' and the `train` block's")
    ] = None
    take: Annotated[
        Literal["last", "best"] | None,
        Field(
            description="the epoch whose weights go on; `best` on the validation split; the "
            "`train` block's unless given"
        ),
    ] = None
    stop: Annotated[
        Stop | None,
        Field(
            description="when to end early, by the validation split; the `train` block's unless "
            "given"
        ),
    ] = None


class ShareSettings(Parameters):
    """`share a, b { ... }`."""

    layers: Annotated[
        list[Layer], Field(min_length=1, description="what is one module, such as `stem`")
    ]
    grad: Annotated[
        Literal["sum", "mean"], Field(description="of the sharers' gradients in it")
    ] = "sum"
