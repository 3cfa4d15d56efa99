"""The digits, their splits, and the batches drawn from them."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, DataPlan
from ktgdsl.training import digits
from ktgdsl.training.data import Split, batches, batches_in_order, load_splits, load_watched
from tests.plans import tiny_plan

CPU = torch.device("cpu")


def data(**fields: object) -> DataPlan:
    return tiny_plan(data=fields).data


def numbered(n: int) -> Split:
    """Images of one pixel that says which one it is, and labels that say it too."""
    return Split(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1), torch.arange(n), white=200)


def labels(split: Split, size: int, seed: int, epoch: int) -> list[list[int]]:
    return [label.tolist() for _, label in batches(split, size, seed, epoch)]


def test_the_digits_are_uci_test_part() -> None:
    image, label = digits.read()
    assert image.shape == (1797, 1, 8, 8)
    assert image.dtype == torch.uint8
    assert label.dtype == torch.int64
    assert (int(image.min()), int(image.max())) == (0, 16)
    # How many of each class UCI's optdigits.tes has, by its own description.
    assert label.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # Its first image, a 0, which kept its place.
    first = [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]
    assert image[0, 0].tolist() == first
    assert label[0] == 0


def test_the_split_of_the_digits_is_stratified_and_disjoint() -> None:
    splits = load_splits(data(), seed=0, device=CPU)
    assert (len(splits.train), len(splits.test)) == (1297, 500)
    assert splits.validation is None
    assert splits.test.label.bincount().tolist() == [50] * 10
    train, test = (
        {bytes(image.flatten().tolist()) for image in split.image}
        for split in (splits.train, splits.test)
    )
    assert len(train) == 1297
    assert len(test) == 500
    assert not train & test


def test_the_split_is_the_same_for_every_seed() -> None:
    one, other = (load_splits(data(), seed, CPU) for seed in (0, 1))
    assert torch.equal(one.train.image, other.train.image)
    assert torch.equal(one.test.label, other.test.label)


def test_a_held_out_split_is_stratified_and_taken_from_training() -> None:
    splits = load_splits(data(holdout=True, validation=259), seed=0, device=CPU)
    assert splits.validation is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1038, 259, 500)
    whole = load_splits(data(), seed=0, device=CPU).train
    # The share of each class, 259 / 1297 of it, rounded down; what is left to make 259 goes
    # to the classes with the greatest fractions.
    share = np.bincount(whole.label.numpy()) * 259 / 1297
    expected = np.floor(share).astype(int)
    expected[np.argsort(expected - share)[: 259 - expected.sum()]] += 1
    assert splits.validation.label.bincount().tolist() == expected.tolist()

    def content(*parts: Split) -> Counter[bytes]:
        return Counter(
            bytes([*image.flatten().tolist(), int(label)])
            for part in parts
            for image, label in zip(part.image, part.label, strict=True)
        )

    assert content(splits.train, splits.validation) == content(whole)


def test_what_is_watched_is_what_is_held_out_or_else_the_test_split() -> None:
    for holdout, size, name in ((True, 259, "validation"), (False, 500, "test")):
        given = data(holdout=holdout, validation=259)
        splits, watched = load_splits(given, 3, CPU), load_watched(given, 3, CPU)
        assert (watched.name, len(watched.split)) == (name, size)
        expected = splits.validation if holdout else splits.test
        assert expected is not None
        assert torch.equal(watched.split.image, expected.image)
        assert torch.equal(watched.split.label, expected.label)
        assert torch.equal(watched.train.image, splits.train.image)
        assert torch.equal(watched.train.label, splits.train.label)


def test_a_held_out_split_depends_on_the_seed_alone() -> None:
    def validation(seed: int) -> Tensor:
        split = load_splits(data(holdout=True), seed, CPU).validation
        assert split is not None
        return split.image

    assert torch.equal(validation(0), validation(0))
    assert not torch.equal(validation(0), validation(1))


@pytest.mark.parametrize("held", [1, 9, 10, 1296])
def test_any_number_of_samples_can_be_held_out(held: int) -> None:
    splits = load_splits(data(holdout=True, validation=held), seed=0, device=CPU)
    assert splits.validation is not None
    assert (len(splits.validation), len(splits.train)) == (held, 1297 - held)


def test_pixels_are_scaled_to_one() -> None:
    split = load_splits(data(), seed=0, device=CPU).test
    image, _ = next(batches_in_order(split, 500))
    assert image.dtype == torch.float32
    expected = split.image.numpy().astype(np.float32) / 16
    np.testing.assert_array_equal(image.numpy(), expected)
    assert image.max() == 1


def test_an_epoch_is_a_permutation_in_whole_batches() -> None:
    drawn = labels(numbered(100), 32, seed=0, epoch=1)
    assert [len(batch) for batch in drawn] == [32, 32, 32]
    seen = [n for batch in drawn for n in batch]
    assert len(set(seen)) == 96
    assert seen != sorted(seen)


def test_image_and_label_stay_together() -> None:
    for image, label in batches(numbered(100), 10, seed=3, epoch=2):
        np.testing.assert_array_equal(
            image.flatten().numpy(), label.numpy().astype(np.float32) / 200
        )


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    split = numbered(64)
    assert labels(split, 16, 0, 1) == labels(split, 16, 0, 1)
    assert labels(split, 16, 0, 1) != labels(split, 16, 0, 2)
    assert labels(split, 16, 0, 1) != labels(split, 16, 1, 1)
    # The size of a batch cuts the same order.
    (whole,) = labels(split, 64, 0, 1)
    assert [n for batch in labels(split, 16, 0, 1) for n in batch] == whole


def test_the_order_leaves_the_global_stream_alone() -> None:
    before = torch.random.get_rng_state()
    list(batches(numbered(8), 4, seed=0, epoch=1))
    load_splits(data(holdout=True), seed=0, device=CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_split_smaller_than_a_batch_is_one_batch() -> None:
    (batch,) = labels(numbered(5), 64, seed=0, epoch=1)
    assert sorted(batch) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("n", "size"), [(10, 4), (8, 4), (3, 64)])
def test_as_many_batches_as_the_plan_counts(n: int, size: int) -> None:
    plan = data(train_samples=n, batch=size)
    assert len(labels(numbered(n), size, seed=0, epoch=1)) == plan.steps_per_epoch


def test_in_order_everything_comes_once() -> None:
    drawn = [label.tolist() for _, label in batches_in_order(numbered(10), 4)]
    assert drawn == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"source": Call(name="cifar10")}, "the data set cifar10 is not supported yet"),
        ({"augment": "paper"}, "the augmentation paper is not supported yet"),
    ],
)
def test_what_is_not_there_yet_says_so(fields: dict[str, object], words: str) -> None:
    with pytest.raises(RunError) as caught:
        load_splits(data(**fields), seed=0, device=CPU)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == ("E901", words)
