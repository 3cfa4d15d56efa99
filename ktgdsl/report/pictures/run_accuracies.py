"""Reads from the folder of a run or a search what its picture shows: a plan and accuracies."""

from pathlib import Path

from ktgdsl.compiler import load
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.searching.result import SearchResult
from ktgdsl.training.result import RunResult
from ktgdsl.training.run_folder import RunFolder


def plan_and_accuracies(folder: str | Path) -> tuple[Plan, dict[str, str]]:
    """The plan of a run's folder, and accuracies such as "72.88 ± 0.41" once it is finished.

    For a search: the best graph, with its target's accuracy in the search, or the
    space while no trial is complete. Raises RunError (E502) where the folder holds neither,
    and where the plan is not the one that was written there.
    """
    folder = Path(folder)
    path = folder / "plan.json"
    if not path.is_file():
        message = f"{folder} is not the folder of a run: it has no plan.json"
        raise _unreadable(folder, message, "name the folder that `ktgc run` wrote, or a spec")
    try:
        # What is no whole folder of a run has nothing to check its plan by.
        noted = (folder / "environment.json").is_file()
        plan = RunFolder(folder).plan() if noted else Plan.from_json(path.read_bytes())
        path = folder / "result.json"
        result = path.read_text("utf-8") if path.is_file() else None
        if plan.space is not None:
            return _best_of_search(folder, plan, result)
        return plan, {} if result is None else _node_accuracies(result, folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or of another version"
        raise _unreadable(path, f"{path} cannot be read: {reason}") from None


def _node_accuracies(result: str, folder: Path) -> dict[str, str]:
    nodes = RunResult.from_json(result, folder).nodes
    return {name: _text(node.accuracy.mean, node.accuracy.std) for name, node in nodes.items()}


def _best_of_search(folder: Path, space: Plan, result: str | None) -> tuple[Plan, dict[str, str]]:
    path = folder / "best.ktg"
    if not path.is_file():
        return space, {}
    plan = load(path)
    if result is None:
        return plan, {}
    search = SearchResult.from_json(result, folder)
    score = search.best.confirmed
    accuracy = _text(search.best.value) if score is None else _text(score.mean, score.std)
    return plan, {search.target: accuracy}


def _text(mean: float, deviation: float | None = None) -> str:
    return f"{mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")


def _unreadable(path: Path, message: str, help: str | None = None) -> RunError:
    return RunError([Diagnostic("E502", message, help=help, path=str(path))])
