"""`ktgc run`: trains a graph, or resumes a run."""

import argparse

from ktgdsl.backend.spec_or_space import require_spec
from ktgdsl.cli.compiling import compile_named, required_plan
from ktgdsl.cli.console import FINE, usage_error
from ktgdsl.cli.options import (
    add_deterministic,
    add_device,
    add_file_or_resume,
    add_log,
    add_overrides,
    not_for_resume,
    overrides,
)
from ktgdsl.cli.training import discarded_last, logged, prepare_to_train, run_listener
from ktgdsl.compiler import locate_errors, locate_errors_in
from ktgdsl.files import expand_home
from ktgdsl.flattened import flattened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_file_or_resume(parser, "run")
    add_device(parser)
    add_deterministic(parser)
    add_log(parser)
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Train; the listener prints."""
    prepare_to_train()
    if options.resume is not None:
        return _resume(options)
    if options.allow_changed_code:
        return usage_error("run", "--allow-changed-code is for --resume")
    compiled = compile_named(options)
    plan = required_plan(compiled, require_spec)
    listening = logged(run_listener(options.quiet), options.log)
    with discarded_last() as last, locate_errors(compiled), listening as listener:
        from ktgdsl.training.run import run

        run(
            plan,
            out=options.out,
            device=options.device,
            deterministic=options.deterministic,
            listener=last(listener),
            spec=flattened(compiled, overrides(options)),
        )
    return FINE


def _resume(options: argparse.Namespace) -> int:
    if fixed := not_for_resume(options):
        names = " and ".join(fixed)
        return usage_error("run", f"--resume goes on with a run as it is, without {names}")
    with (
        locate_errors_in(expand_home(options.resume) / "spec.ktg"),
        logged(run_listener(options.quiet), options.log) as listener,
    ):
        from ktgdsl.training.run import resume

        resume(
            options.resume,
            device=options.device,
            listener=listener,
            allow_changed_code=options.allow_changed_code,
        )
    return FINE
