"""The standing of a pruned trial: its rank among the values at a rung."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Standing(BaseModel):
    """The rank of a pruned trial among the values at a rung, at the time of the decision.

    Attributes:
        epoch: of the rung.
        value: of the trial after that epoch, in percent.
        place: the rank of `value`; 1 is the best, and equal values share a rank.
        values: the number of values reported at the rung by then, including this trial's.
        kept: how many of them continued, besides equal ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    epoch: Annotated[int, Field(ge=1)]
    value: float
    place: Annotated[int, Field(ge=1)]
    values: Annotated[int, Field(ge=1)]
    kept: Annotated[int, Field(ge=1)]

    def __str__(self) -> str:
        return f"place {self.place} of {self.values} at epoch {self.epoch}"
