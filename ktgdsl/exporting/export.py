"""Exports a trained network to a file of another program's format."""

from pathlib import Path

from ktgdsl.errors import RunError
from ktgdsl.exporting.formats import FORMATS
from ktgdsl.exporting.trained_node import TrainedNode, trained_node
from ktgdsl.files import expand_home
from ktgdsl.training.run_files import FolderPath, write_file


def export(
    folder: FolderPath, path: str | Path, node: str | None = None, repeat: int = 1
) -> TrainedNode:
    """Write the network of a finished run's node to a file, in the format of the file's suffix.

    `.onnx` and `.pt2` (torch.export) take images (B, C, H, W) float32 in [0, 1], B being dynamic,
    normalise them, and are compared with the network before they are written. `.safetensors` has
    the weights alone. All have the names of the classes, in the order of the outputs. A node with
    several heads has an output for each, by its name.

    Args:
        folder: of the run.
        path: of the file; it is written whole or not at all.
        node: by default the first target. An ensemble is exported with its members.
        repeat: which of the run's seeds, counted from 1.

    Raises:
        RunError: as `load_network`; E504 where a package is missing, E505 where a format cannot
            take the network, E502 where the file cannot be written or its suffix is no format.
    """
    path = expand_home(path)
    if path.suffix not in FORMATS:
        message = f"`{path}` names no format: it ends in .onnx, .pt2 or .safetensors"
        raise RunError.single("E502", message, path=path)
    trained = trained_node(folder, node, repeat)
    write_file(path, FORMATS[path.suffix](trained))
    return trained
