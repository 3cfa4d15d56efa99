"""Networks that a node can be."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.refs import NodeRef, ReferringEntry, Tap
from ktgdsl.vocabulary.spelling import closest

STAGES = ("stem", "stage1", "stage2", "stage3", "features", "logits")
"""The places inside of the built-in networks, from the input on."""


Stride = Annotated[int, Field(ge=1, le=2, description="of the first convolution, in pixels")]


class Network(Entry):
    """Base of all networks."""

    kind: ClassVar[str] = "network"

    def parameters(self, classes: int, channels: int) -> int | None:
        """The number of trainable parameters for images of so many channels and so many classes.

        None where only building the network tells.
        """
        stages = self.stage_parameters(classes, channels)
        return None if stages is None else sum(stages.values())

    def stage_parameters(self, classes: int, channels: int) -> dict[str, int] | None:
        """The number of trainable parameters of each of `STAGES`, or None."""
        return None

    def channels(self, tap: str) -> int | None:
        """How many channels there are at a place inside; None where only building it tells."""
        return None

    @property
    def has_weights(self) -> bool:
        """Whether it is made with trained weights, so that a frozen node is used as it is."""
        return False

    @property
    def is_random(self) -> bool:
        """Whether it is surely made with random weights."""
        return not self.has_weights


class Derived(ReferringEntry, Network):
    """Base of the derived nodes: `*` never means them, and they are never pre-trained.

    `follows` tells those that have the weights of another node.
    """

    follows: ClassVar[bool] = False

    @property
    def sources(self) -> list[NodeRef]:
        """The nodes that it is computed from."""
        return []

    @property
    def learned(self) -> bool:
        """Whether it has parameters of its own that are trained."""
        return False

    @property
    def passes_gradients(self) -> bool:
        """Whether gradients reach its sources through it."""
        return False

    @property
    def gate_tap(self) -> Tap | None:
        """The tap whose features decide how the sources are mixed, if there is one."""
        return None

    @property
    def combines(self) -> bool:
        """Whether it combines the outputs of its sources."""
        return False

    @property
    def leaves_out_destination(self) -> bool:
        """Whether it leaves the destination of an edge out of its members."""
        return False

    @property
    def reads_features(self) -> bool:
        """Whether it reads the features of its sources."""
        return False

    @property
    def differs_by_destination(self) -> bool:
        """Whether its output differs from destination to destination."""
        return False


class Resnet(Network):
    """CIFAR ResNet of basic blocks with parameter-free option-A shortcuts.

    `resnet32` is short for `resnet(depth=32)`; for Tiny-ImageNet's 64 pixels
    `resnet(depth=32, stride=2)` halves the image first. `resnet(depth=20, width=32)` has 32
    channels in the first convolution and stage, 64 and 128 in the next two stages. Source: He et
    al., CVPR 2016, its networks for CIFAR-10.
    """

    word: ClassVar[str] = "resnet"
    later: ClassVar[frozenset[str]] = frozenset({"width"})

    depth: Annotated[int, Field(ge=8, description="layers, 6n + 2")]
    stride: Stride = 1
    width: Annotated[
        int, Field(ge=1, le=4096, description="channels of the first stage; then twice, four times")
    ] = 16

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        return _of_form(depth, 2)

    def stage_parameters(self, classes: int, channels: int) -> dict[str, int]:
        """The number of trainable parameters of each stage; the shortcuts have none."""

        def block(inputs: int, outputs: int) -> int:
            return _convolution(inputs, outputs) + _convolution(outputs, outputs) + 4 * outputs

        width = self.width
        stem = _convolution(channels, width) + 2 * width
        stages = _stages(block, self.depth // 6, (width, width, 2 * width, 4 * width))
        return dict(zip(STAGES, (stem, *stages, 0, (4 * width + 1) * classes), strict=True))

    def channels(self, tap: str) -> int | None:
        """The width of the first stage, then twice and four times that."""
        return _channels(tap, self.width, self.width)


class Wrn(Network):
    """Wide ResNet, pre-activation, 1x1 convolution shortcuts.

    `wrn28_2` is short for `wrn(depth=28, widen=2)`; `stride` is as in `resnet`.

    Source: Zagoruyko and Komodakis, BMVC 2016.
    """

    word: ClassVar[str] = "wrn"

    depth: Annotated[int, Field(ge=10, description="layers, 6n + 4")]
    widen: Annotated[int, Field(ge=1, description="factor on the channels 16, 32, 64")]
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="share dropped between the convolutions of a block")
    ] = 0.0
    stride: Stride = 1

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        return _of_form(depth, 4)

    def stage_parameters(self, classes: int, channels: int) -> dict[str, int]:
        """The number of trainable parameters of each stage; a shortcut that widens has some."""

        def block(inputs: int, outputs: int) -> int:
            shortcut = 0 if inputs == outputs else inputs * outputs
            convolutions = _convolution(inputs, outputs) + _convolution(outputs, outputs)
            return convolutions + 2 * inputs + 2 * outputs + shortcut

        widths = tuple(width * self.widen for width in (16, 32, 64))
        stages = _stages(block, self.depth // 6, (16, *widths))
        ends = 2 * widths[-1], (widths[-1] + 1) * classes
        return dict(zip(STAGES, (_convolution(channels, 16), *stages, *ends), strict=True))

    def channels(self, tap: str) -> int | None:
        """16, then `widen` times 16, 32 and 64."""
        return _channels(tap, 16, 16 * self.widen)


def _channels(tap: str, stem: int, first: int) -> int | None:
    """The channels at a stage; each of the three is twice as wide as the one before."""
    widths = (stem, first, 2 * first, 4 * first, 4 * first)
    return dict(zip(STAGES, widths, strict=False)).get(tap.removesuffix(".pre"))


def _of_form(depth: int, rest: int) -> int:
    if (depth - rest) % 6:
        below = depth - (depth - rest) % 6
        raise ValueError(
            f"must be 6n + {rest}, such as {below} or {below + 6}, not {depth}",
        )
    return depth


def _convolution(inputs: int, outputs: int) -> int:
    """The weights of a 3x3 convolution without bias."""
    return 9 * inputs * outputs


def _stages(
    block: Callable[[int, int], int], blocks: int, widths: tuple[int, ...]
) -> tuple[int, ...]:
    """The parameters of each stage, whose first block changes the width."""
    return tuple(
        block(inputs, outputs) + (blocks - 1) * block(outputs, outputs)
        for inputs, outputs in pairwise(widths)
    )


def expand_shorthand(word: str) -> tuple[str, dict[str, Any]] | None:
    """The word and arguments that `resnet32` or `wrn28_2` are short for, or None."""
    if match := re.fullmatch(r"resnet(\d{1,6})", word):
        return "resnet", {"depth": int(match[1])}
    if match := re.fullmatch(r"wrn(\d{1,6})_(\d{1,6})", word):
        return "wrn", {"depth": int(match[1]), "widen": int(match[2])}
    return None


def suggest_shorthand(word: str) -> str | None:
    """The short form that a misspelt `resnt32` or `wnr28_2` probably meant, or None."""
    match = re.fullmatch(r"([A-Za-z_]+?)_?(\d+(?:_\d+)?)", word)
    is_wide = match and match[1].replace("_", "").lower() == "wideresnet"
    name = Wrn.word if is_wide else match and closest(match[1], [Resnet.word, Wrn.word])
    return f"{name}{match[2]}" if match and name and expand_shorthand(f"{name}{match[2]}") else None


def shorthand(call: Call) -> str:
    """The shortest way to write a network: `resnet32`, `wrn28_2`, else the call itself."""
    match call.name, call.arguments:
        case "resnet", {"depth": depth, "stride": 1, **others} if not others:
            return f"resnet{depth}"
        case "wrn", {"depth": depth, "widen": widen, "dropout": 0 | 0.0, "stride": 1}:
            return f"wrn{depth}_{widen}"
    return str(call)
