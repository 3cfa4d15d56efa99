"""The model card of an exported network: Markdown with the metadata that Hugging Face reads."""

import json
from collections.abc import Iterator
from itertools import chain

from ktgdsl.diagnostics.render import printable, printable_lines
from ktgdsl.exporting.trained_node import TrainedNode
from ktgdsl.report.describe import columns
from ktgdsl.space.unparse_plan import unparse_plan

_EXAMPLES = {
    ".onnx": """import json
import onnxruntime

session = onnxruntime.InferenceSession({file})
{outputs} = session.run({names}, {{"image": images}})
class_names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])""",
    ".pt2": """import json
import torch

facts = {{"facts.json": ""}}
outputs = torch.export.load({file}, extra_files=facts).module()(images)
class_names = json.loads(json.loads(facts["facts.json"])["class_names"])""",
    ".safetensors": """import json
import safetensors.torch

with safetensors.safe_open({file}, "pt") as file:
    facts = file.metadata()  # "mean", "std", "class_names" and others, each as JSON
network.load_state_dict(safetensors.torch.load_file({file}))""",
}


def model_card(node: TrainedNode, file: str, picture: str | None) -> str:
    """The text of the card. What others may have named stands in fenced blocks only.

    Args:
        node: that was exported.
        file: the name of its file, whose suffix says the format.
        picture: the name of the picture of its graph beside the card; None where there is none.
    """
    lines = chain(_metadata(node), _summary(node, picture), _usage(node, file), _training(node))
    return "\n".join(lines) + "\n"


def _metadata(node: TrainedNode) -> Iterator[str]:
    # JSON is YAML, too.
    data = json.dumps(str(node.plan.data.source))
    task = "image-segmentation" if node.plan.data.known_facts.masks else "image-classification"
    metric = {"type": "accuracy", "name": "test accuracy in percent", "value": node.accuracy}
    yield "---"
    yield "library_name: ktgdsl"
    yield f"pipeline_tag: {task}"
    yield "tags: [knowledge-distillation, knowledge-transfer-graph]"
    yield "model-index:"
    yield f"  - name: {json.dumps(f'{node.plan.graph.name}-{node.name}')}"
    yield "    results:"
    yield f"      - task: {{type: {task}}}"
    yield f"        dataset: {{type: {data}, name: {data}}}"
    yield f"        metrics: [{json.dumps(metric)}]"
    yield "---"
    yield ""


def _summary(node: TrainedNode, picture: str | None) -> Iterator[str]:
    network, found = node.plan.graph.networks.get(node.name), node.result.nodes[node.name]
    rows = [
        ("network", "an ensemble" if network is None else str(network.network)),
        ("data", str(node.plan.data.source)),
        *_classes(node),
        ("test accuracy", f"{node.accuracy:.2f} % (seed {node.result.seeds[node.repeat - 1]})"),
        ("all seeds", str(found.accuracy)),
        *((f"all seeds, {head}", str(each.accuracy)) for head, each in (found.heads or {}).items()),
    ]
    yield f"# {node.name} of the knowledge transfer graph {node.plan.graph.name}"
    yield ""
    yield "```text"
    yield from (printable(line) for line in columns(rows))
    yield "```"
    yield ""
    if picture is not None:
        yield f"![The graph in which it was trained](<{picture}>)"
        yield ""


def _classes(node: TrainedNode) -> Iterator[tuple[str, str]]:
    """A row with the classes, or one for each of several heads."""
    names = node.class_names
    by_head = {"classes": names} if isinstance(names, tuple) else names
    for head, each in by_head.items():
        yield (f"classes of {head}" if node.heads else head), ", ".join(each)


def _usage(node: TrainedNode, file: str) -> Iterator[str]:
    channels, height, width = node.shape
    what = {"logits": "logits", "log_p": "log-probabilities"}[node.output]
    of_pixels = f", {height}, {width}" * node.plan.data.known_facts.masks
    shapes = {name: f"(B, {classes}{of_pixels})" for name, classes in node.outputs.items()}
    output = ", ".join(
        f"{what} {f'`{name}` ' * bool(node.heads)}{shape}" for name, shape in shapes.items()
    )
    yield "## Use"
    yield ""
    if file.endswith(".safetensors"):
        yield (
            "The file has the weights of the network, which takes images normalised by its `mean` "
            f"and `std`, (B, {channels}, {height}, {width}), and gives {output}."
        )
    else:
        yield (
            f"It takes images (B, {channels}, {height}, {width}), float32 from 0 to 1, which it "
            f"normalises itself, and gives {output}."
        )
    yield ""
    yield "```python"
    outputs, names = ("outputs", json.dumps(node.heads)) if node.heads else ("(outputs,)", None)
    example = _EXAMPLES[file[file.rindex(".") :]]
    yield example.format(file=json.dumps(file), outputs=outputs, names=names)
    yield "```"
    yield ""


def _training(node: TrainedNode) -> Iterator[str]:
    versions = node.run.environment().get("versions", {})
    yield "## How it was trained"
    yield ""
    yield f"With {', '.join(f'{name} {version}' for name, version in versions.items())}:"
    yield ""
    yield "```ktg"
    yield printable_lines(unparse_plan(node.plan, node.run.path)).rstrip()
    yield "```"
