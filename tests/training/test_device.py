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
    assert "`cpu`" in diagnostic.help
