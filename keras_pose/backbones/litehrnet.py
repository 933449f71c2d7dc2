"""LiteHRNet (Yu et al., 2021, https://arxiv.org/abs/2104.06403): HRNet of weighted channels.

1x1 convolutions at full size give way to gates computed from all resolutions together.
"""

import keras
from keras import ops

from keras_pose.backbones.hrnet import separable_convolution
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    ConvModule,
    SeparableConvModule,
    SqueezeExcite,
    Stack,
    adaptive_average_pool,
    channel_shuffle,
    resize,
    set_kernel_initializer,
)

# Published networks as arguments of `LiteHRNet`.
VARIANTS = {"18": {"num_modules": (2, 4, 2)}, "30": {"num_modules": (3, 8, 3)}}


def _halves(x):
    middle = x.shape[-1] // 2
    return x[..., :middle], x[..., middle:]


def _shuffled(first, second):
    """Two maps with their channels in turns."""
    return channel_shuffle(ops.concatenate([first, second], axis=-1), 2)


class Stem(Composite):
    """A 3x3 convolution of stride 2, then two branches of stride 2 on half its channels each.

    Args:
        channels: int, width of the first convolution.
        out_channels: int.
        expansion: float, width inside the second branch in units of `channels`.
    """

    def __init__(self, channels, out_channels, expansion, **kwargs):
        super().__init__(**kwargs)
        half = channels // 2
        # The second branch keeps its width unless the output is wider than the first convolution.
        second = half if channels == out_channels else channels
        if channels % 2 or out_channels != 2 * second:
            raise ValueError(
                f"stem_out_channels must be stem_channels, an even number, or twice as many; got "
                f"{out_channels} and {channels}"
            )
        self.conv1 = ConvModule(channels, 3, 2)
        self.branch1 = Stack([ConvModule(None, 3, 2, activation=None), ConvModule(second, 1)])
        self.expand_conv = ConvModule(round(channels * expansion), 1)
        self.depthwise_conv = ConvModule(None, 3, 2, activation=None)
        # "Linear" is its published name; a ReLU follows it.
        self.linear_conv = ConvModule(second, 1)

    def call(self, x, training=None):
        first, second = _halves(self.conv1(x, training=training))
        first = self.branch1(first, training=training)
        for layer in (self.expand_conv, self.depthwise_conv, self.linear_conv):
            second = layer(second, training=training)
        return _shuffled(first, second)


