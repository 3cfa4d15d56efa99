"""The module calls of a script, and its modules for taps, shared layers, connectors, mixers."""

from collections.abc import Callable, Iterable, Mapping

from torch import fx, nn

from ktgdsl.backend.connectors import Connector, connector
from ktgdsl.backend.frozen import Transparent
from ktgdsl.backend.graph import reading
from ktgdsl.backend.margins import Margin, norm_before
from ktgdsl.backend.mixers import Attention, Classifier, Gate, Weights
from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.backend.taps import Outputs, Place
from ktgdsl.backend.trunks import Stages
from ktgdsl.plan.model import Plan
from ktgdsl.program.model import Access, Learner, Phase, Program, StageCall, Trunk, Update
from ktgdsl.program.reads import margin_names, mixers_of
from ktgdsl.standalone import runtime
from ktgdsl.standalone.loss_code import network_call
from ktgdsl.standalone.source import Definitions
from ktgdsl.standalone.text import literal


def is_whole(call: StageCall) -> bool:
    """Whether a call is to a network as it is."""
    return call.trunk is None and not call.stages and call.taps == (call.output,)


def has_parts(program: Program) -> bool:
    """Whether a program calls more than whole networks."""
    updates = [update for phase in program.phases for update in phase.updates]
    made = bool(program.connectors or program.mixers)
    return made or any(not is_whole(c) for u in updates for c in u.calls)


def call_text(used: Definitions) -> Callable[[Update, fx.Node], tuple[str, str]]:
    """A function that gives the text before and after the arguments of a module call."""

    def text(update: Update, node: fx.Node) -> tuple[str, str]:
        call = network_call(node)
        if call is None:
            module, access = _part(str(node.target)), update.mixers.get(str(node.target), "learn")
            if access == "source":
                used.add(Transparent)
                return f"Transparent({module})(", ")"
            return _accessed(module, access, used)
        return _accessed(
            _network(call.node) if is_whole(call) else _part(_name(call)), call.access, used
        )

    return text


def _accessed(module: str, access: Access, used: Definitions) -> tuple[str, str]:
    if access == "learn":
        return f"{module}(", ")"
    function = runtime.as_source if access == "source" else runtime.without_gradient
    used.add(function)
    return f"{function.__name__}({module}, ", ")"


def _name(call: StageCall) -> str:
    """The name in a script of stages of a network, or of a network with its taps."""
    stages = f" from {call.stages[0]}" if call.stages and call.trunk is None else ""
    taps = "" if call.taps == (call.output,) else f" at {', '.join(call.taps)}"
    return f"{call.node}{stages}{taps}"


def _network(node: str) -> str:
    return f"networks[{literal(node)}]"


def _part(name: str) -> str:
    return f"parts[{literal(name)}]"


def made_parts(program: Program, parts: Mapping[str, nn.Module], used: Definitions) -> list[str]:
    """Statements that make connectors and mixers, each from a random stream of its own."""
    lines = []
    for each in program.connectors:
        used.add(connector)
        seed = ", ".join(map(literal, ("connector", each.kind, *each.stream)))
        module = parts[each.name]
        assert isinstance(module, Connector)
        shapes = ", ".join(map(literal, _shapes(module)))
        lines += [
            f"torch.manual_seed(derive(seed, {seed}))",
            f"{_part(each.name)} = connector({literal(each.kind)}, {shapes}).to(device)",
        ]
    for mixer in program.mixers:
        lines += [
            f'torch.manual_seed(derive(seed, "mixer", {literal(mixer.node)}))',
            f"{_part(mixer.name)} = {_mixer(parts[mixer.name], used)}.to(device)",
        ]
    return lines


