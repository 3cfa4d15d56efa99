"""Values of settings about images: sizes, and numbers of channels."""

from typing import Annotated, Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

LARGEST = 4096
"""Pixels of a side that an image may be resized to."""


def _image_size(value: Any) -> int | list[int]:
    """A number of pixels, or height and width."""
    sides = value if isinstance(value, list) else [value, value]
    if any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise _wrong_type("a whole number of pixels, or [height, width]")
    if len(sides) != 2:
        raise ValueError(f"must be a number or [height, width], not {len(sides)} numbers")
    if not all(1 <= side <= LARGEST for side in sides):
        raise ValueError(f"must be from 1 to {LARGEST} pixels, not {sides[0]} x {sides[1]}")
    return value if isinstance(value, int) else sides


def _channel_numbers(value: Any) -> list[float]:
    """One number, or one for each of three channels."""
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in numbers):
        raise _wrong_type("a number, or a list of one for each channel")
    if len(numbers) not in (1, 3):
        raise ValueError(f"must be of one channel or three, not {len(numbers)}")
    return [float(each) for each in numbers]


def _positive_channel_numbers(value: Any) -> list[float]:
    numbers = _channel_numbers(value)
    if min(numbers) <= 0:
        raise ValueError(f"must be greater than 0, not {min(numbers):g}")
    return numbers


def _wrong_type(needed: str) -> PydanticCustomError:
    return PydanticCustomError("wrong_type", "must be {needed}", {"needed": needed})


ImageSize = Annotated[int | list[int], PlainValidator(_image_size)]
"""Height and width in pixels, or one number for both."""

ChannelNumbers = Annotated[float | list[float], PlainValidator(_channel_numbers)]
"""A number for each channel, or one for all."""

PositiveChannelNumbers = Annotated[float | list[float], PlainValidator(_positive_channel_numbers)]
"""Such numbers greater than 0."""
