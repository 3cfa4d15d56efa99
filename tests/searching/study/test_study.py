"""The journal of a search: what it keeps, and what a kill leaves of it."""

import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalStorageReplayResult
from optuna.trial import TrialState

from ktgdsl.errors import RunError
from ktgdsl.searching.study.journal import FOLLOWING, quarantine
from ktgdsl.searching.study.pruning import pruner_of
from ktgdsl.searching.study.sampling import DistinctSampler
from ktgdsl.searching.study.study import GRAPH, REASON, SEED, Study, attribute, values_of
from tests.specs import sound

SPACE = "graph g { node a = resnet8 target a edge label -> a via through | linear | correct }"


def opened(path: Path, more: str = "") -> Study:
    """The study of a search in that journal."""
    plan = sound(SPACE + f"train {{ epochs = 2 }} search {{ dedupe = false {more} }}")
    assert plan.search is not None
    return Study(path, "g", DistinctSampler(plan), pruner_of(plan.search))


def journal(path: Path, trials: int = 2) -> Study:
    """A study with a trial that is complete, one that is pruned, and so on in turn."""
    study = opened(path)
    for number in range(trials):
        study.ask(seed=100 + number)
        study.report(number, 1, 50.0 - number % 2, last=False)
        if not number % 2:
            study.report(number, 2, 60.0 + number, last=True)
    return study


def test_a_trial_is_there_with_all_about_it(tmp_path: Path) -> None:
    journal(tmp_path / "study.journal")
    again = Study(tmp_path / "study.journal", "g")
    one, other = again.trials
    assert (one.number, one.state, one.value) == (0, TrialState.COMPLETE, 60.0)
    assert values_of(one) == {1: 50.0, 2: 60.0}
    assert other.state == TrialState.PRUNED
    assert attribute(other, SEED) == 101
    assert len(attribute(one, GRAPH)) == 64
    assert set(one.params) == {"edge.label->a.gate"}


def test_any_program_of_optuna_s_can_open_it(tmp_path: Path) -> None:
    """As optuna-dashboard does, without anything of ours."""
    path = tmp_path / "study.journal"
    journal(path, trials=3)
    study = optuna.load_study(study_name="g", storage=JournalStorage(JournalFileBackend(str(path))))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert study.best_value == 62.0
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE


def test_why_a_trial_failed_is_kept(tmp_path: Path) -> None:
    study = journal(tmp_path / "study.journal", trials=1)
    study.ask(seed=0)
    study.fail(1, "diverged: a loss became nan")
    (failed,) = [t for t in study.trials if t.state == TrialState.FAIL]
    assert attribute(failed, REASON) == "diverged: a loss became nan"


def test_what_is_beside_the_trials_is_kept_too(tmp_path: Path) -> None:
    study = journal(tmp_path / "study.journal")
    study.set_check("alone / 3", 91.5)
    study.set_check("alone / 4", "diverged at epoch 2: a loss became nan")
    study.set_seconds(12.5)
    again = Study(tmp_path / "study.journal", "g")
    assert again.checks == {
        "alone / 3": 91.5,
        "alone / 4": "diverged at epoch 2: a loss became nan",
    }
    assert again.seconds == 12.5


def test_a_journal_torn_within_its_last_group_is_cut_and_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal(path)
    whole = path.read_bytes()
    *_, judged = groups(whole)
    assert judged.count(b"\n") == 4  # the value, the pruner's two notes, the state
    start = len(whole) - len(judged)
    for end in range(start + 1, len(whole), 7):
        path.write_bytes(whole[:end])
        aside = quarantine(path)
        assert path.read_bytes() == whole[:start]
        assert aside is not None
        assert aside.read_bytes() == whole[start:end]
    study = Study(path, "g")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert values_of(study.trials[1]) == {}


def groups(content: bytes) -> list[bytes]:
    """The groups of entries of a journal."""
    found = [b""]
    for line in content.splitlines(keepends=True):
        found[-1] += line
        if not json.loads(line).get(FOLLOWING):
            found.append(b"")
    return found[:-1]