def _shapes(module: Connector) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of a source and a destination of which the connector is this one."""
    layers = module.layers
    first = layers[0] if isinstance(layers, nn.Sequential) else layers
    if isinstance(first, nn.Linear):
        return (first.out_features,), (first.in_features,)
    assert isinstance(first, nn.Conv2d)
    size = module.size or ()
    return (first.out_channels, *size), (first.in_channels, *size)


def _mixer(module: nn.Module, used: Definitions) -> str:
    used.add(type(module))
    match module:
        case Gate():
            first = module.layers[0]
            assert isinstance(first, nn.Linear)
            arguments = f"{first.in_features}, {first.out_features}"
        case Attention():
            arguments = f"{module.query.in_features}, {module.query.out_features}"
        case Classifier():
            channels, classes = module.layer.weight.shape[1], module.layer.weight.shape[0]
            arguments = f"{channels}, {classes}, dense={module.dense}"
        case Weights():
            arguments = str(len(module.v))
        case _:
            raise TypeError(f"{type(module).__name__} is no mixer")
    return f"{type(module).__name__}({arguments})"


def phase_modules(
    plan: Plan,
    phase: Phase,
    networks: Mapping[str, nn.Module],
    modes: dict[str, bool],
    used: Definitions,
) -> list[str]:
    """Statements that make what a phase calls, and bring it into its mode.

    `modes` says which networks are in train mode, and is changed with them.
    """
    calls = [call for update in phase.updates for call in update.calls]
    lines = _modes(plan, phase, calls, modes) + called_modules(calls, networks, used)
    for read, name in margin_names(phase.edges).items():
        used.add(Margin)
        norm = norm_before(networks[read.node], read.tap)
        path = next(p for p, each in networks[read.node].named_modules() if each is norm)
        lines.append(
            f"{_part(name)} = Margin({_network(read.node)}.get_submodule({literal(path)}))"
        )
    return lines


def called_modules(
    calls: Iterable[StageCall], networks: Mapping[str, nn.Module], used: Definitions
) -> list[str]:
    """Statements that make what calls are to, unless it is a network as it is."""
    parts = {_name(each): each for each in calls if not is_whole(each)}
    return [f"{_part(name)} = {_reading(each, networks, used)}" for name, each in parts.items()]


def _modes(
    plan: Plan, phase: Phase, calls: Iterable[StageCall], modes: dict[str, bool]
) -> list[str]:
    calls = [*calls]
    training = {call.node for call in calls if call.access in ("learn", "follow")}
    training |= {node.name for node in plan.graph.nodes if node.mode == "train"}
    training |= {learner.name for learner in (*phase.learners, *phase.trunks)}
    lines = []
    for name in dict.fromkeys(call.node for call in calls if call.trunk is None):
        mode = name in training
        if modes.get(name, True) != mode:
            lines.append(f"{_network(name)}.{_mode(mode)}")
        modes[name] = mode
    trunks = [*phase.shared, *(each.trunk for each in phase.trunks if each.trunk)]
    for trunk in dict.fromkeys(trunks):
        mode = bool({trunk.name, trunk.nodes[0]} & training)
        if any(modes.get(name, True) != mode for name in trunk.nodes):
            lines += [
                f"for layer in {literal(trunk.layers)}:",
                f"    {_network(trunk.nodes[0])}.get_submodule(layer).{_mode(mode)}",
            ]
    mixers = [each for u in phase.updates for each in mixers_of(u.edges, u.reported)]
    for each in dict.fromkeys(mixers):
        mode = each.node in training
        if modes.get(each.node, True) != mode:
            lines.append(f"{_part(each.name)}.{_mode(mode)}")
        modes[each.node] = mode
    return lines


def _mode(training: bool) -> str:
    return "train()" if training else "eval()"


def _reading(call: StageCall, networks: Mapping[str, nn.Module], used: Definitions) -> str:
    """An expression for the module that is called: some stages of a network, or its taps."""
    text, network = _network(call.nodes[0]), networks[call.nodes[0]]
    if call.stages:
        used.add(Stages)
        text = f"Stages({text}, {literal(call.stages)})"
    module = reading(call, network)
    if not isinstance(module, Outputs):
        return text
    used.add(Outputs, Place)
    places = ", ".join(f"{literal(tap)}: {_place(at)}" for tap, at in module.places.items())
    more = "" if not module.heads else f", heads={literal(module.heads)}"
    more += "" if module.until is None else f", until={literal(module.until)}"
    return f"Outputs({text}, {{{places}}}, {literal(module.taps)}{more})"


def _place(place: Place) -> str:
    found = {n: v for n, v in place._asdict().items() if v != Place._field_defaults.get(n)}
    del found["module"]
    found.pop("stage", None)  # which says how far to compute, and that is known
    options = "".join(f", {name}={literal(value)}" for name, value in found.items())
    return f"Place({literal(place.module)}{options})"


def parameters_of(learner: Learner, phase: Phase, program: Program, plan: Plan) -> str:
    """An expression of the parameters that a learner trains, in which `name` is the learner."""
    if learner.trunk is not None:
        return _parameters_in(_network(learner.trunk.nodes[0]), learner.trunk.layers)
    made = {c.name for c in program.connectors} | {mixer.name for mixer in program.mixers}
    further = [f"*{_part(name)}.parameters()" for name in learner.modules if name in made]
    if learner.name not in plan.graph.networks:
        return further[0].removeprefix("*")
    shared = {
        layer
        for each in phase.trunks
        if each.trunk is not None and learner.name in each.trunk.nodes
        for layer in each.trunk.layers
    }
    own = "networks[name].parameters()"
    if shared:
        layers = tuple(each for each in StagedNetwork.stages if each not in shared)
        own = _parameters_in("networks[name]", layers)
    return f"[*{own}, {', '.join(further)}]" if further else own


def _parameters_in(network: str, layers: tuple[str, ...]) -> str:
    return (
        f"[each for layer in {literal(layers)} "
        f"for each in {network}.get_submodule(layer).parameters()]"
    )


def shared_layers(trunks: Iterable[Trunk]) -> list[str]:
    """Statements that give all sharers of layers those of the first."""
    lines = []
    for trunk in trunks:
        first, *others = trunk.nodes
        lines += [
            f"for name in {literal(tuple(others))}:",
            f"    for layer in {literal(trunk.layers)}:",
            f"        shared = {_network(first)}.get_submodule(layer)",
            "        networks[name].set_submodule(layer, shared)",
        ]
    return lines
