"""The training of a phase in a script: its losses, its optimisers, its epochs and steps."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ktgdsl.backend.followers import RULES
from ktgdsl.plan.ensembles import ensembles_of
from ktgdsl.plan.model import Plan
from ktgdsl.program.model import Learner, Phase, Program, Update
from ktgdsl.program.names import identifier
from ktgdsl.standalone.loss_code import FunctionCode, losses_of
from ktgdsl.standalone.module_code import call_text, parameters_of, phase_modules
from ktgdsl.standalone.optimizer_code import optimizers_code, rate_code
from ktgdsl.standalone.source import Definitions
from ktgdsl.standalone.text import block, literal, options
from ktgdsl.training.best import BestEpochs
from ktgdsl.training.optim import skipping
from ktgdsl.training.plateau import Plateau

_OBSERVED = {"loss": "mean", "accuracy": "accuracy"}
"""The variable of a script that a plateau observes."""


@dataclass(frozen=True)
class PhaseCode:
    """The text of a phase.

    Attributes:
        functions: that compute its losses.
        body: statements that train `networks` by `train_set`, after `done` epochs.
    """

    functions: tuple[str, ...]
    body: tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """The context that the phases of a training share.

    Attributes:
        plan: of the training.
        program: of the plan.
        networks: as they are made, by node.
        batch: what the batches of the script have.
        used: gets what a phase uses of the package.
        streams: whether networks of other code draw from `streams`.
        first: whether epochs are counted from 1, and else after those `done`.
    """

    plan: Plan
    program: Program
    networks: Mapping[str, nn.Module]
    batch: tuple[str, ...]
    used: Definitions
    streams: bool
    first: bool


def phase_code(setting: Setting, phase: Phase, name: str, modes: dict[str, bool]) -> PhaseCode:
    """The losses of a phase, and what trains with them.

    `name` ends the names of its functions. `modes` says which networks are in train mode before,
    and then after the phase.
    """
    used, train = setting.used, setting.plan.train
    if phase.take == "best" or phase.patience is not None:
        used.add(BestEpochs)
    if train.on_zero == "skip":
        used.add(skipping)
    functions, steps = [], []
    read: set[str] = set()
    for update in phase.updates:
        own = identifier(update.learns[0]) if len(phase.updates) > 1 else ""
        function = used.fresh("_".join(filter(None, ["losses", name, own])))
        code = losses_of(update, setting.plan.folder, call_text(used), used)
        functions.append(_losses(function, code, update))
        read.update(code.parameters)
        steps += _update(setting, phase, update, function, code)
    used.imports |= {"import torch", "from torch import Tensor, nn"}
    moving = "progress" in read
    batch = [each if each in read else f"_{each}" for each in setting.batch]
    learners = [*phase.learners, *phase.trunks]
    rates, plateaus = _rates(setting, phase, learners)
    followers, follow = _followers(phase, used)
    best, noted, stop = _best(setting, phase)
    start, end = "1", f"{phase.epochs + 1}"
    if not setting.first:
        start, end = f"done + {start}", f"done + {end}"
    body = block(
        phase_modules(setting.plan, phase, setting.networks, modes, used),
        optimizers_code(
            [
                (each, parameters_of(each, phase, setting.program, setting.plan))
                for each in learners
            ],
            used,
        ),
        'for name, optimizer in optimizers.items():\n    optimizer.param_groups[0]["node"] = name'
        if train.on_zero == "skip"
        else None,
        plateaus,
        followers,
        best,
        "progress = torch.zeros((), dtype=torch.float64, device=device)" if moving else None,
        "k = 0",
        f"for epoch in range({start}, {end}):",
        "    total: dict[str, Tensor] = {}",
        f"    for {', '.join(batch)} in batches(train_set, seed, epoch):",
        "        k += 1",
        [f"        {line}" for line in _begun(setting, phase)],
        f"        progress.fill_(k / {phase.steps})" if moving else None,
        [f"        {line}" for line in rates],
        [f"        {line}" for line in steps],
        [f"        {line}" for line in follow],
        f"    mean = {{name: float(each) / {setting.plan.data.steps_per_epoch} "
        "for name, each in total.items()}",
        f"    accuracy = {evaluation_text(setting.plan)}",
        "    report(epoch, mean, accuracy)",
        [f"    {line}" for line in noted],
        [f"    {line}" for line in stop],
        "best.load_weights()" if phase.take == "best" else None,
    )
    return PhaseCode(tuple(functions), tuple(body.split("\n")))


def _begun(setting: Setting, phase: Phase) -> list[str]:
    """Statements that begin the random streams of a step, counted over all phases."""
    if not setting.streams:
        return []
    phases = setting.program.phases
    before = sum(each.steps for each in phases[: phases.index(phase)])
    step = f"{before} + k" if before else "k"
    return ["for stream in streams:", f"    stream.begin({step})"]


def evaluation_text(plan: Plan, split: str = "evaluated") -> str:
    """An expression that evaluates the nodes on a split."""
    if ensembles_of(plan.graph):
        parts = ", parts" if any(each.optimizer is not None for each in plan.graph.derived) else ""
        return f"evaluate_all(networks{parts}, {split})"
    return f"evaluate(networks, {split})"


def _losses(function: str, code: FunctionCode, update: Update) -> str:
    kinds = {"networks": "dict[str, nn.Module]", "parts": "dict[str, nn.Module]"}
    parameters = [f"{each}: {kinds.get(each, 'Tensor')}" for each in code.parameters]
    whose = ", ".join(update.learns)
    return block(
        f"def {function}({', '.join(parameters)}) -> dict[str, Tensor]:",
        f'    """The loss of {whose}: the sum over the edges into it."""'
        if len(update.learns) == 1
        else f'    """The losses of {whose}: of each the sum over the edges into it."""',
        [f"    {line}" for line in code.body],
    )


def _update(
    setting: Setting, phase: Phase, update: Update, function: str, code: FunctionCode
) -> list[str]:
    """The statements of an update in a step."""
    train = setting.plan.train
    call = f"{function}({', '.join(code.parameters)})"
    lines = ["for optimizer in optimizers.values():", "    optimizer.zero_grad()"]
    if train.precision == "bf16":
        lines += [
            "with torch.autocast(device.type, torch.bfloat16):",
            f"    loss = {call}",
        ]
    else:
        lines.append(f"loss = {call}")
    lines.append("torch.autograd.backward([*loss.values()])")
    if train.clip is not None:
        setting.used.imports.add("from torch.nn.utils import clip_grad_norm_")
    step = ["optimizer.step()"]
    if train.on_zero == "skip":
        reaching = _reaching(phase, update)
        lines.append(f"reaching = {{{reaching}}}")
        step = ["with skipping(optimizer, reaching):", "    optimizer.step()"]
    if train.clip is not None:
        step.insert(0, f'clip_grad_norm_(optimizer.param_groups[0]["params"], {train.clip!r})')
    lines += ["for optimizer in optimizers.values():", *(f"    {line}" for line in step)]
    lines += [
        "for name, value in loss.items():",
        "    total[name] = total.get(name, 0.0) + value.detach().double()",
    ]
    return lines


def _reaching(phase: Phase, update: Update) -> str:
    """For each learner a scalar that is 0 if all losses that reach it are."""
    sources = {each.name: each.losses for each in phase.learners}
    for trunk in phase.trunks:
        sources[trunk.name] = tuple(n for name in trunk.sharers for n in sources[name])
    found = []
    for learner, all_names in sources.items():
        own = [f"loss[{literal(name)}]" for name in all_names if name in update.learns]
        if own:
            value = own[0]
            if len(own) > 1:
                value = f"torch.stack([{', '.join(own)}]).abs().sum()"
            found.append(f"{literal(learner)}: {value}")
    return ", ".join(found)


def _rates(setting: Setting, phase: Phase, learners: list[Learner]) -> tuple[list[str], list[str]]:
    """Statements that set the learning rates of a step, and those that begin plateaus."""
    per_epoch, used = setting.plan.data.steps_per_epoch, setting.used
    plateaus = {
        each.name: dict(each.schedule.arguments)
        for each in phase.learners
        if each.schedule.name == "plateau"
    }
    began: list[str] = []
    if plateaus:
        used.add(Plateau)
        entries = ", ".join(
            f"{literal(name)}: Plateau({literal(rule)})" for name, rule in plateaus.items()
        )
        began = [f"plateaus = {{{entries}}}"]
    rates: dict[str, list[str]] = {}
    for each in learners:
        rate = rate_code(each, per_epoch, phase.steps, used)
        node = each.sharers[0] if each.trunk else each.name
        if node in plateaus:
            base = rate or repr(each.optimizer.arguments["lr"])
            rate = f"{base} * plateaus[{literal(node)}].factor"
        if rate is not None:
            rates.setdefault(rate, []).append(each.name)
    lines: list[str] = []
    for rate, found in rates.items():
        everybody = len(found) == len(learners)
        of = "optimizers" if everybody else literal(tuple(found))
        lines += [
            f"for name in {of}:",
            f'    optimizers[name].param_groups[0]["lr"] = {rate}',
        ]
    return lines, began


def _followers(phase: Phase, used: Definitions) -> tuple[list[str], list[str]]:
    """Statements that make the updates of followers, and those that call them after a step."""
    made = []
    for each in phase.followers:
        rule = RULES[each.rule.name]
        used.add(rule)
        pair = f"networks[{literal(each.name)}], networks[{literal(each.follows)}]"
        made.append(f"{used.name(rule)}({pair}, {options(dict(each.rule.arguments))})")
    if not made:
        return [], []
    return [f"followers = [{', '.join(made)}]"], ["for follow in followers:", "    follow(k)"]


def _best(setting: Setting, phase: Phase) -> tuple[list[str], list[str], list[str]]:
    """Statements that start to track the best epochs, note one, and end the phase early."""
    observed = [
        f"plateaus[{literal(each.name)}].observe({_OBSERVED[str(each.schedule.arguments['on'])]}[{literal(each.name)}])"
        for each in phase.learners
        if each.schedule.name == "plateau"
    ]
    keep = phase.take == "best"
    if not keep and phase.patience is None:
        return [], observed, []
    changing = [*(each.name for each in phase.learners), *(each.name for each in phase.followers)]
    sharers = reversed([each.sharers for each in phase.trunks])
    first = {name: found[0] for found in sharers for name in found} if keep else {}
    mixers = {each.node: each.name for each in setting.program.mixers}
    where = {name: f"networks[{literal(name)}]" for name in changing}
    where |= {n: f"parts[{literal(mixers[n])}]" for n in changing if n in mixers}
    judged = f"{{{', '.join(f'{literal(name)}: {module}' for name, module in where.items())}}}"
    began = [f"best = BestEpochs({judged}, keep={keep}, first={literal(first)})"]
    stop = []
    if phase.patience is not None:
        stop = [f"if best.waited >= {phase.patience}:", "    break"]
    return began, [*observed, "best.note(accuracy)"], stop
