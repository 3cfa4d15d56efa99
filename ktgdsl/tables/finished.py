"""Reads finished runs from their folders: the scores of a node by seed. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.tables.difference import Difference, difference
from ktgdsl.training.result import NodeResult, RunResult, Score
from ktgdsl.training.resume_checks import last_recorded
from ktgdsl.training.run_files import FolderPath, folder_error, named_folder
from ktgdsl.training.run_folder import open_run_folder, require_result_of
from ktgdsl.vocabulary.spelling import closest

ACCURACY = "accuracy"


@dataclass(frozen=True)
class FinishedRun:
    """A node of a finished run: its score on the test split, in percent.

    `data` is the digest of the data's content, None where an older version noted none.
    """

    label: str
    plan: Plan
    result: RunResult
    node: str
    score: Score
    data: str | None

    @property
    def by_seed(self) -> Mapping[int, float]:
        """The score of each seed."""
        return dict(zip(self.result.seeds, self.score.runs, strict=True))

    def less(self, other: "FinishedRun") -> Difference:
        """The difference of its mean accuracy to that of another run."""
        return difference(self.by_seed, other.by_seed)


def result_of(folder: FolderPath) -> tuple[Plan, RunResult]:
    """The plan and the result of a finished run.

    Raises RunError (E502) when the folder is not that of a run, is damaged, or is not finished.
    """
    run = open_run_folder(named_folder(folder))
    plan, result = run.plan(), run.result()
    if result is None:
        message = f"the run {run.path} is not finished, so that it has no result yet"
        help = f"go on with it: `ktgc run --resume {quote(str(run.path))}`"
        raise folder_error(run.path, message, help)
    require_result_of(plan, result)
    return plan, result


def finished_run(
    folder: FolderPath, node: str | None = None, metric: str = ACCURACY
) -> FinishedRun:
    """A node of a finished run, the first target unless given, by the accuracy or a metric.

    Raises:
        RunError: as `result_of` (E502), and when the run has no such node or metric (E505).
    """
    plan, result = result_of(folder)
    name = result.target if node is None else node
    if name not in result.nodes:
        raise _lacks(result, f"node `{name}`", name, [*result.nodes], "its nodes are")
    metrics = _scores(result.nodes[name])
    if metric not in metrics:
        raise _lacks(result, f"metric `{metric}`", metric, [*metrics], "it measured")
    environment = open_run_folder(result.folder).environment()
    data = last_recorded(environment, "data") if "data" in environment else None
    return FinishedRun(str(named_folder(folder)), plan, result, name, metrics[metric], data)


def _scores(node: NodeResult) -> dict[str, Score]:
    return {ACCURACY: node.accuracy, **(node.metrics or {})}


def _lacks(result: RunResult, what: str, name: str, known: list[str], there: str) -> RunError:
    near = closest(name, known)
    help = f"did you mean `{near}`?" if near else f"{there} {', '.join(known)}"
    message = f"the run {result.folder} has no {what}"
    return RunError.single("E505", message, help=help, path=result.folder)


def untested_alike(runs: list[FinishedRun]) -> list[str]:
    """A sentence for each run whose data were others, so that numbers may not compare."""
    first, *others = runs
    notes = []
    for each in others:
        ours, theirs = str(each.plan.data.source), str(first.plan.data.source)
        if ours != theirs:
            notes.append(f"{each.label} was tested on {ours}, {first.label} on {theirs}")
        elif None not in (each.data, first.data) and each.data != first.data:
            notes.append(f"the {ours} of {each.label} are not those of {first.label}")
    return notes
