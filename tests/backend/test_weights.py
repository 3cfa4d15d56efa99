"""Files of weights: what comes back, what does not fit, and what is left after a failure."""

import hashlib
import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from ktgdsl.backend.networks import make
from ktgdsl.backend.weights import load_weights, save_weights
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import KtgWarning


def resnet(seed: int, classes: int = 10) -> nn.Module:
    torch.manual_seed(seed)
    network = make("resnet", {"depth": 8}, 1, classes)
    network(torch.rand(4, 1, 8, 8))  # so that batch norm has statistics too
    return network


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def refused(module: nn.Module, path: Path) -> Diagnostic:
    """The complaint about a file, after a look that the module is as it was."""
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    diagnostic = load_weights(module, path)
    assert diagnostic is not None
    assert diagnostic.code == "E406"
    assert diagnostic.path == str(path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    return diagnostic


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    trained, fresh = resnet(0), resnet(1)
    assert not same(trained, fresh)
    save_weights(trained, tmp_path / "a.safetensors")
    assert load_weights(fresh, tmp_path / "a.safetensors") is None
    assert same(trained, fresh)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    network = resnet(0)
    save_weights(network, tmp_path / "a.safetensors")
    content = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert content.keys() == network.state_dict().keys()
    assert torch.equal(content["logits.weight"], network.state_dict()["logits.weight"])


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_file_that_is_not_the_expected_one_is_refused(tmp_path: Path, suffix: str) -> None:
    network, path = resnet(0), tmp_path / f"a.{suffix}"
    if suffix == "pt":
        torch.save(network.state_dict(), path)
    else:
        save_weights(network, path)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_weights(resnet(1), path, expected) is None
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    fresh = resnet(1)
    diagnostic = load_weights(fresh, path, expected)
    assert diagnostic is not None
    assert diagnostic.code == "E406"
    assert "the file changed" in diagnostic.message
    assert same(fresh, resnet(1))


def test_no_flipped_bit_of_a_file_passes(tmp_path: Path) -> None:
    """Each bit of a small file: of the tensors, of their names and shapes, and of the digest."""
    network, path = nn.Linear(2, 1), tmp_path / "a.safetensors"
    save_weights(network, path, {"mean": "[0.5]"})
    intact = path.read_bytes()
    for place in range(8 * len(intact)):
        content = bytearray(intact)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        assert load_weights(nn.Linear(2, 1), path, sealed=True) is not None, place
    path.write_bytes(intact[:-1] + b"?")
    assert "are damaged" in refused(nn.Linear(2, 1), path).message
    path.write_bytes(intact)
    assert load_weights(nn.Linear(2, 1), path, sealed=True) is None


def test_a_file_of_another_program_needs_no_digest(tmp_path: Path) -> None:
    network, path = nn.Linear(2, 1), tmp_path / "a.safetensors"
    safetensors.torch.save_file(dict(network.state_dict()), path)
    assert load_weights(nn.Linear(2, 1), path) is None
    assert load_weights(nn.Linear(2, 1), path, sealed=True) is not None


def test_the_same_weights_and_facts_are_the_same_bytes(tmp_path: Path) -> None:
    """Whatever their order, and the library still reads them."""
    network, path = resnet(0), tmp_path / "a.safetensors"
    facts = {name: f"é{name}" for name in "dbhacgfe"}
    found = set()
    for turn in range(5):
        names = [*facts][turn:] + [*facts][:turn]
        save_weights(network, path, {name: facts[name] for name in names})
        found.add(path.read_bytes())
    assert len(found) == 1
    with safetensors.safe_open(path, framework="pt") as file:
        assert facts.items() <= file.metadata().items()
    assert load_weights(resnet(1), path) is None


def test_saving_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    save_weights(resnet(0), path)
    assert load_weights(resnet(1), path) is None


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(resnet(0), path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]
    assert path.read_bytes() == b"old"


def test_tied_weights_and_views_can_be_saved(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.first = nn.Parameter(torch.full((3, 2), value))
            self.second = self.first
            self.register_buffer("view", torch.full((2, 3), value).t())

    save_weights(Tied(1.0), tmp_path / "a.safetensors")
    other = Tied(2.0)
    assert load_weights(other, tmp_path / "a.safetensors") is None
    assert same(other, Tied(1.0))


def prefixed(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pth.tar", ".tar", ".bin", ".PTH"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {"net": state, "acc": 91.2, "epoch": 3},  # the CIFAR codes of kuangliu
        lambda state: {"model_state_dict": prefixed("module._orig_mod.", state), "loss": 0.1},
        lambda state: {"model": {"state_dict": state}, "model_ema": {}},
        lambda state: {"teacher": state, "optimizer": {"state": {}, "param_groups": []}},
        # Lightning: the module has more than the network
        lambda state: {"state_dict": prefixed("model.", state) | {"metric.total": torch.ones(1)}},
        lambda state: {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")},
    ],
    ids=["plain", "state_dict", "model", "prefix", "both", "net", "prefixes", "nested", "only",
         "lightning", "counters"],
)  # fmt: skip
def test_state_dicts_of_torch(
    tmp_path: Path, suffix: str, wrap: Callable[[dict[str, Tensor]], object]
) -> None:
    trained, fresh = resnet(0), resnet(1)
    path = tmp_path / f"t{suffix}"
    torch.save(wrap(trained.state_dict()), path)
    assert load_weights(fresh, path) is None
    assert same(*(without_counters(each) for each in (trained, fresh)))


@pytest.mark.parametrize("wrap", [dict, lambda state: {"module": state}], ids=["plain", "inside"])
def test_which_of_several_networks_is_taken(
    tmp_path: Path, wrap: Callable[[dict[str, Tensor]], object]
) -> None:
    trained, fresh, path = resnet(0), resnet(1), tmp_path / "t.pt"
    average = wrap(prefixed("module.", resnet(2).state_dict()))
    beside = {"center": torch.ones(2)}
    torch.save({"ema": average, "criterion": beside, "model": trained.state_dict()}, path)
    with pytest.warns(KtgWarning) as caught:
        assert load_weights(fresh, path) is None
    assert [str(each.message) for each in caught] == [
        f"of the weights in {path} those of `model` are taken, not `ema`"
    ]
    assert same(fresh, trained)


def without_counters(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None
    return network


def test_two_networks_in_one_file(tmp_path: Path) -> None:
    state, path = resnet(0).state_dict(), tmp_path / "t.pt"
    torch.save(prefixed("student.", state) | prefixed("teacher.", state), path)
    assert refused(resnet(1), path).message == (
        f"{path} holds several networks that would fit, under `student.` and `teacher.`"
    )


def test_what_a_wrapped_network_lacks_is_named_without_the_prefix(tmp_path: Path) -> None:
    state, path = prefixed("module.", resnet(0).state_dict()), tmp_path / "t.pt"
    del state["module.logits.bias"]
    torch.save(state, path)
    assert refused(resnet(1), path).message == (
        f"the weights in {path} do not fit the network: logits.bias: not in the file"
    )


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("logits.weight", float("nan"), "NaN in logits.weight"),
        ("logits.weight", float("inf"), "infinity in logits.weight"),
        ("stem.1.running_var", float("nan"), "NaN in stem.1.running_var"),
    ],
)
def test_weights_that_are_not_numbers(tmp_path: Path, name: str, value: float, wrong: str) -> None:
    network, path = resnet(0), tmp_path / "t.pt"
    state = {each: tensor.clone() for each, tensor in network.state_dict().items()}
    state[name].view(-1)[-1] = value
    torch.save(state, path)
    assert refused(network, path).message == f"the weights in {path} are not numbers: {wrong}"


def test_a_mask_may_be_infinite(tmp_path: Path) -> None:
    network, path = nn.Linear(2, 2), tmp_path / "t.safetensors"
    network.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    save_weights(network, path)
    assert load_weights(network, path) is None


def test_a_network_with_a_module_of_that_name(tmp_path: Path) -> None:
    def wrapped() -> nn.Module:
        return nn.ModuleDict({"module": nn.Linear(2, 2)})

    trained, fresh = wrapped(), wrapped()
    save_weights(trained, tmp_path / "a.safetensors")
    assert load_weights(fresh, tmp_path / "a.safetensors") is None
    assert same(trained, fresh)


def test_dtypes_are_converted(tmp_path: Path) -> None:
    save_weights(nn.Linear(2, 2).double(), tmp_path / "a.safetensors")
    network = nn.Linear(2, 2)
    assert load_weights(network, tmp_path / "a.safetensors") is None
    assert network.weight.dtype == torch.float32


def test_another_number_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_weights(resnet(0, classes=100), path)
    diagnostic = refused(resnet(0), path)
    assert diagnostic.message == (
        f"the weights in {path} do not fit the network: "
        "logits.weight: file has (100, 64), network needs (10, 64); "
        "logits.bias: file has (100,), network needs (10,)"
    )
    assert diagnostic.help is not None
    assert "number of classes" in diagnostic.help


def test_missing_and_unexpected_tensors(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    state = dict(resnet(0).state_dict())
    state["head.weight"] = state.pop("logits.weight")
    safetensors.torch.save_file(state, path)
    assert refused(resnet(0), path).message == (
        f"the weights in {path} do not fit the network: "
        "logits.weight: not in the file; head.weight: not in the network"
    )


def test_only_the_first_differences_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    network = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(5)))
    save_weights(nn.Sequential(), path)
    assert refused(network, path).message == (
        f"the weights in {path} do not fit the network: 0.weight: not in the file; "
        "1.weight: not in the file; 2.weight: not in the file; and 2 more"
    )


