"""Imports all modules whose functions compute losses, gates and ensembles: they register them."""

from ktgdsl.backend import (
    combines,
    feature_losses,
    gates,
    logit_losses,
    losses,
    predicates,
    relations,
    targets,
)
from ktgdsl.backend.registry import COMBINES, GATES, LOSSES, TARGETS

__all__ = [
    "COMBINES",
    "GATES",
    "LOSSES",
    "TARGETS",
    "combines",
    "feature_losses",
    "gates",
    "logit_losses",
    "losses",
    "predicates",
    "relations",
    "targets",
]
