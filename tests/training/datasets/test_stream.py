"""Data that do not fit are streamed, and give the same batches as on the device."""

import errno
import os
import signal
import threading
from pathlib import Path

import pytest
import torch

from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, DataPlan
from ktgdsl.training.batches import batches, batches_in_order, numbered_batches
from ktgdsl.training.data import Split, load_splits, load_training_data
from ktgdsl.training.datasets import memory
from ktgdsl.training.datasets.image_files import ImageFiles
from ktgdsl.training.datasets.image_set import LazyImages
from ktgdsl.training.datasets.loaders import loaders_reported
from ktgdsl.training.datasets.stream import ImageStream, Packed
from tests import lookalikes
from tests.plans import tiny_plan
from tests.trained import train_plan

CPU = torch.device("cpu")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory is free for data."""
    monkeypatch.setattr(memory, "free", lambda device: 0)


def in_folder(root: Path, **fields: object) -> DataPlan:
    given: dict[str, object] = {
        "source": Call(name="folder", arguments={"path": "set"}),
        "root": str(root),
        "validation": 3,
        "classes": 3,
        "shape": (3, 9, 10),
        "train_samples": 15,
        "test_samples": 6,
    }
    return tiny_plan(data={**given, **fields}).data


def all_of(split: Split) -> list[tuple[torch.Tensor, torch.Tensor]]:
    drawn = [each for epoch in (1, 2) for each in batches(split, 4, seed=5, epoch=epoch)]
    return [*drawn, *batches_in_order(split, 4)]


def require_equal(one: Split, other: Split) -> None:
    assert one.image.shape == other.image.shape
    assert torch.equal(one.label, other.label)
    for (image, label), (wanted, right) in zip(all_of(one), all_of(other), strict=True):
        assert torch.equal(image, wanted)
        assert torch.equal(label, right)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("augment", ["none", "paper", "standard"])
def test_streamed_files_give_the_same_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: str, workers: int
) -> None:
    lookalikes.folder(tmp_path / "set")
    data = in_folder(tmp_path, holdout=True, augment=augment, labeled=6, workers=workers)
    resident = load_splits(data, 3, CPU)
    monkeypatch.setattr(memory, "free", lambda device: 0)
    streamed = load_splits(data, 3, CPU)
    assert resident.validation is not None
    assert streamed.validation is not None
    for one, other in (
        (streamed.train, resident.train),
        (streamed.validation, resident.validation),
        (streamed.test, resident.test),
    ):
        assert one.stream is not None
        assert one.image.is_meta
        assert other.stream is None
        require_equal(one, other)


def test_arrays_that_do_not_fit_on_the_device_are_streamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tiny_plan(data={"augment": "paper", "holdout": True}).data
    resident = load_training_data(data, 0, CPU)
    monkeypatch.setattr(memory, "fits", lambda size, device: device != CPU)
    streamed = load_training_data(data, 0, CPU)
    assert streamed.train.stream is not None
    require_equal(streamed.train, resident.train)
    require_equal(streamed.evaluation, resident.evaluation)
    numbers = [
        [sample.tolist() for _, _, sample in numbered_batches(each.train, 16, 5, 1)]
        for each in (streamed, resident)
    ]
    assert numbers[0] == numbers[1]


def test_data_take_a_share_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    # The digits: 1,797 images of 64 bytes.
    need = 1797 * 64
    for free, streamed in ((need / memory.SHARE + 1, False), (need / memory.SHARE - 9, True)):
        monkeypatch.setattr(memory, "free", lambda device, free=free: free)
        split = load_splits(tiny_plan().data, 0, CPU).train
        assert (split.stream is not None) == streamed


def test_the_free_memory_is_known() -> None:
    assert 2**20 < memory.free(CPU) < 2**50


@pytest.mark.usefixtures("full")
def test_a_training_on_streamed_images_is_bit_equal(tmp_path: Path) -> None:
    plan = tiny_plan(["a"], epochs=2, data={"augment": "paper", "batch": 256})
    streamed = train_plan(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "free", lambda device: 2**40)
        resident = train_plan(plan)
    one, other = (each.stepper.networks["a"].state_dict() for each in (streamed, resident))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert streamed.accuracy == resident.accuracy


class Counted(LazyImages):
    """LazyImages that say how many of them have been read."""

    shape = (1, 1, 1)

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> torch.Tensor:
        self.read.append(index)
        return torch.full((1, 1, 1), index, dtype=torch.uint8)


def test_images_are_read_when_they_are_drawn() -> None:
    images = Counted()
    stream = ImageStream(images, torch.arange(50) + 10)
    image = torch.empty((50, 1, 1, 1), dtype=torch.uint8, device="meta")
    split = Split(image, torch.arange(50), stream=stream)
    before = torch.random.get_rng_state()
    drawn = batches(split, 16, seed=0, epoch=1)
    first, label = next(drawn)
    assert len(images.read) == 16
    assert (first.flatten() * 255).round().int().tolist() == (label + 10).tolist()
    list(drawn)
    assert len(set(images.read)) == len(images.read) == 48
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_damaged_during_training_is_named(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "a.png"
    path.write_text("no image")
    stream = ImageStream(ImageFiles([path], 3, (8, 8)), torch.arange(1), workers)
    with pytest.raises(RunError) as caught:
        list(stream.images(torch.arange(1), 1))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E508"
    assert diagnostic.message.startswith(f"the image {path} cannot be read (")
    assert "\n" not in diagnostic.message


class Killed(Counted):
    """LazyImages of which one ends the process that reads it."""

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 30:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def test_a_process_that_is_killed_is_an_error_at_once() -> None:
    with pytest.raises(RunError) as caught:
        list(ImageStream(Killed(), torch.arange(50), workers=1).images(torch.arange(50), 10))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E504"
    assert diagnostic.message.startswith("a process that loads data ")
    assert "killed" in diagnostic.message or "exited" in diagnostic.message


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is"),
            "a process that loads data is killed by signal: Bus error. It is",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"),
            "a process that loads data exited unexpectedly",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "the processes that load data cannot be started: No space left on device",
        ),
    ],
)
def test_what_pytorch_says_of_its_processes(raised: Exception, message: str) -> None:
    with pytest.raises(RunError) as caught, loaders_reported():
        raise raised
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == ("E504", message)


@pytest.mark.parametrize("other", [RuntimeError("another"), FileNotFoundError(2, "no", "file")])
def test_other_errors_are_left_alone(other: Exception) -> None:
    with pytest.raises(type(other)), loaders_reported():
        raise other


def test_batches_need_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("unable to allocate shared memory: No space left on device (28)")

    for name in ("_share_fd_cpu_", "_share_filename_cpu_", "_new_using_fd_cpu"):
        monkeypatch.setattr(torch.UntypedStorage, name, full)
    stream = ImageStream(Counted(), torch.arange(50), workers=1)
    drawn = torch.cat(list(stream.images(torch.arange(50), 20)))
    assert drawn.flatten().tolist() == [*range(50)]


def test_a_batch_of_several_parts_is_packed_and_unpacked() -> None:
    image, label = torch.rand(2, 1, 3, 3), torch.tensor([4, 5])
    one, other = Packed((image, label)).unpacked()
    assert torch.equal(one, image)
    assert torch.equal(other, label)
    assert torch.equal(Packed(image).unpacked(), image)


def test_an_epoch_that_is_left_early_leaves_no_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    next(iter(ImageStream(Counted(), torch.arange(100), workers=1).images(torch.arange(100), 10)))
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)  # one that feeds a queue ends a moment after the queue
        assert not thread.is_alive(), thread.name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
class TestCuda:
    GPU = torch.device("cuda")

    @pytest.mark.parametrize("augment", ["none", "paper", "standard"])
    def test_the_batches_are_those_of_the_cpu(
        self, monkeypatch: pytest.MonkeyPatch, augment: str
    ) -> None:
        data = tiny_plan(data={"augment": augment}).data
        resident = load_splits(data, 0, self.GPU).train
        assert resident.image.is_cuda
        monkeypatch.setattr(memory, "fits", lambda size, device: device.type == "cpu")
        streamed = load_splits(data, 0, self.GPU).train
        assert streamed.stream is not None
        on_cpu = load_splits(data, 0, CPU).train
        for split in (resident, streamed):
            for (image, label), (wanted, right) in zip(all_of(split), all_of(on_cpu), strict=True):
                assert image.is_cuda
                torch.testing.assert_close(image.cpu(), wanted, rtol=0, atol=1e-6)
                assert torch.equal(label.cpu(), right)

    def test_nothing_waits_for_the_device_within_an_epoch(self) -> None:
        split = load_splits(tiny_plan(data={"augment": "paper"}).data, 0, self.GPU).train
        drawn = batches(split, 16, seed=0, epoch=1)
        next(drawn)
        torch.cuda.set_sync_debug_mode("error")
        try:
            assert len(list(drawn)) == 80
        finally:
            torch.cuda.set_sync_debug_mode("default")
