"""Job files of shared searches, by their own parsers where these are there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ktgdsl.cli.main import main
from ktgdsl.searching.shared.job_files import Job, k8s_job, slurm_job

JOB = Job(
    name="my_graph",
    file="a space.ktg",
    space="graph g {}\n# a comment: with a colon\n",
    options=("--set", "train.epochs=2"),
    processes=8,
    workers=2,
    has_gpu=True,
    code={"nets.py": "a = 1\n", "own/losses.py": "b = 2\n"},
)


def test_each_task_of_slurm_joins_the_search(tmp_path: Path) -> None:
    """Run by bash as Slurm does, with a `ktgc` that writes what it was called with."""
    script = slurm_job(JOB)
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", script, re.MULTILINE))
    assert options["array"] == "1-8"
    assert options["cpus-per-task"] == "8"
    assert options["gres"] == "gpu:1"
    assert options["signal"] == "B:TERM@60"
    (tmp_path / "job").write_text(script)
    (tmp_path / "ktgc").write_text('#!/bin/sh\nprintf "%s|" "$@" "$OMP_NUM_THREADS"\n')
    (tmp_path / "ktgc").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_CPUS_PER_TASK": "6",
        "KTGDSL_STORAGE": "postgresql://h/d",
    }
    command = ["bash", str(tmp_path / "job")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    words = "search|a space.ktg|--set|train.epochs=2|--workers|2|--join|--quiet|3|"
    assert done.stdout == words
    del environment["KTGDSL_STORAGE"]
    failed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "KTGDSL_STORAGE: the database" in failed.stderr


SLURM = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=9
AuthType=auth/none
GresTypes=gpu
MessageTimeout=1
"""


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="there is no Slurm")
def test_slurm_reads_the_options_of_the_script(tmp_path: Path) -> None:
    """As far as `sbatch` does it before it asks a controller, of which there is none."""
    (tmp_path / "slurm.conf").write_text(SLURM)

    def submitted(script: str) -> str:
        (tmp_path / "job").write_text(script)
        environment = {**os.environ, "SLURM_CONF": str(tmp_path / "slurm.conf")}
        command = ["sbatch", "--test-only", str(tmp_path / "job")]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stderr

    script = slurm_job(JOB)
    assert submitted(script).startswith("allocation failure: Unable to contact slurm controller")
    for option in ("--time=", "--signal=B:", "--gres=", "--cpus-per-task="):
        assert option in script
        assert "sbatch: " in submitted(script.replace(option, f"{option}:"))


def test_kubernetes_gets_the_space_and_the_processes() -> None:
    space, job = yaml.safe_load_all(k8s_job(JOB, "registry/image:1"))
    assert space["data"] == {
        "space.ktg": JOB.space,
        "nets.py": "a = 1\n",
        "own.losses.py": "b = 2\n",
    }
    assert job["metadata"]["name"] == space["metadata"]["name"] == "ktgdsl-my-graph"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 8
    pod = job["spec"]["template"]["spec"]
    volume = pod["volumes"][0]["configMap"]
    assert volume["name"] == space["metadata"]["name"]
    assert {each["path"]: each["key"] for each in volume["items"]} == {
        "space.ktg": "space.ktg",
        "nets.py": "nets.py",
        "own/losses.py": "own.losses.py",
    }
    (container,) = pod["containers"]
    assert container["image"] == "registry/image:1"
    assert container["command"][:3] == ["ktgc", "search", "/space/space.ktg"]
    assert container["command"][3:] == [
        *("--set", "train.epochs=2", "--workers", "2", "--join", "--quiet")
    ]
    assert container["resources"]["requests"]["cpu"] == "8"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    storage, threads = container["env"]
    assert "value" not in storage  # it is in a secret
    assert threads == {"name": "OMP_NUM_THREADS", "value": "4"}


def test_kubernetes_accepts_both_by_its_own_schema() -> None:
    kubernetes = pytest.importorskip("kubernetes_validate")
    for each in yaml.safe_load_all(k8s_job(JOB, "image")):
        kubernetes.validate(each, kubernetes.latest_version(), strict=True)


SPACE = """
graph g {
    node a = python("small_nets:net", width = 4 | 8)
    target a
    edge label -> a
}
data digits
search { trials = 2  objective = accuracy(a) }
"""


def test_code_beside_the_space_goes_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "space.ktg").write_text(SPACE)
    code = "from small_layers import layer\n\n\ndef net(width): ...\n"
    (tmp_path / "small_nets.py").write_text(code)
    (tmp_path / "small_layers.py").write_text("def layer(): ...\n")
    path = str(tmp_path / "space.ktg")
    assert main(["search", path, "--emit", "k8s", "--image", "i", "--workers", "3"]) == 0
    space, job = yaml.safe_load_all(capsys.readouterr().out)
    assert space["data"].keys() == {"space.ktg", "small_nets.py", "small_layers.py"}
    assert space["data"]["small_nets.py"] == code
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][3:5] == ["--workers", "3"]
    assert container["resources"]["requests"]["cpu"] == "12"


def test_a_database_that_is_not_used_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTGDSL_STORAGE", "postgresql://h/d")
    assert main(["search", "specs/vanilla.ktg"]) == 1  # it is no space
    told = capsys.readouterr().err
    assert told.startswith("this search is not shared: $KTGDSL_STORAGE is for --join\n")
