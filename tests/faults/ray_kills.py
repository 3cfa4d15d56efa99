"""Searches on a Ray cluster that is killed piece by piece: `python -m tests.faults.ray_kills`.

A real Ray of a head and two nodes on this machine trains a search of two workers. SIGKILL gets, at
random moments, actors or the processes that train for them, whole nodes, which others replace, the
owner, and the head. After the last two the search is resumed, after the head on a new cluster. In
the end it has to be equal to one on this machine's own processes that nobody disturbed, with the
networks that it keeps, and nothing may be left of its processes.
"""

import argparse
import functools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ktgdsl.cli.main import main as ktgc
from ktgdsl.searching import search_run
from ktgdsl.searching.workers.pool import Pool
from tests.faults.kills import SPACE, assert_equal_searches, networks
from tests.faults.soak import children
from tests.forked import Forked

MARK = "KTGDSL_RAY_KILLS"
"""The variable that all processes of the cluster have in their environment."""

KEPT = 4
"""The trials whose networks are kept."""

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}

OURS = (b"ray::Agent", b"from ktgdsl.searching.workers.worker")
"""What is in the commands of actors, and of the processes that they have started to train."""


class Cluster:
    """A head without workers and two nodes with one each, which RAY_ADDRESS names."""

    def __init__(self, draw: random.Random) -> None:
        from ray.cluster_utils import Cluster

        head = {**NODE, "num_cpus": 0, "include_dashboard": False}
        self._draw = draw
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._nodes = [self._cluster.add_node(wait=False, **NODE) for _ in range(2)]
        os.environ["RAY_ADDRESS"] = self._cluster.address

    def kill_worker(self) -> None:
        """Kill an actor or the process that trains for it, as soon as there are any."""
        while True:
            with suppress(OSError):  # it has ended meanwhile
                raylets = [node.all_processes["raylet"][0].process.pid for node in self._nodes]
                actors = [pid for each in raylets for pid in children(each) if _is(pid, OURS[0])]
                if training := [pid for each in actors for pid in children(each)]:
                    time.sleep(self._draw.expovariate(1.0))
                    os.kill(self._draw.choice([*actors, *training]), signal.SIGKILL)
                    return
            time.sleep(0.05)

    def kill_node(self) -> None:
        """Kill a node, and start another."""
        node = self._nodes.pop(self._draw.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._cluster.add_node(wait=False, **NODE))

    def kill_head(self) -> None:
        """Kill what keeps the cluster together, alone or with all else of its machine."""
        if self._draw.random() < 0.5:
            self._cluster.head_node.kill_gcs_server(check_alive=False)
        else:
            self._kill(self._cluster.head_node)

    def close(self) -> None:
        """Kill what is left."""
        for node in [*self._nodes, self._cluster.head_node]:
            self._kill(node)

    def _kill(self, node: Any) -> None:
        node.kill_all_processes(check_alive=False, allow_graceful=False)


def _is(pid: int, *commands: bytes) -> bool:
    command = Path("/proc", str(pid), "cmdline").read_bytes()
    return any(each in command for each in commands)


def require_none_left(seconds: float = 90.0) -> None:
    """Require that all actors end, and all processes that train for them."""
    mark, left, until = f"{MARK}={os.environ[MARK]}".encode(), [0], time.monotonic() + seconds
    while left:
        assert time.monotonic() < until, f"processes are left: {left}"
        time.sleep(0.5)
        left.clear()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if _is(int(folder.name), *OURS) and mark in (folder / "environ").read_bytes():
                    left.append(int(folder.name))


def own(space: Path, folder: Path, engine: str = "ray") -> int:
    """Search, or go on with it, as `ktgc` does; a trial may lose 30 workers instead of 3."""
    begin = ["--resume", str(folder)] if folder.exists() else [str(space), "--out", str(folder)]
    options = ["--engine", engine, "--workers", "2", "--quiet", "--device", "cpu"]
    with patch.object(search_run, "Pool", functools.partial(Pool, attempts=30)):
        return ktgc(["search", *begin, *options])


def killed_search(
    trials: int, kills: int, nodes: int, owners: int, heads: int, folder: Path, seed: int = 0
) -> str:
    """Search with so many kills of each kind; what happened, in words.

    Each life of an owner ends with its own death or that of the head.
    """
    space, out, log = folder / "space.ktg", folder / "s", folder / "log.txt"
    text = SPACE.replace("epochs = 4", "epochs = 12").replace("trials", f"keep = {KEPT}  trials")
    space.write_text(text % trials)
    draw = random.Random(seed)
    code = Forked(own, space, folder / "whole", "local", output=log).wait(1200)
    assert code == 0, log.read_text()
    ends = ["owner"] * owners + ["head"] * heads
    draw.shuffle(ends)
    workers = [kills * (i + 1) // len(ends) - kills * i // len(ends) for i in range(len(ends))]
    seconds = []
    cluster = Cluster(draw)
    try:
        for number, end in enumerate(ends):
            owner = Forked(own, space, out, output=log)
            pieces = ["worker"] * workers[number]
            pieces += ["node"] * (nodes * (number + 1) // len(ends) - nodes * number // len(ends))
            draw.shuffle(pieces)
            for piece in pieces:
                assert owner.poll() is None, f"too few trials, or an error: {log.read_text()}"
                cluster.kill_worker() if piece == "worker" else cluster.kill_node()
            time.sleep(draw.uniform(0, 3))
            assert owner.poll() is None, f"too few trials, or an error: {log.read_text()}"
            if end == "owner":
                owner.kill()
                owner.wait(60)
            else:
                log.write_text("")
                cluster.kill_head()
                began = time.monotonic()
                assert owner.wait(60) == 1
                seconds.append(time.monotonic() - began)
                assert "E504" in log.read_text(), log.read_text()
                assert f"go on with: ktgc search --resume {out}" in log.read_text()
            require_none_left()
            if end == "head":
                cluster.close()
                cluster = Cluster(draw)
            print(f"{number + 1}: {pieces.count('worker')} workers, {end}", flush=True)
        code = Forked(own, space, out, output=log).wait(1200)
        assert code == 0, log.read_text()
        require_none_left()
    finally:
        cluster.close()
    assert_equal_searches(out, folder / "whole")
    assert len(networks(out)) == 2 * KEPT
    return (
        f"a search of {trials} trials with Ray: {kills} kills of workers, {nodes} of nodes, "
        f"{owners} of owners, {heads} of heads (over after {max(seconds):.0f} s at most), "
        f"all equal, with the networks of {KEPT} trials"
    )


def main() -> int:
    """Read the options, and kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--owners", type=int, default=3)
    parser.add_argument("--heads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with short_folder() as folder:
        print(killed_search(**{**vars(options), "folder": folder}))
    return 0


@contextmanager
def short_folder() -> Iterator[Path]:
    """An empty folder, for the cluster as well: the paths of its sockets must be short."""
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as name,
        patch.dict(os.environ, {MARK: name, "RAY_TMPDIR": name, "RAY_USAGE_STATS_ENABLED": "0"}),
    ):
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main())
