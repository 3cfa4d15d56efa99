"""Notes to the user on resume: changed versions and code, and damaged files in the folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ktgdsl.backend.weights import is_intact_file
from ktgdsl.plan.model import Plan, Steps
from ktgdsl.training.checkpoint import Checkpoint
from ktgdsl.training.metrics_file import last_epoch
from ktgdsl.training.resume_checks import changed_code_notes, sha256_at
from ktgdsl.training.run_folder import CLASSES, SPACE, SPEC, RunFolder
from ktgdsl.training.versions import installed_version


def notes_on_resume(
    folder: RunFolder, plan: Plan, environment: Mapping[str, Any], checkpoint: Checkpoint
) -> tuple[str, ...]:
    """One sentence for each reason why the result may differ from an uninterrupted run's."""
    notes = []
    before = environment.get("versions", {})
    for package in ("ktgdsl", "torch", "torchvision"):
        now = installed_version(package)
        if package in before and before[package] != now:
            notes.append(
                f"begun with {package} {before[package]} and resumed with {now}: the numbers may "
                "not be those of either"
            )
    if not folder.checkpoint.exists() and (reached := last_epoch(folder.metrics)) is not None:
        notes.append(_without_checkpoint(folder, plan.train.checkpoint, reached))
    if checkpoint.metrics is not None and not folder.metrics.exists():
        notes.append(f"{folder.metrics} is gone: it will have the epochs from here on alone")
    notes += [f"{each}; the run does not need it" for each in damaged_copies(folder, environment)]
    return (*changed_code_notes(folder, environment), *notes)


def _without_checkpoint(folder: RunFolder, interval: int | Steps, reached: tuple[int, int]) -> str:
    """Why a run has no checkpoint, though its metrics have reached (repeat, epoch).

    Metrics of an epoch are written before its checkpoint.
    """
    again = "the run begins again at its first epoch"
    if isinstance(interval, Steps):
        return f"there is no {folder.checkpoint}, which is written every {interval}: {again}"
    if reached > (1, interval):
        return f"{folder.checkpoint} is gone: {again}"
    every = "each epoch" if interval == 1 else f"every {interval} epochs (`train.checkpoint`)"
    if reached < (1, interval):
        return f"the run was cut off before its first checkpoint, one {every}: {again}"
    return (
        f"there is no {folder.checkpoint}, which is written after {every}: the run was cut off "
        f"before that, or the file was removed; {again}"
    )


def damaged_copies(folder: RunFolder, environment: Mapping[str, Any]) -> list[str]:
    """One sentence for each damaged file that a resume does not need."""
    return [
        f"{path} is not what was written there: it is damaged, or was changed by hand"
        for path in _damaged_copies(folder, environment)
    ]


def _damaged_copies(folder: RunFolder, environment: Mapping[str, Any]) -> Iterator[Path]:
    """The damaged ones of spec, space, classes, code and finished networks."""
    digests = {folder.path / "spec.ktg": environment.get(SPEC)}
    digests[folder.path / "space.ktg"] = environment.get(SPACE)
    digests[folder.path / "classes.json"] = environment.get(CLASSES)
    for name, file in environment.get("code", {}).items():
        digests[folder.path / "code" / name] = file["sha256"]
    yield from (p for p, digest in digests.items() if digest not in (None, sha256_at(p)))
    for path in sorted(folder.path.glob("**/nodes/*.safetensors")):
        if not is_intact_file(path):
            yield path
