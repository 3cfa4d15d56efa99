"""`ktgc search`: finds the best graph of a space, or resumes a search."""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ktgdsl.backend.spec_or_space import require_space
from ktgdsl.cli.compiling import compile_named, required_plan
from ktgdsl.cli.console import FINE, print_file, print_text, usage_error
from ktgdsl.cli.options import (
    add_deterministic,
    add_device,
    add_file_or_resume,
    add_log,
    add_overrides,
    not_for_resume,
    overrides,
)
from ktgdsl.cli.training import (
    logged,
    prepare_to_train,
    refuse_several_processes,
    search_listener,
)
from ktgdsl.compiler import compile_file, locate_errors
from ktgdsl.files import expand_home
from ktgdsl.plan.model import Plan
from ktgdsl.searching.joining import STORAGE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_file_or_resume(parser, "search")
    parser.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="trials at a time (default: one a GPU, or one for two cores)",
    )
    parser.add_argument(
        "--engine",
        choices=["local", "ray"],
        help="where they are trained: on this machine (the default), or on a Ray cluster",
    )
    parser.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="X",
        help="with --engine ray: GPUs that each takes, such as 0.25 (default: 1 if there are any)",
    )
    add_device(parser, default="all GPUs")
    add_deterministic(parser)
    add_log(parser)
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="share a new search by a database, such as postgresql://USER@HOST/DATABASE",
    )
    parser.add_argument(
        "--join",
        action="store_true",
        help="take part in the search in --storage (default: $KTGDSL_STORAGE), new or not",
    )
    parser.add_argument(
        "--emit",
        choices=["slurm", "k8s"],
        help="print the file of a job that joins the search, and train nothing",
    )
    parser.add_argument(
        "--jobs", type=_count, default=4, metavar="N", help="with --emit: processes (default: 4)"
    )
    parser.add_argument("--image", metavar="NAME", help="with --emit k8s: the container's image")
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    add_overrides(parser)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1 is needed, not {number}")
    return number


def run(options: argparse.Namespace) -> int:
    """Run `ktgc search`; the listener prints. Returns the exit code."""
    if (code := refuse_several_processes("search")) is not None:
        return code
    prepare_to_train()
    if options.resume is not None:
        return _resume(options)
    if options.allow_changed_code:
        return usage_error("search", "--allow-changed-code is for --resume")
    if options.emit is not None:
        return _emit(options)
    storage = options.storage or (os.environ.get(STORAGE) if options.join else None)
    if options.join and not storage:
        return usage_error("search", f"--join needs the database, in --storage or ${STORAGE}")
    if storage is None and os.environ.get(STORAGE):
        print_text(f"this search is not shared: ${STORAGE} is for --join", sys.stderr)
    if storage and (options.engine == "ray" or options.gpus_per_worker is not None):
        return usage_error("search", "a search is shared by --storage or by --engine ray, not both")
    compiled = compile_named(options)
    plan = required_plan(compiled, require_space)
    listening = logged(search_listener(options.quiet), options.log)
    with locate_errors(compiled), listening as listener:
        from ktgdsl.searching.search import search
        from ktgdsl.searching.trial_places import locating_listener

        engine: dict[str, Any] = {
            "engine": options.engine or "local",
            "gpus_per_worker": options.gpus_per_worker,
        }
        begin: Callable[..., object] = partial(search, **engine)
        if storage:
            from ktgdsl.searching.shared import joined_search

            begin = partial(joined_search.join, storage=storage, is_new=not options.join)
        begin(
            plan,
            out=options.out,
            workers=options.workers,
            device=options.device,
            deterministic=options.deterministic,
            listener=locating_listener(listener, compiled),
        )
    return FINE


def _emit(options: argparse.Namespace) -> int:
    """Print the file of a Slurm or Kubernetes job that joins the search."""
    from ktgdsl.searching.shared.job_files import Job, k8s_job, slurm_job

    if options.emit == "k8s" and not options.image:
        return usage_error("search", "--emit k8s needs the --image that ktgdsl is in")
    plan = required_plan(compile_named(options), require_space)
    assert plan.space is not None
    settings = [word for each in overrides(options) for word in ("--set", each)]
    if options.deterministic:
        settings += ["--deterministic"]
    job = Job(
        name=plan.graph.name,
        file=options.file,
        space=plan.space.text,
        options=tuple(settings),
        processes=options.jobs,
        workers=options.workers or 1,
        has_gpu=not (options.device or "").startswith("cpu"),
        code=_code_beside(plan),
    )
    print_file(slurm_job(job) if options.emit == "slurm" else k8s_job(job, options.image))
    return FINE


def _code_beside(plan: Plan) -> dict[str, str]:
    """The text of each file of the user's own code that lies beside the spec, by its path there."""
    from ktgdsl.backend.user_sources import user_sources

    folder = Path(plan.folder or "").absolute()
    return {
        file.path.absolute().relative_to(folder).as_posix(): file.content.decode()
        for file in user_sources(plan).values()
        if file.path.absolute().is_relative_to(folder)
    }


def _resume(options: argparse.Namespace) -> int:
    if fixed := not_for_resume(options):
        names = " and ".join(fixed)
        return usage_error("search", f"--resume goes on with a search as it is, without {names}")
    space = compile_file(expand_home(options.resume) / "space.ktg")
    listening = logged(search_listener(options.quiet), options.log)
    with locate_errors(space), listening as listener:
        from ktgdsl.searching.search import resume
        from ktgdsl.searching.trial_places import locating_listener

        resume(
            options.resume,
            workers=options.workers,
            device=options.device,
            listener=locating_listener(listener, space),
            allow_changed_code=options.allow_changed_code,
            engine=options.engine,
            gpus_per_worker=options.gpus_per_worker,
        )
    return FINE
