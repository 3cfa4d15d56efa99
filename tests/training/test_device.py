"""Devices by name, and the default."""

import pytest
import torch

from ktgdsl.errors import RunError
from ktgdsl.training.device import choose_device

CPU = torch.device("cpu")


def test_the_device_is_the_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device(None) == torch.device(expected)
    assert choose_device("cpu") == choose_device(CPU) == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "", "cpu:x"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(RunError) as caught:
        choose_device(name)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E504"
    assert diagnostic.message == f"there is no device `{name}` here"
    assert diagnostic.help is not None
    assert "there is `cpu`" in diagnostic.help


@pytest.mark.parametrize(
    ("name", "meant"),
    [("cdua", "cuda"), ("cuad:1", "cuda:1"), ("CUDA", "cuda"), ("gpu", "cuda"), ("cup", "cpu")],
)
def test_a_misspelt_device(name: str, meant: str) -> None:
    assert _help(name).startswith(f"did you mean `{meant}`? there is `cpu`")


@pytest.mark.parametrize(
    ("is_built", "error", "hidden", "why"),
    [
        (False, "not compiled with CUDA", None, f"this torch, {torch.__version__}, is built "
         "without CUDA"),
        (True, "Found no NVIDIA driver on your system.", None, "no NVIDIA driver was found"),
        (True, "The NVIDIA driver on your system is too old", None,
         f"the NVIDIA driver is too old for this torch, {torch.__version__}"),
        (True, "No CUDA GPUs are available", None, "no GPU was found"),
        (True, "No CUDA GPUs are available", "-1", "no GPU was found: CUDA_VISIBLE_DEVICES=-1"),
    ],
)  # fmt: skip
def test_why_there_is_no_gpu(
    is_built: bool, error: str, hidden: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object, **__: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr(torch, "zeros", raises)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "12.6" if is_built else None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert _help("cuda") == f"{why}; there is `cpu`"


def _help(name: str) -> str:
    with pytest.raises(RunError) as caught:
        choose_device(name)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.help or ""
