"""Reads from the folder of a run or a search what its picture shows: a plan and accuracies."""

from pathlib import Path

from ktgdsl.compiler import load
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.training.run_folder import RunFolder, require_result_of


def plan_and_accuracies(folder: str | Path) -> tuple[Plan, dict[str, str]]:
    """The plan of a run's folder, and accuracies such as "72.88 ± 0.41" once it is finished.

    For a search: the best graph, with its target's accuracy in the search, or the
    space while no trial is complete. Raises RunError (E502) where the folder holds neither, and
    where a file in it is damaged or was changed.
    """
    folder = Path(folder)
    path = folder / "plan.json"
    if not path.is_file():
        message = f"{folder} is not the folder of a run: it has no plan.json"
        raise _unreadable(folder, message, "name the folder that `ktgc run` wrote, or a spec")
    run = RunFolder(folder)
    plan = run.plan()
    if plan.space is not None:
        return _best_of_search(SearchFolder(folder), plan)
    result = run.result()
    if result is None:
        return plan, {}
    require_result_of(plan, result)
    nodes = result.nodes.items()
    return plan, {name: _text(node.accuracy.mean, node.accuracy.std) for name, node in nodes}


def _best_of_search(folder: SearchFolder, space: Plan) -> tuple[Plan, dict[str, str]]:
    path = folder.path / "best.ktg"
    if not path.is_file():
        return space, {}
    plan, search = load(path), folder.result()
    if search is None:
        return plan, {}
    score = search.best.confirmed
    accuracy = _text(search.best.value) if score is None else _text(score.mean, score.std)
    return plan, {search.target: accuracy}


def _text(mean: float, deviation: float | None = None) -> str:
    return f"{mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")


def _unreadable(path: Path, message: str, help: str | None = None) -> RunError:
    return RunError([Diagnostic("E502", message, help=help, path=str(path))])
