"""Plans of data sets, and what loading them gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, DataPlan, Percent
from ktgdsl.training.data import Split, Splits, load_splits
from tests import lookalikes
from tests.plans import tiny_plan

CPU = torch.device("cpu")


def data_of(word: str, root: Path | None, train: int, test: int, **fields: object) -> DataPlan:
    """The data plan of a standard data set, but with few samples."""
    return tiny_plan(
        data={
            "source": Call(name=word),
            "root": None if root is None else str(root),
            "train_samples": train,
            "test_samples": test,
            **fields,
        }
    ).data


def user_data(source: Call, root: Path, **fields: object) -> DataPlan:
    """The data plan of data whose facts are not known before they are read."""
    given = {"source": source, "root": str(root), "validation": Percent(percent=20)}
    made = tiny_plan(data={**given, **fields}).data
    return made.model_copy(update={"facts": None})


def folder_data(root: Path, **fields: object) -> DataPlan:
    return user_data(Call(name="folder", arguments={"path": "set"}), root, **fields)


def python_data(module: str, root: Path, **fields: object) -> DataPlan:
    return user_data(Call(name="python", arguments={"function": f"{module}:fn"}), root, **fields)


def loaded(data: DataPlan) -> Splits:
    return load_splits(data, 0, CPU)


def error_of(data: DataPlan) -> Diagnostic:
    with pytest.raises(RunError) as caught:
        loaded(data)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E508"
    return diagnostic


def assert_holds(split: Split, image: lookalikes.Array, label: list[int]) -> None:
    np.testing.assert_array_equal(split.image.numpy(), image)
    assert split.image.dtype == torch.uint8
    assert split.label.tolist() == label


CIFAR10 = {"shape": (3, 32, 32), "classes": 10}
CIFAR100 = {"shape": (3, 32, 32), "classes": 100}
IDX = {"shape": (1, 28, 28), "classes": 10}
TINY = {"shape": (3, 64, 64), "classes": 2}
