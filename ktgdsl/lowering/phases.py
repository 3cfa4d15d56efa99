"""Lowers phases: which nodes learn in each, and the gate of an edge in a phase."""

from typing import TYPE_CHECKING, cast

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.blocks import Settings, epochs_of, phase_blocks, stop_call
from ktgdsl.lowering.draft import DraftContext, DraftEdge
from ktgdsl.lowering.ensembles import reached
from ktgdsl.lowering.gates import CUTOFF, THROUGH, product, total
from ktgdsl.lowering.held_out import refuse_settings
from ktgdsl.lowering.passes import PassState, PhaseLearners
from ktgdsl.plan import model
from ktgdsl.syntax.tree import Block, File
from ktgdsl.vocabulary.registry import settings_of

if TYPE_CHECKING:
    from ktgdsl.vocabulary.rare_settings import PhaseSettings


def head(block: Block) -> Span:
    """The keyword of a block: a diagnostic about the block underlines that alone."""
    return block.span._replace(end=block.span.start + len(block.kind))


def lower_phases(
    context: DraftContext, file: File, blocks: Settings | None, *, held_out: bool
) -> tuple[model.Phase, ...] | None:
    """The phases of a file; None after an error. `blocks` are its other settings, if valid.

    `held_out` says that there are samples to judge by.
    """
    found = []
    written = phase_blocks(file)
    epochs = 1 if blocks is None else blocks.train.epochs
    take = "last" if blocks is None else blocks.train.take
    stop = None if blocks is None else blocks.train_plan.stop
    cls = cast("type[PhaseSettings]", settings_of("phase"))
    for block in written:
        substituted = context.settings(block.settings, f"phase.{block.name}")
        settings = context.resolver.settings(cls, substituted, "phase", block.span)
        if settings is None:
            continue
        if not held_out:
            rule = settings.stop.word if settings.stop is not None else "never"
            refuse_settings(context, block, settings.take or "last", rule, "E410")
        names = [name for each in settings.learn for name in context.names.referenced(each)]
        found.append(
            model.Phase.model_construct(
                name=block.name or "",
                learn=tuple(dict.fromkeys(names)),
                epochs=epochs_of(settings.epochs, epochs),
                optimizer=None if settings.optimizer is None else settings.optimizer.call(),
                schedule=None if settings.schedule is None else settings.schedule.call(),
                take=take if settings.take is None else settings.take,
                stop=stop if settings.stop is None else stop_call(settings.stop),
            )
        )
    return tuple(found) if len(found) == len(written) else None


def with_learners(phases: tuple[model.Phase, ...], state: PassState) -> tuple[model.Phase, ...]:
    """The phases of the plan, with the learners that the passes have kept."""
    learners = {phase.name: phase.learn for phase in state.phases}
    return tuple(phase.model_copy(update={"learn": learners[phase.name]}) for phase in phases)


def phase_learners(phases: tuple[model.Phase, ...], file: File) -> tuple[PhaseLearners, ...]:
    """The names and learners of phases, with their places: what the passes need."""
    spans = {block.name: head(block) for block in phase_blocks(file)}
    return tuple(PhaseLearners(phase.name, phase.learn, spans[phase.name]) for phase in phases)


def check_phases(state: PassState) -> PassState:
    """Report phases in which no open edge reaches a learner: probably a mistake."""
    into: dict[str, list[DraftEdge]] = {}
    for edge in state.edges:
        for name in reached(state.draft, edge.destination.node):
            into.setdefault(name, []).append(edge)
    # Most edges are open in all phases, and then it does not matter which there are.
    always = {name for name, edges in into.items() if any(_always_open(edge) for edge in edges)}
    found = []
    for phase in state.phases:
        idle = [
            name
            for name in phase.learn
            if name not in always and name not in state.frozen and state.draft.can_learn(name)
            if not any(
                in_phase(term.gate, phase.name) != CUTOFF
                for edge in into.get(name, ())
                for term in edge.terms
            )
        ]
        if idle == list(phase.learn):
            message = f"no edge is open in the phase `{phase.name}`, so nothing is learned there"
            fix = "leave the phase out, or open an edge with `during`"
            found.append(Diagnostic("E410", message, phase.span, fix))
        else:
            found += [_idle(name, phase) for name in idle]
    return state.with_diagnostics(found)


def _idle(name: str, phase: PhaseLearners) -> Diagnostic:
    return Diagnostic(
        "W104",
        f"no edge into `{name}` is open in the phase `{phase.name}`, so it learns nothing there",
        phase.span,
        f"leave `{name}` out of `learn`, or open an edge with `during`",
        "warning",
    )


def drop_from_phases(state: PassState) -> PassState:
    """Remove dropped nodes from the learners of phases; a phase with none left is an error."""
    dropped_nodes = {dropped.name for dropped in state.dropped if dropped.kind == "node"}
    left = [
        p._replace(learn=tuple(n for n in p.learn if n not in dropped_nodes)) for p in state.phases
    ]
    found = [
        Diagnostic(
            "E410",
            f"no node that a target needs learns in the phase `{phase.name}`",
            phase.span,
            "leave the phase out, or let an edge lead from one of its nodes to a target",
        )
        for phase in left
        if not phase.learn
    ]
    return state._replace(phases=tuple(left)).with_diagnostics(found)


def _always_open(edge: DraftEdge) -> bool:
    return any(_names_no_phase(term.gate) for term in edge.terms)


def _names_no_phase(gate: model.Gate) -> bool:
    match gate:
        case model.GateCall():
            return gate.gate.name != "during"
        case model.Product():
            return all(_names_no_phase(factor) for factor in gate.factors)
        case model.Sum():
            return all(_names_no_phase(term) for term in gate.terms)
    return True


def in_phase(gate: model.Gate, phase: str) -> model.Gate:
    """A gate as it is in one phase: `during` is 1 or 0 there."""
    match gate:
        case model.GateCall(gate=model.Call(name="during", arguments={"phases": list() as named})):
            return THROUGH if {"phase": phase} in named else CUTOFF
        case model.Product():
            return product(in_phase(factor, phase) for factor in gate.factors)
        case model.Sum():
            return total(in_phase(term, phase) for term in gate.terms)
    return gate
