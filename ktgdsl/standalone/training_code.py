"""The training of a script as a whole: pre-trainings, then the phases one after the other."""

from typing import NamedTuple

from ktgdsl.backend.initial import make_networks
from ktgdsl.backend.parts import make_parts
from ktgdsl.errors import RunError
from ktgdsl.plan.ensembles import ensembles_of
from ktgdsl.plan.model import Node, Plan
from ktgdsl.program.from_plan import evaluation_of, program_of
from ktgdsl.program.model import Phase
from ktgdsl.program.names import identifier
from ktgdsl.program.pretraining import pretraining_names, pretraining_plan
from ktgdsl.program.reads import placeholders_of
from ktgdsl.standalone.evaluation_code import evaluate_all
from ktgdsl.standalone.loss_code import answers_of
from ktgdsl.standalone.module_code import (
    call_text,
    called_modules,
    has_parts,
    made_parts,
    shared_layers,
)
from ktgdsl.standalone.network_code import follower_networks, forward_streams, new_networks
from ktgdsl.standalone.phase_code import PhaseCode, Setting, evaluation_text, phase_code
from ktgdsl.standalone.refusals import network_refusals
from ktgdsl.standalone.source import UNUSED, Definitions
from ktgdsl.standalone.text import block, literal


class _Pretraining(NamedTuple):
    """A function that trains nodes on the labels; `networks` says which of its own is whose."""

    function: str
    text: str
    losses: tuple[str, ...]
    networks: dict[str, str]


class _Phase(NamedTuple):
    """A phase: its function, and its text where it is not part of `train`."""

    function: str
    text: str | None
    code: PhaseCode


