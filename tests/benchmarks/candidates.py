"""Candidates of the step benchmark: reference, limit and ours, on equal weights and batches."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.training.assemble import assemble
from ktgdsl.training.process_settings import keep_freed_pages
from ktgdsl.training.step import Stepper
from tests.benchmarks.reference import Reference, Transfer

ENDLESS = 10**6
"""Steps of a training that is never finished."""

_TRIM, _MMAP = -1, -3  # of mallopt, in malloc.h of glibc


@dataclass(frozen=True)
class Setting:
    """What is trained: `nodes` nodes of a network that all teach each other, or have a teacher."""

    network: str
    data: str
    nodes: int = 3
    teacher: str | None = None
    precision: str = "fp32"
    compile: str = "off"
    batch: int = 64

    @property
    def names(self) -> list[str]:
        """The nodes that learn."""
        return [f"n{i}" for i in range(self.nodes)]

    @property
    def plan(self) -> Plan:
        """The plan of ours. With a frozen `teacher` there are no other transfers."""
        names = ", ".join(self.names)
        lines = [f"    node {names} = {self.network}", "    target n0"]
        if self.teacher is not None:
            lines += [f"    node t = {self.teacher} {{ frozen = true }}"]
            lines += [f"    edge label -> {names}", f"    edge t -> {names} : kl"]
        else:
            lines += ["    edge label -> *"]
            lines += ["    edge * -> * : kl"] if self.nodes > 1 else []
        settings = "optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=5e-4)"
        how = f"precision = {self.precision} compile = {self.compile}"
        text = "\n".join(
            [
                "graph measured {",
                *lines,
                "}",
                f"data {self.data} {{ batch = {self.batch} augment = none }}",
                f"train {{ epochs = 200 {how} {settings} }}",
                "",
            ]
        )
        return ktgdsl.loads(text)

    @property
    def transfers(self) -> list[Transfer]:
        """The edges of the reference."""
        if self.teacher is not None:
            return [Transfer("t", name) for name in self.names]
        return [Transfer(s, d) for s in self.names for d in self.names if s != d]

    def example(self) -> tuple[Tensor, Tensor]:
        """A batch of images and labels, the same every time."""
        generator = torch.Generator().manual_seed(0)
        facts = self.plan.data
        image = torch.rand(self.batch, *facts.shape, generator=generator)
        return image, torch.randint(facts.classes, (self.batch,), generator=generator)

    def networks(self) -> dict[str, nn.Module]:
        """Networks with the weights that a stepper of the plan begins with."""
        graph = ktgdsl.build(self.plan)
        return dict(graph.networks)

    @property
    def dtype(self) -> torch.dtype:
        """Of the arithmetic of the networks."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


@dataclass(frozen=True)
class Candidate:
    """A step to be timed. `before` is called first, untimed."""

    name: str
    before: Callable[[], object]
    step: Callable[[], object]


def reference(setting: Setting) -> Candidate:
    """The training as the authors' code does it, with glibc's default settings."""
    networks = setting.networks()
    frozen = [name for name in networks if name not in setting.names]
    step = Reference(
        networks, setting.transfers, steps=ENDLESS, frozen=frozen, precision=setting.dtype
    )
    image, label = setting.example()
    return Candidate("reference", use_default_allocator_settings, lambda: step(image, label))


def limit(setting: Setting) -> Candidate:
    """The same networks as ours, each trained alone on the labels; a frozen one only asked."""
    step = our_stepper(setting)
    networks = step.networks
    image, label = setting.example()
    learning = [(networks[name], _sgd(networks[name])) for name in setting.names]
    frozen = [network for name, network in networks.items() if name not in setting.names]

    def take() -> None:
        for network in frozen:
            with torch.no_grad(), _autocast(setting):
                network(image)
        for network, optimizer in learning:
            optimizer.zero_grad()
            with _autocast(setting):
                logits = network(image)
            torch.autograd.backward(cross_entropy(logits.float(), label))
            optimizer.step()

    return Candidate("limit", use_our_allocator_settings, take)


def ours(setting: Setting) -> Candidate:
    """The step of the package."""
    step = our_stepper(setting)
    image, label = setting.example()
    return Candidate("ours", use_our_allocator_settings, lambda: step(image, label))


def our_stepper(setting: Setting) -> Stepper:
    """A stepper of the setting; a teacher is not pre-trained."""
    plan = setting.plan
    return assemble(plan, torch.device("cpu"), seed=plan.train.seed, steps=ENDLESS)


def use_our_allocator_settings() -> None:
    """Set the allocator as a stepper does, which sets it once for its process."""
    keep_freed_pages.cache_clear()
    keep_freed_pages()


def use_default_allocator_settings() -> None:
    """Set the allocator as glibc does itself after freeing the largest blocks here, of 4 MiB."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP, 5 << 20)
        libc.mallopt(_TRIM, 10 << 20)
        libc.malloc_trim(0)


def matmul(size: int = 1024) -> tuple[Candidate, float]:
    """A product of square matrices in fp32, for the peak; and its operations."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    return Candidate("matmul", lambda: None, lambda: a @ b), 2.0 * size**3


def all_candidates(setting: Setting) -> Sequence[Candidate]:
    """Reference, limit and ours."""
    return [reference(setting), limit(setting), ours(setting)]


def _sgd(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
    )


def _autocast(setting: Setting) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=setting.precision == "bf16")
