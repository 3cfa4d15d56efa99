"""Temperatures of losses: a number, or a schedule that moves it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError, PydanticKnownError

from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.gates import Ramp
from ktgdsl.vocabulary.reads import Moving
from ktgdsl.vocabulary.registry import entry

_MOST = 10_000
"""Far above what anyone uses, and its square is still a number."""


def _temperature(value: Any) -> float | Ramp:
    if isinstance(value, Mapping) and isinstance(word := value.get("name"), str):
        ramp = entry("gate", word)
        if ramp is not None and issubclass(ramp, Ramp):
            return _temperature(ramp.model_validate(value.get("arguments")))
    if isinstance(value, Ramp):
        for name, end in (("start", value.start), ("stop", value.stop)):
            if not 0 < end <= _MOST:
                raise ValueError(
                    f"must stay greater than 0 and at most {_MOST}, and its `{name}` is {end:g}"
                )
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        # Whoever wrote a gate had a schedule in mind.
        needed = "a number or `linear(1, 4)`" if isinstance(value, Entry) else "a number"
        raise PydanticCustomError("wrong_type", "must be {needed}", {"needed": needed})
    if not value > 0:
        raise PydanticKnownError("greater_than", {"gt": 0.0})
    if not value <= _MOST:
        raise PydanticKnownError("less_than_equal", {"le": float(_MOST)})
    return float(value)


Temperature = Annotated[
    float | Ramp,
    PlainValidator(_temperature),
    Field(description="temperature of both distributions; `linear(1, 4)` moves it"),
]
"""Greater than 0 and at most 10,000, at every step."""


def at(T: float | Ramp) -> float | Moving:
    """A temperature as an input of a function."""
    return T.moving() if isinstance(T, Ramp) else T


def squared(T: float | Ramp) -> float | Moving:
    """T² as an input of a function: the factor that keeps gradients of one size."""
    return T.moving(squared=True) if isinstance(T, Ramp) else T**2
