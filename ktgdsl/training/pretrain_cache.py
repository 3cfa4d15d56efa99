"""The cache of pre-trained weights: names and headers of its files, and why one is not used.

A file is named after the plan of its training and the content of code and data. Its header has the
digests of both and the accuracy that was reached.
"""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from torch import nn

from ktgdsl.backend.process_group import process_group
from ktgdsl.backend.user_sources import sources_digest, user_sources
from ktgdsl.backend.weights import load_weights, metadata_of, save_weights
from ktgdsl.files import sha256
from ktgdsl.plan.model import Plan
from ktgdsl.training.datasets.content import content_digest
from ktgdsl.training.datasets.read import read
from ktgdsl.training.events import PretrainDone, SplitName

CODE, DATA, PROCESSES = "code", "data", "processes"
STOPPED = "stopped"
LIBRARIES = ("torchvision", "timm")
"""The libraries that make a network of their name, and whose next version may make another."""


def content_facts(alone: Plan, data: str | None) -> dict[str, str]:
    """The digests of the code and of the data of a pre-training; `data` if it is known already.

    Raises RunError (E508) when the data have to be read, and cannot be.
    """
    networks = {node.network.name for node in alone.graph.nodes}
    versions = [f"{name} {version(name)}" for name in LIBRARIES if name in networks]
    code = " ".join([sources_digest(user_sources(alone)), *versions])
    if data is None:
        data = content_digest(read(alone.data)[0], alone.data.workers)
    facts = {CODE: code, DATA: data}
    count = process_group().size
    if count > 1 and not alone.train.sync_bn:  # batch norms of parts of batches
        facts[PROCESSES] = str(count)
    return facts


def file_name(alone: Plan, content: Mapping[str, str], node: str | None = None) -> str:
    """The name of the file of a pre-training's weights, of one `node` where there are several."""
    facts = sha256(repr(sorted(content.items())).encode())[:16]
    return f"{alone.digest}-{facts}{'' if node is None else f'-{node}'}.safetensors"


def save_entry(
    network: nn.Module, path: Path, content: Mapping[str, str], done: PretrainDone
) -> None:
    """Keep the weights of a pre-training. Raises OSError when the file cannot be written."""
    facts = {**content, "accuracy": repr(done.accuracy), "split": done.split}
    if done.stopped is not None:
        facts[STOPPED] = str(done.stopped)
    save_weights(network, path, facts)


def load_entry(network: nn.Module, path: Path, node: str) -> PretrainDone | None:
    """Load a file into the network of a node; None if it is not there, damaged or does not fit."""
    if not path.exists() or load_weights(network, path, sealed=True) is not None:
        return None
    facts = metadata_of(path)
    split: SplitName = "validation" if facts["split"] == "validation" else "test"
    stopped = int(facts[STOPPED]) if STOPPED in facts else None
    return PretrainDone(node, float(facts["accuracy"]), split, cached=True, stopped=stopped)


def why_unused(path: Path, content: Mapping[str, str]) -> str:
    """Why cached weights of the same plan are not used; "" if there are none."""
    if path.exists():
        return f"the weights in the cache are damaged, or of another version: {path}"
    changed = set()
    for other in path.parent.glob(f"{path.name.partition('-')[0]}-*.safetensors"):
        try:
            facts = metadata_of(other)
        except Exception:  # it may be damaged, and is not used
            continue
        changed |= {name for name in (CODE, DATA) if facts.get(name) != content[name]}
    if not changed:
        return ""
    return f"the weights in the cache are of other {' and '.join(sorted(changed))}"
