"""The training step of the recipe `hiasa2018` in PyTorch: what `train_step.py` measures kerasgan against.

The same networks with the same number of parameters, the same losses and the same order of work; nothing is left out
that costs time. PyTorch is no dependency of kerasgan: `pip install torch` beside it.

Reference:
    Hiasa et al. 2018, https://arxiv.org/abs/1803.06629, Sec. 2.2; Zhu et al. 2017, https://arxiv.org/abs/1703.10593.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import nn
from torch._inductor import config as inductor
from torch.nn import functional as F

CYCLE_WEIGHT = 3.0
STRUCTURE_WEIGHT = 0.3
POOL_SIZE = 50


def _normalised(convolution: nn.Module, activation: nn.Module | None) -> list[nn.Module]:
    """A convolution without bias, instance norm without affine parameters (eps 1e-5), and an activation if any."""
    norm = nn.InstanceNorm2d(convolution.out_channels, eps=1e-5, affine=False)
    return [convolution, norm] + ([activation] if activation else [])


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions on reflected borders, added to the input; if separable, of channels, then of pixels."""

    def __init__(self, filters: int, separable: bool = False) -> None:
        super().__init__()
        first, second = (
            [
                *([nn.Conv2d(filters, filters, 3, groups=filters, bias=False)] if separable else []),
                *_normalised(nn.Conv2d(filters, filters, 1 if separable else 3, bias=False), activation),
            ]
            for activation in (nn.ReLU(inplace=True), None)
        )
        self.body = nn.Sequential(nn.ReflectionPad2d(1), *first, nn.ReflectionPad2d(1), *second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keeps the shape `[batch, filters, height, width]`."""
        return x + self.body(x)


def resnet_generator(filters: int = 64, blocks: int = 9, separable: bool = False) -> nn.Sequential:
    """Builds a model from `[batch, 1, height, width]` in [-1, 1] to the same; height and width are multiples of 4."""
    relu = nn.ReLU(inplace=True)
    layers = [nn.ReflectionPad2d(3), *_normalised(nn.Conv2d(1, filters, 7, bias=False), relu)]
    for width in (filters, 2 * filters):
        layers += _normalised(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False), relu)
    layers += [ResidualBlock(4 * filters, separable) for _ in range(blocks)]
    for width in (4 * filters, 2 * filters):
        up = nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1, bias=False)
        layers += _normalised(up, relu)
    return _initialised(nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(filters, 1, 7), nn.Tanh()))


def patchgan_discriminator(filters: int = 64) -> nn.Sequential:
    """Builds a model from `[batch, 1, height, width]` to `[batch, 1, rows, columns]` scores of 70x70 patches."""
    leaky = nn.LeakyReLU(0.2, inplace=True)
    layers = [nn.Conv2d(1, filters, 4, stride=2, padding=1), leaky]
    for factor, stride in ((1, 2), (2, 2), (4, 1)):
        convolution = nn.Conv2d(factor * filters, 2 * factor * filters, 4, stride, padding=1, bias=False)
        layers += _normalised(convolution, leaky)
    return _initialised(nn.Sequential(*layers, nn.Conv2d(8 * filters, 1, 4, padding=1)))


def _initialised(network: nn.Sequential) -> nn.Sequential:
    for name, parameter in network.named_parameters():
        nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.normal_(parameter, std=0.02)
    return network


def gradient_consistency(image: torch.Tensor, translated: torch.Tensor) -> torch.Tensor:
    """One minus the mean correlation of the signed gradients of each image (Eq. 4, 5), as `[batch]`."""
    pairs = zip(_gradients(image), _gradients(translated), strict=True)
    total = 0.0
    for x, y in pairs:
        x, y = (v.flatten(1) - v.flatten(1).mean(1, keepdim=True) for v in (x, y))  # [batch, pixels]
        total += (x * y).mean(1) * torch.rsqrt(x.square().mean(1) * y.square().mean(1) + 1e-8)
    return 1 - total / 2


def _gradients(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return 0.5 * (image[:, :, 2:] - image[:, :, :-2]), 0.5 * (image[..., 2:] - image[..., :-2])


class ImagePool:
    """The last synthetic images; half of the time a discriminator sees an older one (Shrivastava et al. 2017)."""

    def __init__(self, size: int = POOL_SIZE) -> None:
        self.size = size
        self.images: list[torch.Tensor] = []

    def exchange(self, batch: torch.Tensor) -> torch.Tensor:
        """Stores a batch and returns as many images, new or remembered."""
        return torch.cat([self._exchange_one(image) for image in batch.split(1)])

    def _exchange_one(self, image: torch.Tensor) -> torch.Tensor:
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if random.random() < 0.5:
            return image
        index = random.randrange(self.size)
        remembered, self.images[index] = self.images[index], image
        return remembered


@dataclass(frozen=True)
class Mode:
    """The way a step is run: precision, memory format, compiled networks or eager ones, and the device."""

    bfloat16: bool = False
    channels_last: bool = False
    compiled: bool = False
    device: str = "cpu"


class CycleGAN:
    """Two generators, two discriminators, two Adam optimizers and one training step."""

    def __init__(
        self, filters: int = 64, blocks: int = 9, mode: Mode = Mode(), structure_weight: float = STRUCTURE_WEIGHT
    ) -> None:
        self.mode, self.structure_weight = mode, structure_weight
        self.generator_ab, self.generator_ba = (self._prepared(resnet_generator(filters, blocks)) for _ in "ab")
        self.discriminator_a, self.discriminator_b = (self._prepared(patchgan_discriminator(filters)) for _ in "ab")
        self.generator_weights = [*self.generator_ab.parameters(), *self.generator_ba.parameters()]
        self.discriminator_weights = [*self.discriminator_a.parameters(), *self.discriminator_b.parameters()]
        self.generator_optimizer = torch.optim.Adam(self.generator_weights, 2e-4, betas=(0.5, 0.999))
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator_weights, 2e-4, betas=(0.5, 0.999))
        self.pool_a, self.pool_b = ImagePool(), ImagePool()

    def _prepared(self, network: nn.Module) -> nn.Module:
        network = network.to(self.mode.device)
        if self.mode.channels_last:
            network = network.to(memory_format=torch.channels_last)
        if not self.mode.compiled:
            return network
        if self.mode.device == "cpu" and torch.cpu._is_amx_tile_supported():
            # With 512 bits, what torch 2.13 compiles gives gradients of NaN. Convolutions are oneDNN's either way.
            inductor.cpp.simdlen = 256
        return torch.compile(network)

    @property
    def parameter_count(self) -> int:
        """Trainable parameters of all four networks."""
        return sum(p.numel() for p in self.generator_weights + self.discriminator_weights)

    def train_step(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, float]:
        """One update of the generators and one of the discriminators on `[batch, 1, height, width]` images."""
        if self.mode.channels_last:
            a, b = (x.contiguous(memory_format=torch.channels_last) for x in (a, b))
        loss, fake_a, fake_b = self._update_generators(a, b)
        discriminator_loss = self._update_discriminators(a, b, fake_a, fake_b)
        return {"generator": loss.item(), "discriminator": discriminator_loss.item()}

    def _update_generators(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        for weight in self.discriminator_weights:
            weight.requires_grad_(False)
        fake_b, fake_a = self._run(self.generator_ab, a), self._run(self.generator_ba, b)
        cycled_a, cycled_b = self._run(self.generator_ba, fake_b), self._run(self.generator_ab, fake_a)
        score_a, score_b = self._run(self.discriminator_a, fake_a), self._run(self.discriminator_b, fake_b)
        adversarial = (score_a - 1).square().mean() + (score_b - 1).square().mean()
        cycle = F.l1_loss(cycled_a, a) + F.l1_loss(cycled_b, b)
        loss = adversarial + CYCLE_WEIGHT * cycle
        if self.structure_weight:
            structure = gradient_consistency(a, fake_b).mean() + gradient_consistency(b, fake_a).mean()
            loss = loss + self.structure_weight * structure
        _apply(self.generator_optimizer, loss)
        return loss, fake_a.detach(), fake_b.detach()

    def _update_discriminators(
        self, a: torch.Tensor, b: torch.Tensor, fake_a: torch.Tensor, fake_b: torch.Tensor
    ) -> torch.Tensor:
        for weight in self.discriminator_weights:
            weight.requires_grad_(True)
        loss_a = self._discriminator_loss(self.discriminator_a, a, self.pool_a.exchange(fake_a))
        loss_b = self._discriminator_loss(self.discriminator_b, b, self.pool_b.exchange(fake_b))
        loss = loss_a + loss_b
        _apply(self.discriminator_optimizer, loss)
        return loss

    def _discriminator_loss(self, discriminator: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        real_score, fake_score = self._run(discriminator, real), self._run(discriminator, fake)
        return 0.5 * ((real_score - 1).square().mean() + fake_score.square().mean())

    def _run(self, network: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """A network's output in float32, computed in bfloat16 where the mode asks for it."""
        with torch.autocast(self.mode.device, torch.bfloat16, enabled=self.mode.bfloat16):
            return network(x).float()


def _apply(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
