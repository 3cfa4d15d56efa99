"""What a search's result is judged by: baselines at the same epochs, and further seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import (
    Call,
    Constant,
    Edge,
    Graph,
    Labels,
    Node,
    NodeOutput,
    Part,
    Plan,
    Term,
)
from ktgdsl.searching.result import Unjudged
from ktgdsl.searching.study import values_of
from ktgdsl.searching.trial_plans import labels, trial_plan
from ktgdsl.training.result import Score

ALONE = "target alone, on labels"
OPEN = "all gates through"

FINALISTS = 3


@dataclass(frozen=True)
class Check:
    """A training beside the trials: what it is of, its plan and its seed."""

    name: str
    plan: Plan
    seed: int

    @property
    def key(self) -> str:
        """What its value is noted under."""
        return f"{self.name} / {self.seed}"


def leaders(trials: Sequence[FrozenTrial], count: int = FINALISTS) -> list[FrozenTrial]:
    """The best trials, the best first: complete ones, or else those that came furthest.

    Of equal values the earlier trial's graph is taken.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if complete:
        return sorted(complete, key=lambda t: (-(t.value or 0.0), t.number))[:count]
    begun = [(values_of(t), t) for t in trials if t.intermediate_values]

    def rank(entry: tuple[dict[int, float], FrozenTrial]) -> tuple[int, float, int]:
        values, trial = entry
        return -max(values), -values[max(values)], trial.number

    return [trial for _, trial in sorted(begun, key=rank)[:count]]


def seeds(plan: Plan) -> tuple[int, ...]:
    """The seeds of the checks: as many as confirm the finalists, else one."""
    assert plan.search is not None
    count = max(1, plan.search.confirm)
    return tuple(derive(plan.train.seed, "confirm", i) % 2**31 for i in range(count))


def baselines(plan: Plan, best: FrozenTrial) -> dict[str, Plan]:
    """What a graph has to be better than, at the epochs of a trial.

    The target alone on the labels, and the best trial's networks with every gate that was
    searched open; the latter only where a gate was searched that can be `through`.
    """
    found = trial_plan(plan, best.params)
    assert found is not None
    assert plan.space is not None
    assert plan.search is not None
    networks = {node.name: node for node in found.graph.nodes}
    target = networks.get(plan.search.node)
    plans = {} if target is None else {ALONE: _alone(found, target)}
    opened = {d.name: "through" for d in plan.space.draws if "through" in labels(d)}
    if opened and (every := trial_plan(plan, {**best.params, **opened})) is not None:
        plans[OPEN] = every
    return plans


def _alone(plan: Plan, target: Node) -> Plan:
    """The target and its edge from the labels, and nothing else."""
    supervised = Part(coefficient=1.0, loss=Call(name="ce", arguments={"smoothing": 0.0}))
    edge = Edge(
        source=Labels(),
        destination=NodeOutput(node=target.name),
        terms=(Term(parts=(supervised,), gate=Constant(value=1.0)),),
    )
    graph = Graph(name=plan.graph.name, targets=(target.name,), nodes=(target,), edges=(edge,))
    return plan.model_copy(update={"graph": graph, "phases": ()})


def confirmations(plan: Plan, finalists: Sequence[FrozenTrial]) -> list[Check]:
    """The finalists with further seeds, where the search says so."""
    assert plan.search is not None
    if not plan.search.confirm:
        return []
    checks = []
    for trial in finalists:
        found = trial_plan(plan, trial.params)
        assert found is not None
        checks += [Check(name_of(trial), found, seed) for seed in seeds(plan)]
    return checks


def name_of(trial: FrozenTrial) -> str:
    """What the training of a finalist with further seeds is called."""
    return f"trial {trial.number}"


def scores(noted: Mapping[str, float | str], names: Sequence[str]) -> dict[str, Score]:
    """What was noted, by name; trainings without a value are left out: see `unjudged`."""
    found = {}
    for name in names:
        values = [v for k, v in _of(noted, name).items() if not isinstance(v, str)]
        if values:
            found[name] = Score.of(values)
    return found


def unjudged(noted: Mapping[str, float | str], names: Sequence[str]) -> tuple[Unjudged, ...]:
    """The trainings of these names that gave no value, and why."""
    return tuple(
        Unjudged(name=name, seed=seed, reason=reason)
        for name in names
        for seed, reason in _of(noted, name).items()
        if isinstance(reason, str)
    )


def _of(noted: Mapping[str, float | str], name: str) -> dict[int, float | str]:
    """What was noted of a name, by seed."""
    keys = ((key.rpartition(" / "), value) for key, value in noted.items())
    return {int(seed): value for (of, _, seed), value in keys if of == name}
