"""Every function of a loss or a gate: the modules here register theirs when imported."""

from ktgdsl.backend import (
    feature_losses,
    gates,
    logit_losses,
    losses,
    predicates,
    relations,
)
from ktgdsl.backend.registry import GATES, LOSSES

__all__ = [
    "GATES",
    "LOSSES",
    "feature_losses",
    "gates",
    "logit_losses",
    "losses",
    "predicates",
    "relations",
]
