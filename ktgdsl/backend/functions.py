"""Every function of a loss or a gate: the modules here register theirs when imported."""

from ktgdsl.backend import gates, logit_losses, losses, predicates
from ktgdsl.backend.registry import GATES, LOSSES

__all__ = ["GATES", "LOSSES", "gates", "logit_losses", "losses", "predicates"]
