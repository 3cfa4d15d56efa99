"""One step of training: Algorithm 1 of the paper, as a callable that waits for nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.backend.networks import Dropout, StagedNetwork
from ktgdsl.backend.output import Output, detached, joined
from ktgdsl.backend.sequential import turns
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.backend.streams import on_streams
from ktgdsl.given import require_plan
from ktgdsl.plan.model import Plan
from ktgdsl.training.captured import Captured
from ktgdsl.training.computing import (
    Choice,
    Computing,
    choose,
    keep_compiled,
    keep_freed_pages,
    lay_out,
    threads_each,
)
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.device import choose_device
from ktgdsl.training.events import Listener, ignore
from ktgdsl.training.logits import require_logits
from ktgdsl.training.optim import (
    learning_rate,
    load_optimizer,
    make_optimizers,
    set_rate,
    skipping,
)
from ktgdsl.training.pretrain import Pretraining, load_pretrained


class Stepper:
    """Trains a graph by one step a call: `output = step(image, label)`.

    `steps` is k_end of Eq. 6, `taken` how many of them are done, `learning_rates` those of
    the last step by node, `computing` how they are computed. `stepper` makes one.
    """

    def __init__(
        self,
        plan: Plan,
        graph: TrainingGraph,
        device: torch.device,
        steps: int,
        computing: Computing,
        untried: Iterable[str] = (),
    ) -> None:
        self.plan = plan
        self.computing = computing
        self.graph = graph
        self.device = device
        self.steps = steps
        self.taken = 0
        self.learning_rates: dict[str, float] = {}
        self._untried = tuple(untried)
        captured = computing.launches.value == "captured"
        self._nodes = {node.name: node for node in plan.graph.nodes if node.learns}
        self._all = graph.networks
        self._networks = {name: self._all[name] for name in self._nodes}
        self._modes = {node.name: node.learns or node.mode == "train" for node in plan.graph.nodes}
        # A frozen node in train mode has batch-norm statistics that move.
        self._moving = {name: self._all[name] for name, m in self._modes.items() if m}
        self._optimizers = make_optimizers(self._nodes.values(), self._networks, device, captured)
        sequential = plan.train.update == "sequential"
        self._turns: list[Callable[..., Output]] = (
            [*turns(graph).values()] if sequential else [graph]
        )
        if computing.networks.value == "side by side":
            self._turns = [side_by_side(graph, threads_each(len(self._all)))]
        if captured and not sequential:
            self._turns = [on_streams(graph, device)]
        if computing.compile.value == "on":
            keep_compiled()
            self._turns = [torch.compile(turn, dynamic=False) for turn in self._turns]
        # MPS has no float64.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._progress = torch.zeros((), dtype=dtype, device=device)
        self._take = self._taking()

    def __call__(self, image: Tensor, label: Tensor) -> Output:
        """Take one step and return what it computed.

        One forward of every network on the same images, one backward over the sum of the
        node losses, which is each node's own since sources are detached, and one update
        (Minami et al., ACCV 2020, Algorithm 1). With `update = sequential` all of that for one
        node after the other, on the same images, and what is returned of a node, its logits
        too, is what its own update came from. Nothing waits for the device.

        Args:
            image: (B, C, H, W), floating point.
            label: (B,) int64, -1 where there is none.

        Raises:
            RunError: when a network that was given does not map such images to logits (E505).
            RuntimeError: when all `steps` are taken.
        """
        if self.taken >= self.steps:
            raise RuntimeError(
                f"all {self.steps} steps of this training are taken; for a longer one give the "
                "plan more epochs, or `stepper` a greater `steps`"
            )
        k = self.taken + 1
        self._progress.fill_(k / self.steps)
        self._set_learning_rates(k)
        for name, training in self._modes.items():
            # Somebody who evaluates between two steps may have left another mode.
            network = self._all[name]
            if network.training != training:
                network.train(training)
        image = image.to(self.device, non_blocking=True)
        label = label.to(self.device, non_blocking=True)
        if self._untried:
            self.try_given(image, label)
        output = self._take(image, label)
        self.taken = k
        return output

    def try_given(self, image: Tensor, label: Tensor) -> None:
        """Ask the networks that were given for logits; the first step does unless it was done.

        Raises RunError when one does not map such images, on the device, to logits (E505).
        """
        for name in self._untried:
            require_logits(name, self._all[name], image, label, self.plan.data.classes)
        self._untried = ()

    def _taking(self) -> Callable[[Tensor, Tensor], Output]:
        """How steps are taken from here on, with the state as it is."""
        if self.computing.launches.value != "captured":
            return self.plainly
        dropouts = [each for network in self._moving.values() for each in _dropouts(network)]
        return Captured(self.plainly, self._changing, dropouts)

    def _changing(self) -> Iterator[Tensor]:
        """What a step changes."""
        for network in self._moving.values():
            yield from network.parameters()
            yield from network.buffers()
        for optimizer in self._optimizers.values():
            for kept in optimizer.state.values():
                yield from (each for each in kept.values() if isinstance(each, Tensor))

    def plainly(self, image: Tensor, label: Tensor) -> Output:
        """What a step computes and changes, never captured, at the rates and progress as they are.

        Of images and labels on the device; `taken` is not moved on.
        """
        return joined([self._take_turn(graph, image, label) for graph in self._turns])

    def _take_turn(self, graph: Callable[..., Output], image: Tensor, label: Tensor) -> Output:
        """Update the nodes that learn in the graph, which alone have gradients then."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        half = self.computing.precision.value == "bf16"
        # Of the networks alone: losses and gates take what they are given to float32.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output = graph(image, label, self._progress)
        torch.autograd.backward(list(output.losses.values()))
        if self.plan.train.clip is not None:
            for name in output.losses:
                nn.utils.clip_grad_norm_(self._networks[name].parameters(), self.plan.train.clip)
        skip = self.plan.train.on_zero == "skip"
        for optimizer in self._optimizers.values():
            with skipping(optimizer, output.losses) if skip else nullcontext():
                optimizer.step()
        return detached(output)

    def _set_learning_rates(self, k: int) -> None:
        per_epoch = self.plan.data.steps_per_epoch
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                node = self._nodes[group["node"]]
                arguments: dict[str, Any] = node.optimizer.arguments
                rate = learning_rate(node.schedule, arguments["lr"], k, per_epoch, self.steps)
                self.learning_rates[node.name] = rate
                set_rate(group, rate)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, but for the plan and the frozen networks.

        Like that of a module it holds the tensors themselves, and `torch.load` reads it back
        with `weights_only=True`.
        """
        return {
            "taken": self.taken,
            "networks": {name: each.state_dict() for name, each in self._moving.items()},
            "optimizers": {kind: each.state_dict() for kind, each in self._optimizers.items()},
            "dropout": {
                name: [dropout.state() for dropout in _dropouts(network)]
                for name, network in self._moving.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` of a stepper of the same plan and seed returned."""
        for name, network in self._moving.items():
            network.load_state_dict(state["networks"][name])
            for dropout, stream in zip(_dropouts(network), state["dropout"][name], strict=True):
                dropout.set_state(stream)
        for kind, optimizer in self._optimizers.items():
            load_optimizer(optimizer, state["optimizers"][kind])
        self.taken = state["taken"]
        self._take = self._taking()