def test_arguments_and_numbers_beside_the_weights_are_no_hindrance(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    beside = {
        "args": Namespace(lr=0.1, name="kd"),
        "best_acc1": np.float64(93.5),
        "history": np.array([1, 2, 3]),
        "epoch": np.int64(3),
    }
    torch.save({"state_dict": network.state_dict(), **beside}, tmp_path / "t.pth.tar")
    other = nn.Linear(2, 2)
    assert load_weights(other, tmp_path / "t.pth.tar") is None
    assert torch.equal(other.weight, network.weight)


class Evil:
    """What unpickles by running code."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (os.environ["EVIL"],)


def test_a_pickle_that_runs_code_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    monkeypatch.setenv("EVIL", str(trap))
    path = tmp_path / "t.pt"
    torch.save({"weight": Evil()}, path)
    diagnostic = refused(resnet(0), path)
    assert diagnostic.message.endswith("that can be read safely")
    assert diagnostic.help is not None
    assert "it holds posix.mkdir beside weights" in diagnostic.help
    assert not trap.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 50, b"graph a {}\n"])
def test_a_foreign_file(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    diagnostic = refused(resnet(0), path)
    assert diagnostic.message == f"{path} is not a file of weights that can be read safely"


def test_a_cut_file(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_weights(resnet(0), path)
    path.write_bytes(path.read_bytes()[:-1000])
    assert "not a file of weights" in refused(resnet(1), path).message


def test_a_file_without_a_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "t.pt"
    torch.save([1, 2, 3], path)
    assert refused(resnet(0), path).message == (
        f"{path} holds no state dict: names and their tensors"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.safetensors"
    assert refused(resnet(0), path).message == f"there is no file of weights {path}"


def test_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    path.mkdir()
    assert refused(resnet(0), path).message == (
        f"the weights in {path} cannot be read: Is a directory"
    )


def test_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "t.onnx"
    path.write_bytes(b"")
    diagnostic = refused(resnet(0), path)
    assert diagnostic.message == f"{path} is not a file of weights by its name"
    assert diagnostic.help == (
        "a file of weights is named .safetensors, .pt, .pth, .ckpt, .bin, .pth.tar, .tar"
    )
