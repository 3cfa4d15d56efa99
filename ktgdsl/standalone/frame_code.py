"""The start and the end of a script: its header, and `main`, which reads the command line."""

import re
import textwrap

import torch

from ktgdsl.plan.model import Plan
from ktgdsl.standalone.network_code import own_modules
from ktgdsl.standalone.text import block, literal
from ktgdsl.training.versions import installed_version

REPORT = '''def report(epoch: int, loss: dict[str, float], accuracy: dict[str, float]) -> None:
    """Print how an epoch went."""
    losses = ", ".join(f"{name} {value:.4f}" for name, value in loss.items())
    answers = ", ".join(f"{name} {value:.2f} %" for name, value in accuracy.items())
    print(f"epoch {epoch}: loss {losses}; accuracy {answers}", flush=True)'''
"""The function of a script that prints the progress."""


_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "safetensors": "safetensors",
    "PIL": "Pillow",
    "numpy": "NumPy",
}
"""What a script may need, by the name by which it is imported."""


def header(plan: Plan, spec: str, code: str) -> str:
    """The header of a script: comments that say what it is, and what its code needs."""
    version = installed_version("ktgdsl")
    lines = [
        f"Trains the graph {plan.graph.name} of the spec below; ktgdsl {version} has written it.",
        "",
        "It gives the weights of `ktgc run --deterministic`, bit for bit, on the same device, with",
        f"as many threads and the same torch; it was written with {torch.__version__}.",
        *textwrap.wrap(f"It needs {_needs(plan, code)}, and no ktgdsl.", 97),
        "",
        f"Digest of the plan: {plan.digest}",
        "",
        *(f"    {line}" for line in spec.strip().splitlines()),
    ]
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _needs(plan: Plan, code: str) -> str:
    imported = {*re.findall(r"^ *(?:from|import) (\w+)", code, re.MULTILINE)}
    needed = [name for module, name in _PACKAGES.items() if module in imported]
    needed += [f"`{module}` beside it" for module in own_modules(plan)]
    *first, last = needed
    return f"{', '.join(first)} and {last}" if first else last


def main_code(plan: Plan) -> str:
    """`main`: the options, and the files of the weights."""
    seeds = tuple(plan.train.seed + i for i in range(plan.train.repeats))
    training = [
        "networks = train(seed, torch.device(options.device))",
        "folder.mkdir(parents=True, exist_ok=True)",
        "for name, network in networks.items():",
        '    torch.save(network.state_dict(), folder / f"{name}.pt")',
    ]
    if len(seeds) == 1:
        body = [f"seed, folder = {seeds[0]}, options.out", *training]
    else:
        body = [
            f"for repeat, seed in enumerate({literal(seeds)}, start=1):",
            '    folder = options.out / f"repeat-{repeat}"',
            *(f"    {line}" for line in training),
        ]
    about = literal(f"Train the graph {plan.graph.name}.")
    return block(
        "def main() -> None:",
        '    """Train, and write the weights of each node to `NODE.pt`."""',
        f"    parser = argparse.ArgumentParser(description={about})",
        '    best = "cuda" if torch.cuda.is_available() else "cpu"',
        '    parser.add_argument("--device", default=best)',
        '    parser.add_argument("--out", type=Path, default=Path("."), help="for the weights")',
        "    options = parser.parse_args()",
        '    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # of cuBLAS, for this:',
        "    torch.use_deterministic_algorithms(True)",
        [f"    {line}" for line in body],
    )
