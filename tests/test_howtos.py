"""The code of the how-tos is run, and their commands print what is shown."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import ktgdsl
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.format import format_source
from tests.pages import assert_shows, blocks, printed_by, transcripts, write_files
from tests.paths import ROOT

FOLDER = ROOT / "specs" / "howto"
OWN = ("own_network", pytest.param("own_data", marks=pytest.mark.slow), "own_loss")


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Networks this small wait for one another's threads where other processes are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("name", OWN)
def test_commands_print_what_is_shown(name: str, tmp_path: Path) -> None:
    page = FOLDER / f"{name}.md"
    write_files(page, tmp_path)
    for command, shown in transcripts(page):
        assert_shows(shown, printed_by(command))


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_specs_are_laid_out(page: Path) -> None:
    for text in blocks(page, "ktg"):
        assert format_source(Source("example", text)) == (text, ())


def test_torchdistill_and_the_spec_beside_it_say_the_same_numbers() -> None:
    page = FOLDER / "torchdistill.md"
    config = (FOLDER / "kd.yaml").read_text("utf-8")
    (shown,) = blocks(page, "yaml")
    assert all(f"{line}\n" in config for line in shown.splitlines()[1:])
    numbers = dict(re.findall(r"(\w+): ([\d.]+)", config))
    plan = ktgdsl.loads(blocks(page, "ktg")[0])
    labels, teacher = (edge.terms[0] for edge in plan.graph.edges)
    assert int(numbers["num_epochs"]) == plan.train.epochs
    assert int(numbers["batch_size"]) == plan.data.batch
    assert (str(labels.gate), str(teacher.gate)) == (numbers["alpha"], numbers["beta"])
    assert str(teacher.parts[0].loss) == f"kl(T={float(numbers['temperature']):g}, scale=16)"
    optimizer = plan.train.optimizer.arguments
    for name in ("lr", "momentum", "weight_decay"):
        assert float(numbers[name]) == optimizer[name]
    assert f"milestones: {plan.train.schedule.arguments['at']}" == "milestones: [91.0, 136.0]"
    assert "milestones: [91, 136]" in config


@pytest.mark.parametrize(
    ("there", "called"),
    [((), "run kd.ktg --out {0} --quiet"), (("plan.json",), "run --resume {0} --quiet")],
)
def test_the_job_begins_and_resumes(tmp_path: Path, there: tuple[str, ...], called: str) -> None:
    out = tmp_path / "runs" / "kd"
    out.mkdir(parents=True)
    for name in there:
        (out / name).touch()
    (tmp_path / "ktgc").write_text('#!/bin/sh\necho "$@"')
    (tmp_path / "ktgc").chmod(0o755)
    slurm = {"SLURM_JOB_NAME": "kd", "SLURM_CPUS_PER_TASK": "2", "SCRATCH": str(tmp_path)}
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SPEC": "kd.ktg", **slurm}
    job = blocks(FOLDER / "cluster.md", "sh")[0]
    done = subprocess.run(["bash", "-c", job], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == called.format(out)
