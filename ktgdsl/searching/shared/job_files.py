"""Job files for Slurm and Kubernetes: processes that join a shared search. Without torch."""

import re
import shlex
from dataclasses import dataclass
from typing import Any

import yaml

from ktgdsl.searching.joining import STORAGE

SPACE = "space.ktg"


@dataclass(frozen=True)
class Job:
    """The processes of a search.

    `space` is the text of the space in the file `file`, `options` the further ones of
    `ktgc search`, and `has_gpu` whether each process is to have one.
    """

    name: str
    file: str
    space: str
    options: tuple[str, ...]
    processes: int
    has_gpu: bool


def slurm_job(job: Job) -> str:
    """A script for `sbatch`: an array, whose tasks each join the search."""
    gpu = ["#SBATCH --gres=gpu:1"] if job.has_gpu else []
    command = shlex.join(["ktgc", "search", job.file, *job.options, "--join", "--quiet"])
    lines = [
        "#!/bin/bash",
        f"# Submit it with the database in ${STORAGE}, as in postgresql://USER@HOST/DATABASE,",
        "# and its password in ~/.pgpass, where all nodes read it:",
        "#     sbatch --export=ALL FILE",
        f"#SBATCH --job-name={job.name}",
        f"#SBATCH --array=1-{job.processes}",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=4",
        *gpu,
        "#SBATCH --time=1-00:00:00",
        "#SBATCH --requeue",
        "# A minute before the end, so that others go on with its trial at once:",
        "#SBATCH --signal=B:TERM@60",
        f"#SBATCH --output={job.name}-%A_%a.log",
        "",
        f': "${{{STORAGE}:?the database, as in postgresql://USER@HOST/DATABASE}}"',
        "export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}",
        f"exec {command}",
    ]
    return "\n".join(lines) + "\n"


def k8s_job(job: Job, image: str) -> str:
    """A Job for `kubectl apply`, and a ConfigMap with the space.

    The address of the database is in a secret, which the head of the file tells how to make.
    """
    name = re.sub(r"[^a-z0-9-]+", "-", f"ktgdsl-{job.name}".lower())[:50].strip("-")
    head = (
        "# The database is in a secret; to make it from a file, which no list of processes shows:\n"
        f"#     kubectl create secret generic {name} --from-file={STORAGE}=FILE\n"
        "# FILE has postgresql://USER:PASSWORD@HOST/DATABASE, without a newline at the end.\n"
    )
    space: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {SPACE: job.space},
    }
    command = ["ktgc", "search", f"/space/{SPACE}", *job.options, "--join", "--quiet"]
    secret = {"secretKeyRef": {"name": name, "key": STORAGE}}
    limits = {"nvidia.com/gpu": 1} if job.has_gpu else {}
    container = {
        "name": "search",
        "image": image,
        "command": command,
        "workingDir": "/work",
        "env": [{"name": STORAGE, "valueFrom": secret}],
        "resources": {"requests": {"cpu": "4", "memory": "8Gi"}, "limits": limits},
        "volumeMounts": [
            {"name": "space", "mountPath": "/space", "readOnly": True},
            {"name": "work", "mountPath": "/work"},
        ],
    }
    pod = {
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 60,
        "containers": [container],
        "volumes": [
            {"name": "space", "configMap": {"name": name}},
            {"name": "work", "emptyDir": {}},
        ],
    }
    processes: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": job.processes,
            "parallelism": job.processes,
            "completionMode": "Indexed",
            "backoffLimit": 10 * job.processes,
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }
    text: str = yaml.safe_dump_all([space, processes], sort_keys=False)
    return head + text
