"""The standing of a pruned trial: its place among the values at a rung."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Standing(BaseModel):
    """The place of a pruned trial among the values at a rung when it was judged.

    `value`, in percent, was compared with all values that trials had had after `epoch` by then,
    its own included: `values` of them, of which the best `kept`, and those equal to them, went on.
    Place 1 is the best; equal values share a place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    epoch: Annotated[int, Field(ge=1)]
    value: float
    place: Annotated[int, Field(ge=1)]
    values: Annotated[int, Field(ge=1)]
    kept: Annotated[int, Field(ge=1)]

    def __str__(self) -> str:
        return f"place {self.place} of {self.values} at epoch {self.epoch}"
