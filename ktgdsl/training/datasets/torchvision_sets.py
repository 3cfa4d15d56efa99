"""CIFAR, MNIST, Fashion-MNIST and SVHN: downloaded by torchvision, read here.

torchvision's own readers run the code of a pickle, and unpack as much as an archive holds. A
copy below a `root` may have other content on purpose: `checksums` asks about that.
"""

import gzip
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ktgdsl.errors import RunError, describe
from ktgdsl.extras import how_to_install, needs
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.checksums import (
    UNPACKED,
    check_published,
    md5_of_bytes,
    md5_of_file,
)
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.datasets.image_set import DataSet, ImageSet
from ktgdsl.training.datasets.locations import damaged_file, data_root, missing_files
from ktgdsl.training.datasets.unpickling import load_pickled_arrays

DEBIAN = "/usr/share/datasets/fashion-mnist"

MAX_BYTES = 2**30
"""The largest file of CIFAR that is read, in bytes; the published ones have up to 155 MB."""


def cifar(data: DataPlan) -> DataSet:
    """CIFAR-10 or CIFAR-100: the "python version", in its folder below the root or in the root."""
    sets = _torchvision()
    kind = sets.CIFAR100 if data.source.name == "cifar100" else sets.CIFAR10
    root, how = data_root(data), f"download {kind.url} and unpack it"
    lists = {"train_list": kind.train_list, "test_list": kind.test_list}
    names = [name for files in lists.values() for name, _ in files]
    names.append(str(kind.meta["filename"]))

    def folder() -> Path:
        inner = root / kind.base_folder
        return root if not inner.is_dir() and (root / names[0]).exists() else inner

    def missing() -> list[str]:
        return [f"{kind.base_folder}/{name}" for name in names if not (folder() / name).is_file()]

    _ensure_files(data, missing, lambda: [kind(str(root), download=True)], how)

    def content(name: str, md5: str) -> Any:
        path = folder() / name
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"it has {path.stat().st_size:,} bytes")
            check_published(data, path, md5_of_file(path), md5, how)
            return load_pickled_arrays(path)
        except RunError:
            raise
        except Exception as error:  # of pickle or NumPy
            raise damaged_file(data, path, describe(error), how) from error

    def part(files: list[tuple[str, str]]) -> ImageSet:
        read = []
        for name, md5 in files:
            entry = content(name, md5)
            try:
                pixels = _tensor(entry["data"]).view(-1, 3, 32, 32)
                read.append((pixels, _labels(entry["fine_labels" if fine else "labels"])))
            except Exception as error:  # of a file with other content
                raise damaged_file(data, folder() / name, describe(error), how) from error
        image, label = (torch.cat(each) for each in zip(*read, strict=True))
        return ImageSet(image, label)

    fine = data.source.name == "cifar100"
    train, test = part(kind.train_list), part(kind.test_list)
    named = content(str(kind.meta["filename"]), kind.meta["md5"])
    classes = named.get(kind.meta["key"]) if isinstance(named, dict) else None
    return DataSet(train, test, tuple(map(str, classes)) if isinstance(classes, list) else None)


def mnist(data: DataPlan) -> DataSet:
    """MNIST or Fashion-MNIST: the four idx files, compressed by gzip or not.

    They lie in the root, as Debian's package `dataset-fashion-mnist` has them, or in `MNIST/raw`
    or `FashionMNIST/raw` below it, where torchvision puts them.
    """
    sets = _torchvision()
    fashion = data.source.name == "fashion_mnist"
    kind = sets.FashionMNIST if fashion else sets.MNIST
    root = data_root(data)
    how = f"download the four files of {kind.mirrors[0]}"
    if fashion:
        how += f" (Debian's package dataset-fashion-mnist has them in {DEBIAN})"
    names = [name.removesuffix(".gz") for name, _ in kind.resources]

    def path(name: str) -> Path | None:
        folders = (root / kind.__name__ / "raw", root)
        candidates = (folder / each for folder in folders for each in (name, f"{name}.gz"))
        return next((each for each in candidates if each.is_file()), None)

    _ensure_files(
        data,
        lambda: [name for name in names if path(name) is None],
        lambda: [kind(str(root), download=True)],
        how,
    )

    def content(name: str, largest: tuple[int, ...]) -> Tensor:
        file = path(name)
        assert file is not None
        try:
            tensor, md5 = _read_idx(file, largest)
        except Exception as error:  # of gzip or NumPy
            raise damaged_file(data, file, describe(error), how) from error
        check_published(data, file, md5, UNPACKED[data.source.name][name], how)
        return tensor

    def part(name: str, samples: int) -> ImageSet:
        image = content(f"{name}-images-idx3-ubyte", (samples, *data.known_facts.shape[1:]))
        label = content(f"{name}-labels-idx1-ubyte", (samples,))
        return ImageSet(image[:, None], label.long())

    classes = tuple(kind.classes) if fashion else tuple("0123456789")
    train, test = (
        part("train", data.known_facts.train_samples),
        part("t10k", data.known_facts.test_samples),
    )
    return DataSet(train, test, classes)


