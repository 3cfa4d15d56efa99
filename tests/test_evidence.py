"""Wrong labels as specs/evidence has them: how many and which, and the clean split to judge by."""

import gzip
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ktgdsl
from tests.paths import ROOT

FOLDER = ROOT / "specs" / "evidence"
SIZES = {"train": 2_000, "t10k": 300}


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function, on files of which pixels tell the number and the label of the image."""
    for name, count in SIZES.items():
        number = np.arange(count)
        image = np.zeros((count, 28, 28), np.uint8)
        image[:, 0, 0], image[:, 0, 1], image[:, 0, 2] = number // 256, number % 256, number % 10
        for kind, header, content in (("images-idx3", 16, image), ("labels-idx1", 8, number % 10)):
            data = bytes(header) + content.astype(np.uint8).tobytes()
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(data, 1))
    monkeypatch.setenv("KTGDSL_DATA", str(tmp_path))
    spec = importlib.util.spec_from_file_location("fashion_noise", FOLDER / "fashion_noise.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.noisy


def numbers(image: Any) -> list[int]:
    return [int(a) * 256 + int(b) for a, b in image[:, 0, 0, :2]]


def test_so_many_labels_are_wrong(noisy: Any) -> None:
    image, label = noisy("train", wrong=0.3, samples=1_000)
    assert image.shape == (1_000, 1, 28, 28)
    assert len({*numbers(image)}) == 1_000
    assert (label < 10).all()
    assert (label != image[:, 0, 0, 2]).sum() == 300
    shifts = (label - image[:, 0, 0, 2].astype(int)) % 10
    assert {*shifts} == {*range(10)}  # each of the nine other classes


def test_the_images_are_those_of_the_seed_whatever_is_wrong(noisy: Any) -> None:
    image, label = noisy("train", samples=1_000)
    clean, right = noisy("train", wrong=0, samples=1_000)
    assert (image == clean).all()
    assert (right == clean[:, 0, 0, 2]).all()
    again, same = noisy("train", samples=1_000)
    assert (again == image).all()
    assert (same == label).all()
    other, _ = noisy("train", samples=1_000, seed=1)
    assert (other != image).any()


def test_the_clean_split_has_other_images_and_right_labels(noisy: Any) -> None:
    image, label = noisy("test", samples=1_000, judge="clean")
    assert len(image) == 500
    assert (label == image[:, 0, 0, 2]).all()
    assert not {*numbers(image)} & {*numbers(noisy("train", samples=1_000)[0])}
    test, label = noisy("test")
    assert numbers(test) == [*range(300)]
    assert (label == test[:, 0, 0, 2]).all()


def test_a_search_has_no_more_labels_than_a_run() -> None:
    """Those that it learns from and judges by are as many as those of a run, of another seed."""
    space = ktgdsl.load(FOLDER / "few_space.ktg")
    run = ktgdsl.load(FOLDER / "few_alone.ktg")
    assert (space.data.labeled, space.data.validation, run.data.labeled) == (160, 40, 200)
    assert space.train.seed not in range(run.train.seed, run.train.seed + run.train.repeats)
