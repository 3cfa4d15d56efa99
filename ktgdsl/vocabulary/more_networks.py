"""Networks of other libraries, by name."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.networks import Network


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", text):
        raise ValueError("must be the name of a model, such as `resnet18`")
    return text


Name = Annotated[
    str, AfterValidator(_name), Field(description='name of the model, such as "resnet18"')
]


class Torchvision(Network):
    """A model of torchvision by name: `torchvision("resnet18", weights="DEFAULT")`.

    Its classifier gets as many outputs as the data has classes; with `weights` it is new
    where the number differs. Taps are module paths: `t."layer1.0.conv1"`.

    Source: `torchvision.models.get_model`.
    """

    word: ClassVar[str] = "torchvision"

    name: Name
    weights: Annotated[
        str | None,
        Field(description='pre-trained weights by the library\'s name, such as "DEFAULT"'),
    ] = None


class Timm(Network):
    """A model of timm by name: `timm("resnet18")`; timm has to be installed.

    Its classifier gets as many outputs as the data has classes. Taps are module paths.

    Source: `timm.create_model`.
    """

    word: ClassVar[str] = "timm"

    name: Name
    pretrained: Annotated[bool, Field(description="start from the library's weights")] = False


ENTRIES: tuple[type[Entry], ...] = (Torchvision, Timm)
