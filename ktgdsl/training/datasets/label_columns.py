"""Samples with several labels: columns of a tensor (N, labels), in the order of a plan's labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ktgdsl.plan.heads import ClassNames
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_set import DataSet
from ktgdsl.training.datasets.samples import label_number


def combinations(label: Tensor) -> Tensor:
    """A number (N,) for each sample by its labels, -1 where it has none.

    Labels (N,) are their own; those (N, labels) have equal numbers where all are equal.
    """
    if label.ndim == 1:
        return label
    number: Tensor = torch.unique(label, dim=0, return_inverse=True)[1]
    return number.masked_fill((label < 0).all(dim=1), -1)


def by_label(data_set: DataSet, labels: Sequence[str]) -> Iterator[tuple[str | None, DataSet]]:
    """The data set with each of its labels alone, and the name of it; of one label as it is."""
    if not labels:
        yield None, data_set
    names = data_set.classes if isinstance(data_set.classes, Mapping) else {}
    for column, name in enumerate(labels):
        train, test = (
            replace(part, label=part.label[:, column]) for part in (data_set.train, data_set.test)
        )
        yield name, DataSet(train, test, names.get(name))


def known_classes(data_set: DataSet, data: DataPlan) -> ClassNames | None:
    """The names of the classes, where there are as many as classes; None where unknown."""
    found: dict[str | None, tuple[str, ...]] = {
        name: tuple(each.classes)
        for name, each in by_label(data_set, data.labels)
        if each.classes is not None and len(each.classes) == data.classes_of(name)
    }
    return {name: each for name, each in found.items() if name is not None} or found.get(None)


def label_numbers(label: Any, names: Sequence[str]) -> int | tuple[int, ...]:
    """The class of a sample, or by the names of its labels several; -1 where it has none.

    Raises UnreadableError where a label is no whole number, or is not there.
    """
    if not names:
        if isinstance(label, Mapping):
            raise UnreadableError(unread_labels("its", label))
        return label_number(label)
    if not isinstance(label, Mapping):
        raise UnreadableError(f"its label is {label!r}: {needed(names)}")
    check_names(label, names)
    return tuple(label_number(label[name]) for name in names)


def check_names(label: Mapping[Any, Any], names: Sequence[str]) -> None:
    """Raise UnreadableError where a label that nodes answer is not there."""
    if missing := [name for name in names if name not in label]:
        raise UnreadableError(
            f"there is no label `{missing[0]}`, which nodes answer: there are {_listed(label)}"
        )


def needed(names: Sequence[str]) -> str:
    """The form that labels need to have where nodes have heads, in words."""
    example = ", ".join(f'"{name}": ...' for name in names)
    return f"nodes answer {_listed(names)}, so that labels are a dict, {{{example}}}"


def unread_labels(whose: str, label: Mapping[Any, Any]) -> str:
    """The error that samples have several labels, and no node names the one that it answers."""
    example = f"node a = python(...) {{ heads = [{next(iter(label), 'colour')}] }}"
    return f"{whose} labels are {_listed(label)}, and no node says which it answers: `{example}`"


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
