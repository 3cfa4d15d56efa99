"""What to install for a feature: as pyproject.toml has it, and as every message says it."""

import re
import tomllib

import pytest

from ktgdsl.extras import EXTRAS, missing
from tests.paths import ROOT


def test_the_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name: tuple(re.split("[<>=]", each)[0] for each in packages)
        for name, packages in project["optional-dependencies"].items()
        if name != "dev"
    }
    assert extras == EXTRAS


@pytest.mark.parametrize(
    ("extra", "error", "message", "help"),
    [
        ("plot", None, "it needs matplotlib, which is not installed",
         "pip install matplotlib, or ktgdsl with [plot]"),
        ("onnx", ModuleNotFoundError("No module named 'onnx'"),
         "it needs onnx, onnxscript and onnxruntime, which are not all installed: "
         "No module named 'onnx'",
         "pip install onnx onnxscript onnxruntime, or ktgdsl with [onnx]"),
        ("ray", ImportError("no symbol"), "it needs ray, and importing failed: no symbol",
         "pip install ray, or ktgdsl with [ray]"),
        ("postgres", None, "it needs psycopg, which is not installed",
         'pip install "psycopg[binary]", or ktgdsl with [postgres]'),
    ],
)  # fmt: skip
def test_what_is_said(extra: str, error: ImportError | None, message: str, help: str) -> None:
    (found,) = missing("it", extra, error).diagnostics
    assert (found.code, found.message, found.help) == ("E504", message, help)


def test_what_else_there_is_to_do_comes_last() -> None:
    (found,) = missing("it", "lsp", instead="write it by hand").diagnostics
    assert found.help == "pip install pygls, or ktgdsl with [lsp]; or write it by hand"
