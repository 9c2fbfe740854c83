"""Blocks of depthwise convolutions: MobileNet's separable one, MobileNetV2's and EfficientNet's inverted bottleneck."""

from __future__ import annotations

from torch import Tensor, nn


class DepthwiseSeparable(nn.Module):
    """[batch, in_channels, H, W] → [batch, channels, ⌈H/stride⌉, ⌈W/stride⌉] (Howard 2017, section 3.1).

    A kernel for each map alone, then a 1×1 convolution that mixes the maps; each with a norm and a ReLU.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        pad = kernel // 2
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel, stride, pad, groups=in_channels, bias=False)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.pointwise = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.norm1(self.depthwise(x)))
        return self.relu2(self.norm2(self.pointwise(x)))


class SqueezeExcitation(nn.Module):
    """[batch, channel, H, W] → the same: each map times a gate between 0 and 1 made from all maps' means (Hu 2017)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.SiLU()
        self.excite = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.excite(self.activation(self.squeeze(means))))


class InvertedBottleneck(nn.Module):
    """[batch, in_channels, H, W] → [batch, channels, ⌈H/stride⌉, ⌈W/stride⌉].

    Sandler 2018, section 3.3; with the gate and SiLU, Tan & Le 2019. 1×1 to `expand` times the maps, a depthwise
    convolution, squeeze-excitation where asked for, and 1×1 down to `channels` with no activation after it. The
    input is added where its shape is the output's.
    """

    def __init__(
        self, in_channels: int, channels: int, expand: int, kernel: int, stride: int, squeeze: bool, activation: str
    ) -> None:
        super().__init__()
        act = nn.SiLU if activation == "silu" else nn.ReLU6
        wide = in_channels * expand
        self.expand: nn.Module = nn.Identity()
        if expand > 1:
            self.expand = nn.Sequential(nn.Conv2d(in_channels, wide, 1, bias=False), nn.BatchNorm2d(wide), act())
        depthwise = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self.depthwise = nn.Sequential(depthwise, nn.BatchNorm2d(wide), act())
        self.squeeze = SqueezeExcitation(wide, max(1, in_channels // 4)) if squeeze else nn.Identity()
        self.project = nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + y if self.adds else y
