"""ktgdsl: a language for knowledge transfer graphs (Minami et al., ACCV 2020).

`load` a spec, `build` its training graph for a loop of your own, `run` it, or `search` a
space for the best one. Names are imported when they are first used, so that checking a spec
never waits for torch.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ktgdsl.backend.graph import TrainingGraph as TrainingGraph
    from ktgdsl.backend.graph import build as build
    from ktgdsl.backend.output import Output as Output
    from ktgdsl.compiler import check as check
    from ktgdsl.compiler import load as load
    from ktgdsl.compiler import loads as loads
    from ktgdsl.diagnostics.diagnostic import Diagnostic as Diagnostic
    from ktgdsl.errors import KtgError as KtgError
    from ktgdsl.errors import RunError as RunError
    from ktgdsl.errors import SpecError as SpecError
    from ktgdsl.evaluation.evaluate import evaluate as evaluate
    from ktgdsl.evaluation.result import Evaluation as Evaluation
    from ktgdsl.exporting.export import export as export
    from ktgdsl.plan.model import Plan as Plan
    from ktgdsl.report.curves.shown import curves as curves
    from ktgdsl.report.notebook.progress import progress as progress
    from ktgdsl.searching.search import search as search
    from ktgdsl.searching.search_run import SearchOutcome as SearchOutcome
    from ktgdsl.searching.shared.joined_search import join as join
    from ktgdsl.tracking.log import log_to as log_to
    from ktgdsl.training.datasets.read import complete as complete
    from ktgdsl.training.networks import load_network as load_network
    from ktgdsl.training.prepare import stepper as stepper
    from ktgdsl.training.run import resume as resume
    from ktgdsl.training.run import run as run

_MODULES = {
    "Diagnostic": "ktgdsl.diagnostics.diagnostic",
    "Evaluation": "ktgdsl.evaluation.result",
    "KtgError": "ktgdsl.errors",
    "Output": "ktgdsl.backend.output",
    "Plan": "ktgdsl.plan.model",
    "RunError": "ktgdsl.errors",
    "SearchOutcome": "ktgdsl.searching.search_run",
    "SpecError": "ktgdsl.errors",
    "TrainingGraph": "ktgdsl.backend.graph",
    "build": "ktgdsl.backend.graph",
    "check": "ktgdsl.compiler",
    "complete": "ktgdsl.training.datasets.read",
    "curves": "ktgdsl.report.curves.shown",
    "evaluate": "ktgdsl.evaluation.evaluate",
    "export": "ktgdsl.exporting.export",
    "join": "ktgdsl.searching.shared.joined_search",
    "load": "ktgdsl.compiler",
    "load_network": "ktgdsl.training.networks",
    "loads": "ktgdsl.compiler",
    "log_to": "ktgdsl.tracking.log",
    "progress": "ktgdsl.report.notebook.progress",
    "resume": "ktgdsl.training.run",
    "run": "ktgdsl.training.run",
    "search": "ktgdsl.searching.search",
    "stepper": "ktgdsl.training.prepare",
}
__all__ = [*_MODULES]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # slow to import

        try:
            return version("ktgdsl")
        except PackageNotFoundError:
            return "unknown"
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
        if name in ("Plan", "load", "loads"):
            _draw_plans()
        globals()[name] = value
        return value
    raise AttributeError(f"module 'ktgdsl' has no attribute {name!r}")


def _draw_plans() -> None:
    """Let plans show their picture in a notebook."""
    from ktgdsl.plan.model import Plan

    Plan.svg_renderer = staticmethod(_svg)


def _svg(plan: "Plan") -> str | None:
    from ktgdsl.report.pictures.picture import notebook_svg

    return notebook_svg(plan)


def _show_results() -> None:
    """Let results show themselves, where this is imported in a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        from ktgdsl.report.notebook.formats import register

        register(shell)


_show_results()


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, "__version__"])
