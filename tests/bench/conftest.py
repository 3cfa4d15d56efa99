"""Benchmarks run in a folder of their own, beside a module with networks."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.specs import NETS


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KTGDSL_DATA", str(tmp_path / "data"))
    (tmp_path / "nets.py").write_text(NETS)
    yield
    for name in ("nets", "mine"):
        sys.modules.pop(name, None)
