"""Early stops: the phases of a training that ended before their last epoch, and why."""

from collections.abc import Iterable, Sequence

from ktgdsl.program.model import Phase
from ktgdsl.training.result import EarlyStop


def no_progress(phase: Phase) -> str:
    """Why a phase has ended early, in words."""
    number = phase.patience or 0
    return f"no better accuracy on held-out samples for {number} epoch{'s' * (number > 1)}"


def early_stops(phases: Iterable[Phase], seed: int, epochs: Sequence[int]) -> list[EarlyStop]:
    """The phases that ended early in the training with that seed; `epochs` are those of each."""
    return [
        EarlyStop(
            seed=seed,
            phase=phase.name,
            epochs=trained,
            planned=phase.epochs,
            reason=no_progress(phase),
        )
        for phase, trained in zip(phases, epochs, strict=False)
        if trained < phase.epochs
    ]
