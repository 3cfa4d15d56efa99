"""Digests of the user's code and of the data: with the plan, the identity of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ktgdsl.backend.user_sources import SourceFile, sources_as_json, user_sources
from ktgdsl.errors import warn
from ktgdsl.plan.data import FEWER_VALIDATION_LABELS, Percent
from ktgdsl.plan.model import Plan
from ktgdsl.training.datasets.content import content_digest
from ktgdsl.training.datasets.read import read, with_data


@dataclass(frozen=True)
class Identity:
    """The user's source files by name (`ktgdsl.backend.user_sources`); the SHA-256 of the data."""

    code: Mapping[str, SourceFile]
    data: str

    def as_json(self) -> dict[str, Any]:
        """The fields of `environment.json`."""
        return {**sources_as_json(self.code), "data": self.data}


def identify(plan: Plan) -> tuple[Plan, Identity]:
    """Read the data; returns the plan with their facts, and the identity of a training now.

    Raises:
        RunError: when the data are missing, damaged, or do not match the plan (E508).
    """
    data_set, data = read(plan.data)
    digest = content_digest(data_set, data.workers)
    plan = with_data(plan, data)
    if isinstance(data.validation, Percent):  # unknown to `check`, which does not read the data
        held_out = data.model_copy(update={"holdout": data.holdout or plan.search is not None})
        if (message := held_out.validation_problem) is not None:
            warn("W108", message, help=FEWER_VALIDATION_LABELS)
    return plan, Identity(user_sources(plan), digest)