class CrossResolutionWeighting(Composite):
    """Gates for maps of several sizes, computed from all of them at the size of the smallest.

    Args:
        channels: list of int, widths of the maps.
        reduction: int, how many times fewer channels there are in between.
    """

    def __init__(self, channels, reduction, **kwargs):
        super().__init__(**kwargs)
        total = sum(channels)
        self.conv1 = ConvModule(total // reduction, 1)
        self.conv2 = ConvModule(total, 1, activation="sigmoid")

    def call(self, maps, training=None):
        smallest = maps[-1].shape[1:3]
        pooled = [adaptive_average_pool(x, smallest) for x in maps]
        gates = self.conv1(ops.concatenate(pooled, axis=-1), training=training)
        gates = self.conv2(gates, training=training)
        weighted, start = [], 0
        for x in maps:
            gate = gates[..., start : start + x.shape[-1]]
            weighted.append(x * resize(gate, x.shape[1:3], "nearest"))
            start += x.shape[-1]
        return weighted


class ConditionalChannelWeighting(Composite):
    """Half of each map's channels pass; the others are weighted, convolved and weighted again.

    Args:
        channels: list of int, widths of the maps.
        reduction: int, of the gates across resolutions.
    """

    def __init__(self, channels, reduction, **kwargs):
        super().__init__(**kwargs)
        halves = [width // 2 for width in channels]
        self.cross_resolution_weighting = CrossResolutionWeighting(halves, reduction)
        self.depthwise_convs = Stack([ConvModule(None, 3, activation=None) for _ in halves])
        self.spatial_weighting = Stack(
            [SqueezeExcite(width, width // 4, gate="sigmoid") for width in halves]
        )

    def call(self, maps, training=None):
        passing, changing = zip(*(_halves(x) for x in maps), strict=True)
        changing = self.cross_resolution_weighting(list(changing), training=training)
        changing = [
            gate(convolution(x, training=training))
            for gate, convolution, x in zip(
                self.spatial_weighting, self.depthwise_convs, changing, strict=True
            )
        ]
        return [_shuffled(*pair) for pair in zip(passing, changing, strict=True)]


class Fusion(Composite):
    """Blocks over all branches, and then the exchange between branches.

    Args:
        channels: list of int, widths of the branches, fine to coarse.
        blocks: int.
        reduction: int, see `ConditionalChannelWeighting`.
    """

    def __init__(self, channels, blocks, reduction, **kwargs):
        super().__init__(**kwargs)
        self.layers = Stack(
            [ConditionalChannelWeighting(channels, reduction) for _ in range(blocks)]
        )
        count = range(len(channels))
        self.fuse_layers = Stack([Stack([_route(channels, j, i) for j in count]) for i in count])

    def call(self, maps, training=None):
        maps = self.layers(maps, training=training)
        fused = []
        for i, routes in enumerate(self.fuse_layers):
            terms = list(self._terms(i, routes, maps, training))
            # The reference adds in place: the first term of each sum counts twice, and the later
            # sums see the first one in the place of branch 0. Published weights rely on it.
            total = sum(terms, terms[0])
            if i == 0:
                maps = [total, *maps[1:]]
            fused.append(ops.relu(total))
        return fused

    def _terms(self, i, routes, maps, training):
        for j, (route, x) in enumerate(zip(routes, maps, strict=True)):
            if j == i:
                yield x
            else:
                x = route(x, training=training)
                yield resize(x, maps[i].shape[1:3], "nearest") if j > i else x


def _route(channels, source, target):
    if source == target:
        return keras.layers.Identity()
    if source > target:
        return Stack([Conv2D(channels[target], 1, use_bias=False), BatchNormalization()])
    width = channels[source]
    steps = [separable_convolution(width, 2) for _ in range(target - source - 1)]
    return Stack([*steps, separable_convolution(channels[target], 2, relu=False)])


class IterativeHead(Composite):
    """From the coarsest map to the finest: each is convolved and added to the next.

    Args:
        channels: list of int, widths of the maps, fine to coarse.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        finer = [channels[0], *channels[:-1]]
        self.projects = Stack(
            [
                SeparableConvModule(
                    width, 3, norm="batch", activation="relu", depthwise_norm="batch"
                )
                for width in reversed(finer)
            ]
        )

    def call(self, maps, training=None):
        results, coarser = [], None
        for x, project in zip(reversed(maps), self.projects, strict=True):
            if coarser is not None:
                x = x + resize(coarser, x.shape[1:3], align_corners=True)
            coarser = project(x, training=training)
            results.append(coarser)
        return results[::-1]


@keras.saving.register_keras_serializable(package="keras_pose")
class LiteHRNet(Composite):
    """LiteHRNet: images to the finest map. `VARIANTS` has the published ones:
    `LiteHRNet(**VARIANTS["18"])`.

    Args:
        channels: even widths of the branches, fine to coarse (strides 4, 8, ...).
        num_modules: number of modules of each stage; stage i has i + 2 branches.
        num_blocks: int, blocks of each module.
        reduction: int, how many times fewer channels the gates across resolutions have in between.
        stem_channels: int, even, width of the stem's first convolution.
        stem_out_channels: int, `stem_channels` or twice as many.
        stem_expansion: float, width inside the stem's second branch in units of `stem_channels`.
        with_head: bool, whether coarser maps are added to the finest at the end.

    Returns:
        List of one map `(B, H / 4, W / 4, C)`.
    """

    def __init__(
        self,
        channels=(40, 80, 160, 320),
        num_modules=(2, 4, 2),
        num_blocks=2,
        reduction=8,
        stem_channels=32,
        stem_out_channels=32,
        stem_expansion=1,
        with_head=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.num_modules = tuple(num_modules)
        self.num_blocks = num_blocks
        self.reduction = reduction
        self.stem_channels = stem_channels
        self.stem_out_channels = stem_out_channels
        self.stem_expansion = stem_expansion
        self.with_head = with_head
        if len(self.num_modules) != len(self.channels) - 1:
            raise ValueError(
                f"{len(self.channels)} channels need {len(self.channels) - 1} num_modules, got "
                f"{self.num_modules}"
            )
        if any(width % 2 for width in self.channels):
            raise ValueError(f"channels must be even, got {self.channels}")
        self.stem = Stem(stem_channels, stem_out_channels, stem_expansion)
        for stage, count in enumerate(self.num_modules):
            widths = self.channels[: stage + 2]
            modules = [Fusion(widths, num_blocks, reduction) for _ in range(count)]
            setattr(self, f"transition{stage}", self._transition(stage))
            setattr(self, f"stage{stage}", Stack(modules))
        self.head_layer = IterativeHead(self.channels) if with_head else None
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))

    def _transition(self, stage):
        """Layers that make one branch more; those that pass are identities."""
        if stage == 0:
            first = self.channels[0]
            same = first == self.stem_out_channels
            passing = [keras.layers.Identity() if same else separable_convolution(first)]
        else:
            passing = [keras.layers.Identity() for _ in range(stage + 1)]
        return Stack([*passing, Stack([separable_convolution(self.channels[stage + 1], 2)])])

    def call(self, x, training=None):
        maps = [self.stem(x, training=training)]
        for stage in range(len(self.num_modules)):
            transition = getattr(self, f"transition{stage}")
            maps = [
                layer(x, training=training) if isinstance(layer, Stack) else x
                for layer, x in zip(transition, [*maps, maps[-1]], strict=True)
            ]
            maps = getattr(self, f"stage{stage}")(maps, training=training)
        if self.head_layer is not None:
            maps = self.head_layer(maps, training=training)
        return maps[:1]

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_modules": self.num_modules,
            "num_blocks": self.num_blocks,
            "reduction": self.reduction,
            "stem_channels": self.stem_channels,
            "stem_out_channels": self.stem_out_channels,
            "stem_expansion": self.stem_expansion,
            "with_head": self.with_head,
        }
