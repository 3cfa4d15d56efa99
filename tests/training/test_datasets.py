"""Data sets in their formats on the disk, through the real loaders; and what may be wrong."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ktgdsl
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, DataPlan, Percent, Plan
from ktgdsl.training.data import Split, Splits, batches, load_splits
from ktgdsl.training.datasets import torchvision_sets as known
from ktgdsl.training.datasets.read import complete
from ktgdsl.vocabulary.images import Cifar10
from tests import lookalikes
from tests.plans import tiny_plan

CPU = torch.device("cpu")


def plan_of(word: str, root: Path | None, train: int, test: int, **fields: object) -> DataPlan:
    """The plan of a known data set that is small."""
    return tiny_plan(
        data={
            "source": Call(name=word),
            "root": None if root is None else str(root),
            "train_samples": train,
            "test_samples": test,
            **fields,
        }
    ).data


def own(source: Call, root: Path, **fields: object) -> DataPlan:
    """The plan of data that nobody knows before they are there."""
    given = {"source": source, "root": str(root), "validation": Percent(percent=20)}
    made = tiny_plan(data={**given, **fields}).data
    return made.model_copy(update={"facts": None})


def in_folder(root: Path, **fields: object) -> DataPlan:
    return own(Call(name="folder", arguments={"path": "set"}), root, **fields)


def by(module: str, root: Path, **fields: object) -> DataPlan:
    return own(Call(name="python", arguments={"function": f"{module}:fn"}), root, **fields)


def loaded(data: DataPlan) -> Splits:
    return load_splits(data, 0, CPU)


def wrong(data: DataPlan) -> Diagnostic:
    with pytest.raises(RunError) as caught:
        loaded(data)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E508"
    return diagnostic


def has(split: Split, image: lookalikes.Array, label: list[int]) -> None:
    np.testing.assert_array_equal(split.image.numpy(), image)
    assert split.image.dtype == torch.uint8
    assert split.label.tolist() == label


CIFAR10 = {"shape": (3, 32, 32), "classes": 10}
CIFAR100 = {"shape": (3, 32, 32), "classes": 100}
IDX = {"shape": (1, 28, 28), "classes": 10}
TINY = {"shape": (3, 64, 64), "classes": 2}


class TestCifar:
    def test_ten_classes(self, tmp_path: Path) -> None:
        train, test = lookalikes.cifar10(tmp_path)
        for root in (tmp_path, tmp_path / "cifar-10-batches-py"):
            splits = loaded(plan_of("cifar10", root, 20, 8, **CIFAR10))
            has(splits.train, train, [0, 1, 2, 3] * 5)
            has(splits.test, test, [*range(8)])

    def test_a_hundred_classes_are_the_fine_ones(self, tmp_path: Path) -> None:
        train, test = lookalikes.cifar100(tmp_path)
        splits = loaded(plan_of("cifar100", tmp_path, 20, 8, **CIFAR100))
        has(splits.train, train, [*range(80, 100)])
        has(splits.test, test, [*range(8)])

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
        told = wrong(plan_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert told.message == (
            f"the data set `cifar10` is not whole in {tmp_path}: "
            "there is no cifar-10-batches-py/data_batch_3"
        )
        assert told.help is not None
        assert "cifar-10-python.tar.gz and unpack it" in told.help

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        file = tmp_path / "cifar-10-batches-py" / "data_batch_2"
        file.write_bytes(file.read_bytes()[:1000])
        told = wrong(plan_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert f"is damaged: {file} cannot be read" in told.message

    def test_a_set_with_too_few_images_is_not_taken_for_the_real_one(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        told = wrong(plan_of("cifar10", tmp_path, 50_000, 10_000, **CIFAR10))
        assert told.message.endswith("is not whole: train has 20 images and 20 labels of 50,000")

    def test_a_label_out_of_range_is_told(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        told = wrong(plan_of("cifar10", tmp_path, 20, 8, shape=(3, 32, 32), classes=3))
        assert "has the label 3 in train, and labels of 3 classes are 0 to 2" in told.message

    def test_a_spec_trains(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lookalikes.cifar10(tmp_path / "data")
        monkeypatch.setattr(Cifar10, "train_samples", 20)
        monkeypatch.setattr(Cifar10, "test_samples", 8)
        spec = tmp_path / "spec.ktg"
        spec.write_text(
            "graph g { node a, b = resnet8 target a edge label, b -> a edge label -> b }\n"
            'data cifar10 { root = "data"  batch = 8  augment = paper  labeled = 10 }\n'
            "train { epochs = 1 }"
        )
        result = ktgdsl.run(ktgdsl.load(spec), out=tmp_path / "out", device="cpu")
        assert result.nodes["a"].accuracy.mean in {12.5 * i for i in range(9)}


class TestIdx:
    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize("inner", [".", "FashionMNIST/raw"])
    def test_fashion_mnist_as_debian_and_as_torchvision_lay_it_out(
        self, tmp_path: Path, packed: bool, inner: str
    ) -> None:
        train, test = lookalikes.idx(tmp_path / "set" / inner, packed=packed)
        splits = loaded(plan_of("fashion_mnist", tmp_path / "set", 20, 10, **IDX))
        has(splits.train, train, [*range(10)] * 2)
        has(splits.test, test, [*range(10)])

    def test_mnist(self, tmp_path: Path) -> None:
        train, _ = lookalikes.idx(tmp_path / "MNIST" / "raw", packed=False)
        splits = loaded(plan_of("mnist", tmp_path, 20, 10, **IDX))
        has(splits.train, train, [*range(10)] * 2)

    def test_the_files_that_are_missing_are_counted(self, tmp_path: Path) -> None:
        told = wrong(plan_of("fashion_mnist", tmp_path, 20, 10, **IDX))
        assert "there is no train-images-idx3-ubyte, " in told.message
        assert told.message.endswith(" and 1 more")
        assert told.help is not None
        assert "/usr/share/datasets/fashion-mnist" in told.help

    @pytest.mark.parametrize("packed", [True, False])
    def test_a_file_cut_short_is_named(self, tmp_path: Path, packed: bool) -> None:
        lookalikes.idx(tmp_path / "set", packed=packed)
        (file,) = (tmp_path / "set").glob("t10k-images*")
        file.write_bytes(file.read_bytes()[:-1])
        told = wrong(plan_of("fashion_mnist", tmp_path / "set", 20, 10, **IDX))
        assert f"is damaged: {file} cannot be read" in told.message

    def test_a_file_that_is_none_is_named(self, tmp_path: Path) -> None:
        lookalikes.idx(tmp_path / "set", packed=True)
        file = tmp_path / "set" / "train-labels-idx1-ubyte.gz"
        file.write_bytes(gzip.compress(b"<html>"))
        assert str(file) in wrong(plan_of("mnist", tmp_path / "set", 20, 10, **IDX)).message

    def test_more_images_than_labels_are_told(self, tmp_path: Path) -> None:
        lookalikes.idx(tmp_path / "set", packed=False)
        content = bytes([0, 0, 8, 1]) + (19).to_bytes(4, "big") + bytes(19)
        (tmp_path / "set" / "train-labels-idx1-ubyte").write_bytes(content)
        told = wrong(plan_of("mnist", tmp_path / "set", 20, 10, **IDX))
        assert "train has 20 images and 19 labels of 20" in told.message


class TestDownload:
    def test_without_a_root_the_set_is_downloaded_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KTGDSL_DATA", str(tmp_path / "data"))
        asked: list[str] = []

        def download(self: object) -> None:
            asked.append(type(self).__name__)
            lookalikes.cifar10(tmp_path / "data")

        kind = known._torchvision().CIFAR10
        monkeypatch.setattr(kind, "download", download)
        monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": None})
        for _ in range(2):
            splits = loaded(plan_of("cifar10", None, 20, 8, **CIFAR10))
            assert len(splits.train) == 20
        assert asked == ["CIFAR10"]

    def test_a_download_that_fails_says_what_to_get_and_where_to_put_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KTGDSL_DATA", str(tmp_path / "data"))

        def download(self: object) -> None:
            raise OSError("no network")

        monkeypatch.setattr(known._torchvision().CIFAR100, "download", download)
        told = wrong(plan_of("cifar100", None, 20, 8, **CIFAR100))
        assert "the download failed (OSError: no network)" in told.message
        assert str(tmp_path / "data") in told.message
        assert told.help is not None
        assert "cifar-100-python.tar.gz" in told.help
        assert '`data cifar100 { root = "FOLDER" }`' in told.help

    def test_with_a_root_nothing_is_downloaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def download(self: object) -> None:
            raise AssertionError("nobody asked for it")

        monkeypatch.setattr(known._torchvision().CIFAR10, "download", download)
        assert "the download" not in wrong(plan_of("cifar10", tmp_path, 20, 8)).message


class TestSvhn:
    def test_zero_is_ten_in_the_files(self, tmp_path: Path) -> None:
        io = pytest.importorskip("scipy.io")
        image = lookalikes.images(12, 3, 32, 6)
        label = np.arange(12) % 10 + 1
        for name, count in (("train_32x32.mat", 12), ("test_32x32.mat", 5)):
            content = {"X": image[:count].transpose(2, 3, 1, 0), "y": label[:count, None]}
            io.savemat(tmp_path / name, content)
        splits = loaded(plan_of("svhn", tmp_path, 12, 5, **CIFAR10))
        has(splits.train, image, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2])
        has(splits.test, image[:5], [1, 2, 3, 4, 5])

    def test_without_scipy_it_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(known, "find_spec", lambda name: None)
        assert "needs the package scipy" in wrong(plan_of("svhn", tmp_path, 12, 5)).message


class TestTinyImagenet:
    def test_the_published_layout(self, tmp_path: Path) -> None:
        lookalikes.tiny_imagenet(tmp_path)
        for root in (tmp_path, tmp_path / "tiny-imagenet-200"):
            splits = loaded(plan_of("tiny_imagenet", root, 12, 4, **TINY))
            assert splits.train.image.shape == (12, 3, 64, 64)
            assert splits.train.label.tolist() == [0] * 6 + [1] * 6
            # The class that wnids.txt names first comes second in the alphabet.
            assert splits.test.label.tolist() == [1, 0, 1, 0]
            grey = splits.test.image[3]
            assert torch.equal(grey, torch.full((3, 64, 64), 128, dtype=torch.uint8))
            red = splits.train.image[:, 0].float().mean(dim=(1, 2))
            assert torch.allclose(red, torch.tensor([200.0] * 6 + [0.0] * 6), atol=3)

    @pytest.mark.parametrize(
        "lost", ["wnids.txt", "val/val_annotations.txt", "val/images/val_2.JPEG"]
    )
    def test_what_is_missing_is_named(self, tmp_path: Path, lost: str) -> None:
        lookalikes.tiny_imagenet(tmp_path)
        (tmp_path / "tiny-imagenet-200" / lost).unlink()
        told = wrong(plan_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert f"tiny-imagenet-200/{lost}" in told.message
        assert told.help is not None
        assert "tiny-imagenet-200.zip" in told.help

    def test_a_lost_training_image_is_missed(self, tmp_path: Path) -> None:
        classes = lookalikes.tiny_imagenet(tmp_path)
        inner = tmp_path / "tiny-imagenet-200" / "train" / classes[0] / "images"
        next(inner.iterdir()).unlink()
        told = wrong(plan_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert "train has 11 images and 11 labels of 12" in told.message

    def test_a_damaged_image_is_named(self, tmp_path: Path) -> None:
        classes = lookalikes.tiny_imagenet(tmp_path)
        file = tmp_path / "tiny-imagenet-200" / "train" / classes[1] / "images"
        file /= f"{classes[1]}_4.JPEG"
        file.write_bytes(file.read_bytes()[:200])
        told = wrong(plan_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert f"the image {file} cannot be read" in told.message

    def test_a_table_with_an_unknown_class_is_damaged(self, tmp_path: Path) -> None:
        lookalikes.tiny_imagenet(tmp_path)
        table = tmp_path / "tiny-imagenet-200" / "val" / "val_annotations.txt"
        table.write_text("val_0.JPEG\tn09999999\t0\t0\t1\t1\n")
        told = wrong(plan_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert str(table) in told.message
        assert "n09999999" in told.message


class TestFolder:
    def test_the_facts_are_looked_up(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        plan = tiny_plan().model_copy(update={"data": in_folder(tmp_path)})
        facts = complete(plan).data.known
        assert facts.classes == 3
        assert facts.shape == (3, 9, 10)
        assert (facts.train_samples, facts.test_samples) == (15, 6)

    def test_classes_are_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set", mode="L")
        splits = loaded(in_folder(tmp_path))
        assert splits.train.image.shape == (15, 1, 9, 10)
        assert splits.train.label.tolist() == [0] * 4 + [1] * 5 + [2] * 6
        assert splits.test.image[:, 0, 0, 0].tolist() == [1, 6, 51, 56, 101, 106]

    def test_a_share_of_them_is_held_out(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        data = in_folder(
            tmp_path, validation=Percent(percent=20), holdout=True, labeled=Percent(percent=40)
        )
        splits = loaded(data)
        assert splits.validation is not None
        assert splits.validation.label.bincount().tolist() == [1, 1, 1]
        assert len(splits.train) == 12
        assert int((splits.train.label >= 0).sum()) == 6

    def test_an_image_of_another_size_is_named(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        odd = tmp_path / "set" / "train" / "bee" / "7.png"
        Image.new("RGB", (10, 10)).save(odd)
        told = wrong(in_folder(tmp_path))
        assert told.message.startswith(f"the image {odd} has 10x10 pixels, and ")
        assert told.message.endswith("9x10: all images of a data set have the same size")

    def test_a_file_that_is_no_image_is_named(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        bad = tmp_path / "set" / "test" / "cat" / "7.png"
        bad.write_text("no image")
        assert f"the image {bad} cannot be read" in wrong(in_folder(tmp_path)).message

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        assert "there is no folder of images" in wrong(in_folder(tmp_path)).message
        (tmp_path / "set").mkdir()
        assert "there is no folder " in wrong(in_folder(tmp_path)).message
        (tmp_path / "set" / "train").mkdir()
        assert "there is no folder of a class" in wrong(in_folder(tmp_path)).message
        (tmp_path / "set" / "train" / "ant").mkdir()
        (tmp_path / "set" / "test" / "ant").mkdir(parents=True)
        told = wrong(in_folder(tmp_path)).message
        assert told == f"there is no image in {tmp_path / 'set' / 'train' / 'ant'}"
        (tmp_path / "set" / "test" / "bee").mkdir()
        assert "the class `bee`" in wrong(in_folder(tmp_path)).message

    def test_the_classes_that_the_user_expects_have_to_be_there(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        told = wrong(in_folder(tmp_path, classes_expected=4))
        assert told.message.endswith("have 3 classes, not 4")

    def test_more_than_there_is_cannot_be_held_out(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        told = wrong(in_folder(tmp_path, validation=15, holdout=True))
        assert "`validation` takes 15 of the training samples" in told.message

    def test_a_spec_is_run_and_searched(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        spec = tmp_path / "spec.ktg"
        text = (
            "graph g { node a = resnet8 target a edge label -> a }\n"
            'data folder("set") { batch = 4  augment = standard }\n'
            "train { epochs = 1 }"
        )
        spec.write_text(text)
        plan = ktgdsl.load(spec)
        assert plan.data.facts is None
        result = ktgdsl.run(plan, out=tmp_path / "out", device="cpu")
        kept = Plan.from_json((tmp_path / "out" / "plan.json").read_text())
        assert kept.data.known.train_samples == 15
        assert kept.digest == result.digest != plan.digest
        spec.write_text(text.replace("resnet8", "resnet8 | resnet14") + " search { trials = 2 }")
        found = ktgdsl.search(ktgdsl.load(spec), out=tmp_path / "found", workers=1, device="cpu")
        assert found.result.states == {"complete": 2}
        assert found.best.data.known.classes == 3


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
        splits = loaded(by("arrays_of_mine", tmp_path))
        has(splits.train, np.full((12, 1, 8, 8), 7), [0, 1, 2, 3] * 3)
        plan = tiny_plan().model_copy(update={"data": by("arrays_of_mine", tmp_path)})
        assert complete(plan).data.known.classes == 4
        more = by("arrays_of_mine", tmp_path, classes_expected=10)
        assert complete(plan.model_copy(update={"data": more})).data.known.classes == 10
        assert wrong(by("arrays_of_mine", tmp_path, classes_expected=3)).message.endswith(
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
        splits = loaded(by(module, tmp_path))
        assert splits.train.image.shape[1:] == shape
        assert splits.train.image[:, 0, 0, 0].tolist() == [*range(12)]
        assert splits.test.label.tolist() == [0, 1, 2] * 2

    def test_unlabeled_samples_are_learned_from(self, tmp_path: Path) -> None:
        text = ARRAYS.format(labels="[-1, 0, 1, -1, 0, 1] * (n // 6)")
        (tmp_path / "arrays_unlabeled.py").write_text(text)
        splits = loaded(by("arrays_unlabeled", tmp_path, labeled=4))
        assert sorted(splits.train.label.tolist()) == [-1] * 8 + [0, 0, 1, 1]

    @pytest.mark.parametrize(
        ("name", "text", "told"),
        [
            ("floats", ARRAYS.format(labels="[0] * n").replace("np.uint8", "float"),
             'for "train": the images are torch.float64, not uint8'),
            ("flat", ARRAYS.format(labels="[0] * n").replace("(n, 1, 8, 8)", "(n, 64)"),
             "the images have the shape (12, 64), not (samples, channels, height, width)"),
            ("fractions", ARRAYS.format(labels="[0.5] * n"), "the labels are (12,) of"),
            ("short", ARRAYS.format(labels="[0]"), "the labels are (1,) of"),
            ("nobody", ARRAYS.format(labels="[-1] * n"), "have no labels that say how many"),
            ("other", "def fn(split): return 7", 'gives a int for "train"'),
            ("fails", "def fn(split): return 1 / 0", "fails: ZeroDivisionError"),
            ("lacking", "", "cannot be imported: AttributeError"),
            ("scaled", DATASET.format(item="torch.rand(1, 8, 8)"),
             "of torch.float32, not (channels, height, width) of uint8"),
            ("uneven", DATASET.format(item="torch.zeros(1, 8, 8 + i, dtype=torch.uint8)"),
             "image 1 has the shape (1, 8, 9), the first (1, 8, 8)"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_told(
        self, tmp_path: Path, name: str, text: str, told: str
    ) -> None:
        (tmp_path / f"data_{name}.py").write_text(text)
        assert told in wrong(by(f"data_{name}", tmp_path)).message

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