class TrainingCode:
    """Writes the training of a plan. Raises RunError for a network that no script can have (E510).

    Attributes:
        used: what the text uses of the package.
        batch: what a batch has: `image` and `label`, and `sample` and `second_view` if read.
    """

    def __init__(self, plan: Plan) -> None:
        masks = plan.data.known_facts.masks
        self.used = Definitions(unused=UNUSED if masks else UNUSED | {"apply_to_masks"})
        self._plan = plan
        self._program = program_of(plan)
        self._networks = make_networks(plan)
        if found := network_refusals(plan, self._networks):
            raise RunError(found)
        self._has_parts = has_parts(self._program)
        self._streams = forward_streams(plan, self.used)
        updates = [update for phase in self._program.phases for update in phase.updates]
        read = {each.name for update in updates for each in placeholders_of(update)}
        self.batch = tuple(n for n in ("image", "label", "sample", "second_view") if n in read)

    def functions(self) -> tuple[list[str], list[str]]:
        """The functions that compute losses and answers, and those that train with them."""
        pretrainings, phases = self._pretrainings(), self._phases()
        losses = [text for each in pretrainings for text in each.losses]
        losses += [text for each in phases for text in each.code.functions]
        training = [*(each.text for each in pretrainings), *(each.text for each in phases)]
        train = self._train(pretrainings, phases)
        return losses + self._answers(), [*filter(None, training), train]

    def _answers(self) -> list[str]:
        """The functions that evaluate all nodes, where some are ensembles."""
        plan, used = self._plan, self.used
        if not ensembles_of(plan.graph):
            return []
        code = answers_of(evaluation_of(plan), plan.folder, call_text(used), used)
        modules = [f"{n}: dict[str, nn.Module]" for n in code.parameters if n != "image"]
        text = block(
            f"def answers({', '.join([*modules, 'image: Tensor'])}) -> dict[str, Tensor]:",
            '    """What each network answers, and each ensemble."""',
            [f"    {line}" for line in code.body],
        )
        return [text, evaluate_all(modules)]

    def _pretrainings(self) -> list[_Pretraining]:
        """The pre-training of each node that has one, those that give the same weights once."""
        found: dict[str, _Pretraining] = {}
        done: set[str] = set()
        for node in self._plan.graph.nodes:
            if node.pretrained and node.name not in done:
                alone = pretraining_plan(self._plan, node, self._plan.train.seed)
                own = pretraining_names(self._plan.graph, node)
                done.update(own)
                if alone.digest not in found:
                    found[alone.digest] = self._pretraining(node, alone, own)
                found[alone.digest].networks.update(own)
        return [*found.values()]

    def _pretraining(self, node: Node, alone: Plan, own: dict[str, str]) -> _Pretraining:
        name, program = identifier(node.name), program_of(alone)
        (phase,) = program.phases
        networks = make_networks(alone)
        streams = bool(forward_streams(alone, self.used))
        setting = Setting(alone, program, networks, self.batch, self.used, streams, first=True)
        code = phase_code(setting, phase, name, {})
        function = self.used.fresh(f"pretrain_{name}")
        what = f"Train the network of {', '.join(own)} on the labels alone"
        epochs = f"{phase.epochs} epoch{'s' * (phase.epochs > 1)}"
        text = block(
            f"def {function}(",
            "    train_set: Split, evaluated: Split, seed: int, device: torch.device",
            ") -> dict[str, nn.Module]:",
            f'    """{what}, for {epochs}."""',
            [f"    {line}" for line in new_networks(alone, networks, self.used)],
            [f"    {line}" for line in shared_layers(program.trunks)],
            [f"    {line}" for line in forward_streams(alone, self.used)],
            "    parts: dict[str, nn.Module] = {}" if has_parts(program) else None,
            [f"    {line}" for line in code.body],
            "    return networks",
        )
        return _Pretraining(function, text, code.functions, {})

    def _phases(self) -> list[_Phase]:
        """The phases; the only one is part of `train`, others are functions of their own."""
        program, modes = self._program, dict[str, bool]()
        only = len(program.phases) == 1
        setting = Setting(
            self._plan,
            program,
            self._networks,
            self.batch,
            self.used,
            bool(self._streams),
            first=only,
        )
        found = []
        for phase in program.phases:
            name = "" if phase.name is None else identifier(phase.name)
            code = phase_code(setting, phase, name, modes)
            text = None if only else self._phase_function(name, phase, code)
            found.append(_Phase(f"train_{name}", text, code))
        return found

    def _phase_function(self, name: str, phase: Phase, code: PhaseCode) -> str:
        learning = ", ".join(each.name for each in phase.learners)
        learn = "learns" if len(phase.learners) == 1 else "learn"
        return block(
            f"def train_{name}(",
            "    networks: dict[str, nn.Module],",
            "    parts: dict[str, nn.Module]," if self._has_parts else None,
            "    streams: list[ForwardStream]," if self._streams else None,
            "    train_set: Split,",
            "    evaluated: Split,",
            "    seed: int,",
            "    device: torch.device,",
            "    done: int,",
            ") -> int:",
            f'    """Phase {phase.name}, after `done` epochs: {learning} {learn}.',
            "",
            "    Returns the number of all epochs that are done then.",
            '    """',
            [f"    {line}" for line in code.body],
            "    return epoch",
        )

    def _train(self, pretrainings: list[_Pretraining], phases: list[_Phase]) -> str:
        """`train`: one training, from a seed."""
        plan = self._plan
        splits = ["train_set", *(["evaluated", "test_set"] if plan.data.holdout else ["evaluated"])]
        lines = [
            f"{', '.join(splits)} = load_data(seed, device)",
            *new_networks(plan, self._networks, self.used),
            *shared_layers(self._program.trunks),
            *follower_networks(plan, self.used),
            *self._streams,
            *self._parts(),
            *_frozen(plan, pretrainings),
        ]
        if len(phases) == 1:
            lines += phases[0].code.body
        else:
            parts = ", parts" * self._has_parts + ", streams" * bool(self._streams)
            arguments = f"networks{parts}, train_set, evaluated, seed, device, done"
            lines += ["done = 0", *(f"done = {each.function}({arguments})" for each in phases)]
        mixers = {each.node: f"parts[{literal(each.name)}]" for each in self._program.mixers}
        more = ", ".join(f"{literal(node)}: {module}" for node, module in mixers.items())
        return block(
            "def train(seed: int, device: torch.device) -> dict[str, nn.Module]:",
            '    """Train all networks from a seed, and return them by node."""',
            [f"    {line}" for line in lines],
            f"    print({evaluation_text(plan, splits[-1])})",
            f"    return networks | {{{more}}}" if more else "    return networks",
        )

    def _parts(self) -> list[str]:
        """Statements that make what is called beside whole networks."""
        if not self._has_parts:
            return []
        made = make_parts(self._plan, self._program, self._networks)
        lines = ["parts: dict[str, nn.Module] = {}", *made_parts(self._program, made, self.used)]
        if ensembles_of(self._plan.graph):
            lines += called_modules(evaluation_of(self._plan).calls, self._networks, self.used)
        return lines


def _frozen(plan: Plan, pretrainings: list[_Pretraining]) -> list[str]:
    """Statements that give frozen networks their weights."""
    lines = []
    for each in pretrainings:
        lines.append(f"pretrained = {each.function}(train_set, evaluated, seed, device)")
        lines += [
            f"networks[{literal(node)}].load_state_dict(pretrained[{literal(own)}].state_dict())"
            for node, own in each.networks.items()
        ]
    lines += [
        f"networks[{literal(node.name)}].requires_grad_(False)"
        for node in plan.graph.nodes
        if not node.learns
    ]
    return lines
