"""The digits, their splits, and the batches drawn from them."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from ktgdsl.plan.model import DataPlan, Percent
from ktgdsl.training import digits
from ktgdsl.training.batches import batches, batches_in_order, numbered_batches
from ktgdsl.training.data import Split, load_splits, load_training_data
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


def test_training_data_have_the_validation_split_or_else_the_test_split() -> None:
    for holdout, size, name in ((True, 259, "validation"), (False, 500, "test")):
        given = data(holdout=holdout, validation=259)
        splits, watched = load_splits(given, 3, CPU), load_training_data(given, 3, CPU)
        assert (watched.evaluation_name, len(watched.evaluation)) == (name, size)
        expected = splits.validation if holdout else splits.test
        assert expected is not None
        assert torch.equal(watched.evaluation.image, expected.image)
        assert torch.equal(watched.evaluation.label, expected.label)
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


def test_a_sample_has_its_position_in_the_split_as_its_number() -> None:
    for _, label, sample in numbered_batches(numbered(100), 10, seed=3, epoch=2):
        assert sample.tolist() == label.tolist()


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    split = numbered(64)
    assert labels(split, 16, 0, 1) == labels(split, 16, 0, 1)
    assert labels(split, 16, 0, 1) != labels(split, 16, 0, 2)
    assert labels(split, 16, 0, 1) != labels(split, 16, 1, 1)
    # The size of a batch cuts the same order.
    (whole,) = labels(split, 64, 0, 1)
    assert [n for batch in labels(split, 16, 0, 1) for n in batch] == whole


def test_the_order_leaves_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    list(batches(numbered(8), 4, seed=0, epoch=1))
    load_splits(data(holdout=True), seed=0, device=CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_split_smaller_than_a_batch_is_one_batch() -> None:
    (batch,) = labels(numbered(5), 64, seed=0, epoch=1)
    assert sorted(batch) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize(("n", "size"), [(10, 4), (8, 4), (3, 64)])
def test_as_many_batches_as_the_plan_counts(n: int, size: int, drop_last: bool) -> None:
    plan = data(train_samples=n, batch=size, drop_last=drop_last)
    drawn = list(batches(numbered(n), size, seed=0, epoch=1, drop_last=drop_last))
    assert len(drawn) == plan.steps_per_epoch


def test_the_last_partial_batch_is_the_rest_of_the_same_order() -> None:
    split = numbered(10)
    drawn = [b.tolist() for _, b in batches(split, 4, seed=0, epoch=1, drop_last=False)]
    assert [len(batch) for batch in drawn] == [4, 4, 2]
    assert drawn[:2] == labels(split, 4, seed=0, epoch=1)
    assert sorted(n for batch in drawn for n in batch) == list(range(10))


def test_batches_in_order_have_every_sample_once() -> None:
    drawn = [label.tolist() for _, label in batches_in_order(numbered(10), 4)]
    assert drawn == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_part_of_the_training_samples_is_stratified_and_seeded() -> None:
    whole = load_splits(data(), 0, CPU)
    splits = load_splits(data(samples=300, validation=50, holdout=True), 0, CPU)
    assert splits.validation is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (250, 50, 500)
    used = load_splits(data(samples=300), 0, CPU).train
    share = np.bincount(whole.train.label.numpy()) * 300 / 1297
    assert np.abs(np.bincount(used.label.numpy()) - share).max() < 1
    known = {bytes(image.flatten().tolist()) for image in used.image}
    for part in (splits.train, splits.validation):
        assert {bytes(image.flatten().tolist()) for image in part.image} <= known
    again, other = (load_splits(data(samples=300), seed, CPU).train for seed in (0, 1))
    assert torch.equal(again.image, used.image)
    assert not torch.equal(other.image, used.image)
    assert torch.equal(load_splits(data(samples=1297), 0, CPU).train.image, whole.train.image)


def test_steps_of_an_epoch_count_the_samples_that_are_used() -> None:
    assert data(samples=300, batch=64).steps_per_epoch == 4
    assert data(samples=Percent(percent=50.0), batch=64).steps_per_epoch == 10


def test_labels_are_kept_by_class_seeded_and_nested() -> None:
    def kept(count: int, seed: int) -> Tensor:
        splits = load_splits(data(holdout=True, labeled=count), seed, CPU)
        assert splits.validation is not None
        assert (splits.validation.label >= 0).all()
        assert (splits.test.label >= 0).all()
        return splits.train.label

    whole = load_splits(data(holdout=True), 0, CPU).train.label
    few, more = kept(100, 0), kept(250, 0)
    assert (int((few >= 0).sum()), int((more >= 0).sum())) == (100, 250)
    assert torch.equal(few[few >= 0], whole[few >= 0])
    assert (more[few >= 0] >= 0).all()
    share = np.bincount(whole.numpy()) * 100 / len(whole)
    assert np.abs(np.bincount(few[few >= 0].numpy()) - share).max() <= 1
    assert torch.equal(kept(100, 0), few)
    assert not torch.equal(kept(100, 1) >= 0, few >= 0)


def test_as_many_labels_as_there_are_can_be_kept() -> None:
    train = load_splits(data(holdout=True, labeled=1200), 0, CPU).train
    assert len(train) == 1038
    assert (train.label >= 0).all()


def test_standard_normalises_every_split_by_the_training_samples() -> None:
    splits = load_splits(data(holdout=True, augment="standard"), 0, CPU)
    assert splits.validation is not None
    learned = splits.train.image.numpy() / 16
    (image, _) = next(batches(splits.train, 1038, 0, 1))
    assert image.mean() == pytest.approx(0, abs=1e-6)
    assert image.std(correction=0) == pytest.approx(1, abs=1e-6)
    for split in (splits.validation, splits.test):
        image, _ = next(batches_in_order(split, 500))
        expected = (split.image.numpy() / 16 - learned.mean()) / learned.std()
        np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)


def test_paper_augments_training_images_only_and_does_not_normalise() -> None:
    splits = load_splits(data(augment="paper"), 0, CPU)
    plain = load_splits(data(), 0, CPU)
    moved, label = next(batches(splits.train, 64, 0, 1))
    still, same = next(batches(plain.train, 64, 0, 1))
    assert torch.equal(label, same)
    assert not torch.equal(moved, still)
    assert set((moved * 16).flatten().tolist()) <= set(range(17))
    for one, other in zip(
        batches_in_order(splits.test, 100), batches_in_order(plain.test, 100), strict=True
    ):
        assert torch.equal(one[0], other[0])
