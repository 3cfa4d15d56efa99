"""CIFAR, MNIST, Fashion-MNIST and SVHN: their files, downloads, and files that are damaged."""

import gzip
import hashlib
import os
import pickle
import tarfile
import tracemalloc
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ktgdsl
from ktgdsl.errors import KtgWarning
from ktgdsl.training.datasets import torchvision_sets
from ktgdsl.training.datasets.checksums import md5_of_file
from ktgdsl.vocabulary.images import Cifar10
from tests import lookalikes
from tests.training.datasets.plans import (
    CIFAR10,
    CIFAR100,
    IDX,
    assert_holds,
    data_of,
    error_of,
    loaded,
)

pytestmark = pytest.mark.filterwarnings("ignore:.* is not the published file")
"""Those of the lookalikes are not."""


class Shell:
    """What a pickle of this wants to run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


class TestCifar:
    def test_ten_classes(self, tmp_path: Path) -> None:
        train, test = lookalikes.cifar10(tmp_path)
        for root in (tmp_path, tmp_path / "cifar-10-batches-py"):
            splits = loaded(data_of("cifar10", root, 20, 8, **CIFAR10))
            assert_holds(splits.train, train, [0, 1, 2, 3] * 5)
            assert_holds(splits.test, test, [*range(8)])

    def test_a_hundred_classes_are_the_fine_ones(self, tmp_path: Path) -> None:
        train, test = lookalikes.cifar100(tmp_path)
        splits = loaded(data_of("cifar100", tmp_path, 20, 8, **CIFAR100))
        assert_holds(splits.train, train, [*range(80, 100)])
        assert_holds(splits.test, test, [*range(8)])

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
        error = error_of(data_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert error.message == (
            f"the data set `cifar10` is not whole in {tmp_path}: "
            "there is no cifar-10-batches-py/data_batch_3"
        )
        assert error.help is not None
        assert "cifar-10-python.tar.gz and unpack it" in error.help

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        file = tmp_path / "cifar-10-batches-py" / "data_batch_2"
        file.write_bytes(file.read_bytes()[:1000])
        error = error_of(data_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert f"is damaged: {file} cannot be read" in error.message

    @pytest.mark.parametrize("name", ["data_batch_1", "batches.meta"])
    def test_a_pickle_runs_no_code(self, tmp_path: Path, name: str) -> None:
        lookalikes.cifar10(tmp_path)
        file, mark = tmp_path / "cifar-10-batches-py" / name, tmp_path / "was_run"
        file.write_bytes(pickle.dumps({"data": Shell(mark)}, protocol=2))
        error = error_of(data_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert f"is damaged: {file} cannot be read" in error.message
        assert "it is more than data: it wants to call posix.system" in error.message
        assert not mark.exists()

    @pytest.mark.parametrize("protocol", range(6))
    def test_arrays_of_every_protocol_are_read(self, tmp_path: Path, protocol: int) -> None:
        train, _ = lookalikes.cifar10(tmp_path)
        file = tmp_path / "cifar-10-batches-py" / "data_batch_1"
        content = {"data": train[:4].reshape(4, -1), "labels": [np.int64(i) for i in range(4)]}
        file.write_bytes(pickle.dumps(content, protocol))
        splits = loaded(data_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert_holds(splits.train, train, [0, 1, 2, 3] * 5)
        assert splits.classes == tuple("0123456789")

    @pytest.mark.parametrize("content", [[1, 2], {"data": "x"}, {"data": np.zeros((4, 3072))}])
    def test_a_pickle_of_something_else_is_named(self, tmp_path: Path, content: object) -> None:
        lookalikes.cifar10(tmp_path)
        file = tmp_path / "cifar-10-batches-py" / "data_batch_1"
        file.write_bytes(pickle.dumps(content))
        error = error_of(data_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert f"is damaged: {file} cannot be read" in error.message

    @pytest.mark.filterwarnings("default")
    def test_a_file_below_a_root_that_is_not_the_published_one_is_asked_about(
        self, tmp_path: Path
    ) -> None:
        lookalikes.cifar10(tmp_path)
        with pytest.warns(KtgWarning) as caught:
            loaded(data_of("cifar10", tmp_path, 20, 8, **CIFAR10))
        assert len(caught) == 7
        (first, *_) = (each.message for each in caught)
        assert isinstance(first, KtgWarning)
        assert first.diagnostic.code == "W303"
        assert first.diagnostic.path == str(tmp_path / "cifar-10-batches-py" / "data_batch_1")

    def test_a_set_with_too_few_images_is_not_taken_for_the_real_one(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        error = error_of(data_of("cifar10", tmp_path, 50_000, 10_000, **CIFAR10))
        assert error.message.endswith("is not whole: train has 20 images and 20 labels of 50,000")

    def test_a_label_out_of_range_is_an_error(self, tmp_path: Path) -> None:
        lookalikes.cifar10(tmp_path)
        error = error_of(data_of("cifar10", tmp_path, 20, 8, shape=(3, 32, 32), classes=3))
        assert "has the label 3 in train, and labels of 3 classes are 0 to 2" in error.message

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
        splits = loaded(data_of("fashion_mnist", tmp_path / "set", 20, 10, **IDX))
        assert_holds(splits.train, train, [*range(10)] * 2)
        assert_holds(splits.test, test, [*range(10)])

    def test_mnist(self, tmp_path: Path) -> None:
        train, _ = lookalikes.idx(tmp_path / "MNIST" / "raw", packed=False)
        splits = loaded(data_of("mnist", tmp_path, 20, 10, **IDX))
        assert_holds(splits.train, train, [*range(10)] * 2)

    def test_the_files_that_are_missing_are_counted(self, tmp_path: Path) -> None:
        error = error_of(data_of("fashion_mnist", tmp_path, 20, 10, **IDX))
        assert "there is no train-images-idx3-ubyte, " in error.message
        assert error.message.endswith(" and 1 more")
        assert error.help is not None
        assert "/usr/share/datasets/fashion-mnist" in error.help

    @pytest.mark.parametrize("packed", [True, False])
    def test_a_truncated_file_is_named(self, tmp_path: Path, packed: bool) -> None:
        lookalikes.idx(tmp_path / "set", packed=packed)
        (file,) = (tmp_path / "set").glob("t10k-images*")
        file.write_bytes(file.read_bytes()[:-1])
        error = error_of(data_of("fashion_mnist", tmp_path / "set", 20, 10, **IDX))
        assert f"is damaged: {file} cannot be read" in error.message

    def test_a_file_of_another_format_is_named(self, tmp_path: Path) -> None:
        lookalikes.idx(tmp_path / "set", packed=True)
        file = tmp_path / "set" / "train-labels-idx1-ubyte.gz"
        file.write_bytes(gzip.compress(b"<html>"))
        assert str(file) in error_of(data_of("mnist", tmp_path / "set", 20, 10, **IDX)).message

    def test_no_more_is_unpacked_than_there_can_be(self, tmp_path: Path) -> None:
        lookalikes.idx(tmp_path / "set", packed=True)
        file = tmp_path / "set" / "train-images-idx3-ubyte.gz"
        header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (20, 28, 28))
        bomb = gzip.compress(header + bytes(2**26))
        file.write_bytes(bomb)
        tracemalloc.start()
        error = error_of(data_of("mnist", tmp_path / "set", 20, 10, **IDX))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert "it has not as many bytes as its header says, (20, 28, 28)" in error.message
        assert most < 2**24
        file.write_bytes(gzip.compress(header[:4] + b"\x7f\xff\xff\xff" + header[8:] + bytes(99)))
        error = error_of(data_of("mnist", tmp_path / "set", 20, 10, **IDX))
        assert "its header says (2147483647, 28, 28), not (20, 28, 28) bytes" in error.message

    def test_the_content_of_an_idx_file_has_a_checksum(self, tmp_path: Path) -> None:
        # However it is packed: that of Fashion-MNIST is another in Debian's package.
        _, md5 = torchvision_sets._read_idx(_idx_file(tmp_path / "a.gz", level=1), (2, 2))
        _, other = torchvision_sets._read_idx(_idx_file(tmp_path / "b.gz", level=9), (2, 2))
        _, plain = torchvision_sets._read_idx(_idx_file(tmp_path / "c"), (2, 2))
        expected = hashlib.md5(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])).hexdigest()
        assert (md5, other, plain) == (expected,) * 3

    def test_more_images_than_labels_are_an_error(self, tmp_path: Path) -> None:
        lookalikes.idx(tmp_path / "set", packed=False)
        content = bytes([0, 0, 8, 1]) + (19).to_bytes(4, "big") + bytes(19)
        (tmp_path / "set" / "train-labels-idx1-ubyte").write_bytes(content)
        error = error_of(data_of("mnist", tmp_path / "set", 20, 10, **IDX))
        assert "train has 20 images and 19 labels of 20" in error.message


def _idx_file(path: Path, level: int | None = None) -> Path:
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])
    path.write_bytes(content if level is None else gzip.compress(content, level))
    return path


class TestDownload:
    def test_without_a_root_the_set_is_downloaded_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KTGDSL_DATA", str(tmp_path / "data"))
        downloaded: list[str] = []

        def download(self: object) -> None:
            downloaded.append(type(self).__name__)
            lookalikes.cifar10(tmp_path / "data")

        lookalikes.cifar10(tmp_path / "published")
        published = tmp_path / "published" / "cifar-10-batches-py"
        kind = torchvision_sets._torchvision().CIFAR10
        monkeypatch.setattr(kind, "download", download)
        monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
        for name in ("train_list", "test_list"):
            files = [[file, md5_of_file(published / file)] for file, _ in getattr(kind, name)]
            monkeypatch.setattr(kind, name, files)
        md5 = md5_of_file(published / "batches.meta")
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5})
        for _ in range(2):
            splits = loaded(data_of("cifar10", None, 20, 8, **CIFAR10))
            assert len(splits.train) == 20
        assert downloaded == ["CIFAR10"]
        batch = tmp_path / "data" / "cifar-10-batches-py" / "data_batch_4"
        content = bytearray(batch.read_bytes())
        content[-1000] ^= 1
        batch.write_bytes(content)
        error = error_of(data_of("cifar10", None, 20, 8, **CIFAR10))
        assert f"{batch} cannot be read (it is not the published file)" in error.message

    @pytest.mark.parametrize("filters", [True, False])
    def test_a_downloaded_archive_cannot_write_outside(
        self, filters: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not filters:  # as before Python 3.11.4
            monkeypatch.delattr(tarfile, "data_filter", raising=False)
        monkeypatch.setenv("KTGDSL_DATA", str(tmp_path / "data"))
        archive = tmp_path / "evil.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(__file__, "../outside")

        def download(self: object) -> None:
            extract_archive(str(archive), str(tmp_path / "data"))

        extract_archive: Any = import_module("torchvision.datasets.utils").extract_archive
        monkeypatch.setattr(torchvision_sets._torchvision().CIFAR10, "download", download)
        message = error_of(data_of("cifar10", None, 20, 8, **CIFAR10)).message
        assert "the download failed (" in message
        assert "outside the destination" in message
        assert not (tmp_path / "outside").exists()

    def test_a_download_that_fails_says_what_to_get_and_where_to_put_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KTGDSL_DATA", str(tmp_path / "data"))

        def download(self: object) -> None:
            raise OSError("no network")

        monkeypatch.setattr(torchvision_sets._torchvision().CIFAR100, "download", download)
        error = error_of(data_of("cifar100", None, 20, 8, **CIFAR100))
        assert "the download failed (OSError: no network)" in error.message
        assert str(tmp_path / "data") in error.message
        assert error.help is not None
        assert "cifar-100-python.tar.gz" in error.help
        assert '`data cifar100 { root = "FOLDER" }`' in error.help

    def test_with_a_root_nothing_is_downloaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def download(self: object) -> None:
            raise AssertionError("no download was wanted")

        monkeypatch.setattr(torchvision_sets._torchvision().CIFAR10, "download", download)
        assert "the download" not in error_of(data_of("cifar10", tmp_path, 20, 8)).message


class TestSvhn:
    def test_zero_is_ten_in_the_files(self, tmp_path: Path) -> None:
        io = pytest.importorskip("scipy.io")
        image = lookalikes.images(12, 3, 32, 6)
        label = np.arange(12) % 10 + 1
        for name, count in (("train_32x32.mat", 12), ("test_32x32.mat", 5)):
            content = {"X": image[:count].transpose(2, 3, 1, 0), "y": label[:count, None]}
            io.savemat(tmp_path / name, content)
        splits = loaded(data_of("svhn", tmp_path, 12, 5, **CIFAR10))
        assert_holds(splits.train, image, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2])
        assert_holds(splits.test, image[:5], [1, 2, 3, 4, 5])

    def test_a_missing_scipy_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torchvision_sets, "find_spec", lambda name: None)
        assert "needs scipy, which is not" in error_of(data_of("svhn", tmp_path, 12, 5)).message
