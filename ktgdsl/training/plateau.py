"""The schedule `plateau`: a factor on the learning rate that drops when a node stops improving."""

import math
from collections.abc import Mapping
from typing import Any

from ktgdsl.training.state_checks import require_amount, require_number


class Plateau:
    """The state of a node's `plateau`, in the rules of torch's `ReduceLROnPlateau`.

    Attributes:
        factor: on the learning rate, after what was observed so far.
        on: what is observed: "loss" or "accuracy".
    """

    def __init__(self, rule: Mapping[str, Any]) -> None:
        """Begin; `rule` has the arguments of the schedule."""
        self._rule = rule
        self.on = str(rule["on"])
        self.factor = 1.0
        self._best = -math.inf if self.on == "accuracy" else math.inf
        self._waited = 0
        self._resting = 0

    def observe(self, value: float) -> None:
        """Take note of the value of the next epoch."""
        if self._is_better(value):
            self._best, self._waited = value, 0
        else:
            self._waited += 1
        if self._resting > 0:
            self._resting -= 1
            self._waited = 0
        if self._waited > self._rule["patience"]:
            self.factor = max(self.factor * self._rule["factor"], self._rule["minimum"])
            self._waited, self._resting = 0, self._rule["cooldown"]

    def _is_better(self, value: float) -> bool:
        threshold = self._rule["threshold"]
        if self.on == "accuracy":
            return bool(value > self._best * (1 + threshold))
        return bool(value < self._best * (1 - threshold))

    def state_dict(self) -> dict[str, float]:
        """The state that later factors depend on."""
        return {
            "factor": self.factor,
            "best": self._best,
            "waited": self._waited,
            "resting": self._resting,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`. Raises ValueError where it cannot be one."""
        self.factor = require_amount(state["factor"], 0, 1, "factor")
        self._best = require_amount(state["best"], -math.inf, math.inf, "best")
        self._waited = require_number(state["waited"], 0, self._rule["patience"], "waited")
        self._resting = require_number(state["resting"], 0, self._rule["cooldown"], "resting")
