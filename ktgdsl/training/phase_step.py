"""The step of one phase: its graphs, executors and optimisers."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.followers import following
from ktgdsl.backend.graph import phase_graphs
from ktgdsl.backend.output import Output, join_outputs
from ktgdsl.backend.process_group import process_group, sum_in_place
from ktgdsl.backend.trunks import trunk_module
from ktgdsl.plan.model import Plan
from ktgdsl.program.model import Phase
from ktgdsl.program.reads import connectors_of, mixers_of, placeholders_of
from ktgdsl.program.values import IMAGE, LABEL, PROGRESS, SAMPLE, SECOND_VIEW
from ktgdsl.training.captured import Compute, Record
from ktgdsl.training.datasets import memory
from ktgdsl.training.execution import Execution
from ktgdsl.training.executors import Executor, step_executor, update_executors
from ktgdsl.training.module_states import dropouts
from ktgdsl.training.optim import (
    learned_parameters,
    load_optimizer,
    make_optimizers,
    set_rate,
    skipping,
)
from ktgdsl.training.plateau import Plateau
from ktgdsl.training.schedules import learning_rate


class PhaseStep:
    """Takes the steps of a phase.

    Attributes:
        phase: of the program.
        batch: the names of the batch tensors that the updates read: images, labels and others.
        graphs: the training graph of each update.
        learning_rates: of the last step, by node.
        plateaus: the schedule state of the learners with a `plateau`.
    """

    def __init__(
        self,
        plan: Plan,
        phase: Phase,
        networks: Mapping[str, nn.Module],
        parts: Mapping[str, nn.Module],
        device: torch.device,
        execution: Execution,
        record: Record,
    ) -> None:
        self.plan = plan
        self.phase = phase
        self._group = process_group()
        self.graphs = phase_graphs(plan, phase, networks, parts, gather=self._group.is_distributed)
        self.learning_rates: dict[str, float] = {}
        self._device = device
        self._execution = execution
        self._record = record
        learners = (*phase.learners, *phase.trunks)
        self._learners = {learner.name: learner for learner in learners}
        self.plateaus = {
            learner.name: Plateau(learner.schedule.arguments)
            for learner in phase.learners
            if learner.schedule.name == "plateau"
        }
        calls = [call for update in phase.updates for call in update.calls]
        training = {call.node for call in calls if call.access in ("learn", "follow")}
        training |= {node.name for node in plan.graph.nodes if node.mode == "train"}
        training |= {learner.name for learner in learners}
        mixers = [m for u in phase.updates for m in mixers_of(u.edges, u.reported)]
        self._modules = {c.node: networks[c.node] for c in calls if c.trunk is None}
        self._modules |= {each.node: parts[each.name] for each in mixers}
        self._modes = {name: name in training for name in self._modules}
        self._trunks = [
            (trunk_module(trunk, networks), {trunk.name, trunk.nodes[0]} & training != set())
            for trunk in dict.fromkeys(
                [*phase.shared, *(each.trunk for each in phase.trunks if each.trunk)]
            )
        ]
        self._connectors = [parts[each.name] for each in connectors_of(phase.edges)]
        self._parameters = learned_parameters(learners, networks, parts)
        self._part_parameters = [each for part in parts.values() for each in part.parameters()]
        captured = execution.launches.value == "captured"
        self._optimizers = make_optimizers(learners, networks, device, captured, parts)
        self._executors = update_executors(self.graphs, execution, device)
        self._inputs = [placeholders_of(graph.update) for graph in self.graphs]
        read = {each for inputs in self._inputs for each in inputs}
        self.batch = tuple(each for each in (IMAGE, LABEL, SAMPLE, SECOND_VIEW) if each in read)
        self._caches = {n: each for graph in self.graphs for n, each in graph.caches.items()}
        # MPS has no float64.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._progress = torch.zeros((), dtype=dtype, device=device)
        self._following = following(phase.followers, networks)
        self._take = self._make_step()

    def __call__(self, k: int, *batch: Tensor) -> Output:
        """Take step k of the phase on the tensors that `self.batch` names, on the device."""
        self._progress.fill_(k / self.phase.steps)
        self._set_learning_rates(k)
        for name, training in self._modes.items():
            # An evaluation between two steps may have changed the mode.
            module = self._modules[name]
            if module.training != training:
                module.train(training)
        for trunk, training in self._trunks:
            # A sharer whose own layers do not learn is in eval mode, and with it the trunk.
            if any(layer.training != training for layer in trunk.children()):
                trunk.train(training)
        if self._caches:
            self._prepare_caches(batch[0], batch[2])
        output = self._take(*batch)
        for follow in self._following:
            follow(k)
        return output

    def extra_inputs(self, sample: Tensor | None, second_view: Tensor | None) -> list[Tensor]:
        """The inputs of a batch besides images and labels, moved to the device.

        Raises TypeError where the phase reads an input that is None.
        """
        inputs = []
        for value, each, missing in (
            (SAMPLE, sample, _NO_SAMPLE),
            (SECOND_VIEW, second_view, _NO_SECOND_VIEW),
        ):
            if value in self.batch:
                if each is None:
                    raise TypeError(missing)
                inputs.append(each.to(self._device, non_blocking=True))
        return inputs

    def _prepare_caches(self, image: Tensor, sample: Tensor) -> None:
        """Compute the outputs of a batch that are not in the caches yet."""
        with self._autocast():
            for cache in self._caches.values():
                cache.prepare(image, sample, partial(memory.fits, device=self._device))

    def take_uncaptured(self, *batch: Tensor) -> Output:
        """Take a step without a captured CUDA graph."""
        values = dict(zip(self.batch, batch, strict=True)) | {PROGRESS: self._progress}
        updates = zip(self._executors, self._inputs, strict=True)
        return join_outputs(
            [self._update(each, *map(values.__getitem__, inputs)) for each, inputs in updates]
        )

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimisers, and under "plateaus" of the plateau schedules."""
        plateaus = {name: each.state_dict() for name, each in self.plateaus.items()}
        optimizers = {kind: each.state_dict() for kind, each in self._optimizers.items()}
        return {**optimizers, **({"plateaus": plateaus} if plateaus else {})}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of optimisers and schedules; the networks have to be loaded before."""
        for name, plateau in self.plateaus.items():
            plateau.load_state_dict(state["plateaus"][name])
        for kind, optimizer in self._optimizers.items():
            load_optimizer(optimizer, state[kind])
        for cache in self._caches.values():
            cache.forget()
        self._take = self._make_step()

    def _make_step(self) -> Compute:
        """The function that takes a step, captured as a CUDA graph if the execution says so."""
        drawing = dict.fromkeys(each for module in self._changing() for each in dropouts(module))
        return step_executor(
            self.take_uncaptured, self._execution, self._state_tensors, [*drawing], self._record
        )

    def _changing(self) -> Iterator[nn.Module]:
        """The modules that a step changes; some may be submodules of others."""
        yield from self._connectors
        yield from (self._modules[name] for name, training in self._modes.items() if training)
        yield from (trunk for trunk, training in self._trunks if training)

    def _state_tensors(self) -> Iterator[Tensor]:
        """The tensors that a step changes."""
        for module in self._changing():
            yield from module.parameters()
            yield from module.buffers()
        for optimizer in self._optimizers.values():
            for state in optimizer.state.values():
                yield from (value for value in state.values() if isinstance(value, Tensor))

    def _update(self, executor: Executor, *inputs: Tensor) -> Output:
        """Update the learners of the executor's graph; no other learner has gradients."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        with self._autocast():
            output = executor(*inputs)
        torch.autograd.backward(list(output.losses.values()))
        if self._group.is_distributed:
            self._sum_gradients()
        if self.plan.train.clip is not None:
            # In a sequential update only this update's learners have gradients.
            for parameters in self._parameters.values():
                nn.utils.clip_grad_norm_(parameters, self.plan.train.clip)
        skip = self.plan.train.on_zero == "skip"
        loss_sums = self._loss_sums(output.losses) if skip else {}
        for optimizer in self._optimizers.values():
            with skipping(optimizer, loss_sums) if skip else nullcontext():
                optimizer.step()
        return output.detach()

    def _sum_gradients(self) -> None:
        """Sum the gradients over the processes, each of which has those of its part of the batch.

        Connectors and mixers see the whole batch in every process, so theirs are averaged.
        """
        for each in self._part_parameters:
            if each.grad is not None:
                each.grad.div_(self._group.size)
        learned = (each for own in self._parameters.values() for each in own)
        sum_in_place(each.grad for each in learned if each.grad is not None)

    def _loss_sums(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A scalar for each learner of an update that is 0 if and only if all its losses are 0."""
        sources = {each.name: each.losses for each in self.phase.learners}
        for trunk in self.phase.trunks:
            sources[trunk.name] = tuple(n for name in trunk.sharers for n in sources[name])
        sums: dict[str, Tensor] = {}
        for learner, names in sources.items():
            own = [losses[name] for name in names if name in losses]
            if own:
                sums[learner] = own[0] if len(own) == 1 else torch.stack(own).abs().sum()
        return sums

    def _autocast(self) -> torch.autocast:
        """Autocast for the networks; losses and gates convert their inputs to float32."""
        half = self._execution.precision.value == "bf16"
        return torch.autocast(self._device.type, torch.bfloat16, enabled=half)

    def _set_learning_rates(self, k: int) -> None:
        per_epoch = self.plan.data.steps_per_epoch
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                learner = self._learners[group["node"]]
                arguments: dict[str, Any] = learner.optimizer.arguments
                rate = learning_rate(
                    learner.schedule, arguments["lr"], k, per_epoch, self.phase.steps
                )
                # A trunk has the plateau schedule of its first sharer.
                node = learner.sharers[0] if learner.trunk else learner.name
                if node in self.plateaus:
                    rate *= self.plateaus[node].factor
                if learner.trunk is None:
                    self.learning_rates[node] = rate
                set_rate(group, rate)


_NO_SAMPLE = (
    "kept outputs or a gate read the numbers of the samples: give them as well, "
    "`step(image, label, sample)`"
)
_NO_SECOND_VIEW = (
    "an edge reads two views of the samples: give the second as well, "
    "`step(image, label, second_view=other)`"
)
