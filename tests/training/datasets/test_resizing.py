"""`resize` and `crop`: sizes, proportions, and crops that are drawn by the seed."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.plan.model import DataPlan
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.training.batches import batches, batches_in_order
from ktgdsl.training.data import Split, load_splits
from ktgdsl.training.datasets.image_set import TensorImages
from ktgdsl.training.datasets.resizing import ResizedImages, Resizing
from tests.plans import tiny_plan

CPU = torch.device("cpu")


def ramp(height: int, width: int) -> Tensor:
    """An image whose pixels say in which column they are."""
    return torch.arange(width, dtype=torch.float32).expand(1, height, width)


def test_without_a_crop_the_proportions_change() -> None:
    image = Resizing((2, 4))(ramp(8, 8))
    assert image.shape == (1, 2, 4)
    # Each pixel is the mean of those that it stands for; an edge has only one neighbour.
    torch.testing.assert_close(image[0, 0, 1:3], torch.tensor([2.5, 4.5]))


def test_a_crop_of_the_center_keeps_the_proportions() -> None:
    image = Resizing((4, 4), "center")(ramp(8, 16))
    assert image.shape == (1, 4, 4)
    torch.testing.assert_close(image[0, 0], torch.tensor([4.5, 6.5, 8.5, 10.5]))
    wide = Resizing((4, 4), "center")(ramp(4, 7))
    assert wide[0, 0].tolist() == [2, 3, 4, 5]
    assert Resizing((33, 32), "center")(ramp(33, 32)).tolist() == ramp(33, 32).tolist()


@pytest.mark.parametrize("crop", [None, "center"])
def test_bytes_stay_bytes_one_by_one_or_in_batches(crop: str | None) -> None:
    whole = torch.randint(256, (3, 3, 9, 7), dtype=torch.uint8)
    resizing = Resizing((5, 6), "center" if crop else None)
    images = ResizedImages(TensorImages(whole), resizing)
    batch = images.__getitems__([2, 0])
    assert (batch.dtype, batch.shape, images.shape) == (torch.uint8, (2, 3, 5, 6), (3, 5, 6))
    assert torch.equal(batch, torch.stack([images[2], images[0]]))


def test_a_random_crop_is_drawn_anew_each_epoch_and_evaluated_in_the_center() -> None:
    given = {"resize": (6, 6), "holdout": True, "samples": 60, "validation": 20}
    random = load_splits(tiny_plan(data={**given, "crop": "random"}).data, 0, CPU)
    center = load_splits(tiny_plan(data={**given, "crop": "center"}).data, 0, CPU)

    def drawn(split: Split, epoch: int) -> Tensor:
        return torch.cat([image for image, _ in batches(split, 8, 0, epoch)])

    assert drawn(random.train, 1).shape[1:] == (1, 6, 6)
    assert torch.equal(drawn(random.train, 1), drawn(random.train, 1))
    assert not torch.equal(drawn(random.train, 1), drawn(random.train, 2))
    assert random.validation is not None
    assert center.validation is not None
    for one, other in ((random.validation, center.validation), (random.test, center.test)):
        for (image, label), (expected, right) in zip(
            batches_in_order(one, 50), batches_in_order(other, 50), strict=True
        ):
            assert torch.equal(label, right)
            assert torch.equal(image, expected)


def test_the_digits_are_resized_as_all_others() -> None:
    before = load_splits(tiny_plan().data, 0, CPU).test.batch(slice(2))[0]
    after = load_splits(tiny_plan(data={"resize": (4, 16)}).data, 0, CPU).test.batch(slice(2))[0]
    assert after.shape == (2, 1, 4, 16)
    assert after.mean().item() == pytest.approx(before.mean().item(), abs=0.05)


def settings(text: str, name: str = "cifar10") -> DataPlan:
    source = f"graph g {{ node a = resnet8 target a edge label -> a }} data {name} {{ {text} }}"
    compiled = compile_source(Source("s.ktg", source), Path())
    assert compiled.plan is not None, compiled.diagnostics
    text = unparse_plan(compiled.plan, Path())
    again = compile_source(Source("again.ktg", text), Path()).plan
    assert again is not None
    assert again.digest == compiled.plan.digest
    return compiled.plan.data


def test_the_settings_of_the_block() -> None:
    assert settings("resize = 48").shape == (3, 48, 48)
    data = settings("resize = [32, 48] crop = random mean = 0.5 std = [0.2, 0.3, 1]")
    assert (data.resize, data.crop, data.mean, data.std) == (
        (32, 48), "random", (0.5,), (0.2, 0.3, 1.0),
    )  # fmt: skip
    assert data.known_facts.shape == (3, 32, 32)
    assert settings("").resize is None
    assert settings("resize = (32, 48)").resize == (32, 48)
    assert settings("resize = (32)").resize == (32, 32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop = center", "`crop` is nothing without `resize`"),
        ("mean = 0.5", "`mean` is nothing without `std`"),
        ("std = 0.5", "`std` is nothing without `mean`"),
        ("resize = 0", "`resize` must be from 1 to 4096 pixels, not 0 x 0"),
        ("resize = [1, 2, 3]", "`resize` must be a number or [height, width], not 3 numbers"),
        ('resize = "32"', "`resize` must be a whole number of pixels, or [height, width], not"),
        ("mean = 0.5 std = 0", "`std` must be greater than 0, not 0"),
        ("mean = [0.5, 0.5] std = 1", "`mean` must be of one channel or three, not 2"),
    ],
)
def test_settings_that_are_wrong(text: str, message: str) -> None:
    source = f"graph g {{ node a = resnet8 target a edge label -> a }} data mnist {{ {text} }}"
    (problem,) = compile_source(Source("s.ktg", source), Path()).diagnostics
    assert message in problem.message
    three = source.replace(text, "mean = [1, 2, 3] std = 1")
    (problem,) = compile_source(Source("s.ktg", three), Path()).diagnostics
    assert problem.message == "`mean` has 3 numbers, and the images of `mnist` have 1 channel"


def test_mean_and_std_normalise_whatever_the_augmentation() -> None:
    for augment in ("none", "paper", "standard"):
        data = tiny_plan(data={"augment": augment, "mean": (0.25,), "std": (0.5,)}).data
        test = load_splits(data, 0, CPU).test
        image, _ = next(batches_in_order(test, 500))
        torch.testing.assert_close(image, (test.image / 16 - 0.25) / 0.5)
