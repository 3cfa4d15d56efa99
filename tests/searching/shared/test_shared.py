"""A search that processes share in a PostgreSQL database: what each gets, and what is lost."""

import random
import signal
import time
from pathlib import Path
from threading import Timer
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError

from ktgdsl.cli import main as cli
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.searching.events import Event, TrialEnded
from ktgdsl.searching.shared import claims, database, joined_coordinator, participation, retries
from ktgdsl.searching.shared.claims import PROCESSES, TRIALS
from ktgdsl.searching.shared.joined_coordinator import JoinedCoordinator
from ktgdsl.searching.shared.shared_study import SharedStudy
from ktgdsl.searching.shared.shared_trials import ClaimedTrial, ClaimLostError
from ktgdsl.searching.study.pruning import LOST, PRUNED, is_rung
from ktgdsl.searching.study.study import GRAPH, Study, values_of
from ktgdsl.searching.study.trial_plans import trial_plan
from ktgdsl.searching.workers.protocol import Message
from tests.forked import Forked
from tests.searching.shared.postgres import PASSWORD, Server
from tests.searching.test_coordinator import SPACE, Pretence, account, searched
from tests.specs import sound


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "BACKOFF", (0.1,))
    monkeypatch.setattr(joined_coordinator, "POLL_SECONDS", 0.2)


def space(name: str, trials: int = 12, more: str = "") -> Plan:
    return sound(SPACE.format(trials=trials, more=more).replace("graph g", f"graph {name}"))


def shared(plan: Plan, address: str, *, join: bool = True) -> SharedStudy:
    return SharedStudy(plan, {"the space": plan.graph.name}, address, join=join)


def claimed(study: SharedStudy) -> ClaimedTrial:
    found = study.claim()
    assert found is not None
    return found


def take_part(plan: Plan, study: SharedStudy, pool: Any) -> list[Event]:
    events: list[Event] = []
    with study.participating():
        JoinedCoordinator(plan, study, events.append, improved=lambda _: None).trials(pool)
    return events


@pytest.mark.parametrize(
    "sampler",
    [
        "random",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("tpe", "nsga2(population=4)", "all")),
    ],
)
def test_one_process_makes_the_trials_of_a_search_without_a_database(
    postgres: Server, tmp_path: Path, sampler: str
) -> None:
    plan = space(f"one_{sampler[:3]}", trials=6, more=f"sampler = {sampler}")
    study = shared(plan, postgres.address)
    events = take_part(plan, study, Pretence(1))
    alone = searched(tmp_path / "alone", plan, Pretence(1))
    assert account(study) == account(alone)
    assert [each.trial for each in events if isinstance(each, TrialEnded)] == list(range(6))
    copied = study.finish(tmp_path / "copied")
    assert account(copied) == account(Study(tmp_path / "copied", plan.graph.name)) == account(alone)
    assert copied.seconds == study.seconds > 0


def test_each_process_gets_trials_of_its_own_within_the_budget(postgres: Server) -> None:
    plan = space("own", trials=5)
    first, second = (shared(plan, postgres.address) for _ in range(2))
    with first.participating(), second.participating():
        got = [claimed(study) for study in (first, second, first, second, second)]
        assert [each.number for each in got] == list(range(5))
        assert len({each.plan.canonical_digest for each in got}) == 5
        assert first.claim() is None
        assert not first.is_over
    again = shared(plan, postgres.address)
    with again.participating():
        taken = [claimed(again) for _ in range(5)]  # they were given back
        assert [(each.number, each.attempt) for each in taken] == [(n, 1) for n in range(5)]
        assert [each.params for each in taken] == [each.params for each in got]
        for each in taken:
            again.fail(each.number, "a reason")
        assert again.is_over


def test_the_tables_themselves_hold_the_budget_and_that_no_graph_comes_twice(
    postgres: Server,
) -> None:
    plan = space("held", trials=2)
    study = shared(plan, postgres.address)
    with study.participating():
        graph = claimed(study).plan.canonical_digest
        claims = study._claims
        for number, known in ((2, "another graph"), (-1, "another graph"), (1, graph), (0, "new")):
            with pytest.raises(IntegrityError), study._database.engine.begin() as connection:
                claims.add(connection, number, 2, known, 1)


