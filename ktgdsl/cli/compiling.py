"""The spec that a command line names, compiled, and the places in it of what goes wrong later."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ktgdsl.cli.console import print_diagnostics
from ktgdsl.cli.options import overrides
from ktgdsl.compiler import Compiled, compile_file
from ktgdsl.diagnostics.source import Span
from ktgdsl.errors import NodeError, RunError, SpecError
from ktgdsl.plan.model import Plan
from ktgdsl.syntax.tree import File, Node


def compile_named(options: argparse.Namespace, path: str | None = None) -> Compiled:
    """The compiled spec at `path`, by default the verb's only file."""
    compiled = compile_file(path or options.file, overrides(options), options.root)
    warnings = [each for each in compiled.diagnostics if each.severity == "warning"]
    if compiled.plan is not None and warnings:
        print_diagnostics(warnings, compiled.sources, options.output_format, sys.stderr)
    return compiled


def plan_of(compiled: Compiled) -> Plan:
    """The plan. Raises SpecError where there is none."""
    if compiled.plan is None:
        raise SpecError(compiled.diagnostics, compiled.sources)
    return compiled.plan


def supported_plan(compiled: Compiled, require: Callable[[Plan, File | None], None]) -> Plan:
    """The plan, if `require` (require_supported or require_searchable) has nothing against it.

    Raises SpecError where there is no plan, and the RunError of `require` with the sources, so
    that it can show the places in the spec.
    """
    plan = plan_of(compiled)
    try:
        require(plan, compiled.tree)
    except RunError as error:
        raise RunError(error.diagnostics, compiled.sources) from None
    return plan


@contextmanager
def naming_places(compiled: Compiled) -> Iterator[None]:
    """Add to an error about the network of a node where the spec says what it is."""
    try:
        yield
    except NodeError as error:
        span = None if compiled.tree is None else _network_span(compiled.tree, error.node)
        found = [each if each.span else replace(each, span=span) for each in error.diagnostics]
        raise RunError(found, compiled.sources) from error


def _network_span(tree: File, node: str) -> Span | None:
    """The network in the statement that declares a node; of `p[0]` that of the array."""
    base = node.partition("[")[0]
    for statement in tree.graph.statements if tree.graph else ():
        if isinstance(statement, Node) and any(each.name == base for each in statement.names):
            return statement.network.span
    return None
