"""The base class of words: a pydantic model of their parameters."""

from functools import cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, NamedTuple, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainValidator
from pydantic_core import PydanticCustomError

from ktgdsl.vocabulary.call import Call


class Parameters(BaseModel):
    """Named values with types, ranges and defaults: an entry's, or the settings of a block."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )


class Entry(Parameters):
    """A word of the vocabulary. Its fields are its parameters, in the order of positions.

    The docstring says what the word means, with the formula and its source. `variadic` is the
    parameter, a list, that takes all arguments without a name. A parameter in `later` came after
    the first plans: it has the last position, and plans do not name it while it has its default,
    so that what a spec says and its digest stay.
    """

    kind: ClassVar[str]
    word: ClassVar[str]
    variadic: ClassVar[str | None] = None
    later: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def positions(cls) -> list[str]:
        """The parameters in the order of positions: the entry's own, inherited, later ones."""
        return list(_positions(cls))

    def call(self) -> Call:
        """The word with every argument written out, as it stands in a plan."""
        named = [name for name in _positions(type(self)) if not self._is_usual(name)]
        values = {name: getattr(self, name) for name in named} | (self.model_extra or {})
        arguments = {name: _plain(value) for name, value in values.items()}
        return Call.model_construct(name=self.word, arguments=arguments)

    def _is_usual(self, name: str) -> bool:
        if name not in self.later:
            return False
        return bool(getattr(self, name) == type(self).model_fields[name].default)

    @classmethod
    def from_call(cls, call: Call) -> Self:
        """The entry that stands in a plan as `call`."""
        arguments = {name: _from_plain(value) for name, value in call.arguments.items()}
        return cls.model_validate(arguments)


@cache
def _positions(cls: type[Entry]) -> tuple[str, ...]:
    own = [name for name in get_annotations(cls) if name in cls.model_fields]
    inherited = (name for name in cls.model_fields if name not in own)
    return tuple(sorted((*own, *inherited), key=lambda name: name in cls.later))


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a parameter may be of, without their ranges and without None."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        inner = (each for each in get_args(annotation) if each is not NoneType)
        return tuple(each for one in inner for each in alternatives(one))
    return (annotation,)


class Percentage(NamedTuple):
    """`30%`: a share of the steps of a phase, or of the samples."""

    percent: float


class StepCount(NamedTuple):
    """`500 steps`: so many steps of the training."""

    steps: int | float


_EXACT = 2**53
"""From here on floats cannot represent each whole number."""


def as_whole_number(value: Any) -> Any:
    """A float without a fraction, such as `3e0`, as an int; any other value unchanged."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


def _plain(value: Any) -> JsonValue:
    """A value as it stands in a plan."""
    if isinstance(value, Percentage):
        return {"percent": value.percent}
    if isinstance(value, Entry):
        call = value.call()
        return {"name": call.name, "arguments": call.arguments}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    plain: JsonValue = value
    return plain


def _from_plain(value: JsonValue) -> Any:
    """The value that a plan has as `_plain` wrote it."""
    match value:
        case {"percent": int() | float() as percent} if not isinstance(percent, bool):
            return Percentage(percent=percent)
        case list():
            return [_from_plain(item) for item in value]
    return value


def _wrong_type(needed: str) -> PydanticCustomError:
    return PydanticCustomError("wrong_type", "must be {needed}", {"needed": needed})


def _moment(value: Any) -> float | Percentage:
    if isinstance(value, Percentage):
        if not 0 <= value.percent <= 100:
            raise ValueError(f"must be between 0% and 100%, not {value.percent:g}%")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type("a percentage of the training or a number of epochs")
    if not 0 <= value < float("inf"):
        raise ValueError(f"must be a number of epochs from 0 on, not {value:g}")
    return float(value)


def _positive_moment(value: Any) -> float | Percentage:
    moment = _moment(value)
    if moment == 0 or moment == Percentage(percent=0):
        raise ValueError("must be greater than 0")
    return moment


Moment = Annotated[float | Percentage, PlainValidator(_moment)]
"""A moment or length of the training: `30%` of the phase's steps, or a number of epochs."""

PositiveMoment = Annotated[float | Percentage, PlainValidator(_positive_moment)]
"""A moment after the start."""


def _samples(value: Any) -> int | Percentage:
    if isinstance(value, Percentage):
        if not 0 < value.percent < 100:
            raise ValueError(f"must be more than 0% and less than 100%, not {value.percent:g}%")
        return value
    share = isinstance(value, float) and value == 1  # one sample, or all of them?
    value = value if share else as_whole_number(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type("a whole number of samples or a percentage of them")
    if value < 1:
        raise ValueError(f"must be at least 1, not {value}")
    return value


Samples = Annotated[int | Percentage, PlainValidator(_samples)]
"""Some of the samples: a number of them, or a share."""


def _epochs(value: Any) -> int | Percentage:
    if isinstance(value, Percentage):
        if not 0 < value.percent < float("inf"):
            raise ValueError(f"must be more than 0%, not {value.percent:g}%")
        return value
    value = as_whole_number(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type("a whole number or a percentage of the epochs of `train`")
    if value < 1:
        raise ValueError(f"must be at least 1, not {value}")
    return value


Epochs = Annotated[int | Percentage, PlainValidator(_epochs)]
"""The length of a part of the training: whole epochs, or a share of those of `train`."""


def _interval(value: Any) -> int | StepCount:
    if isinstance(value, StepCount):
        steps = as_whole_number(value.steps)
        if isinstance(steps, float) or steps < 1:
            raise ValueError(f"must be a whole number of steps, at least 1, not {steps:g}")
        return StepCount(steps)
    value = as_whole_number(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type("a whole number of epochs, or of steps as in `500 steps`")
    if value < 1:
        raise ValueError(f"must be at least 1, not {value}")
    return value


Interval = Annotated[int | StepCount, PlainValidator(_interval)]
"""From one time to the next: whole epochs, or steps."""

Unit = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
