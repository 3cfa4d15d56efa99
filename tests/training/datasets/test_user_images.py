"""Datasets of the user's: whose labels count, floats, and random augmentation."""

import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Subset

import ktgdsl
from ktgdsl.errors import KtgWarning
from ktgdsl.plan.model import Call, DataPlan
from ktgdsl.training.batches import batches, batches_in_order, numbered_batches
from ktgdsl.training.data import Split
from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.user_images import UserImages
from ktgdsl.training.run import resume
from tests import lookalikes
from tests.plans import tiny_plan
from tests.training.datasets.plans import error_of, loaded, python_data

TRANSFORMED = """
import torch
from torchvision.datasets import VisionDataset

class fn(VisionDataset):
    def __init__(self, split):
        super().__init__("", transform=lambda x: x / 5, target_transform=lambda y: 2 - y)
        self.targets = [0, 1, 2] * 4

    def __len__(self):
        return 12

    def __getitem__(self, i):
        image = torch.full((1, 8, 8), float(i))
        return self.transform(image), self.target_transform(self.targets[i])
"""
RANDOM = """
import torch

class fn(torch.utils.data.Dataset):
    def __init__(self, split):
        self.train = split == "train"

    def __len__(self):
        return 16

    def __getitem__(self, i):
        noise = torch.rand(()) if self.train else 0.5
        return torch.full((1, 8, 8), i + noise), i % 2
"""


class Samples:
    """A map-style Dataset of one pixel each, whose value a function draws."""

    def __init__(self, draw: Callable[[], float], count: int = 8) -> None:
        self.draw, self.count = draw, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((1, 1, 1), index + self.draw()), 0


def test_the_transformed_label_counts_and_floats_stay_floats(tmp_path: Path) -> None:
    (tmp_path / "transformed_data.py").write_text(TRANSFORMED)
    splits = loaded(python_data("transformed_data", tmp_path, augment="standard"))
    assert splits.train.label.tolist() == [2, 1, 0] * 4
    assert splits.train.image.dtype == torch.float32
    numbers = torch.arange(12) / 5
    assert torch.equal(splits.train.image[:, 0, 3, 3], numbers)
    image, label = next(batches_in_order(splits.test, 12))
    assert label.tolist() == [2, 1, 0] * 4
    expected = (numbers - numbers.mean()) / numbers.std(correction=0)
    torch.testing.assert_close(image[:, 0, 0, 0], expected)
    assert torch.equal(splits.test.image[:, 0, 3, 3], numbers)  # nothing worked in place on it


def test_floats_that_are_not_normalised_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "passed_on.py").write_text(TRANSFORMED)
    split = loaded(python_data("passed_on", tmp_path)).test
    image, _ = next(batches_in_order(split, 12))
    assert torch.equal(image[:, 0, 0, 0], torch.arange(12) / 5)
    image.zero_()
    assert torch.equal(split.image[:, 0, 0, 0], torch.arange(12) / 5)


def test_a_list_of_labels_is_believed_only_where_torchvision_reads_it(tmp_path: Path) -> None:
    lookalikes.cifar10(tmp_path)

    kind: Any = import_module("torchvision.datasets").CIFAR10
    unchecked = {"_check_integrity": lambda self: True, "meta": {**kind.meta, "md5": None}}
    quiet: Any = type("Quiet", (kind,), unchecked)

    def to_float(image: object) -> Tensor:
        return torch.tensor(np.asarray(image)).permute(2, 0, 1) / 255

    plain = quiet(str(tmp_path), transform=to_float)
    assert UserImages(plain, "it").listed_labels() == [0, 1, 2, 3] * 5
    assert UserImages(Subset(plain, [3, 2]), "it").listed_labels() == [3, 2]
    other = quiet(str(tmp_path), transform=to_float, target_transform=lambda label: 9 - label)
    assert UserImages(other, "it").listed_labels() is None
    assert UserImages(Samples(lambda: 0.5), "it").listed_labels() is None


def test_grey_and_coloured_images_of_a_dataset() -> None:
    grey, colour = Image.new("L", (2, 2), 7), Image.new("RGB", (2, 2), (1, 2, 3))
    mixed = UserImages([(grey, 0), (colour, 1)], "it")
    assert mixed.__getitems__([0, 1])[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]
    late = [(grey, 0)] * 64
    late[33] = colour, 1
    with pytest.raises(UnreadableError, match="image 33 is in colour, and those that were looked"):
        UserImages(late, "it")[33]


