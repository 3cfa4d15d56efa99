"""`ktgc export`: writes a trained network for other programs, with a model card."""

import argparse

from ktgdsl.cli.console import FINE, print_text
from ktgdsl.files import expand_home
from ktgdsl.report.pictures.picture import notebook_svg
from ktgdsl.training.run_files import write_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("folder", metavar="DIR", help="the folder of a finished run")
    parser.add_argument(
        "-o",
        dest="out",
        required=True,
        metavar="FILE",
        help="x.onnx, x.pt2 (torch.export) or x.safetensors (the weights alone)",
    )
    parser.add_argument("--node", metavar="NAME", help="whose network (default: the target's)")
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="of which seed of the run (default: 1)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the network, and beside it a card and the picture of its graph."""
    from ktgdsl.exporting.export import export  # these import torch
    from ktgdsl.report.model_card import model_card

    node = export(options.folder, options.out, options.node, options.repeat)
    path = expand_home(options.out)
    # The whole name, so that `m.onnx` and `m.pt2` have a card each.
    card, drawing = (path.with_name(path.name + end) for end in (".card.md", ".graph.svg"))
    picture = notebook_svg(node.plan)
    if picture is not None:  # None of a graph too large for one
        write_file(drawing, picture.encode())
    text = model_card(node, path.name, None if picture is None else drawing.name)
    write_file(card, text.encode())
    print_text(f"wrote {path}, checked against the network; its card is {card}")
    return FINE