def test_a_lost_trial_begins_again_without_its_rungs(postgres: Server) -> None:
    plan = space("lost", trials=3)
    lost, alive = (shared(plan, postgres.address) for _ in range(2))
    first = claimed(lost)  # which never gives a sign of life
    assert lost.report(first.number, 1, 90.0, last=False) == TrialState.RUNNING
    with alive.participating():
        again = claimed(alive)
        assert (again.number, again.params, again.seed) == (0, first.params, first.seed)
        assert again.attempt == 2
        old, new = alive.optuna.get_trials()
        assert old.state == TrialState.FAIL
        assert [name for name in old.system_attrs if is_rung(name)]
        assert new.intermediate_values == {}
        assert not [name for name in new.system_attrs if is_rung(name)]
        assert LOST not in new.user_attrs
        with pytest.raises(ClaimLostError):
            lost.report(first.number, 2, 95.0, last=False)
        other = claimed(alive)
        # The 90 % of the lost one count no longer, so this is the best so far.
        assert alive.report(other.number, 1, 50.0, last=False) == TrialState.RUNNING
        assert alive.report(again.number, 1, 40.0, last=False) == TrialState.PRUNED
        standing = alive.standing(again.number)
        assert standing is not None
        assert (standing.place, standing.values) == (2, 2)
    assert [trial.number for trial in alive.trials] == [0, 1]


def test_a_trial_that_is_lost_too_often_fails(postgres: Server) -> None:
    plan = space("often", trials=1)
    for attempt in (1, 2, 3):
        assert claimed(shared(plan, postgres.address)).attempt == attempt
    study = shared(plan, postgres.address)
    with study.participating():
        assert study.claim() is None
        (trial,) = study.trials
        assert trial.state == TrialState.FAIL
        assert trial.user_attrs["reason"] == "3 processes were lost with it"
        assert study.is_over


@pytest.mark.slow
def test_a_process_that_comes_back_drops_what_was_taken_from_it(postgres: Server) -> None:
    plan = space("back", trials=1)
    late, other = (shared(plan, postgres.address) for _ in range(2))
    taken: list[ClaimedTrial] = []

    class Suspended(Pretence):
        def wait(self, timeout: float | None = None) -> list[Message]:
            messages = super().wait(timeout)
            if not taken:
                with late._database.engine.begin() as connection:
                    connection.execute(PROCESSES.delete())
                with other.participating():
                    taken.append(claimed(other))
                    other.fail(0, "it diverged there")
            return messages

    pool = Suspended(1)
    events = take_part(plan, late, pool)
    assert [each.reason for each in events if isinstance(each, TrialEnded)] == ["it diverged there"]
    assert not pool.under_way


@pytest.mark.parametrize(
    "sampler",
    ["random", *(pytest.param(s, marks=pytest.mark.slow) for s in ("tpe", "nsga2(population=4)"))],
)
def test_trials_that_another_program_queues_are_trained(postgres: Server, sampler: str) -> None:
    plan = space(f"queued_{sampler[:3]}", trials=4, more=f"sampler = {sampler}")
    study = shared(plan, postgres.address)
    notes: list[str] = []
    study.retries.notify = notes.append
    other = optuna.load_study(study_name=plan.graph.name, storage=study.optuna._storage)
    with study.participating():
        first = claimed(study)
        gates = {"label->a": "through", "label->b": "through", "a->b": "linear", "b->a": "correct"}
        whole = {f"edge.{edge}.gate": gate for edge, gate in gates.items()}
        for values in (
            {"edge.b->a.gate": "linear"},
            whole,
            whole,
            {"lr": 1},
            {"edge.a->b.gate": 1},
        ):
            other.enqueue_trial(values)
        some, all_of_them, usual = (claimed(study) for _ in range(3))
        assert some.params["edge.b->a.gate"] == "linear"
        assert all_of_them.params == whole
        assert notes == [
            f"a trial that another program has queued is not trained: {reason}"
            for reason in (
                "it has no valid graph that is new",
                "lr = 1 is not in the space",
                "edge.a->b.gate = 1 is not in the space",
            )
        ]
        assert study.claim() is None
        for each in (first, some, all_of_them, usual):
            plan_there = trial_plan(plan, study.trials[each.number].params)
            assert plan_there is not None
            assert plan_there.digest == each.plan.digest
            assert study.report(each.number, 5, 50.0, last=True) == TrialState.COMPLETE
        assert study.is_over
        assert [trial.number for trial in study.trials] == list(range(4))


