"""Options that several verbs have."""

import argparse


def add_output_format(parser: argparse.ArgumentParser) -> None:
    """How diagnostics are printed."""
    parser.add_argument(
        "--output-format",
        choices=["full", "concise", "json"],
        help="how diagnostics are printed (default: full)",
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Options of every verb that compiles a spec; `overrides` reads them."""
    add_output_format(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override a setting: train.epochs=2, data.batch=32, node.a=resnet14, let.T=4",
    )
    for option in ("epochs", "seed", "repeats"):
        parser.add_argument(
            f"--{option}", type=int, metavar="N", help=f"the same as --set train.{option}=N"
        )
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="folder that files named by the spec lie in (default: its project, or its own)",
    )


def overrides(options: argparse.Namespace) -> list[str]:
    """The overrides of a command line, the short forms written out."""
    return [*options.set, *short_forms(options)]


def short_forms(options: argparse.Namespace) -> dict[str, str]:
    """The short forms of overrides on a command line, such as `--epochs 2`, by what they mean."""
    short = {"epochs": options.epochs, "seed": options.seed, "repeats": options.repeats}
    return {f"train.{name}={n}": f"--{name} {n}" for name, n in short.items() if n is not None}


def add_file_or_resume(parser: argparse.ArgumentParser, what: str) -> None:
    """A spec to begin with, or the folder of a run or search to resume."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("file", nargs="?", metavar="FILE")
    group.add_argument("--resume", metavar="DIR", help=f"go on with the {what} in this folder")
    parser.add_argument("--out", metavar="DIR", help="folder for the results (default: runs/NAME)")
    parser.add_argument(
        "--allow-changed-code",
        action="store_true",
        help="with --resume: go on although code of yours has changed",
    )


def add_device(parser: argparse.ArgumentParser, default: str = "a GPU") -> None:
    """Where to train."""
    parser.add_argument(
        "--device", metavar="NAME", help=f"such as cpu or cuda:1 (default: {default})"
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """Where to log what is trained."""
    parser.add_argument(
        "--log",
        action="append",
        choices=["tensorboard", "mlflow", "wandb", "csv"],
        default=[],
        metavar="TOOL",
        help="log every metric, to tensorboard, mlflow, wandb or csv; given again, to several",
    )


def add_deterministic(parser: argparse.ArgumentParser) -> None:
    """Whether to train reproducibly to the bit."""
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits each time, on a GPU too, and more slowly",
    )


_FIXED_BY_RESUME = ("epochs", "seed", "repeats", "out", "root", "deterministic")


def not_for_resume(options: argparse.Namespace) -> list[str]:
    """The options given that a resumed run or search keeps as they were, such as `--seed`."""
    names = [f"--{name}" for name in _FIXED_BY_RESUME if getattr(options, name)]
    return [*(["--set"] if options.set else []), *names]
