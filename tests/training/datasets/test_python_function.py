"""`python("module:fn")`: arrays, Datasets, and results that do not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch

import ktgdsl
from ktgdsl.plan.data import Percent
from ktgdsl.training.batches import batches
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.identity import identify
from tests.plans import tiny_plan
from tests.training.datasets.plans import assert_holds, error_of, loaded, python_data

ARRAYS = """
import numpy as np

def fn(split, **more):
    n = 12 if split == "train" else 6
    return np.full((n, 1, 8, 8), 7, dtype=np.uint8), {labels}
"""
DATASET = """
import torch
from PIL import Image

class fn(torch.utils.data.Dataset):
    def __init__(self, split):
        self.n = 12 if split == "train" else 6

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i >= self.n:
            raise IndexError
        return {item}, i % 3
"""


class TestPython:
    def test_arrays(self, tmp_path: Path) -> None:
        (tmp_path / "arrays_of_mine.py").write_text(ARRAYS.format(labels="np.arange(n) % 4"))
        splits = loaded(python_data("arrays_of_mine", tmp_path))
        assert_holds(splits.train, np.full((12, 1, 8, 8), 7), [0, 1, 2, 3] * 3)
        plan = tiny_plan().model_copy(update={"data": python_data("arrays_of_mine", tmp_path)})
        assert complete(plan).data.known_facts.classes == 4
        more = python_data("arrays_of_mine", tmp_path, classes_expected=10)
        assert complete(plan.model_copy(update={"data": more})).data.known_facts.classes == 10
        assert error_of(
            python_data("arrays_of_mine", tmp_path, classes_expected=3)
        ).message.endswith(
            "has the label 3 in train, and labels of 3 classes are 0 to 2, or -1 for none"
        )

    @pytest.mark.parametrize(
        ("item", "shape"),
        [
            ('Image.new("RGB", (8, 9), (i, 0, 0))', (3, 9, 8)),
            ('Image.new("L", (8, 9), i)', (1, 9, 8)),
            ("torch.full((1, 9, 8), i, dtype=torch.uint8)", (1, 9, 8)),
        ],
    )
    def test_a_map_style_dataset(self, tmp_path: Path, item: str, shape: tuple[int, ...]) -> None:
        module = f"dataset_of_{abs(hash(item))}"
        (tmp_path / f"{module}.py").write_text(DATASET.format(item=item))
        splits = loaded(python_data(module, tmp_path))
        assert splits.train.image.shape[1:] == shape
        assert splits.train.image[:, 0, 0, 0].tolist() == [*range(12)]
        assert splits.test.label.tolist() == [0, 1, 2] * 2

    def test_unlabeled_samples_are_learned_from(self, tmp_path: Path) -> None:
        text = ARRAYS.format(labels="[-1, 0, 1, -1, 0, 1] * (n // 6)")
        (tmp_path / "arrays_unlabeled.py").write_text(text)
        splits = loaded(python_data("arrays_unlabeled", tmp_path, labeled=4))
        assert sorted(splits.train.label.tolist()) == [-1] * 8 + [0, 0, 1, 1]

    def test_few_labels_judged_by_more_are_asked_about(self, tmp_path: Path) -> None:
        text = ARRAYS.format(labels="np.arange(n) % 2")
        (tmp_path / "arrays_judged.py").write_text(text)
        few = python_data(
            "arrays_judged", tmp_path, labeled=2, holdout=True, validation=Percent(percent=25)
        )
        plan = tiny_plan().model_copy(update={"data": few})
        with pytest.warns(UserWarning, match="leaves 2 labels to learn from, .* has 3 others"):
            identify(plan)
        meant = few.model_copy(update={"validation": 3})
        identify(plan.model_copy(update={"data": meant}))

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("whole", ARRAYS.format(labels="[0] * n").replace("np.uint8", "int"),
             'for "train": the images: its pixels are torch.int64, neither uint8 from 0'),
            ("infinite", ARRAYS.format(labels="[0] * n").replace("7, dtype=np.uint8", "np.inf"),
             "some of its pixels are not finite numbers"),
            ("flat", ARRAYS.format(labels="[0] * n").replace("(n, 1, 8, 8)", "(n, 64)"),
             "the images have the shape (12, 64), not (samples, channels, height, width)"),
            ("none", ARRAYS.format(labels="[0] * n").replace("(n, 1, 8, 8)", "(0, 1, 8, 8)"),
             'for "train": there are no samples'),
            ("fractions", ARRAYS.format(labels="[0.5] * n"), "its label is 0.5, and classes"),
            ("nan", ARRAYS.format(labels="[np.nan] * n"), "its label is nan, not a whole number"),
            ("names", ARRAYS.format(labels="['cat'] * n"), "its label is 'cat', not a whole"),
            ("short", ARRAYS.format(labels="[0]"), "the labels are (1,) of"),
            ("unlabeled", ARRAYS.format(labels="[-1] * n"), "have no labels that say how many"),
            ("other", "def fn(split): return 7", 'gives a int for "train"'),
            ("fails", "def fn(split): return 1 / 0", "ZeroDivisionError: division by zero ("),
            ("lacking", "", "cannot be imported: AttributeError"),
            ("whole_tensor", DATASET.format(item="torch.ones(1, 8, 8, dtype=torch.int64)"),
             "image 0: its pixels are torch.int64, neither uint8"),
            ("last_axis", DATASET.format(item="torch.rand(8, 8, 3)"),
             "image 0: it has the shape (8, 8, 3), not (channels, height, width) with one "
             "channel or three: `image.permute(2, 0, 1)` puts the channels first"),
            ("last_axes", ARRAYS.format(labels="[0] * n").replace("(n, 1, 8, 8)", "(n, 8, 8, 3)"),
             "channel or three: `np.moveaxis(images, 3, 1)` puts the channels first"),
            ("last_of_tensor", "import torch\ndef fn(split):\n"
             "    return torch.zeros(2, 8, 8, 3), [0, 1]",
             "channel or three: `images.permute(0, 3, 1, 2)` puts the channels first"),
            ("at_one", DATASET.format(item="{}[i] if i == 7 else torch.rand(1, 8, 8)"),
             "sample 7 cannot be read: KeyError: 7 ("),
            ("no_length", DATASET.replace("return self.n", "return self.m").format(item="i"),
             "fails for \"train\": AttributeError: 'fn' object has no attribute 'm' ("),
            ("negative", DATASET.replace("return self.n", "return -1").format(item="i"),
             'for "train": __len__() should return >= 0'),
            ("no_number", DATASET.replace("return self.n", "return int('x')").format(item="i"),
             "fails for \"train\": ValueError: invalid literal for int() with base 10: 'x' ("),
            ("regression", DATASET.format(item="torch.rand(1, 8, 8)").replace("i % 3", "i / 2"),
             "its label is 0.5, and classes are whole numbers"),
            ("uneven", DATASET.format(item="torch.zeros(1, 8, 8 + i, dtype=torch.uint8)"),
             "image 1 has the shape (1, 8, 9), the first (1, 8, 8)"),
        ],
    )  # fmt: skip
    def test_a_result_that_does_not_fit_is_an_error(
        self, tmp_path: Path, name: str, text: str, message: str
    ) -> None:
        (tmp_path / f"data_{name}.py").write_text(text)
        assert message in error_of(python_data(f"data_{name}", tmp_path)).message

    def test_a_spec_finds_it_beside_itself(self, tmp_path: Path) -> None:
        (tmp_path / "data_beside.py").write_text(ARRAYS.format(labels="np.arange(n) % 4"))
        spec = tmp_path / "spec.ktg"
        spec.write_text(
            "graph g { node a = resnet8 target a edge label -> a }\n"
            'data python("data_beside:fn", width=3) { batch = 4 }\ntrain { epochs = 1 }'
        )
        plan = ktgdsl.load(spec)
        with pytest.raises(ktgdsl.RunError, match="not read yet") as error:
            ktgdsl.build(plan)
        assert error.value.diagnostics[0].code == "E508"
        graph = ktgdsl.build(ktgdsl.complete(plan))
        assert graph.networks["a"](torch.rand(2, 1, 8, 8)).shape == (2, 4)
        step = ktgdsl.stepper(plan, "cpu")
        assert step.steps == 3
        split = loaded(step.plan.data).train
        for image, label in batches(split, 4, 0, 1):
            assert step(image, label).logits["a"].shape == (4, 4)