class Broken(optuna.pruners.BasePruner):
    """A pruner that raises."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        raise ZeroDivisionError


def test_what_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    """Neither on the disk nor in memory, and the study goes on."""
    path = tmp_path / "study.journal"
    study = journal(path, trials=1)
    study.optuna.pruner = Broken()
    study.ask(seed=1)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        study.report(1, 1, 50.0, last=False)
    assert path.read_bytes() == before
    assert values_of(study.trials[1]) == {}
    study.set_seconds(2.0)
    assert Study(path, "g").seconds == 2.0


def test_batched_writes_are_one_group_of_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    study = journal(path, trials=2)
    before = path.read_bytes()
    with study.batched_writes():
        study.ask(seed=1)
        study.report(2, 1, 50.0, last=False)
        study.report(2, 2, 51.0, last=True)
        assert study.trials[2].value == 51.0
        assert path.read_bytes() == before
    assert len(groups(path.read_bytes())) == len(groups(before)) + 1
    assert Study(path, "g").trials == study.trials


def test_what_comes_before_a_failure_is_written(tmp_path: Path) -> None:
    """And the change that fails is not, neither on the disk nor in memory."""
    path = tmp_path / "study.journal"
    study = journal(path, trials=1)
    study.optuna.pruner = Broken()

    def ask_and_report() -> None:
        with study.batched_writes():
            study.ask(seed=1)
            study.report(1, 1, 50.0, last=False)

    with pytest.raises(ZeroDivisionError):
        ask_and_report()
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "RUNNING"]
    assert values_of(study.trials[1]) == {}
    assert Study(path, "g").trials == study.trials


def test_trials_are_not_gone_through_to_ask_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = journal(tmp_path / "study.journal", trials=2)
    scans = Counter[str]()
    original = JournalStorageReplayResult.get_all_trials

    def counted(self: JournalStorageReplayResult, *arguments: Any) -> Any:
        scans["all"] += 1
        return original(self, *arguments)

    monkeypatch.setattr(JournalStorageReplayResult, "get_all_trials", counted)
    for seed in range(5):
        study.ask(seed)
    assert not scans["all"]


def test_a_trial_that_another_program_queues_is_refused(tmp_path: Path) -> None:
    """It would move the numbers of later trials, and has no seed."""
    path = tmp_path / "study.journal"
    study = journal(path)
    other = optuna.load_study(study_name="g", storage=JournalStorage(JournalFileBackend(str(path))))
    other.enqueue_trial({"edge.label->a.gate": "linear"})
    lines = len(path.read_bytes().splitlines())
    for go_on in (lambda: study.ask(seed=5), lambda: opened(path)):
        with pytest.raises(RunError, match=f"line {lines} of the journal .* another program's"):
            go_on()
    assert len(path.read_bytes().splitlines()) == lines


def test_a_trial_that_the_user_queues_in_the_study_of_an_outcome_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal(path).optuna.enqueue_trial({"edge.label->a.gate": "linear"})
    with pytest.raises(RunError, match=r"trial 2 in .* is another program's"):
        opened(path)


def test_zeros_that_a_power_cut_left_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 4096)
    assert quarantine(path) == tmp_path / "study.journal.torn-1"
    assert path.read_bytes() == whole


def test_a_sound_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal(path)
    whole = path.read_bytes()
    assert quarantine(path) is None
    assert path.read_bytes() == whole
    assert quarantine(tmp_path / "nothing.journal") is None


def test_damage_before_the_end_is_told_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"{" + lines[2]
    path.write_bytes(b"".join(lines))
    with pytest.raises(RunError, match="damaged before its end"):
        Study(path, "g")
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("line", [b"{}", b'{"op_code": 0}', b'{"digest": "0"}', b"[]", b"null"])
@pytest.mark.parametrize("last", [True, False])
def test_a_line_of_another_program_is_told(tmp_path: Path, line: bytes, last: bool) -> None:
    path = tmp_path / "study.journal"
    journal(path)
    lines = path.read_bytes().splitlines(keepends=True)
    at = len(lines) if last else 1
    path.write_bytes(b"".join([*lines[:at], line + b"\n", *lines[at:]]))
    with pytest.raises(RunError, match=f"line {at + 1} of the journal .* is not what was written"):
        Study(path, "g")


def test_a_journal_whose_digests_are_no_chain_goes_on(tmp_path: Path) -> None:
    """That of an older version: each digest was of its entry alone."""
    path = tmp_path / "study.journal"
    journal(path)
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    for entry in entries:
        del entry["digest"]
        text = json.dumps(entry, sort_keys=True)
        entry["digest"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    Study(path, "g").set_seconds(3.0)
    assert Study(path, "g").seconds == 3.0
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[0]]))
    with pytest.raises(RunError, match="is not what was written there"):
        Study(path, "g")


def test_no_flipped_bit_of_a_journal_passes(tmp_path: Path) -> None:
    """It is refused, or what it hits is cut off as torn: the last entries, which are done again."""
    path = tmp_path / "study.journal"
    journal(path)
    intact = path.read_bytes()
    entries = [*groups(intact)]
    for place in random.Random(0).sample(range(8 * len(intact)), 300):
        content = bytearray(intact)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            aside = quarantine(path)
        except RunError:
            continue
        assert aside is not None
        assert groups(path.read_bytes()) == entries[:-1]


def test_a_journal_of_an_older_version_is_read(tmp_path: Path) -> None:
    """A finished search of one is still told; the folder says that it cannot be resumed."""
    path = tmp_path / "study.journal"
    journal(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**line, "digest": 0}) + "\n" for line in lines))
    with pytest.raises(RunError, match="line 1 of the journal"):
        Study(path, "g")
    for line in lines:
        del line["digest"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(Study(path, "g").trials) == 2


def test_the_lock_of_an_coordinator_that_was_killed_does_not_hold_the_next(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    journal(path)
    path.with_name("study.journal.lock").touch()
    assert len(Study(path, "g").trials) == 2


def test_a_trial_and_all_about_it_are_one_entry(tmp_path: Path) -> None:
    """So that no kill leaves a trial without its parameters, and a long journal is soon read."""
    path = tmp_path / "study.journal"
    study = journal(path, trials=0)
    before = groups(path.read_bytes())
    study.ask(seed=7)
    (asked,) = groups(path.read_bytes())[len(before) :]
    assert b"edge.label->a.gate" in asked
    assert b'"seed":7' in asked
    assert asked.count(b"\n") == 1


def test_a_sampler_that_notes_facts_with_a_trial_finds_it_there(tmp_path: Path) -> None:
    """And the trial and all about it are one group."""
    path = tmp_path / "study.journal"
    study = opened(path, "sampler = nsga2(population=2, seed=0)")
    before = groups(path.read_bytes())
    study.ask(seed=7)
    (asked,) = groups(path.read_bytes())[len(before) :]
    assert asked.count(b"\n") > 1
    assert b"edge.label->a.gate" in asked
    assert b'"seed":7' in asked


def test_what_was_written_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = journal(tmp_path / "study.journal", trials=2)
    monkeypatch.setattr(JournalFileBackend, "read_logs", None)
    study.ask(seed=1)
    study.report(2, 1, 50.0, last=False)
    assert len(study.trials) == 3


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = journal(tmp_path / "study.journal", trials=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JournalFileBackend, "append_logs", full)
    with pytest.raises(RunError, match="No space left on device"):
        study.set_seconds(1.0)
