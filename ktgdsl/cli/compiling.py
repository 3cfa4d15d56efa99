"""Compiles the spec that a command line names."""

import argparse
import sys
from collections.abc import Callable

from ktgdsl.cli.console import print_diagnostics
from ktgdsl.cli.options import overrides, short_forms
from ktgdsl.compiler import Compiled, compile_file
from ktgdsl.errors import RunError, SpecError
from ktgdsl.plan.model import Plan
from ktgdsl.syntax.tree import File


def compile_named(options: argparse.Namespace, path: str | None = None) -> Compiled:
    """The compiled spec at `path`, by default the verb's only file."""
    compiled = compile_as_written(options, options.file if path is None else path)
    warnings = [each for each in compiled.diagnostics if each.severity == "warning"]
    if compiled.plan is not None and warnings:
        print_diagnostics(warnings, compiled.sources, options.output_format, sys.stderr)
    return compiled


def compile_as_written(
    options: argparse.Namespace, path: str, *, pedantic: bool = False
) -> Compiled:
    """The compiled spec at `path`, whose diagnostics name options as the user wrote them."""
    compiled = compile_file(path, overrides(options), options.root, pedantic=pedantic)
    written = {f"--set {setting}": option for setting, option in short_forms(options).items()}
    sources = {
        name: source._replace(option=written.get(name, source.option))
        for name, source in compiled.sources.items()
    }
    return compiled._replace(sources=sources)


def plan_of(compiled: Compiled) -> Plan:
    """The plan. Raises SpecError where there is none."""
    if compiled.plan is None:
        raise SpecError(compiled.diagnostics, compiled.sources)
    return compiled.plan


def required_plan(compiled: Compiled, require: Callable[[Plan, File | None], None]) -> Plan:
    """The plan, if `require` (require_spec or require_space) has nothing against it.

    Raises SpecError where there is no plan, and the RunError of `require` with the sources, so
    that it can show the places in the spec.
    """
    plan = plan_of(compiled)
    try:
        require(plan, compiled.tree)
    except RunError as error:
        raise RunError(error.diagnostics, compiled.sources) from None
    return plan
