"""The data to evaluate a run on: its own or other data, with the run's sizes and classes."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.errors import SpecError
from ktgdsl.evaluation.result import Split
from ktgdsl.plan.heads import ClassNames
from ktgdsl.plan.model import DataPlan, Percent, Plan
from ktgdsl.training.data import Split as Samples
from ktgdsl.training.data import load_splits
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.mask_paths import has_masks
from ktgdsl.training.datasets.read import complete, with_data
from ktgdsl.vocabulary.spelling import closest

_ANY_GRAPH = "graph any { node a = resnet8  target a  edge label -> a }"


def data_to_evaluate(plan: Plan, named: str | None, root: str | Path | None) -> DataPlan:
    """The data of a run, or those that `named` says in the words of a spec, with their facts.

    Images come without augmentation, and from 0 to 1: the networks of `load_network` normalise
    by themselves. They are brought to the size that the run says.

    Args:
        plan: of the run.
        named: such as "cifar10" or 'folder("photos")'; the run's data unless given.
        root: the folder of the data, instead of the one that the plan or the environment says.

    Raises:
        SpecError: when `named` is no data set.
        RunError: when the data are missing or damaged, or their images are not like those of the
            run (E508).
    """
    data = plan.data if named is None else _others(plan.data, named)
    if root is not None:
        data = data.model_copy(update={"root": str(Path(root).expanduser().resolve())})
    raw = {"augment": "none", "mean": None, "std": None}
    if data.labels and data.source.name != "python":
        labels = ", ".join(f"`{label}`" for label in data.labels)
        message = f"the samples of {data.source} have one label, and those of the run have {labels}"
        raise data_error(message, 'several labels come from a function: `python("pkg.module:fn")`')
    found = complete(with_data(plan, data.model_copy(update=raw))).data
    if found.known_facts.masks != plan.data.known_facts.masks:
        kinds = ["one label for each image", "masks"]
        has, took = (kinds[each.known_facts.masks] for each in (found, plan.data))
        message = f"{found.source} has {has}, and the run learned from {took}"
        raise data_error(message, "name data with such labels as the run had")
    if found.shape != plan.data.shape:
        has, takes = ("x".join(map(str, each)) for each in (found.shape, plan.data.shape))
        message = (
            f"the images of {found.source} are {has}, and the networks of the run take {takes}"
        )
        raise data_error(message, "bring them to the channels and the size of the run's images")
    return found


def _others(data: DataPlan, named: str) -> DataPlan:
    """Another data set, all of it, with images resized as in the run."""
    compiled = compile_source(Source("any.ktg", _ANY_GRAPH), Path.cwd(), [f"data={named}"])
    if compiled.plan is None:
        raise SpecError(compiled.diagnostics, compiled.sources)
    other = compiled.plan.data
    # Classes that no sample is of are the last ones of a function that returns numbers.
    own = (other.source.name == "python" or has_masks(other)) and not data.labels
    expected = data.classes if own else None
    whole = {"samples": None, "labeled": None, "labeled_batch": None, "holdout": False}
    return data.model_copy(
        update={
            **whole,
            "source": other.source,
            "facts": other.facts,
            "root": other.root,
            "classes_expected": expected,
            "validation": Percent(percent=20),
        }
    )


def samples_of(
    data: DataPlan,
    split: Split,
    seed: int,
    device: torch.device,
    learned: DataPlan,
    names: ClassNames | None,
) -> tuple[Samples, ClassNames]:
    """A split of the data, labelled as the run numbers its classes, and the names of the classes.

    Args:
        data: with their facts.
        split: of them.
        seed: that a held-out split is drawn by.
        device: where the samples are to be.
        learned: the data of the run.
        names: of the run's classes, where they are known.

    Raises:
        RunError: when nothing is held out (E508), the classes are not those of the run (E508), or
            the data are damaged (E508).
    """
    splits = load_splits(data, seed, device)
    chosen = {"train": splits.train, "validation": splits.validation, "test": splits.test}[split]
    if chosen is None:
        message = f"no validation split of {data.source} was held out"
        raise data_error(message, "evaluate on `test` or `train`")
    if not data.labels:
        label, shown = _as_learned(data, learned, None, (names, splits.classes), chosen.label)
        return replace(chosen, label=label), shown
    columns, by_label = [], {}
    for head in data.labels:
        label = chosen.label[:, data.column(head)]
        label, by_label[head] = _as_learned(data, learned, head, (names, splits.classes), label)
        columns.append(label)
    return replace(chosen, label=torch.stack(columns, dim=1)), by_label


def _as_learned(
    data: DataPlan,
    learned: DataPlan,
    head: str | None,
    names: tuple[ClassNames | None, ClassNames | None],
    label: Tensor,
) -> tuple[Tensor, tuple[str, ...]]:
    """A label of the data with the numbers of the run, and the names of its classes.

    `names` are those of the run and of the data, where they are known.
    """
    known, found = (_of_label(each, head) for each in names)
    if known is None or found is None:
        count = learned.classes_of(head)
        _require_as_many(data, count, head)
        return label, known or found or tuple(map(str, range(count)))
    if found != known:
        label = _relabelled(data, label, _numbers(found, known, str(data.source)))
    return label, known


def _of_label(names: ClassNames | None, head: str | None) -> tuple[str, ...] | None:
    """The names of the classes of a label, where they are known."""
    if head is None or names is None:
        return names if isinstance(names, tuple) else None
    return None if isinstance(names, tuple) else names.get(head)


def _require_as_many(data: DataPlan, known: int, head: str | None) -> None:
    """Raise RunError where classes without names are not those of the run.

    Numbers of one label among several may lack the greatest ones.
    """
    found = data.classes_of(head)
    if found > known or (head is None and found < known):
        of = "" if head is None else f" of `{head}`"
        message = f"{data.source} has {found} classes{of}, and the run has {known}"
        raise data_error(message, "name data of the classes that the run was trained on")


def _numbers(names: tuple[str, ...], known: tuple[str, ...], data: str) -> list[int]:
    """The number in the run of each class of the data, found by its name."""
    if unknown := [name for name in names if name not in known]:
        near = closest(unknown[0], known)
        help = f"did you mean `{near}`?" if near else f"the run has {', '.join(known[:10])}"
        help += f" and {len(known) - 10} more" * (not near and len(known) > 10)
        message = f"the run has no class `{unknown[0]}`, which {data} has"
        raise data_error(message, help)
    return [known.index(name) for name in names]


def _relabelled(data: DataPlan, label: Tensor, numbers: list[int]) -> Tensor:
    if data.known_facts.masks:
        message = f"the classes of {data.source} have another order than those of the run"
        raise data_error(message, "give masks with the numbers that the run learned")
    return torch.tensor([*numbers, -1], device=label.device)[label]  # -1 is the last
