"""`python -m tests.dependency_bounds lowest|newest`: the core of the tests with other versions.

Makes a virtual environment whose direct dependencies are as old as pyproject.toml allows, or as
new, and runs in it the tests of what touches them. Installing takes some gigabytes for torch.
"""

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from tests.paths import ROOT

TESTS = (
    "tests/syntax", "tests/fuzz", "tests/plan", "tests/vocabulary", "tests/cli/test_main.py",
    "tests/backend/test_losses.py", "tests/backend/test_graph.py", "tests/backend/test_networks.py",
    "tests/backend/test_weights.py", "tests/backend/test_library.py",
    "tests/training/test_damaged_files.py", "tests/training/datasets/test_torchvision_sets.py",
    "tests/searching/study/test_sampling.py", "tests/searching/study/test_study.py",
    "tests/searching/study/test_pruning.py", "tests/exporting", "tests/report/test_run_display.py",
    "tests/report/test_pictures.py", "tests/editor/test_server.py", "tests/tracking",
    "tests/searching/test_dashboard.py", "tests/searching/ray/test_ray.py",
    "tests/searching/shared/test_shared.py", "tests/searching/shared/test_job_files.py",
)  # fmt: skip
"""The tests of what calls a dependency: Lark, pydantic, torch, Optuna, the extras and so on."""


def requirements() -> list[Requirement]:
    """The requirements in pyproject.toml, those of all extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    texts = [*project["dependencies"], *(each for extra in extras for each in extra)]
    return [Requirement(text) for text in dict.fromkeys(texts)]


def lowest(requirement: Requirement) -> Requirement:
    """The oldest version that a requirement allows, as a requirement."""
    (bound,) = (each.version for each in requirement.specifier if each.operator == ">=")
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return Requirement(f"{requirement.name}{extras}=={bound}")


def main() -> int:
    """Make the environment unless it is there, and run the tests in it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.dependency_bounds", description=__doc__)
    parser.add_argument("versions", choices=("lowest", "newest"))
    parser.add_argument("--venv", type=Path, help="the environment (default: .venv-VERSIONS)")
    options = parser.parse_args()
    wanted = requirements()
    if options.versions == "lowest":
        wanted = [lowest(each) for each in wanted]
    venv = options.venv or ROOT / f".venv-{options.versions}"
    python = str((venv / "bin" / "python").absolute())
    if not venv.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-U", *map(str, wanted)], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "-e", str(ROOT)], check=True)
    # Old libraries call what newer ones have deprecated, and leave files open.
    ignored = ("DeprecationWarning", "pytest.PytestUnraisableExceptionWarning")
    warnings = [word for name in ignored for word in ("-W", f"ignore::{name}")]
    tested = [python, "-m", "pytest", "-q", "-n", "0", *warnings, *TESTS]
    return subprocess.run(tested, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
