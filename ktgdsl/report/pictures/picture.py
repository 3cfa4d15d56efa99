"""Writes the picture of a plan in the format of a file's suffix; accuracies come from a run."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ktgdsl.compiler import load
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import KtgError, RunError
from ktgdsl.files import write_whole
from ktgdsl.plan.model import Plan
from ktgdsl.report.pictures.diagram import Diagram, diagram
from ktgdsl.report.pictures.dot import dot
from ktgdsl.report.pictures.layout import MOST, layout
from ktgdsl.report.pictures.mermaid import mermaid
from ktgdsl.report.pictures.svg import svg
from ktgdsl.searching.result import SearchResult
from ktgdsl.training.result import RunResult


def picture(plan: Plan, suffix: str, accuracies: Mapping[str, str] | None = None) -> bytes:
    """The content of a file with one of the suffixes of `FORMATS`.

    Raises KtgError (E504) where a drawing has no room for all nodes, or matplotlib is missing.
    """
    return FORMATS[suffix](diagram(plan, accuracies))


def drawable(plan: Plan) -> bool:
    """Whether a drawing has room for all nodes of a plan."""
    return len(diagram(plan).vertices) <= MOST


def write(path: str | Path, plan: Plan, accuracies: Mapping[str, str] | None = None) -> None:
    """Write the picture to a file, in the format of its suffix, whole or not at all.

    Raises what `picture` does, and KtgError (E001) where the file cannot be written.
    """
    content = picture(plan, Path(path).suffix, accuracies)
    try:
        write_whole(Path(path).resolve(), content)
    except OSError as error:
        message = f"`{path}` cannot be written: {error.strerror or error}"
        raise KtgError([Diagnostic("E001", message, path=str(path))]) from None


def of_run(folder: str | Path) -> tuple[Plan, dict[str, str]]:
    """The plan of a run's folder, and accuracies such as "72.88 ± 0.41" once it is finished.

    Of a search it is the best graph, and its target's accuracy on the validation split; the
    space as long as no trial is complete. Raises RunError (E502) where there is none of them.
    """
    folder = Path(folder)
    path = folder / "plan.json"
    if not path.is_file():
        message = f"{folder} is not the folder of a run: it has no plan.json"
        raise _unusable(folder, message, "name the folder that `ktgc run` wrote, or a spec")
    try:
        plan = Plan.from_json(path.read_bytes())
        path = folder / "result.json"
        text = path.read_text("utf-8") if path.is_file() else None
        if plan.space is not None:
            return _of_search(folder, plan, text)
        return plan, {} if text is None else _of_nodes(text, folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or of another version"
        raise _unusable(path, f"{path} cannot be read: {reason}") from None


def _of_nodes(result: str, folder: Path) -> dict[str, str]:
    nodes = RunResult.from_json(result, folder).nodes
    return {name: _told(node.accuracy.mean, node.accuracy.std) for name, node in nodes.items()}


def _of_search(folder: Path, space: Plan, result: str | None) -> tuple[Plan, dict[str, str]]:
    path = folder / "best.ktg"
    if not path.is_file():
        return space, {}
    plan = load(path)
    if result is None:
        return plan, {}
    found = SearchResult.from_json(result, folder)
    score = found.best.confirmed
    told = _told(found.best.value) if score is None else _told(score.mean, score.std)
    return plan, {found.target: told}


def _told(mean: float, deviation: float | None = None) -> str:
    return f"{mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")


def _unusable(path: Path, message: str, help: str | None = None) -> RunError:
    return RunError([Diagnostic("E502", message, help=help, path=str(path))])


def _svg(found: Diagram) -> bytes:
    _check_room(found)
    return svg(layout(found)).encode()


def _png(found: Diagram) -> bytes:
    from ktgdsl.report.pictures.png import png

    _check_room(found)
    return png(layout(found))


def _check_room(found: Diagram) -> None:
    if len(found.vertices) > MOST:
        message = f"a drawing has room for {MOST} nodes, and this graph has {len(found.vertices)}"
        fix = "x.mmd and x.dot take graphs of any size"
        raise KtgError([Diagnostic("E504", message, help=fix)])


FORMATS: dict[str, Callable[[Diagram], bytes]] = {
    ".svg": _svg,
    ".png": _png,
    ".mmd": lambda found: mermaid(found).encode(),
    ".dot": lambda found: dot(found).encode(),
}
