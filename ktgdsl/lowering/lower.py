"""Lowers a checked tree to a plan in which every default is written out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, has_errors
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.assemble import OWN, assemble
from ktgdsl.lowering.blocks import Settings, phase_blocks, search, settings
from ktgdsl.lowering.cached_outputs import check_cached_outputs
from ktgdsl.lowering.draft import Draft, Drafting
from ktgdsl.lowering.ensembles import check_combinations
from ktgdsl.lowering.expand import expand
from ktgdsl.lowering.head_checks import check_labels
from ktgdsl.lowering.held_out import refuse_judging_by_test_samples
from ktgdsl.lowering.let_checks import unusable
from ktgdsl.lowering.passes import (
    PassState,
    check_patterns,
    check_targets,
    cut,
    drop,
    freeze,
)
from ktgdsl.lowering.phases import check_phases, keep_needed, learning, phases, settled
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.share_checks import check_shares
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.lowering.substitution import NothingOpen, Substitution
from ktgdsl.lowering.weight_files import weights
from ktgdsl.plan import model
from ktgdsl.plan.heads import with_labels
from ktgdsl.syntax.tree import Block, Choice, File, Let

SubstitutionFactory = Callable[[Resolver], Substitution]
"""How the open values of a file are closed."""


class Lowered(NamedTuple):
    """A plan, or None when something is wrong.

    `word_diagnostics` are about the words of the file, `graph_diagnostics` about the graph that
    they declare.
    """

    plan: model.Plan | None
    word_diagnostics: tuple[Diagnostic, ...]
    graph_diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of them."""
        return (*self.word_diagnostics, *self.graph_diagnostics)


def lower(
    file: File,
    paths: SpecPaths,
    earlier: Sequence[Diagnostic] = (),
    unread: frozenset[str] = frozenset(),
    substitute: SubstitutionFactory | None = None,
    resolver: Resolver | None = None,
) -> Lowered:
    """The plan of a validated file, and what more there is to complain about.

    `paths` is where the paths in it begin. `earlier` are the diagnostics so far, and
    `unread` has the words of the parts that did not parse: what may only be a consequence of
    those is not complained about. `substitute` makes what replaces open values. What `resolver`
    knows of the file from earlier lowerings is not looked up again.
    """
    resolver = Resolver(lets(file), unread) if resolver is None else resolver.without_complaints()
    substitution = NothingOpen() if substitute is None else substitute(resolver)
    drafted = _drafted(resolver, substitution, file, paths)
    if drafted is None:
        return Lowered(None, tuple(resolver.diagnostics))
    return _passed(drafted, file, paths, earlier)


class _Drafted(NamedTuple):
    """All that a file says, before the passes."""

    drafting: Drafting
    found: Settings | None
    files: dict[str, model.WeightsFile | None]
    timed: tuple[model.Phase, ...] | None
    sought: model.SearchPlan | None


def check_substituted(
    file: File, paths: SpecPaths, substitute: SubstitutionFactory, resolver: Resolver
) -> tuple[Diagnostic, ...]:
    """What is wrong with a file, its open values substituted, whatever the other values are.

    That is all about its words, and edges into nodes that are frozen.
    """
    resolver = resolver.without_complaints()
    drafted = _drafted(resolver, substitute(resolver), file, paths)
    if drafted is None or not any(n.settings.frozen for n in drafted.drafting.draft.nodes.values()):
        return tuple(resolver.diagnostics)
    passed = _cut_and_frozen(drafted, file).diagnostics
    return (*resolver.diagnostics, *(each for each in passed if each.code == "E403"))


def _drafted(
    resolver: Resolver, substitution: Substitution, file: File, paths: SpecPaths
) -> _Drafted | None:
    """None where there is no graph."""
    resolver.phases = [block.name or "" for block in phase_blocks(file)]
    found = settings(resolver, substitution, file, paths)
    if file.graph is None:
        return None
    drafting = expand(resolver, substitution, file.graph, found.data.views if found else 1)
    if found is not None:
        check_labels(drafting, file, found.data_plan)
    files = _weights(resolver, drafting.draft, paths)
    timed = phases(drafting, file, found) if phase_blocks(file) else ()
    sought = search(drafting, file, found, timed or ())
    if found is not None and sought is None and not found.data.holdout:
        refuse_judging_by_test_samples(drafting, file, found, timed)
    return _Drafted(drafting, found, files, timed, sought)


def _passed(
    drafted: _Drafted, file: File, paths: SpecPaths, earlier: Sequence[Diagnostic]
) -> Lowered:
    drafting, found, files, timed, sought = drafted
    resolver = drafting.resolver
    state = _cut_and_frozen(drafted, file)
    times = state.phases
    if _settled(file, [*earlier, *resolver.diagnostics]):
        state = check_shares(check_patterns(check_targets(state)))
        if times:
            state = check_phases(state)
        if found is not None:
            state = check_cached_outputs(state, found.data, found.data_plan.source.name, file)
        if not has_errors(state.diagnostics):
            state = check_combinations(drop(state))
            if timed and times:
                state = keep_needed(state)
                timed = settled(timed, state)
    word_diagnostics, graph_diagnostics = tuple(resolver.diagnostics), state.diagnostics
    if (
        found is None
        or timed is None
        or has_errors((*earlier, *word_diagnostics, *graph_diagnostics))
    ):
        return Lowered(None, word_diagnostics, graph_diagnostics)
    built = assemble(state, found, files)
    plan = model.Plan.model_construct(
        graph=built,
        data=with_labels(found.data_plan, built),
        train=found.train_plan,
        pretrain=found.pretrain_plan,
        phases=timed,
        search=sought,
        folder=str(paths.folder.resolve()),
    )
    return Lowered(plan, word_diagnostics, graph_diagnostics)


def _cut_and_frozen(drafted: _Drafted, file: File) -> PassState:
    """The state after the first passes, which any draft can go through."""
    draft = drafted.drafting.draft
    times = learning(drafted.timed or (), file) if phase_blocks(file) else ()
    return freeze(cut(PassState(draft, tuple(draft.edges.values()), times, {})))


def _settled(file: File, diagnostics: Sequence[Diagnostic]) -> bool:
    """Whether nothing is wrong but in blocks of settings, so that the graph is as it seems."""
    blocks_of_settings = [
        s.span for s in file.statements if isinstance(s, Block) and s.kind != "phase"
    ]
    return all(
        diagnostic.severity != "error"
        or (
            diagnostic.span is not None
            and any(_within(diagnostic.span, block) for block in blocks_of_settings)
        )
        for diagnostic in diagnostics
    )


def _within(inner: Span, outer: Span) -> bool:
    return inner.path == outer.path and outer.start <= inner.start and inner.end <= outer.end


def lets(file: File) -> dict[str, Let]:
    """The `let`s by name; one that `validate` refuses has no option to choose from."""
    found = {s.name: s for s in file.statements if isinstance(s, Let)}
    for name in unusable(file):
        nothing = Choice(span=found[name].span, options=())
        found[name] = replace(found[name], value=nothing)
    return found


def _weights(
    resolver: Resolver, written: Draft, paths: SpecPaths
) -> dict[str, model.WeightsFile | None]:
    """The files that nodes name, each looked at once."""
    found: dict[str, model.WeightsFile | None] = {}
    for node in written.nodes.values():
        path, span = node.settings.weights, node.weights_span
        if path not in (None, OWN) and span is not None and path not in found:
            folder = paths.base(span)
            found[path] = weights(resolver, path, span, folder, paths.may_have_weights(folder))
    return found