def test_checks_are_shared_too(postgres: Server) -> None:
    plan = space("checked", trials=1)
    lost, first, second = (shared(plan, postgres.address) for _ in range(3))
    keys = ["alone / 1", "open / 2"]
    assert lost.claim_check(keys) == "alone / 1"
    with first.participating(), second.participating():
        assert first.claim_check(keys) == "alone / 1"
        assert second.claim_check(keys) == "open / 2"
        assert second.claim_check(["alone / 1"]) is None
        first.set_check("alone / 1", 50.0)
        lost.set_check("alone / 1", 60.0)  # which comes too late
        assert second.checks == {"alone / 1": 50.0}
        assert second.claim_check(["alone / 1"]) is None


@pytest.mark.slow
def test_a_space_without_further_graphs_ends_the_search_of_all(postgres: Server) -> None:
    text = "graph few { node a = resnet8 target a edge label -> a via through | linear }"
    plan = sound(f"{text} data digits search {{ trials = 9 }}")
    study = shared(plan, postgres.address)
    pool = Pretence(2)
    take_part(plan, study, pool)
    assert len(study.trials) == 2
    again = shared(plan, postgres.address)
    assert again.claim() is None
    assert again.closed == "exhausted"
    assert again.is_over


def test_a_search_of_another_kind_is_refused(postgres: Server) -> None:
    plan = space("kind")
    shared(plan, postgres.address, join=False)
    with pytest.raises(RunError, match="has the search 'kind' already") as error:
        shared(plan, postgres.address, join=False)
    assert error.value.diagnostics[0].code == "E511"
    with pytest.raises(RunError, match="differs in the data and the version"):
        SharedStudy(
            plan, {"the data": "1", "the version of ktgdsl": "2"}, postgres.address, join=True
        )


@pytest.mark.slow
def test_a_database_that_goes_away_is_waited_for(postgres: Server) -> None:
    plan = space("away", trials=2)
    study = shared(plan, postgres.address)
    notes: list[str] = []
    study.retries.notify = notes.append
    with study.participating():
        one = claimed(study)
        study.report(one.number, 1, 50.0, last=False)
        postgres.stop()
        back = Timer(1.0, postgres.start)
        back.start()
        assert study.report(one.number, 2, 60.0, last=False) == TrialState.RUNNING
        back.join()
        assert claimed(study).number == 1
        assert study.trials[0].intermediate_values == {1: 50.0, 2: 60.0}
    assert len(notes) == 1
    assert notes[0].startswith("the database is away, and tried again: ")


