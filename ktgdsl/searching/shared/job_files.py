"""Job files for Slurm and Kubernetes: processes that join a shared search. Without torch."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ktgdsl.searching.joining import STORAGE

SPACE = "space.ktg"
CORES_PER_WORKER = 4


@dataclass(frozen=True)
class Job:
    """The processes of a search.

    Attributes:
        name: of the graph.
        file: the path of the space.
        space: its text.
        options: further ones of `ktgc search`.
        processes: how many join.
        workers: of each process.
        has_gpu: whether each process is to have a GPU.
        code: the text of each file of the user's own code, by its path beside the space.
    """

    name: str
    file: str
    space: str
    options: tuple[str, ...]
    processes: int
    workers: int
    has_gpu: bool
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> tuple[str, ...]:
        """What stands behind the file of the space on the command line of a process."""
        return (*self.options, "--workers", str(self.workers), "--join", "--quiet")


def slurm_job(job: Job) -> str:
    """A script for `sbatch`: an array, whose tasks each join the search."""
    gpu = ["#SBATCH --gres=gpu:1"] if job.has_gpu else []
    command = shlex.join(["ktgc", "search", job.file, *job.command])
    lines = [
        "#!/bin/bash",
        f"# Submit it with the database in ${STORAGE}, as in postgresql://USER@HOST/DATABASE,",
        "# and its password in ~/.pgpass, where all nodes read it:",
        "#     sbatch --export=ALL FILE",
        f"#SBATCH --job-name={job.name}",
        f"#SBATCH --array=1-{job.processes}",
        "#SBATCH --ntasks=1",
        f"#SBATCH --cpus-per-task={CORES_PER_WORKER * job.workers}",
        *gpu,
        "#SBATCH --time=1-00:00:00",
        "#SBATCH --requeue",
        "# A minute before the end, so that others go on with its trial at once:",
        "#SBATCH --signal=B:TERM@60",
        f"#SBATCH --output={job.name}-%A_%a.log",
        "",
        f': "${{{STORAGE}:?the database, as in postgresql://USER@HOST/DATABASE}}"',
        "# The threads of each worker:",
        f"export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / {job.workers}))",
        f"exec {command}",
    ]
    return "\n".join(lines) + "\n"


def k8s_job(job: Job, image: str) -> str:
    """A Job for `kubectl apply`, and a ConfigMap with the space and the user's own code.

    The address of the database is in a secret, which the head of the file tells how to make.
    """
    name = re.sub(r"[^a-z0-9-]+", "-", f"ktgdsl-{job.name}".lower())[:50].strip("-")
    head = (
        "# The database is in a secret; to make it from a file, which no list of processes shows:\n"
        f"#     kubectl create secret generic {name} --from-file={STORAGE}=FILE\n"
        "# FILE has postgresql://USER:PASSWORD@HOST/DATABASE, without a newline at the end.\n"
        "# Data and files of weights that the space names have to be in the image or in a volume.\n"
        "# What a process keeps is in /work, which goes with its pod unless it is a volume, too.\n"
    )
    files = {SPACE: job.space, **job.code}
    items = [{"key": path.replace("/", "."), "path": path} for path in files]
    space: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {path.replace("/", "."): text for path, text in files.items()},
    }
    command = ["ktgc", "search", f"/space/{SPACE}", *job.command]
    secret = {"secretKeyRef": {"name": name, "key": STORAGE}}
    cores = str(CORES_PER_WORKER * job.workers)
    limits = {"nvidia.com/gpu": 1} if job.has_gpu else {}
    container = {
        "name": "search",
        "image": image,
        "command": command,
        "workingDir": "/work",
        "env": [
            {"name": STORAGE, "valueFrom": secret},
            {"name": "OMP_NUM_THREADS", "value": str(CORES_PER_WORKER)},
        ],
        "resources": {"requests": {"cpu": cores, "memory": "8Gi"}, "limits": limits},
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
            {"name": "space", "configMap": {"name": name, "items": items}},
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
