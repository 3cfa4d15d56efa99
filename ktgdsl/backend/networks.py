"""The built-in networks: CIFAR ResNets and Wide ResNets as sequences of named stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from ktgdsl.vocabulary.networks import STAGES

# ReLUs and sums overwrite the outputs of batch norms, which nothing needs later: writing less
# memory is faster. A hook that keeps the output of a module inside a block has to copy it.


class StagedNetwork(nn.Module):
    """A network that is its stages in order, each a direct child named in `STAGES`.

    `forward` takes images (B, channels, H, W), 8 pixels or more on a side, to logits
    (B, classes). Stage outputs are (B, C, H, W) up to `stage3`; `features` is (B, C).

    Attributes:
        stages: that it has, in order.
    """

    stages: tuple[str, ...] = STAGES

    def forward(self, image: Tensor, until: str = STAGES[-1]) -> Tensor:
        """Return the logits (B, classes) of images (B, channels, H, W).

        `until` names an earlier stage, whose output is returned and after which none is computed.
        """
        x = image
        for name in self.stages:
            x = getattr(self, name)(x)
            if name == until:
                break
        return x

    @property
    def before_relu(self) -> dict[str, tuple[str, bool, str]]:
        """Where the last ReLU of a stage gets its input, by the stage.

        It is a module, whether it is the module's input rather than its output, and the last
        stage that has to be computed for it.
        """
        raise NotImplementedError


class ResNet(StagedNetwork):
    """CIFAR ResNet of basic blocks with option-A shortcuts (He et al., CVPR 2016, Sec. 4.2).

    Args:
        depth: 6n + 2 layers, n blocks in each of three stages.
        channels: of the image.
        classes: number of logits.
        stride: of the first convolution; 2 fits images of 64 pixels to the network.
        width: the stages have so many channels, twice and four times as many.

    Raises:
        ValueError: when the depth is not 8, 14, 20, ...
    """

    def __init__(
        self, depth: int, channels: int, classes: int, stride: int = 1, width: int = 16
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"the depth of a resnet is 6n + 2 (8, 14, 20, ...), not {depth}")
        n = depth // 6
        self.stem = nn.Sequential(
            _conv(channels, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.stage1 = _stage(BasicBlock, n, width, width, stride=1)
        self.stage2 = _stage(BasicBlock, n, width, 2 * width, stride=2)
        self.stage3 = _stage(BasicBlock, n, 2 * width, 4 * width, stride=2)
        self.features = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.logits = nn.Linear(4 * width, classes)
        _initialise(self)

    @property
    def before_relu(self) -> dict[str, tuple[str, bool, str]]:
        """The sums at the ends of the stages, and the batch norm of the stem."""
        last = {name: len(getattr(self, name)) - 1 for name in ("stage1", "stage2", "stage3")}
        ends = {name: (f"{name}.{block}.relu", True, name) for name, block in last.items()}
        return {"stem": ("stem.1", False, "stem"), **ends}


class WideResNet(StagedNetwork):
    """Pre-activation Wide ResNet (Zagoruyko & Komodakis, BMVC 2016).

    Args:
        depth: 6n + 4 layers, n blocks in each of three stages.
        widen: the stages have 16, 32 and 64 times this many channels.
        dropout: share of activations dropped between the convolutions of a block; all
            blocks draw from one `Dropout`, and with 0 there is none.
        channels: of the image.
        classes: number of logits.
        stride: of the first convolution.

    Raises:
        ValueError: when depth, widen or dropout is outside its range.
    """

    def __init__(
        self,
        depth: int,
        widen: int,
        dropout: float,
        channels: int,
        classes: int,
        stride: int = 1,
    ) -> None:
        super().__init__()
        if depth < 10 or depth % 6 != 4:
            raise ValueError(f"the depth of a wrn is 6n + 4 (10, 16, 22, ...), not {depth}")
        if widen < 1:
            raise ValueError(f"the widening factor of a wrn is 1 or more, not {widen}")
        n = depth // 6
        block = partial(PreActivationBlock, dropout=Dropout(dropout) if dropout != 0 else None)
        width = 16 * widen
        self.stem = _conv(channels, 16, 3, stride)
        self.stage1 = _stage(block, n, 16, width, stride=1)
        self.stage2 = _stage(block, n, width, 2 * width, stride=2)
        self.stage3 = _stage(block, n, 2 * width, 4 * width, stride=2)
        self.features = nn.Sequential(
            nn.BatchNorm2d(4 * width),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.logits = nn.Linear(4 * width, classes)
        _initialise(self)

    @property
    def before_relu(self) -> dict[str, tuple[str, bool, str]]:
        """The batch norms that follow the stages, as in the code of Heo et al. (ICCV 2019)."""
        following = dict(pairwise(("stem", "stage1", "stage2", "stage3")))
        norms = {name: (f"{then}.0.bn1", False, then) for name, then in following.items()}
        return {**norms, "stage3": ("features.0", False, "features")}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a parameter-free shortcut; changes shape only at stride 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)  # a module, so that its input can be read
        self.outputs = outputs
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)), inplace=True)))
        y += x if self.stride == 1 else option_a(x, self.outputs)
        activated: Tensor = self.relu(y)
        return activated


class PreActivationBlock(nn.Module):
    """bn-relu-conv twice, with a 1x1 convolution as shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: Dropout | None) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = dropout
        self.conv2 = _conv(outputs, outputs, 3)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        activated = relu(self.bn1(x), inplace=True)
        y = relu(self.bn2(self.conv1(activated)), inplace=True)
        if self.dropout is not None:
            y = self.dropout(y)
        shortcut: Tensor = x if self.shortcut is None else self.shortcut(activated)
        residual: Tensor = self.conv2(y)
        residual += shortcut
        return residual


