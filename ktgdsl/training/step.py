"""One step of training: Algorithm 1 of the paper, as a callable that waits for nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.networks import Dropout
from ktgdsl.backend.output import Output, join_outputs
from ktgdsl.training.captured import CapturedStep, CudaGraph, Record
from ktgdsl.training.execution import Execution
from ktgdsl.training.executors import Executor, executors
from ktgdsl.training.logits_check import require_logits
from ktgdsl.training.optim import load_optimizer, make_optimizers, set_rate, skipping
from ktgdsl.training.schedules import learning_rate


class Stepper:
    """Trains a graph by one step a call: `output = step(image, label)`.

    `ktgdsl.stepper` makes one from a plan.

    Attributes:
        plan: what is trained.
        graph: its training graph, on the device.
        device: where steps are computed.
        execution: how they are computed.
        steps: the length of the training in steps, k_end of Eq. 6.
        taken: how many of them are done.
        learning_rates: of the last step, by node.
    """

    def __init__(
        self,
        graph: TrainingGraph,
        device: torch.device,
        execution: Execution,
        *,
        steps: int,
        unchecked: Iterable[str] = (),
        record: Record = CudaGraph,
    ) -> None:
        """Make a stepper of a graph that is on the device already.

        Args:
            graph: with all networks as they are to begin.
            device: where the graph is.
            execution: how to compute steps.
            steps: k_end of Eq. 6.
            unchecked: the nodes whose networks may not give logits: the first step asks them.
            record: records a step where steps are captured.
        """
        plan = graph.plan
        self.plan = plan
        self.graph = graph
        self.device = device
        self.execution = execution
        self.steps = steps
        self.taken = 0
        self.learning_rates: dict[str, float] = {}
        self._unchecked = tuple(unchecked)
        self._record = record
        self._captured = execution.launches.value == "captured"
        self._nodes = {node.name: node for node in plan.graph.nodes if node.learns}
        self._networks = graph.networks
        self._modes = {node.name: node.learns or node.mode == "train" for node in plan.graph.nodes}
        # A frozen node in train mode has batch-norm statistics that change.
        self._changing = {name: self._networks[name] for name, mode in self._modes.items() if mode}
        self._optimizers = make_optimizers(
            self._nodes.values(), self._networks, device, self._captured
        )
        self._executors = executors(graph, execution, device)
        # MPS has no float64.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._progress = torch.zeros((), dtype=dtype, device=device)
        self._take = self._taker()

    def __repr__(self) -> str:
        steps = f"{self.taken} of {self.steps} steps taken"
        return f"<Stepper {self.plan.graph.name}: {steps} on {self.device}>"

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
            RunError: when a network that is not ours does not map such images to logits (E505).
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
            network = self._networks[name]
            if network.training != training:
                network.train(training)
        image = image.to(self.device, non_blocking=True)
        label = label.to(self.device, non_blocking=True)
        if self._unchecked:
            self.check_networks(image, label)
        output = self._take(image, label)
        self.taken = k
        return output

    def check_networks(self, image: Tensor, label: Tensor) -> None:
        """Ask networks that are not ours for logits; the first step does unless it was done.

        Args:
            image: (B, C, H, W), on the device.
            label: (B,) int64, whose shape alone counts.

        Raises:
            RunError: when one does not map such images to logits (E505).
        """
        for name in self._unchecked:
            require_logits(name, self._networks[name], image, label, self.plan.data.classes)
        self._unchecked = ()

    def take_uncaptured(self, image: Tensor, label: Tensor) -> Output:
        """Compute a step and update the networks, kernel by kernel even if steps are captured.

        For those who count operators. Neither the learning rates nor k move on, and image and
        label have to be on the device.
        """
        return join_outputs([self._update(each, image, label) for each in self._executors])

    def _taker(self) -> Callable[[Tensor, Tensor], Output]:
        """What takes steps from here on, with the state as it is."""
        if not self._captured:
            return self.take_uncaptured
        dropouts = [each for network in self._changing.values() for each in _dropouts(network)]
        return CapturedStep(self.take_uncaptured, self._state_tensors, dropouts, self._record)

    def _state_tensors(self) -> Iterator[Tensor]:
        """The tensors that a step changes."""
        for network in self._changing.values():
            yield from network.parameters()
            yield from network.buffers()
        for optimizer in self._optimizers.values():
            for state in optimizer.state.values():
                yield from (value for value in state.values() if isinstance(value, Tensor))

    def _update(self, executor: Executor, image: Tensor, label: Tensor) -> Output:
        """Update the nodes that learn in the executor's graph: they alone have gradients then."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        half = self.execution.precision.value == "bf16"
        # Of the networks alone: losses and gates take their inputs to float32.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output = executor(image, label, self._progress)
        torch.autograd.backward(list(output.losses.values()))
        if self.plan.train.clip is not None:
            for name in output.losses:
                nn.utils.clip_grad_norm_(self._networks[name].parameters(), self.plan.train.clip)
        skip = self.plan.train.on_zero == "skip"
        for optimizer in self._optimizers.values():
            with skipping(optimizer, output.losses) if skip else nullcontext():
                optimizer.step()
        return output.detach()

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
            "networks": {name: each.state_dict() for name, each in self._changing.items()},
            "optimizers": {kind: each.state_dict() for kind, each in self._optimizers.items()},
            "dropout": {
                name: [dropout.state() for dropout in _dropouts(network)]
                for name, network in self._changing.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from the `state_dict` of a stepper of the same plan and seed."""
        for name, network in self._changing.items():
            network.load_state_dict(state["networks"][name])
            for dropout, stream in zip(_dropouts(network), state["dropout"][name], strict=True):
                dropout.set_state(stream)
        for kind, optimizer in self._optimizers.items():
            load_optimizer(optimizer, state["optimizers"][kind])
        self.taken = state["taken"]
        self._take = self._taker()


def _dropouts(network: nn.Module) -> list[Dropout]:
    return [module for module in network.modules() if isinstance(module, Dropout)]
