"""Which source files are the user's own code of a plan."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.backend.user_code import call_user_function
from ktgdsl.backend.user_sources import sources_digest, user_sources
from ktgdsl.plan.model import Plan

FILES = {
    "own_nets.py": """
        import json, torch
        from torch import nn
        import own_package.sub.blocks as blocks
        def make():
            from own_package import late
            return __import__("own_" + "hidden").make()
        """,
    "own_package/__init__.py": "",
    "own_package/sub/__init__.py": "from .. import shared",
    "own_package/sub/blocks.py": "from ..other import thing",
    "own_package/other.py": "thing = 1",
    "own_package/shared.py": "",
    "own_package/late.py": "",
    "own_package/unused.py": "",
    "own_hidden.py": "def make(): return None",
    "own_images.py": "import ktgdsl, numpy",
    "unused.py": "",
}
NETS = {
    "own_nets.py",
    "own_package/__init__.py",
    "own_package/sub/__init__.py",
    "own_package/sub/blocks.py",
    "own_package/other.py",
    "own_package/shared.py",
    "own_package/late.py",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", [*sys.path])  # the folder of a spec stays on it
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        lines = text.splitlines()
        (tmp_path / name).write_text("\n".join(line.removeprefix(" " * 8) for line in lines))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def plan(folder: Path, network: str = "own_nets:make", data: str = "digits") -> Plan:
    (folder / "own.ktg").write_text(
        f'graph own {{ node a = python("{network}") target a edge label -> a }} data {data}'
    )
    return ktgdsl.load(folder / "own.ktg")


def test_modules_and_what_they_import_are_own_code_and_nothing_else_is(folder: Path) -> None:
    code = user_sources(plan(folder))
    assert set(code) == NETS
    assert list(code) == sorted(code)
    assert code["own_nets.py"].path == folder / "own_nets.py"
    assert code["own_nets.py"].content == (folder / "own_nets.py").read_bytes()
    assert not {name for name in sys.modules if name.startswith("own_")}


def test_the_code_of_data_counts(folder: Path) -> None:
    code = user_sources(plan(folder, "own_package.other:thing", 'python("own_images:fn")'))
    assert set(code) == {"own_images.py", "own_package/__init__.py", "own_package/other.py"}


def test_every_option_of_a_space_counts(folder: Path) -> None:
    (folder / "own.ktg").write_text(
        'graph own { node a = resnet8 | python("own_images:a") | python("own_hidden:make")'
        " target a edge label -> a }"
    )
    assert set(user_sources(ktgdsl.load(folder / "own.ktg"))) == {"own_images.py", "own_hidden.py"}


def test_what_a_call_imports_by_a_name_of_its_own_making_is_known_after_it(folder: Path) -> None:
    given = plan(folder)
    call_user_function("own_nets:make", given.folder)
    assert set(user_sources(given)) == {*NETS, "own_hidden.py"}


def test_a_module_that_is_missing_or_broken_is_told_by_whoever_imports_it(folder: Path) -> None:
    assert user_sources(plan(folder, "own_missing:make")) == {}
    (folder / "own_images.py").write_text("def")
    assert set(user_sources(plan(folder, "own_images:fn"))) == {"own_images.py"}


def test_the_digest_is_of_contents_and_names(folder: Path) -> None:
    before = user_sources(plan(folder))
    assert sources_digest(before) == sources_digest(user_sources(plan(folder)))
    (folder / "own_package/unused.py").write_text("changed = True")
    assert sources_digest(before) == sources_digest(user_sources(plan(folder)))
    (folder / "own_package/shared.py").write_text("changed = True")
    assert sources_digest(before) != sources_digest(user_sources(plan(folder)))


def test_a_plan_without_own_code_has_none(folder: Path) -> None:
    (folder / "own.ktg").write_text("graph own { node a = resnet8 target a edge label -> a }")
    assert user_sources(ktgdsl.load(folder / "own.ktg")) == {}
