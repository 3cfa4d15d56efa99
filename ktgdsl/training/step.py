"""One step of training: Algorithm 1 of the paper, as a callable that waits for nothing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph
from ktgdsl.backend.output import Output
from ktgdsl.backend.random_streams import ForwardStream
from ktgdsl.plan.model import Plan
from ktgdsl.program.model import Phase, Program
from ktgdsl.program.values import SECOND_VIEW
from ktgdsl.training.best import best_epochs
from ktgdsl.training.captured import CudaGraph, Record
from ktgdsl.training.execution import Execution
from ktgdsl.training.module_states import load_module_states, module_states
from ktgdsl.training.network_dry_run import require_logits
from ktgdsl.training.phase_step import PhaseStep
from ktgdsl.training.predictions import GraphPredictor, NetworkPredictor, predictor
from ktgdsl.training.state_checks import require_like, require_number
from ktgdsl.training.user_code_errors import locating_user_errors


class Stepper:
    """Trains a plan by one step a call: `output = step(image, label)`.

    `ktgdsl.stepper` makes one from a plan. It goes from phase to phase by itself; optimisers
    and schedules start afresh in each.

    Attributes:
        plan: what is trained.
        program: what it computes.
        networks: of all nodes, on the device.
        mixers: the modules of the ensembles that learn how to combine, by the ensemble.
        device: where steps are computed.
        execution: how they are computed.
        steps: the length of the training in steps, all phases together.
        taken: how many of them are done.
    """

    def __init__(
        self,
        plan: Plan,
        program: Program,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        execution: Execution,
        *,
        parts: Mapping[str, nn.Module] | None = None,
        unchecked: Iterable[str] = (),
        streams: Iterable[ForwardStream] = (),
        record: Record = CudaGraph,
    ) -> None:
        """Make a stepper of networks that are on the device already.

        Args:
            plan: what is trained.
            program: of the plan.
            networks: of all nodes, as they are to begin.
            device: where the networks are.
            execution: how to compute steps.
            parts: connectors and mixers of the program, by the names of their modules, on the
                device.
            unchecked: the nodes whose networks may not give logits: the first step asks them.
            streams: of the networks that draw random numbers in a way of their own.
            record: records a step where steps are captured.
        """
        self.plan = plan
        self.program = program
        self.networks = dict(networks)
        self._parts = dict(parts or {})
        self.mixers = {each.node: self._parts[each.name] for each in program.mixers}
        self._predictors: dict[frozenset[str], NetworkPredictor | GraphPredictor] = {}
        self.device = device
        self.execution = execution
        self._ends = list(accumulate(phase.steps for phase in program.phases))
        self.steps = self._ends[-1]
        self.taken = 0
        self._unchecked = tuple(unchecked)
        self._streams = tuple(streams)
        self._record = record
        self._ended: tuple[int, ...] = ()  # epochs of the phases before
        self._enter(0)
        # A frozen node in train mode has batch-norm statistics that change.
        nodes = [node.name for node in plan.graph.nodes if node.learns or node.mode == "train"]
        nodes += dict.fromkeys(each.name for phase in program.phases for each in phase.followers)
        self._changing = {name: self.networks[name] for name in nodes}

    @property
    def changing(self) -> Iterator[nn.Module]:
        """The modules that the training changes: networks, connectors and mixers."""
        yield from self._changing.values()
        yield from self._parts.values()

    def _enter(self, index: int) -> None:
        self._index = index
        phase = self.program.phases[index]
        self._best = best_epochs(phase, self.networks | self.mixers)
        modules = self.networks, self._parts
        self._step = PhaseStep(
            self.plan, phase, *modules, self.device, self.execution, self._record
        )

    def predictor(self, nodes: Collection[str]) -> NetworkPredictor | GraphPredictor:
        """A module that computes the logits of these nodes with their present weights."""
        key = frozenset(nodes)
        if key not in self._predictors:
            self._predictors[key] = predictor(self.plan, key, self.networks, self._parts)
        return self._predictors[key]

    @property
    def phase(self) -> Phase:
        """The phase that the training is in."""
        return self.program.phases[self._index]

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs of each phase so far: of a loop that calls `end_epoch`."""
        return (*self._ended, self._best.epoch)

    @property
    def stopped(self) -> bool:
        """Whether the phase ends here, before its last epoch, as there was no progress."""
        patience = self.phase.patience
        unfinished = self._best.epoch < self.phase.epochs
        return unfinished and patience is not None and self._best.waited >= patience

    @property
    def phase_is_over(self) -> bool:
        """Whether the phase has had its last epoch."""
        return self.stopped or self._best.epoch >= self.phase.epochs

    def kept(self, accuracy: Mapping[str, float]) -> dict[str, float]:
        """The accuracies of what the phase would go on with if it ended after this epoch.

        `accuracy` is that of the weights as they are; where the best epoch is taken, it counts.
        """
        return {**accuracy, **(self._best.accuracy if self.phase.take == "best" else {})}

    def keeps_earlier(self, node: str) -> bool:
        """Whether the phase would go on with a node's weights of an epoch before this one."""
        return self.phase.take == "best" and self._best.is_earlier(node)

    @property
    def graph(self) -> TrainingGraph:
        """The training graph of the phase, of its first update where there are several."""
        return self._step.graphs[0]

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rate of the last step, by node."""
        return self._step.learning_rates

    def __repr__(self) -> str:
        steps = f"{self.taken} of {self.steps} steps taken"
        return f"<Stepper {self.plan.graph.name}: {steps} on {self.device}>"

    def __call__(
        self,
        image: Tensor,
        label: Tensor,
        sample: Tensor | None = None,
        second_view: Tensor | None = None,
    ) -> Output:
        """Take one step and return what it computed.

        One forward of every network on the same images, and one more on their second view where an
        edge reads it; one backward over the sum of the node losses, which is each node's own since
        sources are detached; and one update (Minami et al., ACCV 2020, Algorithm 1). With
        `update = sequential` all of that for one node after the other, on the same images, and
        what is returned of a node, its logits too, is what its own update came from. Nothing
        waits for the device.

        Args:
            image: (B, C, H, W), floating point.
            label: (B,) int64, -1 where there is none.
            sample: (B,) int64, the numbers of the samples in the training split, which the gate
                `shard` and `cache = outputs` read. Kept outputs are those of the image that
                came with the number first.
            second_view: the same samples as `image`, augmented anew, where an edge reads both
                views of them.

        Raises:
            RunError: when a network that is not ours, or a loss or gate of the user's, fails or
                gives something else than it has to (E505).
            TypeError: when the numbers of the samples or their other view are read and not there.
            RuntimeError: when all `steps` are taken.
        """
        if self.taken >= self.steps:
            raise RuntimeError(
                f"all {self.steps} steps of this training are taken; for a longer one give the "
                "plan more epochs, or `stepper` a greater `steps`"
            )
        image = image.to(self.device, non_blocking=True)
        label = label.to(self.device, non_blocking=True)
        for name in self._unchecked:
            node = self.plan.graph.node(name)
            require_logits(node, self.networks[name], image, label, self.plan.data)
        self._unchecked = ()
        for stream in self._streams:
            stream.begin(self.taken + 1)
        if self.taken == self._ends[self._index]:
            self.end_phase()
        done = self.taken - (self._ends[self._index] - self.phase.steps)
        extra = self._step.extra_inputs(sample, second_view)
        with locating_user_errors(self.networks, self.plan):
            output = self._step(done + 1, image, label, *extra)
        self.taken += 1
        return output

    @property
    def views(self) -> int:
        """How many views of each sample the phase reads."""
        return 1 + (SECOND_VIEW in self._step.batch)

    def end_phase(self) -> None:
        """End the phase, also before its last step, and enter the next one if there is one.

        Where it takes the best epoch, these weights are loaded: of a loop that calls `end_epoch`.
        """
        self._best.load_weights()
        self.taken = self._ends[self._index]
        if self._index + 1 < len(self._ends):
            self._ended = self.epochs
            self._enter(self._index + 1)

    def take_uncaptured(
        self,
        image: Tensor,
        label: Tensor,
        sample: Tensor | None = None,
        second_view: Tensor | None = None,
    ) -> Output:
        """Compute a step and update the networks, kernel by kernel even if steps are captured.

        For those who count operators. Neither the learning rates nor k move on, and image and
        label have to be on the device.
        """
        extra = self._step.extra_inputs(sample, second_view)
        return self._step.take_uncaptured(image, label, *extra)

    @property
    def judged(self) -> tuple[str, ...]:
        """The nodes whose accuracy on held-out samples matters for their training."""
        plateaus = self._step.plateaus.items()
        return (*self._best.nodes, *(name for name, each in plateaus if each.on == "accuracy"))

    def end_epoch(self, loss: Mapping[str, float], accuracy: Mapping[str, float]) -> None:
        """Let the schedules `plateau`, `take = best` and `stop` know how an epoch went.

        `ktgdsl.run` does it; a loop of your own has to where the plan has one of these.

        Args:
            loss: the training loss of each node that learns, its mean over the epoch.
            accuracy: on held-out samples, of at least the nodes in `judged`.
        """
        values = {"loss": loss, "accuracy": accuracy}
        for name, plateau in self._step.plateaus.items():
            plateau.observe(values[plateau.on][name])
        self._best.note(accuracy)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, but for the plan and the frozen networks.

        Like that of a module it holds the tensors themselves, and `torch.load` reads it back
        with `weights_only=True`.
        """
        return {
            "taken": self.taken,
            "phase": self._index,
            "ended": self._ended,
            "optimizers": self._step.state_dict(),
            "best": self._best.state_dict(),
            **module_states(self._changing, self._parts),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from the `state_dict` of a stepper of the same plan and seed.

        Raises ValueError, or whatever torch does, where it is of another.
        """
        load_module_states(state, self._changing, self._parts)
        index = require_number(state["phase"], 0, len(self._ends) - 1, "phase")
        if index != self._index:
            self._enter(index)
        planned = [phase.epochs for phase in self.program.phases[:index]]
        ended = state.get("ended", planned)
        require_like(ended, planned, "ended")
        for epochs, most in zip(ended, planned, strict=True):
            require_number(epochs, 0, most, "ended")
        self._ended = tuple(ended)
        self._step.load_state_dict(state["optimizers"])
        self._best.load_state_dict(state["best"])
        end = self._ends[index]
        self.taken = require_number(state["taken"], end - self.phase.steps, end, "taken")
