"""Who is measured against whom: the reference, the limit and ours, on equal weights and batches."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.training.prepare import stepper
from ktgdsl.training.process_settings import keep_freed_pages
from ktgdsl.training.step import Stepper
from tests.benchmarks.reference import Reference, Transfer

ENDLESS = 10**6
"""Steps of a training that nobody finishes."""

_TRIM, _MMAP = -1, -3  # of mallopt, in malloc.h of glibc


@dataclass(frozen=True)
class Setting:
    """What is trained: so many nodes of a network, each of which teaches all others."""

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
        """The plan of ours. With a teacher that is frozen, nobody else teaches."""
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

    def batch_of(self) -> tuple[Tensor, Tensor]:
        """Images and labels, the same every time."""
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
class Contender:
    """Something to be timed. `before` comes first, and is not."""

    name: str
    before: Callable[[], object]
    step: Callable[[], object]


def reference(setting: Setting) -> Contender:
    """The training as the authors' code does it, with glibc's own ways."""
    networks = setting.networks()
    frozen = [name for name in networks if name not in setting.names]
    step = Reference(
        networks, setting.transfers, steps=ENDLESS, frozen=frozen, precision=setting.dtype
    )
    image, label = setting.batch_of()
    return Contender("reference", return_freed_pages, lambda: step(image, label))


def limit(setting: Setting) -> Contender:
    """The same networks as ours, each trained alone on the labels; a frozen one only asked."""
    step = our_stepper(setting)
    networks = step.graph.networks
    image, label = setting.batch_of()
    learning = [(networks[name], _sgd(networks[name])) for name in setting.names]
    asked = [network for name, network in networks.items() if name not in setting.names]

    def take() -> None:
        for network in asked:
            with torch.no_grad(), _autocast(setting):
                network(image)
        for network, optimizer in learning:
            optimizer.zero_grad()
            with _autocast(setting):
                logits = network(image)
            torch.autograd.backward(cross_entropy(logits.float(), label))
            optimizer.step()

    return Contender("limit", allow_kept_pages, take)


def ours(setting: Setting) -> Contender:
    """The step of the package."""
    step = our_stepper(setting)
    image, label = setting.batch_of()
    return Contender("ours", allow_kept_pages, lambda: step(image, label))


def our_stepper(setting: Setting) -> Stepper:
    """A stepper of the setting; a teacher counts as pre-trained."""
    networks = setting.networks()
    given = {name: each for name, each in networks.items() if name not in setting.names}
    made = stepper(setting.plan, "cpu", networks=given, steps=ENDLESS)
    for network in given.values():  # one that is given is left in its memory format
        network.to(memory_format=torch.channels_last)
    return made


def allow_kept_pages() -> None:
    """What a stepper does once for its process, again."""
    keep_freed_pages.cache_clear()
    keep_freed_pages()


def return_freed_pages() -> None:
    """What glibc does by itself once the largest blocks here, just above 4 MiB, have been freed."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP, 5 << 20)
        libc.mallopt(_TRIM, 10 << 20)
        libc.malloc_trim(0)


def matmul(size: int = 1024) -> tuple[Contender, float]:
    """A product of square matrices in fp32, for the peak; and its operations."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    return Contender("matmul", lambda: None, lambda: a @ b), 2.0 * size**3


def everybody(setting: Setting) -> Sequence[Contender]:
    """The three."""
    return [reference(setting), limit(setting), ours(setting)]


def _sgd(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
    )


def _autocast(setting: Setting) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=setting.precision == "bf16")
