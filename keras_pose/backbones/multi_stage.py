"""The frame of MSPN and RSN: pyramids one after the other, each fed by the one before.

Every stage goes down through residual blocks and up again (Li et al., 2019,
https://arxiv.org/abs/1901.00148); its levels are added to the levels of the next stage.
"""

import keras
from keras import ops

from keras_pose.layers import (
    Composite,
    ConvModule,
    Stack,
    max_pool,
    resize,
    set_kernel_initializer,
)


class Top(Composite):
    """The stem: a 7x7 convolution and a maximum, stride 4 together."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.top = Stack([ConvModule(channels, 7, 2)])

    def call(self, x, training=None):
        return max_pool(self.top(x, training=training), 3, 2, padding=1, nonnegative=True)


class DownsampleModule(Composite):
    """The way down: levels under the names `layer1`, `layer2`, ..., fine to coarse.

    Args:
        levels: list of a `Stack` of blocks per level.
    """

    def __init__(self, levels, **kwargs):
        super().__init__(**kwargs)
        self._count = len(levels)
        for number, level in enumerate(levels, start=1):
            setattr(self, f"layer{number}", level)

    def call(self, x, skips=None, training=None):
        maps = []
        for i in range(self._count):
            x = getattr(self, f"layer{i + 1}")(x, training=training)
            if skips is not None:
                first, second = skips[i]
                x = x + first + second
            maps.append(x)
        return maps


class UpsampleUnit(Composite):
    """One step of the way up.

    Args:
        channels: int, width of the level that comes in.
        unit_channels: int, width of the way up.
        first: bool, whether this is the coarsest level.
        skips: bool, whether to make maps for the next stage's level.
        cross_channels: int, width of the next stage's input, or None.

    Returns:
        `{"maps": y}`, `skips` with two maps for the next stage's level, `cross` with its input.
    """

    def __init__(self, channels, unit_channels, first, skips, cross_channels=None, **kwargs):
        super().__init__(**kwargs)
        self.in_skip = ConvModule(unit_channels, 1, activation=None)
        self.up_conv = None if first else ConvModule(unit_channels, 1, activation=None)
        self.out_skip1 = ConvModule(channels, 1) if skips else None
        self.out_skip2 = ConvModule(channels, 1) if skips else None
        self.cross_conv = ConvModule(cross_channels, 1) if cross_channels else None

    def call(self, maps, training=None):
        """Of `[level]`, or `[level, map of the unit before]`."""
        x = maps[0]
        y = self.in_skip(x, training=training)
        if self.up_conv is not None:
            coarser = resize(maps[1], x.shape[1:3], align_corners=True)
            y = y + self.up_conv(coarser, training=training)
        y = ops.relu(y)
        results = {"maps": y}
        if self.out_skip1 is not None:
            first, second = self.out_skip1, self.out_skip2
            results["skips"] = [first(x, training=training), second(y, training=training)]
        if self.cross_conv is not None:
            results["cross"] = self.cross_conv(y, training=training)
        return results


class UpsampleModule(Composite):
    """The way up: units under the names `up1`, `up2`, ..., coarse to fine.

    Args:
        channels: list of int, widths of the levels, fine to coarse.
        unit_channels: int, width of the way up.
        cross_channels: int, width of the next stage's input; None in the last stage.

    Returns:
        `maps`, coarse to fine; unless this is the last stage also `skips`, for each level, fine to
        coarse, the two maps that are added to the next stage's, and `cross`, its input.
    """

    def __init__(self, channels, unit_channels, cross_channels=None, **kwargs):
        super().__init__(**kwargs)
        self._count = len(channels)
        skips = cross_channels is not None
        for number, width in enumerate(reversed(channels), start=1):
            cross = cross_channels if number == self._count else None
            unit = UpsampleUnit(width, unit_channels, number == 1, skips, cross)
            setattr(self, f"up{number}", unit)

    def call(self, maps, training=None):
        units = []
        for i, x in enumerate(reversed(maps)):
            before = [unit["maps"] for unit in units[-1:]]
            units.append(getattr(self, f"up{i + 1}")([x, *before], training=training))
        results = {"maps": [unit["maps"] for unit in units]}
        if "cross" in units[-1]:
            results["skips"] = [unit["skips"] for unit in reversed(units)]
            results["cross"] = units[-1]["cross"]
        return results


class Stage(Composite):
    """One pyramid: down and up."""

    def __init__(self, downsample, upsample, **kwargs):
        super().__init__(**kwargs)
        self.downsample = downsample
        self.upsample = upsample

    def call(self, x, skips=None, training=None):
        maps = self.downsample(x, skips, training=training)
        return self.upsample(maps, training=training)


class MultiStageNet(Composite):
    """Stages one after the other; subclasses make their residual blocks and call `_assemble`.

    Args:
        num_stages: int.
        num_blocks: number of residual blocks of each level, fine to coarse; each level has twice
            the width and half the size of the one before.
        unit_channels: int, width of all returned maps.
        top_channels: int, width of the stem, of each stage's input and of the first level's blocks.
    """

    # Width of a level in units of its blocks' width, and the attribute that holds the stages.
    _expansion = 1
    _stages = "stages"

    def __init__(self, num_stages, num_blocks, unit_channels, top_channels, **kwargs):
        super().__init__(**kwargs)
        self.num_stages = num_stages
        self.num_blocks = tuple(num_blocks)
        self.unit_channels = unit_channels
        self.top_channels = top_channels
        if num_stages < 1 or not self.num_blocks or min(self.num_blocks) < 1:
            raise ValueError(
                f"num_stages and every entry of num_blocks must be 1 or more, got {num_stages} and "
                f"{self.num_blocks}"
            )

    def _assemble(self) -> None:
        """Makes all layers."""
        self.top = Top(self.top_channels)
        stages = [self._stage(last=i == self.num_stages - 1) for i in range(self.num_stages)]
        setattr(self, self._stages, Stack(stages))
        set_kernel_initializer(
            self, keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        )

    def _stage(self, last):
        widths = [self.top_channels * 2**i for i in range(len(self.num_blocks))]
        levels, incoming = [], self.top_channels
        for i, (width, count) in enumerate(zip(widths, self.num_blocks, strict=True)):
            level = Stack()
            for block in range(count):
                strides = 2 if i > 0 and block == 0 else 1
                level.append(self._block(incoming, width, strides))
                incoming = width * self._expansion
            levels.append(level)
        channels = [width * self._expansion for width in widths]
        cross = None if last else self.top_channels
        return Stage(DownsampleModule(levels), UpsampleModule(channels, self.unit_channels, cross))

    def _block(self, in_channels: int, width: int, strides: int) -> keras.layers.Layer:
        """A residual block of a level."""
        raise NotImplementedError

    def call(self, x, training=None):
        x = self.top(x, training=training)
        maps, skips = [], None
        for stage in getattr(self, self._stages):
            results = stage(x, skips, training=training)
            maps.append(results["maps"])
            skips, x = results.get("skips"), results.get("cross")
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "num_stages": self.num_stages,
            "num_blocks": self.num_blocks,
            "unit_channels": self.unit_channels,
            "top_channels": self.top_channels,
        }


def shortcut(in_channels: int, out_channels: int, strides: int) -> ConvModule | None:
    """The shortcut's layer, where a block changes the map's shape."""
    if strides == 1 and in_channels == out_channels:
        return None
    return ConvModule(out_channels, 1, strides, activation=None)