def _read_idx(file: Path, largest: tuple[int, ...]) -> tuple[Tensor, str]:
    """The bytes of an idx file, in the shape that its header says, and their MD5 checksum.

    Raises ValueError when the file is not as long as that, or the shape exceeds `largest`; no
    more than that is unpacked.
    """
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as plain:
        header = plain.read(4 + 4 * len(largest))
        sizes = [header[start : start + 4] for start in range(4, len(header), 4)]
        shape = tuple(int.from_bytes(size, "big") for size in sizes)
        if header[:4] != bytes([0, 0, 8, len(largest)]) or any(map(int.__gt__, shape, largest)):
            raise ValueError(f"its header says {shape}, not {largest} bytes")
        content = plain.read(prod(shape) + 1)
    if len(shape) != len(largest) or len(content) != prod(shape):
        raise ValueError(f"it has not as many bytes as its header says, {shape}")
    tensor = torch.from_numpy(np.frombuffer(content, np.uint8).reshape(shape).copy())
    return tensor, md5_of_bytes(header, content)


def svhn(data: DataPlan) -> DataSet:
    """SVHN's cropped digits: `train_32x32.mat` and `test_32x32.mat` in the root. Needs scipy."""
    if find_spec("scipy") is None:
        raise data_error(needs("the data set `svhn`", "svhn"), how_to_install("svhn"))
    kind = _torchvision().SVHN
    root = data_root(data)
    files = {split: kind.split_list[split][1] for split in ("train", "test")}
    urls = " and ".join(kind.split_list[split][0] for split in files)
    how = f"download {urls}"
    _ensure_files(
        data,
        lambda: [name for name in files.values() if not (root / name).is_file()],
        lambda: [kind(str(root), split=split, download=True) for split in files],
        how,
    )

    def part(split: str, samples: int) -> ImageSet:
        path = root / files[split]
        check_published(data, path, md5_of_file(path), kind.split_list[split][2], how)
        try:
            return _read_svhn(path, samples)
        except Exception as error:  # of scipy or NumPy
            raise damaged_file(data, path, describe(error), how) from error

    train, test = (
        part("train", data.known_facts.train_samples),
        part("test", data.known_facts.test_samples),
    )
    return DataSet(train, test, tuple("0123456789"))


def _read_svhn(path: Path, samples: int) -> ImageSet:
    """Images (32, 32, 3, N) and labels 1 to 10, of which 10 stands for 0.

    Raises ValueError where the headers of the two say more than that; nothing else is unpacked.
    """
    matlab: Any = import_module("scipy.io")
    shapes = {name: shape for name, shape, _ in matlab.whosmat(str(path))}
    if prod(shapes["X"]) > 32 * 32 * 3 * samples or prod(shapes["y"]) > samples:
        raise ValueError(f"it has arrays of the shapes {shapes['X']} and {shapes['y']}")
    content = matlab.loadmat(str(path), variable_names=["X", "y"])
    labels = _labels(content["y"].reshape(-1))
    return ImageSet(_tensor(content["X"].transpose(3, 2, 0, 1)), labels % 10)


def _torchvision() -> Any:
    """torchvision's data sets, which have no types and are slow to import."""
    return import_module("torchvision.datasets")


def _ensure_files(
    data: DataPlan, missing: Callable[[], list[str]], download: Callable[[], object], how: str
) -> None:
    """Raise RunError (E508) unless all files exist, after a download if the plan names no root."""
    if not missing():
        return
    why = ""
    if data.root is None:
        try:
            data_root(data).mkdir(parents=True, exist_ok=True)
            with _archives_stay_inside():
                download()
        except Exception as error:  # of the network, the disk or torchvision
            why = f", and the download failed ({describe(error)})"
    if still := missing():
        raise missing_files(data, still, how, why)


@contextmanager
def _archives_stay_inside() -> Iterator[None]:
    """Unpack no archive of tar to anywhere else, nor a link or device (zip does not either)."""
    if not hasattr(tarfile, "data_filter"):  # before Python 3.11.4
        with _members_checked():
            yield
        return
    before = tarfile.TarFile.__dict__.get("extraction_filter")
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before


@contextmanager
def _members_checked() -> Iterator[None]:
    """Check all members of an archive first, where Python's tarfile has no filters."""
    archives: Any = tarfile.TarFile
    extractall = archives.extractall

    def checked(archive: tarfile.TarFile, path: str = ".", *rest: Any, **options: Any) -> None:
        root = Path(path).resolve()
        for member in archive.getmembers():
            inside = (root / member.name).resolve().is_relative_to(root)
            if not inside or not (member.isfile() or member.isdir()):
                raise ValueError(f"{member.name!r} is a link, or outside the destination")
        extractall(archive, path, *rest, **options)

    archives.extractall = checked
    try:
        yield
    finally:
        archives.extractall = extractall


def _labels(labels: Any) -> Tensor:
    numbers = np.asarray(labels)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise TypeError(f"its labels are {numbers.shape} of {numbers.dtype}, not whole numbers")
    return torch.from_numpy(numbers.astype(np.int64))


def _tensor(array: Any) -> Tensor:
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        kind = getattr(array, "dtype", type(array).__name__)
        raise TypeError(f"its pixels are {kind}, not uint8")
    return torch.from_numpy(np.ascontiguousarray(array))
