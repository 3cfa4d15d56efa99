"""The spec that a command line names, compiled, and the places in it of what goes wrong later."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ktgdsl.cli.console import print_diagnostics
from ktgdsl.cli.options import overrides
from ktgdsl.compiler import Compiled, compile_file
from ktgdsl.diagnostics.source import Span
from ktgdsl.errors import EdgeError, NodeError, RunError, SpecError, TapError
from ktgdsl.plan.model import Plan
from ktgdsl.syntax.tree import CallExpression, Edge, File, Node, Reference, String
from ktgdsl.syntax.walk import walk


def compile_named(options: argparse.Namespace, path: str | None = None) -> Compiled:
    """The compiled spec at `path`, by default the verb's only file."""
    compiled = compile_file(
        options.file if path is None else path, overrides(options), options.root
    )
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
    """Add to an error about the network of a node, or an edge, where the spec says what it is."""
    try:
        yield
    except (NodeError, EdgeError) as error:
        span = None if compiled.tree is None else _span_of(compiled.tree, error)
        found = [each if each.span else replace(each, span=span) for each in error.diagnostics]
        raise RunError(found, compiled.sources) from error


def _span_of(tree: File, error: NodeError | EdgeError) -> Span | None:
    """The statement of an edge, the place of a tap in one, or the network of a node."""
    statements = tree.graph.statements if tree.graph else ()
    edges = [each for each in statements if isinstance(each, Edge)]
    if isinstance(error, EdgeError):
        source, destination = error.edge
        for edge in reversed(edges):  # a later one replaces an earlier
            ends = (edge.sources, edge.destinations)
            pairs = [ends, ends[::-1]] if edge.arrow == "<->" else [ends]
            if any(_names(one, source) and _names(two, destination) for one, two in pairs):
                return edge.span
        return None
    if isinstance(error, TapError):
        for part in (part for edge in edges for part in walk(edge)):
            if isinstance(part, Reference) and _names([part], f"{error.node}.{error.tap}"):
                return part.span
    return _network_span(tree, error.node)


def _names(references: Iterable[Reference], endpoint: str) -> bool:
    """Whether one of the references may stand for an endpoint, such as `p[0].stage2`."""
    node, _, path = endpoint.partition(".")
    for reference in references:
        tap = ""
        if isinstance(reference.tap, String):
            tap = reference.tap.value
        elif isinstance(reference.tap, CallExpression):
            tap = reference.tap.name
        if reference.name in (node.partition("[")[0], "*") and tap == path.strip('"'):
            return True
    return False


def _network_span(tree: File, node: str) -> Span | None:
    """The network in the statement that declares a node; of `p[0]` that of the array."""
    base = node.partition("[")[0]
    for statement in tree.graph.statements if tree.graph else ():
        if isinstance(statement, Node) and any(each.name == base for each in statement.names):
            return statement.network.span
    return None
