"""`labeled_batch`: so many samples of each batch have a label; the others come once in an epoch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.data import load_splits
from ktgdsl.training.datasets.order import mixed
from tests.specs import sound
from tests.training.datasets.plans import loaded, python_data
from tests.training.datasets.test_user_images import RANDOM

FEW_LABELS = RANDOM.replace("i % 2", "i % 2 if i < 3 else -1")
CPU = torch.device("cpu")
LABEL = torch.tensor([-1, 0, -1, 1, -1, -1, 2, -1, -1, -1, -1, 0])  # 4 of 12 have one


def batches(epoch: int = 1, *, drop_last: bool = True, seed: int = 0) -> list[list[int]]:
    order = mixed(LABEL, 6, 3, seed, epoch, drop_last=drop_last)
    return [each.tolist() for each in torch.split(order.sample, order.batch)]


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_epoch_is_one_pass_over_the_unlabeled_samples(epoch: int) -> None:
    drawn = batches(epoch, drop_last=False)
    assert [len(each) for each in drawn] == [6, 6, 5]
    unlabeled = [n for each in drawn for n in each[:-3]]
    assert sorted(unlabeled) == (LABEL < 0).nonzero().flatten().tolist()
    labeled = [n for each in drawn for n in each[-3:]]
    # Two whole passes over the four, each in an order of its own, and a part of the third.
    for start in (0, 4):
        assert sorted(labeled[start : start + 4]) == [1, 3, 6, 11]
    assert batches(epoch) == drawn[:2]


def test_it_depends_on_seed_and_epoch_alone() -> None:
    assert batches() == batches()
    assert batches() != batches(epoch=2)
    assert batches() != batches(seed=1)


def test_too_few_unlabeled_samples_are_one_batch() -> None:
    order = mixed(LABEL, 32, 2, 0, 1, drop_last=True)
    assert (len(order.sample), order.batch) == (10, 10)
    assert sorted(order.sample[:8].tolist()) == (LABEL < 0).nonzero().flatten().tolist()


def test_repeats_are_counted() -> None:
    order = mixed(LABEL, 6, 3, 0, 1, drop_last=False)
    seen: dict[int, int] = {}
    assert order.repeat is not None
    for sample, repeat in zip(order.sample.tolist(), order.repeat.tolist(), strict=True):
        assert seen.get(sample, 0) == repeat
        seen[sample] = repeat + 1


def plan(data: str) -> Plan:
    return sound(
        f"graph g {{ node a = resnet8 target a edge label -> a }} data digits {{ {data} }}"
    )


@pytest.mark.parametrize("holdout", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_as_many_batches_as_the_plan_counts(holdout: bool, drop_last: bool) -> None:
    settings = {"holdout": holdout, "drop_last": drop_last}
    text = " ".join(f"{name} = {str(value).lower()}" for name, value in settings.items())
    data = plan(f"samples = 300 labeled = 30 batch = 16 labeled_batch = 4 {text}").data
    split = load_splits(data, 0, CPU).train
    drawn: list[tuple[Tensor, ...]] = list(
        numbered_batches(split, 16, 0, 1, drop_last=drop_last, labeled=data.labeled_batch)
    )
    # 300, less 60 held out, less 30 labeled, by 12.
    count = (210 if holdout else 270) // 12 + (not drop_last)
    assert data.steps_per_epoch == len(drawn) == count
    assert {int((label >= 0).sum()) for _, label, _ in drawn} == {4}
    sizes = {len(label) for _, label, _ in drawn}
    assert sizes == ({16} if drop_last else {*data.batch_sizes})
    for image, label, sample in drawn[:2]:
        assert torch.equal(image, split.batch(sample)[0])
        assert torch.equal(label, split.label[sample])


def test_the_epochs_of_published_codes() -> None:
    # 50,000 images of CIFAR-10, 1,000 of them labeled: 49,000 // 50 steps of 100.
    cifar = "data cifar10 { batch = 100 labeled = 1000 labeled_batch = 50 }"
    spec = sound(f"graph g {{ node a = resnet8 target a edge label -> a }} {cifar}")
    assert spec.data.steps_per_epoch == 980
    assert spec.steps == 20 * 980


def test_the_digest_is_as_it_was_without_it() -> None:
    assert plan("labeled = 30").digest != plan("labeled = 30 labeled_batch = 4").digest
    content = plan("labeled = 30").model_dump(mode="json")
    assert content["data"].pop("labeled_batch") is None
    assert Plan.model_validate(content).digest == plan("labeled = 30").digest


def test_a_random_dataset_is_read_anew_whenever_a_sample_comes_again(tmp_path: Path) -> None:
    unlabeled = RANDOM.replace("i % 2", "i % 2 if i < 3 else -1")
    (tmp_path / "noisy.py").write_text(
        unlabeled.replace("return 16", "return 16 if self.train else 2")
    )
    split = loaded(python_data("noisy", tmp_path, labeled_batch=2, batch=4)).train
    for views in (1, 2):
        drawn = numbered_batches(split, 4, 3, 1, labeled=2, views=views)
        shown: dict[int, list[float]] = {}
        for first, _, sample, *others in drawn:
            for image in (first, *others):
                for number, pixel in zip(sample.tolist(), image[:, 0, 0, 0].tolist(), strict=True):
                    assert int(pixel) == number
                    shown.setdefault(number, []).append(pixel)
        assert len(shown[0]) == 4 * views
        assert all(len(set(pixels)) == len(pixels) for pixels in shown.values())


def test_data_of_ones_own_that_cannot_be_mixed_are_refused(tmp_path: Path) -> None:
    (tmp_path / "all_labeled.py").write_text(RANDOM)
    (tmp_path / "few.py").write_text(FEW_LABELS)
    for name, size, said in (
        ("all_labeled", 2, "all 16 to learn from have one"),
        ("few", 4, "there are 3"),
    ):
        data = python_data(name, tmp_path, labeled_batch=size, batch=8)
        with pytest.raises(RunError, match=said):
            loaded(data)