@pytest.mark.slow
def test_a_database_that_stays_away_ends_it(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = shared(space("gone"), postgres.address)
    monkeypatch.setattr(retries, "GIVE_UP_AFTER", 0.2)
    postgres.stop()
    try:
        with pytest.raises(RunError, match="cannot be used: connection") as error:
            study.claim()
        assert error.value.diagnostics[0].code == "E511"
    finally:
        postgres.start()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("sqlite:///x.db", "not in one of `sqlite`"),
        ("mysql://u:s3cret@h/d", "not in one of `mysql`"),
        ("postgresql://u:s3cret@h:port/d", "cannot be read"),
        ("postgresql://u:x@s3cret@h/d", "cannot be read"),
        ("postgresql://u:x@y/s3cret@h/d", "cannot be read"),
        ("searches", "cannot be read"),
        ("postgresql://u:s3cret@127.0.0.1:9/d", "connection"),
        ("postgresql://u@127.0.0.1:9/d?password=s3cret", "connection"),
        ("postgresql://u@127.0.0.1:9/d?sslpassword=s3cret", "connection"),
    ],
)
def test_what_is_no_database_is_refused_without_its_password(address: str, message: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(RunError, match=message) as error:
        shared(space("none"), address)
    assert error.value.diagnostics[0].code == "E511"
    assert PASSWORD not in str(error.value)


def test_a_wrong_password_is_reported_and_not_shown(postgres: Server) -> None:
    address = postgres.address.replace("ktg@", "careful:wrong-one@")
    with pytest.raises(RunError, match="password authentication failed") as error:
        shared(space("wrong"), address)
    assert "wrong-one" not in str(error.value)
    assert f"postgresql://careful@127.0.0.1:{postgres.port}" in str(error.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "find_spec", lambda _: None)
    with pytest.raises(RunError, match="needs psycopg") as error:
        shared(space("driver"), "postgresql://h/d")
    assert error.value.diagnostics[0].code == "E504"


class Slow(Pretence):
    """A pool whose trainings take a while."""

    def wait(self, timeout: float | None = None) -> list[Message]:
        time.sleep(0.3)
        return super().wait(timeout)


def join_and_die(plan: str, address: str) -> int:
    """A process of a search, to be killed."""
    participation.BEAT, claims.HEARTBEAT_TIMEOUT = 0.5, 4.0
    retries.BACKOFF, claims.MAX_ATTEMPTS = (0.2,) * 4, 1000
    joined_coordinator.POLL_SECONDS = 0.5
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    space = Plan.from_json(plan)
    take_part(space, shared(space, address), Slow(1))
    return 0


def disturb(plan: Plan, address: str, count: int, most: int, seed: int) -> tuple[int, int]:
    """A search of so many processes; how many of them were killed, and suspended, `most` in all."""
    chance = random.Random(seed)
    text, seen = plan.to_json(), shared(plan, address)

    def another() -> Forked:
        return Forked(join_and_die, text, address)

    processes = [another() for _ in range(count)]
    killed = suspended = 0
    while any(each.poll() is None for each in processes):
        time.sleep(chance.uniform(0.1, 0.5))
        place = chance.randrange(count)
        under_way = [trial for trial in seen.trials if not trial.state.is_finished()]
        if not under_way or killed + suspended == most or processes[place].poll() is not None:
            continue
        if chance.random() < 0.2:  # for longer than it may be silent
            suspended += 1
            processes[place].send_signal(signal.SIGSTOP)
            Timer(6.0, processes[place].send_signal, [signal.SIGCONT]).start()
        else:
            killed += 1
            processes[place].kill()
            processes[place] = another()
    assert [each.poll() for each in processes] == [0] * count
    return killed, suspended


def assert_undisturbed(study: SharedStudy, plan: Plan, folder: Path) -> int:
    """Each trial of the budget is there once, as in a search of one process; how many were lost.

    Who is pruned depends on which values come first, but not what a graph is worth.
    """
    assert plan.search is not None
    unpruned = {"pruner": plan.search.pruner.model_copy(update={"name": "none", "arguments": {}})}
    search = plan.search.model_copy(update=unpruned)
    alone = searched(folder, plan.model_copy(update={"search": search}), Pretence(1))
    for trial, whole in zip(study.trials, alone.trials, strict=True):
        assert (trial.number, trial.params) == (whole.number, whole.params)
        kept = {name: each for name, each in trial.user_attrs.items() if name != PRUNED}
        assert kept == whole.user_attrs  # the graph, its digest and the seed
        reports = values_of(trial)
        assert reports == {epoch: values_of(whole)[epoch] for epoch in range(1, len(reports) + 1)}
        is_whole = len(reports) == len(values_of(whole))
        assert trial.state == (TrialState.COMPLETE if is_whole else TrialState.PRUNED)
    budget = plan.search.trials
    assert len({trial.user_attrs[GRAPH] for trial in study.trials}) == budget
    with study._database.engine.begin() as connection:
        lines = connection.execute(TRIALS.select().where(TRIALS.c.study_id == study._claims._study))
        assert len(lines.all()) == budget
    every = study.optuna.get_trials(deepcopy=False)
    assert all(trial.state.is_finished() for trial in every)
    assert sum(LOST not in trial.user_attrs for trial in every) == budget
    return len(every) - budget


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "pruner"), [(0, "asha"), (1, "asha"), (2, "none")])
def test_eight_processes_may_be_killed_at_random(
    postgres: Server, tmp_path: Path, seed: int, pruner: str
) -> None:
    plan = space(f"eight{seed}", trials=40, more=f"pruner = {pruner}")
    killed, suspended = disturb(plan, postgres.address, count=8, most=20, seed=seed)
    lost = assert_undisturbed(shared(plan, postgres.address), plan, tmp_path / "alone")
    print(f"{killed} killed, {suspended} suspended, {lost} trials begun again")
    assert killed + suspended == 20
    assert lost > 0


def test_the_command_refuses_what_does_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KTGDSL_STORAGE", raising=False)
    assert cli.main(["search", "specs/space.ktg", "--join"]) == 2
    assert "--join needs the database" in capsys.readouterr().err
    assert cli.main(["search", "specs/space.ktg", "--emit", "k8s"]) == 2
    assert "--image" in capsys.readouterr().err
