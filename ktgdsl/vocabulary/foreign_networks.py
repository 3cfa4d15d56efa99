"""Networks that are not ours: of the user's code, of torchvision and of timm."""

import re
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ktgdsl.vocabulary.networks import Network
from ktgdsl.vocabulary.python import Python
from ktgdsl.vocabulary.spelling import closest
from ktgdsl.vocabulary.torchvision_names import NAMES


class PythonNetwork(Network, Python):
    """A callable of yours that returns an `nn.Module`: `python("pkg.module:factory", width=8)`.

    Named arguments go to the callable. Imported by `build` and `run`, never by `check`. The module
    of a node with several `heads` gives a dict of logits by their names, or a tuple in their order.
    """

    @property
    def is_random(self) -> bool:
        """The callable may load weights."""
        return False


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", text):
        raise ValueError("must be the name of a model, such as `resnet18`")
    return text


Name = Annotated[
    str, AfterValidator(_name), Field(description='name of the model, such as "resnet18"')
]


def _of_torchvision(name: str) -> str:
    if name in NAMES:
        return name
    guess = closest(name, NAMES)
    raise PydanticCustomError(
        "unknown_name",
        'torchvision has no classification network "{name}"',
        {
            "name": name,
            "help": f"did you mean `{guess}`?"
            if guess
            else "`torchvision.models.list_models()` has the names",
        },
    )


class Torchvision(Network):
    """A model of torchvision by name: `torchvision("resnet18", weights="DEFAULT")`.

    Its classifier gets as many outputs as the data has classes. With `weights` it is new where
    the number differs, which a frozen node refuses, and images are normalised for this network as
    they were for its training. Images of one channel count as grey: the network sees them in all
    three. Taps are module paths: `t."layer1.0.conv1"`.

    Source: `torchvision.models.get_model`.
    """

    word: ClassVar[str] = "torchvision"

    name: Annotated[Name, AfterValidator(_of_torchvision)]
    weights: Annotated[
        str | None,
        Field(description='pre-trained weights by the library\'s name, such as "DEFAULT"'),
    ] = None

    @property
    def has_weights(self) -> bool:
        """With the weights of the library."""
        return self.weights is not None


class Timm(Network):
    """A model of timm by name: `timm("resnet18")`, once `pip install timm` has been run.

    Further named arguments go to the model: `timm("resnet18", drop_rate=0.1)`. Its classifier gets
    as many outputs as the data has classes, its first convolution as many inputs as the images have
    channels. With `pretrained=true` it is as `torchvision` with weights. Taps are module paths.

    Source: `timm.create_model`.
    """

    model_config = ConfigDict(extra="allow")
    word: ClassVar[str] = "timm"

    name: Name
    pretrained: Annotated[bool, Field(description="start from the library's weights")] = False

    @model_validator(mode="after")
    def _fitted_to_the_data(self) -> Self:
        further = self.model_extra or {}
        named = next((each for each in ("num_classes", "in_chans") if each in further), None)
        if named is not None:
            raise ValueError(f"`{named}` of `timm` is that of the data: leave it out")
        return self

    @property
    def has_weights(self) -> bool:
        """With the weights of the library."""
        return self.pretrained

    @property
    def is_random(self) -> bool:
        """timm loads a checkpoint as well."""
        return not self.pretrained and "checkpoint_path" not in (self.model_extra or {})
