"""The formats of exported networks; each file is read back and compared with the network."""

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ktgdsl.backend.weights import MEAN, STD, metadata_of
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError, RunError
from ktgdsl.exporting.trained_node import TrainedNode
from ktgdsl.extras import missing

TOLERANCE = 1e-4
"""By how much outputs may differ from the network's, relative to the largest of them."""

_BATCHES = (1, 2, 5)
"""Sizes of the batches that an exported network is checked with. It is traced with the second."""


def onnx_file(node: TrainedNode) -> bytes:
    """An ONNX model with a dynamic batch; input `image`, output `logits` or `log_p`, or its heads.

    Its metadata are the node's facts.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch needs it)
    except ImportError as error:
        raise missing("the export to ONNX", "onnx", error) from None
    names = [*node.outputs]
    with _reporting(node, "ONNX"):
        program = torch.onnx.export(
            _InOrder(node) if node.heads else node.network,
            (_images(node, 2),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            input_names=["image"],
            output_names=names,
            verbose=False,
        )
        assert program is not None  # it is None only where it writes the file itself
        model = program.model_proto
        for name, fact in node.facts().items():
            model.metadata_props.add(key=name, value=fact)
        content: bytes = model.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def compute(image: Tensor) -> dict[str, Tensor]:
        found = session.run(names, {"image": image.numpy()})
        return {name: torch.tensor(each) for name, each in zip(names, found, strict=True)}

    _check(node, compute)
    return content


def program_file(node: TrainedNode) -> bytes:
    """An exported program of torch with a dynamic batch, for `torch.export.load`.

    With several heads it gives a dict of their outputs.
    Its extra file `facts.json` has the node's facts.
    """
    with _reporting(node, "torch.export"):
        program = torch.export.export(
            node.network,
            (_images(node, 2),),
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        )
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={"facts.json": json.dumps(node.facts())})
        again = torch.export.load(io.BytesIO(file.getvalue()))
    module: Any = again.module()
    _check(node, lambda image: _by_name(node, module(image)))
    return file.getvalue()


def weights_file(node: TrainedNode) -> bytes:
    """The parameters and buffers of the network as a safetensors file, the node's facts with them.

    Among the facts are `mean` and `std`, by which images have to be normalised.
    """
    facts = node.facts()
    if node.name in node.plan.graph.networks:
        path = node.run.weights(node.name, node.repeat)
        tensors = safetensors.torch.load_file(path)
        stored = metadata_of(path)
        facts |= {MEAN: stored[MEAN], STD: stored[STD]}
    else:
        state = node.network.state_dict()
        tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    content = safetensors.torch.save(tensors, facts)
    again = safetensors.torch.load(content)
    assert all(torch.equal(tensor, again[name]) for name, tensor in tensors.items())
    return content


FORMATS: dict[str, Callable[[TrainedNode], bytes]] = {
    ".onnx": onnx_file,
    ".pt2": program_file,
    ".safetensors": weights_file,
}
"""The function that makes the content of a file, by the file's suffix."""


def _images(node: TrainedNode, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.rand(count, *node.shape, generator=generator)


@contextmanager
def _reporting(node: TrainedNode, what: str) -> Iterator[None]:
    """Report what goes wrong in an exporter as an error about the node (E505)."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporters about themselves
            yield
    except (RunError, KeyboardInterrupt):
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        message = f"{what} cannot take the network of node `{node.name}`: {reason}"
        raise NodeError(node.name, Diagnostic("E505", message, help=_INSTEAD)) from error


_INSTEAD = "export its weights alone, as .safetensors"


class _InOrder(nn.Module):
    """A network with several heads, which gives their outputs as a tuple."""

    def __init__(self, node: TrainedNode) -> None:
        super().__init__()
        self.network, self.heads = node.network, node.heads

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the output (B, classes, ...) of each head."""
        outputs = self.network(image)
        return tuple(outputs[head] for head in self.heads)


def _by_name(node: TrainedNode, outputs: Any) -> Mapping[str, Tensor]:
    """The outputs of a network, by their names."""
    return outputs if node.heads else {node.output: outputs}


def _check(node: TrainedNode, exported: Callable[[Tensor], Mapping[str, Tensor]]) -> None:
    """Raise NodeError (E505) where an exported network computes other outputs."""
    with torch.no_grad():
        for size in _BATCHES:
            image = _images(node, size)
            got = exported(image)
            for name, expected in _by_name(node, node.network(image)).items():
                difference = (expected - got[name]).abs().max().item()
                if not difference <= TOLERANCE * expected.abs().max().item():
                    of = f" of the head `{name}`" if node.heads else ""
                    message = (
                        f"the exported network of node `{node.name}` computes something else: "
                        f"outputs{of} for {size} images differ by up to {difference:.2g}"
                    )
                    raise NodeError(node.name, Diagnostic("E505", message, help=_INSTEAD))
