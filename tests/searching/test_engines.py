"""Where workers live, by name: what is refused before anything starts."""

import sys

import pytest

from ktgdsl.errors import RunError
from ktgdsl.searching.engines import EngineName, open_engine


@pytest.mark.parametrize(
    ("name", "gpus", "message"),
    [
        ("local", 0.5, "shares of GPUs are for workers of Ray, which knows what each node has"),
        ("ray", 0.0, "0 GPUs cannot be given to a worker"),
        ("ray", -1.0, "-1 GPUs cannot be given to a worker"),
        ("ray", 1.5, "1.5 GPUs cannot be given to a worker"),
        ("ray", float("nan"), "nan GPUs cannot be given to a worker"),
        ("ray", float("inf"), "inf GPUs cannot be given to a worker"),
    ],
)
def test_shares_that_there_are_not(name: EngineName, gpus: float, message: str) -> None:
    with pytest.raises(RunError) as raised, open_engine(name, gpus):
        pass
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == ("E504", message)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in [each for each in sys.modules if each.startswith("ktgdsl.searching.ray.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(RunError) as raised, open_engine("ray"):
        pass
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "E504"
    assert diagnostic.message.startswith("the engine ray needs ray, which is not installed: ")
    assert diagnostic.help == "pip install ray, or ktgdsl with [ray]"


def test_this_machine_is_the_default() -> None:
    with open_engine("local") as engine:
        assert engine.environment_fields == {}
        assert engine.devices("cpu") == ["cpu"]
        assert engine.on_device("cpu", lambda: 3) == 3