class Dropout(nn.Module):
    """Dropout with a random stream of its own, apart from torch's global one.

    The seed is drawn at construction, like the initial weights; `seed` sets another. The
    stream is no part of `state_dict`: a checkpoint keeps `state()`. Its `generator`, None
    until the first draw, is public so that a captured CUDA graph can register it.

    Raises:
        ValueError: when p, the share that is dropped, is not in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"the dropout of a network is at least 0 and below 1, not {p}")
        self.p = p
        self.generator: torch.Generator | None = None
        self._seed = int(torch.randint(2**63 - 1, (), device="cpu"))
        self._restored: Tensor | None = None

    def seed(self, seed: int) -> None:
        """Start the stream again from this seed."""
        self._seed = seed
        self.set_state(None)

    def state(self) -> Tensor | None:
        """Return the state of the stream; None before the first draw, when the seed says all."""
        return self._restored if self.generator is None else self.generator.get_state()

    def set_state(self, state: Tensor | None) -> None:
        """Continue from what `state()` returned on the same kind of device and seed."""
        self._restored = state
        if self.generator is not None:
            self._restart(self.generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, in training mode with a share p of it zeroed and the rest times 1 / (1-p)."""
        if not self.training:
            return x
        if self.generator is None:
            self.generator = self._restart(torch.Generator(x.device))
        mask = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * mask.div_(1 - self.p)

    def _restart(self, generator: torch.Generator) -> torch.Generator:
        generator.manual_seed(self._seed)
        if self._restored is not None:
            generator.set_state(self._restored)
        return generator


def option_a(x: Tensor, channels: int) -> Tensor:
    """Return every second pixel of x (B, C, H, W), with zeros as channels C to `channels`.

    The parameter-free shortcut A of He et al. (CVPR 2016), Sec. 3.3.
    """
    return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, channels - x.shape[1]))


NETWORKS: Mapping[str, Callable[..., nn.Module]] = {"resnet": ResNet, "wrn": WideResNet}


def make(name: str, arguments: Mapping[str, object], channels: int, classes: int) -> nn.Module:
    """Build a network by the name that the language gives it.

    Args:
        name: "resnet", with the arguments depth, stride and width, or "wrn", with depth, stride,
            widen and dropout.
        arguments: of the network, by name.
        channels: of the image.
        classes: number of logits.

    Raises:
        ValueError: when the name is unknown or an argument is outside its range.
    """
    if name not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise ValueError(f"there is no built-in network {name!r}; known are {known}")
    return NETWORKS[name](**arguments, channels=channels, classes=classes)


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def _stage(
    block: Callable[[int, int, int], nn.Module], n: int, inputs: int, outputs: int, *, stride: int
) -> nn.Sequential:
    rest = (block(outputs, outputs, 1) for _ in range(n - 1))
    return nn.Sequential(block(inputs, outputs, stride), *rest)


def _initialise(network: nn.Module) -> None:
    """Draw convolutions from N(0, sqrt(2 / (k² · out))) and zero the bias of the logits.

    Batch norm starts at weight 1 and bias 0 and the linear weight is uniform in
    ±1/sqrt(in), both torch's own; the zero bias is that of the Wide ResNet codes. On `meta`,
    where there is nothing to draw, torch would import its compiler for it.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
