"""A program as text: modules, and for each phase its learners, calls, values and edges."""

from collections.abc import Iterator

from ktgdsl.plan.model import LOGITS
from ktgdsl.program.model import (
    Combined,
    Gate,
    Learner,
    Loss,
    Module,
    Phase,
    Program,
    StageCall,
    Term,
    Update,
)
from ktgdsl.program.reads import reads_of
from ktgdsl.program.values import (
    Computed,
    Connector,
    DerivedOutput,
    Mixer,
    Placeholder,
    Read,
    Value,
    Weight,
)
from ktgdsl.vocabulary.call import format_number
from ktgdsl.vocabulary.reads import UserFunction

_DIVISORS = {
    "mean": "over samples",
    "active": "over samples with a weight",
    "labeled": "over labeled samples",
    "sum": "summed",
}

_VIEWS = {0: "", 1: " on the second view"}


def program_text(program: Program) -> str:
    """The program, a line for each thing that is computed; values are numbered in each update."""
    lines = [
        f"module {module.name}: network of {module.node}{_copied(module)}"
        for module in program.modules
    ]
    lines += [
        f"module {each.module}: {', '.join(each.layers)} of {', '.join(each.nodes)}"
        for each in program.trunks
    ]
    lines += [
        f"module {c.name}: {c.kind} of {c.destination.node}, for {' -> '.join(c.edge)}"
        for c in program.connectors
    ]
    lines += [f"module {mixer.name}: {mixer.word} of {mixer.node}" for mixer in program.mixers]
    for phase in program.pretrainings:
        names = ", ".join(each.name for each in phase.learners)
        whose = "its" if len(phase.learners) == 1 else "their"
        lines += ["", *_phase(phase, f"cached phase of {names}, {whose} pre-training")]
    for phase in program.phases:
        name = "phase" if phase.name is None else f"phase {phase.name}"
        lines += ["", *_phase(phase, name)]
    return "\n".join(lines) + "\n"


def _copied(module: Module) -> str:
    return "" if module.follows is None else f", at first a copy of {module.follows}'s"


def _phase(phase: Phase, name: str) -> Iterator[str]:
    early = "" if phase.patience is None else f" or {phase.patience} without progress"
    yield f"{name}: {phase.epochs} epochs{early}, {phase.steps} steps, then the {phase.take} epoch"
    yield from (f"  {_learner(learner)}" for learner in (*phase.learners, *phase.trunks))
    for update in phase.updates:
        yield f"  update {', '.join(update.learns)}"
        yield from (f"    {line}" for line in _update(update))
    yield from (f"  follower {f.name}: {f.rule} of {f.follows}" for f in phase.followers)


def _learner(learner: Learner) -> str:
    modules = ", ".join(learner.modules)
    return f"learner {learner.name}: {modules} by {learner.optimizer}, {learner.schedule}"


def _update(update: Update) -> Iterator[str]:
    yield from (_call(call) for call in update.calls)
    yield from (f"{access} {mixer}" for mixer, access in update.mixers.items())
    reads = reads_of(update.edges, update.reported)
    numbers = {read: f"%{i}" for i, read in enumerate(reads, start=1)}
    yield from (f"{number} = {_read(read, numbers)}" for read, number in numbers.items())
    for output in update.reported:
        yield f"logits of {output.name} = {_derived(output, numbers)}"
    for edge in update.edges:
        scale = "" if edge.scale == 1 else f", {format_number(edge.scale)} times"
        yield f"edge {' -> '.join(end for end in edge.key if end)}{scale}"
        yield from (f"  {_term(term, numbers)}" for term in edge.terms)


def _call(call: StageCall) -> str:
    inputs = ", ".join(
        each.name if isinstance(each, Placeholder) else _place(each) + _gradient(each)
        for each in call.inputs
    )
    outputs = f"{', '.join(call.taps)} of {', '.join(call.nodes)}{_VIEWS[call.view]}"
    return f"{outputs} = {call.access} {call.module}({inputs})"


def _read(read: Read, numbers: dict[Read, str]) -> str:
    temperature = "" if read.T == 1 else f" at T = {_input(read.T, {})}"
    detached = ", detached" if read.detached else _gradient(read)
    if read.derived is not None:
        return f"{read.form} of {_derived(read.derived, numbers)}{temperature}{detached}"
    return f"{read.form} of {_place(read)}{_VIEWS[read.view]}{temperature}{detached}"


def _place(read: Read) -> str:
    node = read.node.partition(".")[0]  # a trunk is called like what it gives at its end
    return node if read.tap == LOGITS else f"{node}.{read.tap}"


def _gradient(read: Read) -> str:
    return "" if read.backward == 1 else f", {format_number(read.backward)} of the gradient"


def _derived(output: DerivedOutput, numbers: dict[Read, str]) -> str:
    word = output.word if output.on == "logits" else f"{output.word} probability"
    return _function(word, output.inputs, numbers)


def _term(term: Term, numbers: dict[Read, str]) -> str:
    losses = " + ".join(_loss(loss, numbers) for loss in term.losses)
    gate = "" if term.gate == 1.0 else f" via {_gate(term.gate, numbers)}"
    return f"{losses}{gate}, {_DIVISORS[term.reduction]}"


def _loss(loss: Loss, numbers: dict[Read, str]) -> str:
    call = _function(loss.word, loss.inputs, numbers)
    return call if loss.coefficient == 1 else f"{format_number(loss.coefficient)} * {call}"


def _gate(gate: Gate, numbers: dict[Read, str]) -> str:
    match gate:
        case Weight():
            return _function(gate.word, gate.inputs, numbers)
        case Combined():
            parts = [_gate(part, numbers) for part in gate.parts]
            joined = f" {gate.operator} ".join(parts)
            return f"({joined})" if gate.operator == "+" else joined
    return format_number(gate)


def _function(word: str, inputs: tuple[Value, ...], numbers: dict[Read, str]) -> str:
    return f"{word}({', '.join(_input(each, numbers) for each in inputs)})"


def _input(value: Value, numbers: dict[Read, str]) -> str:
    match value:
        case Read():
            return numbers[value]
        case Connector():
            return f"{value.name}({numbers[value.destination]})"
        case Mixer():
            return _function(value.name, value.inputs, numbers)
        case Placeholder():
            return value.name
        case Weight():
            return _function(value.word, value.inputs, numbers)
        case Computed():
            return _function(value.name, value.inputs, numbers)
        case UserFunction():
            return f"{value.path} {value.arguments}"
        case str():
            return value
        case None:
            return "nothing"
    return format_number(value)
