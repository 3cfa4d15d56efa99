"""Builds the result of a search, and writes its best graphs and networks."""

from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial

from ktgdsl.files import sha256
from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan, SearchPlan
from ktgdsl.searching.checks import baselines, check_name, leaders, scores, tied_trials, unjudged
from ktgdsl.searching.folder import STATES, SearchFolder
from ktgdsl.searching.front import has_several_values
from ktgdsl.searching.kept_trials import keep_networks
from ktgdsl.searching.result import Finalist, FrontTrial, PrunedTrial, SearchResult, Teacher
from ktgdsl.searching.study.study import (
    DIGEST,
    GRAPH,
    SEED,
    Study,
    attribute,
    standing_of,
    values_of,
)
from ktgdsl.training.result import Score


def build_result(
    plan: Plan,
    folder: SearchFolder,
    study: Study,
    finalists: Sequence[FrozenTrial],
    seconds: float,
    *,
    exhausted: bool,
) -> SearchResult:
    """Build the result of a search whose trials and checks have ended.

    Writes the specs of the best graphs, and deletes all trained networks but those of the best
    trials. Raises RunError (E502) where a file cannot be written.
    """
    assert plan.search is not None
    settings, trials, checked = plan.search, study.trials, study.checks
    names = [check_name(trial) for trial in finalists]
    against = list(baselines(plan, finalists[0]))
    confirmed = scores(checked, names)
    if confirmed and not settings.goals:
        means = {name: score.mean for name, score in confirmed.items()}
        finalists = sorted(finalists, key=lambda trial: -means.get(check_name(trial), 0.0))
    best_trials = leaders(trials, len(trials)) if settings.goals else finalists
    specs = []
    for place, trial in enumerate(best_trials, start=1):
        name = f"{'front' if settings.goals else 'top'}/{place:02}.ktg"
        folder.write_graph(name, plan, trial, confirmed.get(check_name(trial)))
        specs.append(name)
    equals = tied_trials(trials, finalists, confirmed)
    score = confirmed.get(check_name(finalists[0]))
    best = folder.write_graph("best.ktg", plan, finalists[0], score, equals)
    states = [STATES[trial.state] for trial in trials]
    return SearchResult(
        folder=folder.path,
        target=settings.node,
        metric=settings.objective.name,
        head=settings.head,
        finalists=tuple(
            _finalist(trial, spec, confirmed) for trial, spec in zip(finalists, specs, strict=False)
        ),
        tied=equals,
        best_sha256=sha256(best.read_bytes()),
        complete=STATES[finalists[0].state] == "complete",
        trials=len(trials),
        states={state: states.count(state) for state in sorted(set(states))},
        baselines=scores(checked, against),
        unjudged=unjudged(checked, [*names, *against]),
        kept=_kept_networks(plan, folder, trials, finalists),
        pruned=_pruned(trials),
        objectives=tuple(map(str, goals_of(settings))),
        front=_front(settings, best_trials, specs),
        teachers=tuple(map(Teacher.model_validate, study.teachers)),
        validation_samples=plan.data.held_out_samples,
        test_samples=plan.data.known_facts.test_samples if settings.judged_on == "test" else None,
        epochs=settings.epochs,
        epochs_trained=sum(max(values_of(trial), default=0) for trial in trials),
        seconds=round(seconds, 3),
        exhausted=exhausted,
    )


def _kept_networks(
    plan: Plan,
    folder: SearchFolder,
    trials: Sequence[FrozenTrial],
    finalists: Sequence[FrozenTrial],
) -> tuple[str, ...]:
    """Keep the networks of the best trials, in the order after checks with further seeds.

    Returns their folders, relative to the search's folder, best first.
    """
    count = 0 if plan.search is None else plan.search.keep
    if not count:
        return ()
    others = leaders(trials, count + len(finalists))
    numbers = {trial.number for trial in finalists}
    best = [*finalists, *(each for each in others if each.number not in numbers)][:count]
    keep_networks(plan, folder, trials, best)
    kept = (folder.kept_trial(trial.number) for trial in best)
    return tuple(each.relative_to(folder.path).as_posix() for each in kept if each.exists())


def _pruned(trials: Sequence[FrozenTrial]) -> tuple[PrunedTrial, ...]:
    standings = ((trial.number, standing_of(trial)) for trial in trials)
    return tuple(
        PrunedTrial(trial=number, **standing.model_dump())
        for number, standing in standings
        if standing is not None
    )


def _front(
    settings: SearchPlan, trials: Sequence[FrozenTrial], specs: Sequence[str]
) -> tuple[FrontTrial, ...]:
    """The Pareto front; empty without a complete trial or with a single objective."""
    goals = goals_of(settings)
    return tuple(
        FrontTrial(
            trial=trial.number,
            values={
                goal.measure: int(-value) if goal.is_cost else value
                for goal, value in zip(goals, trial.values, strict=True)
            },
            seed=int(attribute(trial, SEED)),
            digest=str(attribute(trial, DIGEST)),
            canonical_digest=str(attribute(trial, GRAPH)),
            spec=spec,
        )
        for trial, spec in zip(trials, specs, strict=True)
        if has_several_values(trial)
    )


def _finalist(trial: FrozenTrial, spec: str, confirmed: Mapping[str, Score]) -> Finalist:
    values = values_of(trial)
    epoch = max(values)
    return Finalist(
        trial=trial.number,
        value=values[epoch],
        epochs=epoch,
        seed=int(attribute(trial, SEED)),
        digest=str(attribute(trial, DIGEST)),
        canonical_digest=str(attribute(trial, GRAPH)),
        spec=spec,
        confirmed=confirmed.get(check_name(trial)),
    )
