"""Lowers a checked tree to a plan in which every default is written out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, has_errors
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.assemble import OWN, assemble
from ktgdsl.lowering.blocks import Settings, lower_search, lower_settings, phase_blocks
from ktgdsl.lowering.cached_outputs import check_cached_outputs
from ktgdsl.lowering.draft import Draft, DraftContext
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
from ktgdsl.lowering.phases import (
    check_phases,
    drop_from_phases,
    lower_phases,
    phase_learners,
    with_learners,
)
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.share_checks import check_shares
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.lowering.substitution import NothingOpen, Substitution
from ktgdsl.lowering.weight_files import weights_file
from ktgdsl.plan import model
from ktgdsl.plan.heads import with_labels
from ktgdsl.syntax.tree import Block, Choice, File, Let

SubstitutionFactory = Callable[[Resolver], Substitution]
"""Makes the substitution that replaces the open values of a file."""


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
    unparsed: frozenset[str] = frozenset(),
    substitute: SubstitutionFactory | None = None,
    resolver: Resolver | None = None,
) -> Lowered:
    """The plan of a validated file, and further diagnostics.

    `paths` resolves the paths in it. `earlier` are the diagnostics so far, and `unparsed` has the
    words of the parts that did not parse: errors that may only follow from those are not
    reported. `substitute` makes the substitution of open values. A `resolver` of an earlier
    lowering of the same file brings its cache.
    """
    resolver = Resolver(lets(file), unparsed) if resolver is None else resolver.without_complaints()
    substitution = NothingOpen() if substitute is None else substitute(resolver)
    drafted = _drafted(resolver, substitution, file, paths)
    if drafted is None:
        return Lowered(None, tuple(resolver.diagnostics))
    return _run_passes(drafted, file, paths, earlier)


class _Drafted(NamedTuple):
    """A file before the passes: its draft and its blocks; None for a block with an error."""

    context: DraftContext
    settings: Settings | None
    weights: dict[str, model.WeightsFile | None]
    phases: tuple[model.Phase, ...] | None
    search: model.SearchPlan | None


def check_substituted(
    file: File, paths: SpecPaths, substitute: SubstitutionFactory, resolver: Resolver
) -> tuple[Diagnostic, ...]:
    """The errors of a file with open values substituted that no other values could avoid.

    Those are all errors about its words, and edges into frozen nodes.
    """
    resolver = resolver.without_complaints()
    drafted = _drafted(resolver, substitute(resolver), file, paths)
    if drafted is None or not any(n.settings.frozen for n in drafted.context.draft.nodes.values()):
        return tuple(resolver.diagnostics)
    passed = _cut_and_frozen(drafted, file).diagnostics
    return (*resolver.diagnostics, *(each for each in passed if each.code == "E403"))


def _drafted(
    resolver: Resolver, substitution: Substitution, file: File, paths: SpecPaths
) -> _Drafted | None:
    """None where there is no graph."""
    resolver.phases = [block.name or "" for block in phase_blocks(file)]
    settings = lower_settings(resolver, substitution, file, paths)
    if file.graph is None:
        return None
    context = expand(resolver, substitution, file.graph, settings.data.views if settings else 1)
    if settings is not None:
        check_labels(context, file, settings.data_plan)
    weights = _weights(resolver, context.draft, paths)
    # A search holds samples out; a spec that has its settings besides is no search.
    is_space = not isinstance(substitution, NothingOpen)
    held_out = is_space or settings is None or settings.data.holdout
    blocks = phase_blocks(file)
    phases = lower_phases(context, file, settings, held_out=held_out) if blocks else ()
    search = lower_search(context, file, settings, phases or ())
    if settings is not None and not held_out:
        refuse_judging_by_test_samples(context, file, settings, phases)
    return _Drafted(context, settings, weights, phases, search)


def _run_passes(
    drafted: _Drafted, file: File, paths: SpecPaths, earlier: Sequence[Diagnostic]
) -> Lowered:
    context, settings, weights, phases, search = drafted
    resolver = context.resolver
    state = _cut_and_frozen(drafted, file)
    has_phases = bool(state.phases)
    if _only_settings_are_wrong(file, [*earlier, *resolver.diagnostics]):
        state = check_shares(check_patterns(check_targets(state)))
        if has_phases:
            state = check_phases(state)
        if settings is not None:
            word = settings.data_plan.source.name
            state = check_cached_outputs(state, settings.data, word, file)
        if not has_errors(state.diagnostics):
            state = check_combinations(drop(state))
            if phases and has_phases:
                state = drop_from_phases(state)
                phases = with_learners(phases, state)
    word_diagnostics, graph_diagnostics = tuple(resolver.diagnostics), state.diagnostics
    if (
        settings is None
        or phases is None
        or has_errors((*earlier, *word_diagnostics, *graph_diagnostics))
    ):
        return Lowered(None, word_diagnostics, graph_diagnostics)
    graph = assemble(state, settings, weights)
    plan = model.Plan.model_construct(
        graph=graph,
        data=with_labels(settings.data_plan, graph),
        train=settings.train_plan,
        pretrain=settings.pretrain_plan,
        phases=phases,
        search=search,
        folder=str(paths.folder.resolve()),
    )
    return Lowered(plan, word_diagnostics, graph_diagnostics)


def _cut_and_frozen(drafted: _Drafted, file: File) -> PassState:
    """The state after the first passes, which run even after errors."""
    draft = drafted.context.draft
    learners = phase_learners(drafted.phases or (), file) if phase_blocks(file) else ()
    return freeze(cut(PassState(draft, tuple(draft.edges.values()), learners, {})))


def _only_settings_are_wrong(file: File, diagnostics: Sequence[Diagnostic]) -> bool:
    """Whether all errors are in blocks of settings, so that the graph is complete."""
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
    """The `let`s by name; those that `validate` refuses get a choice without options as value."""
    lets = {s.name: s for s in file.statements if isinstance(s, Let)}
    for name in unusable(file):
        nothing = Choice(span=lets[name].span, options=())
        lets[name] = replace(lets[name], value=nothing)
    return lets


def _weights(
    resolver: Resolver, draft: Draft, paths: SpecPaths
) -> dict[str, model.WeightsFile | None]:
    """The files of weights by the paths that nodes name, each file read once."""
    files: dict[str, model.WeightsFile | None] = {}
    for node in draft.nodes.values():
        path, span = node.settings.weights, node.weights_span
        if path not in (None, OWN) and span is not None and path not in files:
            folder = paths.base(span)
            files[path] = weights_file(resolver, path, span, folder, paths.may_have_weights(folder))
    return files
