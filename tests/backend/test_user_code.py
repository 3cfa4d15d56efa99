"""The user's own code: modules that behave as scripts, and what they import later."""

import sys
from pathlib import Path

import pytest
import torch

from ktgdsl.backend.user_code import UnusableError, call_user_function


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_a_module_that_wants_arguments_does_not_end_the_process(tmp_path: Path) -> None:
    (tmp_path / "script_a.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--data', required=True)\nparser.parse_args()\n"
    )
    with pytest.raises(UnusableError, match="cannot be imported: SystemExit: 2") as error:
        call_user_function("script_a:net", str(tmp_path))
    assert error.value.help is not None
    assert '`if __name__ == "__main__":`' in error.value.help


def test_a_module_does_not_get_our_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ktgc", "run", "x.ktg"])
    (tmp_path / "script_b.py").write_text(
        "import argparse, sys\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--width', default=3)\nwidth = parser.parse_args().width\n"
        "def net(): return width, sys.argv\n"
    )
    assert call_user_function("script_b:net", str(tmp_path)) == (3, ["script_b"])
    assert sys.argv == ["ktgc", "run", "x.ktg"]


def test_a_function_that_ends_the_process_fails(tmp_path: Path) -> None:
    (tmp_path / "script_c.py").write_text("import sys\ndef net(): sys.exit('no data')\n")
    with pytest.raises(UnusableError, match="fails: SystemExit: no data"):
        call_user_function("script_c:net", str(tmp_path))


def test_a_misspelt_name_gets_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "my_nets.py").write_text("WIDTH = 3\ndef small_net(): ...\ndef _smal(): ...\n")
    for path, meant in (
        ("my_nets:smal_net", 'did you mean "my_nets:small_net"?'),
        ("my_nts:small_net", 'did you mean "my_nets:small_net"?'),
        ("my_nets:other", f"modules are looked up beside the spec, in {tmp_path}"),
        ("quite_different:small_net", f"modules are looked up beside the spec, in {tmp_path}"),
    ):
        with pytest.raises(UnusableError, match="cannot be imported") as error:
            call_user_function(path, str(tmp_path))
        assert (error.value.help or "").startswith(meant)


def test_what_a_forward_imports_is_found_later_and_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_helpers.py").write_text("def double(x): return 2 * x\n")
    (tmp_path / "late_nets.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        from late_helpers import double\n        return double(x)\n"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    network = call_user_function("late_nets:Net", str(tmp_path))
    assert network(torch.ones(1)).item() == 2
