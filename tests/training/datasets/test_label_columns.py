"""Samples with several labels: dicts of arrays, Datasets, what does not fit, and their splits."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ktgdsl.errors import KtgWarning
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.datasets.label_columns import combinations
from ktgdsl.training.datasets.read import read
from tests.training.datasets.plans import error_of, loaded, python_data

ARRAYS = """
import numpy as np

def fn(split):
    n = 24 if split == "train" else 6
    return np.zeros((n, 1, 4, 4), dtype=np.uint8), {labels}
"""
DATASET = """
import torch

class fn(torch.utils.data.Dataset):
    classes = {classes}

    def __init__(self, split):
        self.n = 12 if split == "train" else 6

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        image = torch.zeros(1, 4, 4, dtype=torch.uint8)
        if i >= self.n:
            raise IndexError
        return {sample}
"""
LABELS = ("tone", "size")


def data_of(name: str, text: str, folder: Path, **fields: object) -> DataPlan:
    """Data of a module with that text, whose labels `tone` and `size` are read."""
    (folder / f"{name}.py").write_text(text)
    return python_data(name, folder, **{"labels": LABELS, **fields})


def arrays(labels: str) -> str:
    return ARRAYS.format(labels=labels)


def samples(sample: str, classes: str = "None") -> str:
    return DATASET.format(sample=sample, classes=classes)


BOTH = '{"size": np.arange(n) % 3, "tone": np.arange(n) % 2, "more": np.zeros(n)}'


class TestArrays:
    def test_columns_are_in_the_order_of_the_plan(self, tmp_path: Path) -> None:
        data = data_of("columns_of_arrays", arrays(BOTH), tmp_path)
        splits = loaded(data)
        expected = torch.stack([torch.arange(24) % 2, torch.arange(24) % 3], dim=1)
        assert splits.train.label.equal(expected)
        facts = read(data)[1].known_facts
        assert (facts.classes, facts.classes_by_label) == (3, (2, 3))
        assert facts.train_labeled is None

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (
                "np.arange(n) % 3",
                "the labels are a ndarray: nodes answer `tone`, `size`, so that labels are a dict",
            ),
            (
                '{"size": np.arange(n)}',
                "there is no label `tone`, which nodes answer: there are `size`",
            ),
            (
                '{"size": np.arange(n), "tone": np.zeros((n, 1))}',
                "the labels `tone` are (24, 1) of float64, not (24,) whole numbers",
            ),
            ('{"size": np.arange(n), "tone": np.full(n, 0.5)}', "sample 0: its label is 0.5, and"),
            (
                '{"size": np.arange(n) % 3, "tone": np.full(n, -1)}',
                "have no labels `tone` that say how many classes there are",
            ),
        ],
    )
    def test_labels_that_do_not_fit(self, labels: str, message: str, tmp_path: Path) -> None:
        name = f"unfit_arrays_{abs(hash(labels))}"
        assert message in error_of(data_of(name, arrays(labels), tmp_path)).message

    def test_labels_that_no_node_answers(self, tmp_path: Path) -> None:
        data = data_of("unread_arrays", arrays(BOTH), tmp_path, labels=())
        assert error_of(data).message.endswith(
            "the labels are `size`, `tone`, `more`, and no node says which it answers: "
            "`node a = python(...) { heads = [size] }`"
        )

    def test_a_class_without_samples_is_asked_about(self, tmp_path: Path) -> None:
        labels = '{"size": np.arange(n) % 3 * 2, "tone": np.arange(n) % 2}'
        data = data_of("arrays_with_a_gap", arrays(labels), tmp_path)
        with pytest.warns(KtgWarning, match="the greatest label `size` .* is 4, so there are 5"):
            assert read(data)[1].known_facts.classes_by_label == (2, 5)

    def test_a_label_that_is_no_class(self, tmp_path: Path) -> None:
        labels = '{"size": np.arange(n) % 3 - (split == "test") * 3, "tone": np.arange(n) % 2}'
        data = data_of("arrays_below", arrays(labels), tmp_path)
        assert "has the label `size` -3 in test, and labels of 3 classes" in error_of(data).message

    def test_a_test_split_without_one_of_the_labels(self, tmp_path: Path) -> None:
        labels = '{"size": np.arange(n) % 3 if n > 6 else np.full(n, -1), "tone": np.arange(n) % 2}'
        data = data_of("arrays_to_train", arrays(labels), tmp_path)
        assert "no sample of test has a label `size`, so" in error_of(data).message


class TestDatasets:
    @pytest.mark.parametrize(
        "sample",
        [
            'image, {"tone": i % 2, "size": None if i == 1 else i % 3}',
            '{"image": image, "label": {"tone": i % 2, "size": -1 if i == 1 else i % 3}}',
            '{"image": image, "size": -1 if i == 1 else i % 3, "tone": torch.tensor(i % 2)}',
        ],
    )
    def test_forms_of_samples(self, sample: str, tmp_path: Path) -> None:
        name = f"samples_with_labels_{abs(hash(sample))}"
        splits = loaded(data_of(name, samples(sample), tmp_path))
        expected = torch.stack([torch.arange(12) % 2, torch.arange(12) % 3], dim=1)
        expected[1, 1] = -1
        assert splits.train.label.equal(expected)

    def test_names_of_classes_say_how_many_there_are(self, tmp_path: Path) -> None:
        classes = '{"size": ("s", "m", "l", "xl"), "other": ("x",), "tone": ["pale"]}'
        text = samples('image, {"tone": i % 2, "size": i % 3}', classes)
        data_set, data = read(data_of("samples_with_names", text, tmp_path))
        assert data.known_facts.classes_by_label == (2, 4)
        assert data_set.classes == {"size": ("s", "m", "l", "xl")}

    @pytest.mark.parametrize(
        ("sample", "message"),
        [
            ("image, i % 3", "sample 0: its label is 0: nodes answer `tone`, `size`, so that"),
            ('image, {"tone": 0}', "sample 0: there is no label `size`, which nodes answer"),
            ('image, {"tone": 0, "size": 0.5}', "sample 0: its label is 0.5, and classes are"),
        ],
    )
    def test_labels_that_do_not_fit(self, sample: str, message: str, tmp_path: Path) -> None:
        name = f"unfit_samples_{abs(hash(sample))}"
        assert message in error_of(data_of(name, samples(sample), tmp_path)).message

    def test_labels_that_no_node_answers(self, tmp_path: Path) -> None:
        text = samples('image, {"tone": i % 2, "size": i % 3}')
        data = data_of("unread_samples", text, tmp_path, labels=())
        assert "its labels are `tone`, `size`, and no node says" in error_of(data).message


class TestSplits:
    def test_combinations(self) -> None:
        label = torch.tensor([[0, 1], [-1, -1], [0, -1], [0, 1], [-1, 2]])
        number = combinations(label)
        assert number[1] == -1
        assert number[0] == number[3]
        assert len({*number.tolist()}) == 4
        assert (number[[0, 2, 4]] >= 0).all()
        single = torch.tensor([3, -1, 0])
        assert combinations(single) is single

    def test_held_out_samples_are_of_each_combination(self, tmp_path: Path) -> None:
        data = data_of("held_out_columns", arrays(BOTH), tmp_path, holdout=True, validation=6)
        splits = loaded(data)
        assert splits.validation is not None
        pairs = {(int(tone), int(size)) for tone, size in splits.validation.label}
        assert pairs == {(tone, size) for tone in range(2) for size in range(3)}
        assert len(splits.train) == 18

    def test_samples_keep_all_of_their_labels_or_none(self, tmp_path: Path) -> None:
        data = data_of("few_labeled_columns", arrays(BOTH), tmp_path, labeled=6, labeled_batch=2)
        train = loaded(data.model_copy(update={"batch": 8})).train
        kept = (train.label >= 0).all(dim=1)
        assert int(kept.sum()) == 6
        assert (train.label[~kept] == -1).all()
        for _, label, _ in numbered_batches(train, 8, 0, 1, labeled=2):
            assert label.shape == (8, 2)
            assert int((label[:, 0] >= 0).sum()) == 2

    def test_a_sample_with_one_label_is_labeled(self, tmp_path: Path) -> None:
        labels = (
            '{"size": np.where(np.arange(n) < 4, -1, 0), "tone": np.where(np.arange(n) % 4, -1, 1)}'
        )
        with pytest.warns(KtgWarning, match="tone"):
            data_set, data = read(data_of("half_labeled", arrays(labels), tmp_path))
        assert data.known_facts.train_labeled == 21  # of samples 0 to 3 the first alone
        assert np.array_equal(data_set.test.label[:, 1], [-1, -1, -1, -1, 0, 0])
