"""The second view of a batch: the same samples, augmented or read by a stream of their own."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ktgdsl.backend.seeds import derive
from ktgdsl.errors import KtgWarning
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.data import Split, load_splits
from ktgdsl.training.datasets import memory
from tests.plans import tiny_plan
from tests.training.datasets.plans import loaded, python_data
from tests.training.datasets.test_user_images import RANDOM

CPU = torch.device("cpu")


def drawn(split: Split, views: int, epoch: int = 2) -> list[tuple[Tensor, ...]]:
    return list(numbered_batches(split, 8, 3, epoch, views=views))


def of_digits(**data: object) -> DataPlan:
    return tiny_plan(data={"samples": 40, **data}).data


def require_first_unchanged(split: Split) -> list[tuple[Tensor, ...]]:
    """The batches with two views, of which the first is that of batches with one."""
    both = drawn(split, 2)
    for (*first, _), plain in zip(both, drawn(split, 1), strict=True):
        assert all(torch.equal(*pair) for pair in zip(first, plain, strict=True))
    return both


@pytest.mark.parametrize("streamed", [False, True])
def test_it_is_augmented_by_a_stream_of_its_own(
    streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load_splits(of_digits(), 0, CPU).train
    if streamed:
        monkeypatch.setattr(memory, "free", lambda device: 0)
    split = load_splits(of_digits(augment="paper"), 0, CPU).train
    assert (split.stream is not None) == streamed
    augment = split.preprocessing.augment
    assert augment is not None
    generator = torch.Generator().manual_seed(derive(3, "augment", 1, 2))
    down = torch.randint(0, 9, (2, 40), generator=generator)[0] - 4
    assert torch.equal(augment.draw(40, 3, 2, view=1).down, down)
    for start, (image, _, sample, other) in zip(
        range(0, 40, 8), require_first_unchanged(split), strict=True
    ):
        draws = augment.draw(40, 3, 2, view=1)[start : start + 8]
        assert torch.equal(other, augment.apply(plain.batch(sample)[0], draws))
        assert not torch.equal(image, other)


def test_without_augmentation_it_is_the_first(tmp_path: Path) -> None:
    (tmp_path / "floats.py").write_text(RANDOM.replace("torch.rand(())", "0.25"))
    normalised = python_data("floats", tmp_path, mean=(3.0,), std=(2.0,))
    for split in (load_splits(of_digits(), 0, CPU).train, loaded(normalised).train):
        for image, _, _, other in require_first_unchanged(split):
            assert torch.equal(image, other)


def test_data_of_ones_own_that_are_not_random_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "same_each_time.py").write_text(RANDOM.replace("torch.rand(())", "0.25"))
    views = {"views": 2, "augment": "none"}
    with pytest.warns(KtgWarning, match="both views of a sample are equal"):
        loaded(python_data("same_each_time", tmp_path, **views))
    loaded(python_data("same_each_time", tmp_path, **{**views, "augment": "paper"}))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_random_dataset_is_read_twice(tmp_path: Path, workers: int) -> None:
    (tmp_path / f"noise_{workers}.py").write_text(RANDOM)
    split = loaded(python_data(f"noise_{workers}", tmp_path, workers=workers, views=2)).train
    before = torch.get_rng_state()
    both = require_first_unchanged(split)
    assert torch.equal(torch.get_rng_state(), before)
    (image, _, sample, other), *_ = both
    torch.manual_seed(derive(derive(3, "read", 1, 2), "sample", int(sample[0])))
    assert other[0, 0, 0, 0] == sample[0] + torch.rand(())
    assert torch.equal(image.floor(), other.floor())  # the same samples
    assert not (image == other).any()
