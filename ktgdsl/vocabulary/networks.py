"""Networks that a node can be."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, field_validator

from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.registry import closest


class Network(Entry):
    """Base of all networks."""

    kind: ClassVar[str] = "network"


class Resnet(Network):
    """CIFAR ResNet of basic blocks with parameter-free option-A shortcuts.

    `resnet32` is short for `resnet(depth=32)`. Source: He et al., CVPR 2016, Sec. 4.2.
    """

    word: ClassVar[str] = "resnet"

    depth: Annotated[int, Field(ge=8, description="layers, 6n + 2")]

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        return _of_form(depth, 2)


class Wrn(Network):
    """Wide ResNet, pre-activation, 1x1 convolution shortcuts.

    `wrn28_2` is short for `wrn(depth=28, widen=2)`. Source: Zagoruyko and Komodakis,
    BMVC 2016.
    """

    word: ClassVar[str] = "wrn"

    depth: Annotated[int, Field(ge=10, description="layers, 6n + 4")]
    widen: Annotated[int, Field(ge=1, description="factor on the channels 16, 32, 64")]
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="share dropped between the convolutions of a block")
    ] = 0.0

    @field_validator("depth")
    @classmethod
    def _depth(cls, depth: int) -> int:
        return _of_form(depth, 4)


class PythonNetwork(Network):
    """A callable of yours that returns an `nn.Module`: `python("pkg.module:factory", width=8)`.

    Named arguments go to the callable. Imported by `build` and `run`, never by `check`.
    """

    model_config = ConfigDict(extra="allow")
    word: ClassVar[str] = "python"

    factory: Annotated[str, Field(description='where it is: "package.module:name"')]

    @field_validator("factory")
    @classmethod
    def _factory(cls, factory: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", factory):
            raise ValueError('must be of the form "package.module:name"')
        return factory


def _of_form(depth: int, rest: int) -> int:
    if (depth - rest) % 6:
        below = depth - (depth - rest) % 6
        raise ValueError(
            f"must be 6n + {rest}, such as {below} or {below + 6}, not {depth}",
        )
    return depth


def spelled_out(word: str) -> tuple[str, dict[str, Any]] | None:
    """The word and arguments that `resnet32` or `wrn28_2` are short for, or None."""
    if match := re.fullmatch(r"resnet(\d{1,6})", word):
        return "resnet", {"depth": int(match[1])}
    if match := re.fullmatch(r"wrn(\d{1,6})_(\d{1,6})", word):
        return "wrn", {"depth": int(match[1]), "widen": int(match[2])}
    return None


def respelled(word: str) -> str | None:
    """What a misspelt `resnt32` or `wnr28_2` probably meant, or None."""
    match = re.fullmatch(r"([A-Za-z_]+?)_?(\d+(?:_\d+)?)", word)
    name = match and closest(match[1], [Resnet.word, Wrn.word])
    return f"{name}{match[2]}" if match and name and spelled_out(f"{name}{match[2]}") else None


def shortest(call: Call) -> str:
    """The shortest way to write a network: `resnet32`, `wrn28_2`, else the call itself."""
    match call.name, call.arguments:
        case "resnet", {"depth": depth}:
            return f"resnet{depth}"
        case "wrn", {"depth": depth, "widen": widen, "dropout": 0 | 0.0}:
            return f"wrn{depth}_{widen}"
    return str(call)


ENTRIES: tuple[type[Entry], ...] = (Resnet, Wrn, PythonNetwork)
LATER = frozenset({"torchvision", "timm", "ensemble", "ema", "copy", "constant"})
