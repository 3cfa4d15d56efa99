"""Source files of the user's own code that a plan names: its modules, and modules they import."""

import ast
import hashlib
import importlib
import importlib.util
import re
import site
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple, cast

from ktgdsl.backend.user_modules import first_on_path, imported_by
from ktgdsl.plan.model import Plan

_FUNCTION = re.compile(r'"([^\W\d][\w.]*):[^\W\d][\w.]*\\?"')
"""A function in the JSON text of a plan, in whose space quotes are escaped."""


class SourceFile(NamedTuple):
    """A source file of the user's: where it is, its content and the SHA-256 of that."""

    path: Path
    content: bytes
    sha256: str


def user_sources(plan: Plan) -> dict[str, SourceFile]:
    """The user's source files that a plan's functions are in or import, by name: `pkg/nets.py`.

    Nothing is imported: modules are located as Python would, and their import statements are
    followed, except into installed packages, the standard library and ktgdsl. Dynamic imports are
    known only after a call of the module's functions has done them.
    """
    importlib.invalidate_caches()
    data = plan.data.source
    own_data = str(data.arguments["function"]) if data.name == "python" else ""
    found: dict[str, SourceFile] = {}
    with first_on_path(plan.folder):
        for module in {*_FUNCTION.findall(plan.to_json())} - {own_data.partition(":")[0]}:
            _add(module, found)
    if own_data:
        with first_on_path(plan.data.root):
            _add(own_data.partition(":")[0], found)
    return dict(sorted(found.items()))


def sources_as_json(code: Mapping[str, SourceFile]) -> dict[str, Any]:
    """The field of `environment.json` with each source file: where it is, and its SHA-256."""
    return {"code": {n: {"path": str(f.path), "sha256": f.sha256} for n, f in code.items()}}


def sources_digest(code: Mapping[str, SourceFile]) -> str:
    """One SHA-256 of all files and their names."""
    lines = "".join(f"{file.sha256} {name}\n" for name, file in code.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _add(module: str, found: dict[str, SourceFile]) -> None:
    """Add the files of a module and of all that it imports."""
    pending, seen = [module, *imported_by(module)], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        spec = _located(name)
        if spec is None:
            continue
        if parent := name.rpartition(".")[0]:
            pending.append(parent)
        if spec.origin is None or not is_own(spec.origin):
            continue
        path = Path(spec.origin)
        try:
            content = path.read_bytes()
        except OSError:  # of an archive of modules
            continue
        is_package = spec.submodule_search_locations is not None
        stem = f"{name}.__init__" if is_package else name
        file = SourceFile(path, content, hashlib.sha256(content).hexdigest())
        found[stem.replace(".", "/") + path.suffix] = file
        if path.suffix == ".py":
            pending += _imports(content, name if is_package else parent)


def _located(name: str) -> ModuleSpec | None:
    """Where Python finds a module, without importing it; None where it does not."""
    parent, _, _ = name.rpartition(".")
    try:
        loaded = sys.modules.get(name)
        if (spec := getattr(loaded, "__spec__", None)) is not None:
            return cast("ModuleSpec", spec)
        if (file := getattr(loaded, "__file__", None)) is not None:  # of a script, __main__
            return spec_from_file_location(name, file)
        if not parent:
            return importlib.util.find_spec(name)
        package = _located(parent)
        if package is None or package.submodule_search_locations is None:
            return None
        return PathFinder.find_spec(name, [*package.submodule_search_locations])
    except (ImportError, ValueError):  # ValueError: of a module that is being imported
        return None


@lru_cache(maxsize=1024)
def _imports(content: bytes, package: str) -> tuple[str, ...]:
    """The modules, and the names in them that may be modules, that a source imports anywhere."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # whoever imports it is told
        return ()
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node.module or "", node.level, package)
            names += [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
    return tuple(dict.fromkeys(name for name in names if name))


def _absolute(module: str, level: int, package: str) -> str:
    """The full name of a module that is imported with so many leading dots inside a package."""
    if level == 0:
        return module
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], module]).strip(".")


def is_own(file: str) -> bool:
    """Whether a module's file is neither installed nor of the standard library nor ktgdsl's."""
    return not _is_installed(file) and Path(file).is_file()


@cache
def _is_installed(file: str) -> bool:
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & {*path.parts}:
        return True
    return any(path.is_relative_to(folder) for folder in _installed())


@cache
def _installed() -> tuple[Path, ...]:
    """The folders of the standard library, of installed packages, and ours."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    ours = Path(__file__).parent.parent
    return (ours, *(Path(folder).resolve() for folder in folders))
