"""Images that are normalised already, and a network that does it by itself."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from ktgdsl.backend.normalization import normalize_inputs
from ktgdsl.errors import KtgWarning
from ktgdsl.training.data import Split
from ktgdsl.training.datasets.preprocessing import Preprocessing
from ktgdsl.training.float_images import warn_of_float_images


def teacher() -> nn.Module:
    network = nn.Flatten()
    normalize_inputs(network, [0.5] * 3, [0.25] * 3)
    return network


def images(least: float, greatest: float) -> Split:
    image = torch.full((4, 3, 2, 2), float(least))
    image[0, 0, 0, 0] = greatest
    return Split(image, torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize(("least", "greatest"), [(-2, 2), (0, 255), (-0.1, 1)])
def test_images_that_are_not_from_0_to_1_are_asked_about(least: float, greatest: float) -> None:
    with pytest.warns(KtgWarning) as caught:
        warn_of_float_images(images(least, greatest), {"t": teacher(), "s": nn.Flatten()})
    message = caught[0].message
    assert isinstance(message, KtgWarning)
    assert message.diagnostic.code == "W305"
    assert str(message).startswith("node `t` normalises images from 0 to 1 by itself, and those")
    assert str(message).endswith(f"are from {least:.3g} to {greatest:.3g}")


@pytest.mark.parametrize(
    ("least", "greatest"), [(0, 255), (0, 16), (1, 65535), (-123.7, 131.3), (-0.2, 31)]
)
def test_images_that_nobody_has_scaled_are_asked_about(least: float, greatest: float) -> None:
    with pytest.warns(KtgWarning) as caught:
        warn_of_float_images(images(least, greatest), {"s": nn.Flatten()})
    (each,) = (each.message for each in caught)
    assert isinstance(each, KtgWarning)
    assert each.diagnostic.code == "W308"
    assert f"from {least:.3g} to {greatest:.3g}, and go" in str(each)


def test_a_mean_of_another_unit_is_asked_about() -> None:
    half = Preprocessing(None, torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.5))
    whole = Preprocessing(None, torch.full((1, 1, 1), 127.5), torch.full((1, 1, 1), 127.5))
    split = images(0, 255)
    warn_of_float_images(replace(split, preprocessing=whole), {"s": nn.Flatten()})
    with pytest.warns(KtgWarning, match="`mean` and `std` taken off, from -1 to 509"):
        warn_of_float_images(replace(split, preprocessing=half), {"s": nn.Flatten()})


def test_others_are_not() -> None:
    mean = torch.full((1, 1, 1), 0.5)
    scaled = Split(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    known = Split(images(-2, 2).image, scaled.label, preprocessing=Preprocessing(None, mean, mean))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_float_images(images(0, 1), {"t": teacher()})
        warn_of_float_images(images(-2, 2), {"s": nn.Flatten()})
        warn_of_float_images(images(-0.42, 28), {"s": nn.Flatten()})
        warn_of_float_images(images(0, 1.1), {"s": nn.Flatten()})
        warn_of_float_images(scaled, {"t": teacher()})
        warn_of_float_images(known, {"t": teacher()})