@pytest.mark.parametrize(
    "draw",
    [lambda: torch.rand(()).item(), lambda: np.random.rand(), random.random,
     lambda: float(torch.rand(()) < 0.5)],
)  # fmt: skip
def test_random_augmentation_is_found_and_drawn_by_the_seed(draw: Callable[[], float]) -> None:
    before = torch.get_rng_state(), _numpy_state(), random.getstate()
    images = UserImages(Samples(draw), "it")
    assert images.random
    one, again, other = (
        images.drawn(seed).__getitems__([*range(8)]).flatten() for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(images.drawn(1).__getitems__([5, 2]).flatten(), one[[5, 2]])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (_numpy_state(), random.getstate()) == before[1:]


def _numpy_state() -> list[int]:
    state: Any = np.random.get_state(legacy=False)
    return [state["state"]["pos"], *state["state"]["key"].tolist()]


def test_what_is_not_random_is_known(tmp_path: Path) -> None:
    assert not UserImages(Samples(lambda: 0.5), "it").random
    assert UserImages(Samples(lambda: float(torch.rand(()) < 0.5), count=1), "it").random


def test_a_generator_of_its_own_is_warned_of() -> None:
    own = np.random.default_rng(0)
    with pytest.warns(KtgWarning, match="it gives other images each time") as caught:
        assert UserImages(Samples(own.random), "it").random
    message = caught[0].message
    assert isinstance(message, KtgWarning)
    assert message.diagnostic.code == "W302"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_random_dataset_is_drawn_anew_each_epoch(tmp_path: Path, workers: int) -> None:
    (tmp_path / f"drawn_anew_{workers}.py").write_text(RANDOM)
    splits = loaded(python_data(f"drawn_anew_{workers}", tmp_path, workers=workers))
    assert splits.test.stream is None

    def drawn(split: Split, seed: int, epoch: int) -> dict[int, float]:
        pixels = [image[:, 0, 0, 0] for image, _ in batches(split, 4, seed, epoch)]
        return {int(pixel): float(pixel) for pixel in torch.cat(pixels)}

    first = drawn(splits.train, 0, 1)
    assert sorted(first) == [*range(16)]
    assert first == drawn(splits.train, 0, 1)
    for other in (drawn(splits.train, 0, 2), drawn(splits.train, 1, 1)):
        assert all(first[i] != other[i] for i in range(16))
    one, again = (
        torch.cat([image for image, _ in batches_in_order(splits.train, 5)]) for _ in range(2)
    )
    assert torch.equal(one, again)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_that_are_skipped_change_none_of_the_others(tmp_path: Path, workers: int) -> None:
    (tmp_path / f"drawn_from_{workers}.py").write_text(RANDOM)
    data = python_data(f"drawn_from_{workers}", tmp_path, views=2, workers=workers)

    def drawn(skip: int) -> list[tuple[Tensor, ...]]:
        split = loaded(data).train
        return [*numbered_batches(split, 5, 0, 1, drop_last=False, views=2, skip=skip)]

    whole = drawn(0)
    assert [len(label) for _, label, *_ in whole] == [5, 5, 5, 1]
    for skip in (1, 3, 4):
        rest = drawn(skip)
        assert len(rest) == 4 - skip
        for one, other in zip(rest, whole[skip:], strict=True):
            assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_an_interrupted_run_on_a_random_dataset_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    (tmp_path / "drawn_resumed.py").write_text(RANDOM)
    data = python_data("drawn_resumed", tmp_path, batch=8, mean=(8.0,), std=(4.0,))
    plan = tiny_plan(["a"], epochs=3).model_copy(update={"data": data})
    whole = ktgdsl.run(plan, out=tmp_path / "whole", device="cpu")

    def interrupt(event: object) -> None:
        if getattr(event, "epoch", None) == 1 and hasattr(event, "accuracy"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ktgdsl.run(plan, out=tmp_path / "parts", device="cpu", listener=interrupt)
    resumed = resume(tmp_path / "parts", device="cpu")
    assert resumed.nodes == whole.nodes
    one, other = (
        (tmp_path / each / "nodes" / "a.safetensors").read_bytes() for each in ("whole", "parts")
    )
    assert one == other


LABELS = """
import numpy as np

def fn(split, train, test):
    labels = train if split == "train" else test
    return np.zeros((len(labels), 1, 8, 8), np.uint8), labels
"""


def labelled(tmp_path: Path, train: list[int], test: list[int], **fields: object) -> DataPlan:
    module = f"labels_of_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(LABELS)
    data = python_data(module, tmp_path, **fields)
    arguments = {"function": f"{module}:fn", "train": train, "test": test}
    return data.model_copy(update={"source": Call(name="python", arguments=dict(arguments))})


@pytest.mark.parametrize(
    ("train", "message", "help"),
    [
        ([1, 2, 3] * 4, "is 3, so there are 4 classes, and no training sample is of class 0",
         "if labels count from 1, subtract 1; or say how many classes there are: `classes = 4`"),
        ([0, 1] * 5 + [255], "so there are 256 classes, and no training sample is of class 2, 3, "
         "4 and 250 more", "a sample without a label has -1; or say"),
    ],
)  # fmt: skip
def test_classes_without_a_sample_are_asked_about(
    tmp_path: Path, train: list[int], message: str, help: str
) -> None:
    with pytest.warns(KtgWarning) as caught:
        loaded(labelled(tmp_path, train, [1, 1]))
    (warning,) = [each.message for each in caught]
    assert isinstance(warning, KtgWarning)
    assert warning.diagnostic.code == "W301"
    assert message in warning.diagnostic.message
    assert warning.diagnostic.help is not None
    assert warning.diagnostic.help.startswith(help)
    loaded(labelled(tmp_path, train, [1, 1], classes_expected=max(train) + 1))


def test_labels_from_one_on_that_exceed_the_classes_have_a_hint(tmp_path: Path) -> None:
    error = error_of(labelled(tmp_path, [1, 2, 3] * 4, [1, 1], classes_expected=3))
    assert "has the label 3 in train, and labels of 3 classes are 0 to 2" in error.message
    assert error.help == "if labels count from 1, subtract 1"
    assert error_of(labelled(tmp_path, [0, 1, 3] * 4, [1], classes_expected=3)).help is None


def test_a_test_split_without_labels_is_an_error(tmp_path: Path) -> None:
    error = error_of(labelled(tmp_path, [0, 1] * 4, [-1, -1]))
    assert "no sample of test has a label, so that there is no test accuracy" in error.message


def test_only_labeled_samples_are_held_out(tmp_path: Path) -> None:
    train = [0, 1] * 10 + [-1] * 30
    data = labelled(tmp_path, train, [0], holdout=True)
    splits = loaded(data)
    assert splits.validation is not None
    assert sorted(splits.validation.label.tolist()) == [0, 0, 1, 1]  # a fifth of twenty
    assert sorted(splits.train.label.tolist()) == [-1] * 30 + [0] * 8 + [1] * 8
    half = loaded(labelled(tmp_path, train, [0], holdout=True, samples=25))
    assert half.validation is not None
    assert sorted(half.validation.label.tolist()) == [0, 1]
    assert sorted(half.train.label.tolist()) == [-1] * 15 + [0] * 4 + [1] * 4
    plan = ktgdsl.complete(tiny_plan().model_copy(update={"data": data})).data
    assert (plan.held_out_samples, plan.trained_samples) == (4, 46)
    error = error_of(labelled(tmp_path, train, [0], holdout=True, validation=20))
    assert "`validation` takes 20 of the labeled training samples" in error.message


def test_labels_are_read_once_and_images_kept_where_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept_images.py").write_text(TRANSFORMED)
    resident = loaded(python_data("kept_images", tmp_path))
    assert resident.train.stream is None
    monkeypatch.setattr(memory, "free", lambda device: 0)
    streamed = loaded(python_data("kept_images", tmp_path))
    assert streamed.train.stream is not None
    assert torch.equal(streamed.train.label, resident.train.label)
    for (one, _), (other, _) in zip(
        batches(streamed.train, 4, 0, 1), batches(resident.train, 4, 0, 1), strict=True
    ):
        assert torch.equal(one, other)