def stepper(
    plan: Plan,
    device: str | torch.device | None = None,
    *,
    networks: Mapping[str, nn.Module] | None = None,
    seed: int | None = None,
    steps: int | None = None,
    pretraining: Pretraining | None = None,
    listener: Listener = ignore,
) -> Stepper:
    """Make the step that trains a plan's graph, ready to be called.

    What is frozen without weights of its own is pre-trained on the labels here, or comes
    from the cache of what was.

    Args:
        plan: what to train.
        device: such as "cpu" or "cuda:1"; by default the GPU that there is, or the CPU.
        networks: modules to use, as they are, instead of the plan's networks, by node. A
            frozen one counts as pre-trained. They are moved to the device.
        seed: of all random streams; by default the plan's.
        steps: k_end, the length of the training; by default the plan's epochs.
        pretraining: the seed and folder of pre-training; by default it has `seed` too.
        listener: is told of pre-training.

    Raises:
        RunError: when there is no such device, or it cannot compute as the plan says (E504),
            or weights do not fit (E406).
    """
    require_plan(plan, "stepper")
    chosen = choose_device(device)
    plan = complete(plan)
    computing = choose(plan, chosen)
    if any(not isinstance(each, StagedNetwork) for each in (networks or {}).values()):
        # They may share weights, or a stream of random numbers.
        why = "not all of them are ours"
        given, each = Choice("one by one", why), Choice("each", why)
        computing = replace(computing, networks=given, launches=each)
        if plan.train.compile == "auto":
            computing = replace(computing, compile=Choice("off", why))
    keep_freed_pages()
    if chosen.type == "cuda" and not torch.are_deterministic_algorithms_enabled():
        torch.backends.cudnn.benchmark = True  # batches have the same shape all the time
    seed = plan.train.seed if seed is None else seed
    graph = build(plan, networks, seed=seed)
    shared = Pretraining(seed) if pretraining is None else pretraining
    for node in plan.graph.nodes:
        if node.pretrained and node.name not in (networks or {}):
            network = graph.networks[node.name]
            load_pretrained(network, plan, node, device=chosen, shared=shared, listener=listener)
    graph.to(chosen)
    for node in plan.graph.nodes:
        if node.name not in (networks or {}):
            lay_out(graph.networks[node.name], node.network.name, computing)
    steps = plan.steps if steps is None else steps
    untried = [
        name
        for name, network in (networks or {}).items()
        if name in graph.networks and not _fits(network, plan.data.classes)
    ]
    return Stepper(plan, graph, chosen, steps, computing, untried)


def _fits(network: nn.Module, classes: int) -> bool:
    """Whether it is one of ours that has so many logits: others are tried on images."""
    last = network.get_submodule("logits") if isinstance(network, StagedNetwork) else None
    return isinstance(last, nn.Linear) and last.out_features == classes


def _dropouts(network: nn.Module) -> list[Dropout]:
    return [module for module in network.modules() if isinstance(module, Dropout)]
