"""Writes, checks and runs scripts for tests."""

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from ktgdsl.plan.model import Call, Facts, Plan
from ktgdsl.standalone.script import training_script
from ktgdsl.training.deterministic import deterministically
from tests.paths import ROOT
from tests.trained import CPU, train_plan

DIGITS = Facts(classes=10, shape=(1, 8, 8), train_samples=1297, test_samples=500)


def shrunk(plan: Plan) -> Plan:
    """The plan with the smallest networks, on a few digits, for two epochs."""
    nodes = tuple(
        node.model_copy(update={"network": _small(node.network)}) for node in plan.graph.nodes
    )
    data = plan.data
    small = {
        "source": Call(name="digits"),
        "facts": DIGITS,
        "batch": 8,
        "samples": 40,
        "validation": 10,
        "resize": None,
        "crop": None,
        "classes_expected": None,
        "augment": "none" if data.augment == "none" else "paper",
        "labeled": 20 if data.labeled is not None else None,
        "labeled_batch": 3 if data.labeled_batch is not None else None,
        "mean": data.mean and data.mean[:1],
        "std": data.std and data.std[:1],
    }
    pretrain = plan.pretrain and plan.pretrain.model_copy(update={"epochs": 1})
    return plan.model_copy(
        update={
            "graph": plan.graph.model_copy(update={"nodes": nodes}),
            "data": data.model_copy(update=small),
            "train": plan.train.model_copy(update={"epochs": 2, "compile": "auto"}),
            "pretrain": pretrain,
            "phases": tuple(
                each.model_copy(update={"epochs": min(each.epochs, 3)}) for each in plan.phases
            ),
        }
    )


def _small(network: Call) -> Call:
    if network.name not in ("resnet", "wrn"):
        return network
    least = {"resnet": {"depth": 8, "width": 4}, "wrn": {"depth": 10, "widen": 1}}
    return Call(name=network.name, arguments={**network.arguments, **least[network.name]})


def problems(script: str) -> str:
    """What ruff, by its default rules, has against a script."""
    ruff = ["ruff", "check", "--isolated", "--quiet", "--output-format=concise", "-"]
    command = [str(Path(sys.executable).with_name("ruff")), *ruff[1:]]
    return subprocess.run(command, input=script, capture_output=True, text=True).stdout


def unquoted(text: str) -> str:
    """Annotations are quoted in the package, and not in scripts."""
    return text.replace('"', "")


def written_parts(script: str) -> str:
    """A script without what it has of the package, and without versions."""
    sources = (each.read_text() for each in (ROOT / "ktgdsl").rglob("*.py"))
    package = unquoted("\n".join(sources))
    lines = script.replace(torch.__version__, "VERSION").splitlines()
    for node in reversed(ast.parse(script).body):
        assert node.end_lineno is not None
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            text = ast.get_source_segment(script, node) or ""
            methods = [
                each
                for each in (node.body if isinstance(node, ast.ClassDef) else ())
                if isinstance(each, ast.FunctionDef)
            ]
            texts = [ast.get_source_segment(script, each) or "" for each in methods] or [text]
            if unquoted(text) in package or all(unquoted(each) in package for each in texts):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                lines[first - 1 : node.end_lineno] = [f"... {node.name}"]
    return "\n".join(lines) + "\n"


def weights_of_script(script: str, seed: int) -> dict[str, dict[str, torch.Tensor]]:
    """The state dicts by node that `train` of a script gives, in this process."""
    module = ModuleType("script")
    sys.modules["script"] = module  # where dataclasses look themselves up
    try:
        exec(compile(script, "script.py", "exec"), vars(module))
        with deterministically(True):
            trained: dict[str, nn.Module] = module.train(seed, CPU)
    finally:
        del sys.modules["script"]
    return {name: network.state_dict() for name, network in trained.items()}


def weights_of_run(plan: Plan) -> dict[str, dict[str, torch.Tensor]]:
    """The state dicts by node that a deterministic run gives."""
    with deterministically(True):
        step = train_plan(plan, plan.train.seed).stepper
    return {name: module.state_dict() for name, module in (step.networks | step.mixers).items()}


def differing(plan: Plan) -> list[str]:
    """The tensors that a script trains to other bits than a run does, and what ruff says."""
    script = training_script(plan, "")
    theirs, ours = weights_of_script(script, plan.train.seed), weights_of_run(plan)
    found = problems(script).splitlines()
    for name in theirs.keys() | ours.keys():
        one, other = theirs.get(name, {}), ours.get(name, {})
        found += [
            f"{name}: {key}"
            for key in one.keys() | other.keys()
            if key not in one or key not in other or not torch.equal(one[key], other[key])
        ]
    return found
