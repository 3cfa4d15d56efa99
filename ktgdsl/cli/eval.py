"""`ktgc eval`: measures the networks that a run has trained."""

import argparse

from ktgdsl.cli.console import FINE, print_json, print_text, width
from ktgdsl.cli.options import add_device, add_output_format
from ktgdsl.cli.training import prepare_to_train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("folder", metavar="RUN", help="the folder of a run")
    parser.add_argument(
        "--node",
        action="append",
        metavar="NAME",
        help="only this node, with its classes and mistakes; given again, these "
        "(default: all, and the target in detail)",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="a data set as a spec names it, such as cifar10 or 'folder(\"photos\")', or a folder "
        "with test/CLASS/ (default: the run's)",
    )
    parser.add_argument(
        "--data-root", metavar="DIR", help="folder of the data, where it is another one here"
    )
    parser.add_argument(
        "--split",
        choices=["test", "validation", "train"],
        default="test",
        help="of the data (default: test)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, with every count")
    add_device(parser)
    add_output_format(parser)


def run(options: argparse.Namespace) -> int:
    """Evaluate, and print what was measured."""
    prepare_to_train()
    from ktgdsl.evaluation.evaluate import evaluate
    from ktgdsl.report.evaluation import evaluation_json, evaluation_text

    evaluation = evaluate(
        options.folder,
        options.node or (),
        data=_data(options.data),
        root=options.data_root,
        split=options.split,
        device=options.device,
    )
    if options.json:
        print_json(evaluation_json(evaluation))
    else:
        detailed = options.node or evaluation.plan.graph.targets[:1]
        detailed = [name for name in evaluation.nodes if name in detailed]
        print_text(evaluation_text(evaluation, detailed, width()).removesuffix("\n"))
    return FINE


def _data(text: str | None) -> str | None:
    """The data set as a spec names it; a path is that of a folder of images."""
    if text is None or "/" not in text or "(" in text:
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'folder("{quoted}")'
