"""Registers HTML formatters of results with IPython; they are imported when first used."""

import warnings
from typing import Any

_DRAWN = {
    ("ktgdsl.training.result", "RunResult"): "run_html",
    ("ktgdsl.searching.result", "SearchResult"): "search_html",
    ("ktgdsl.searching.search_run", "SearchOutcome"): "outcome_html",
    ("ktgdsl.evaluation.result", "Evaluation"): "evaluation_html",
}
"""Classes by module and name, and the functions of `results` that draw them."""


def register(shell: Any) -> None:
    """Let a shell of IPython show results as HTML; a terminal still prints their text.

    Nor does it warn that tqdm, which Optuna imports and we do not use, would need ipywidgets.
    """
    warnings.filterwarnings("ignore", "IProgress not found", module="tqdm")
    formatter = shell.display_formatter.formatters["text/html"]
    for (module, name), drawing in _DRAWN.items():
        formatter.for_type_by_name(module, name, _drawing(drawing))


def _drawing(name: str) -> Any:
    def draw(result: Any) -> str:
        from ktgdsl.report.notebook import results

        text: str = getattr(results, name)(result)
        return text

    return draw
