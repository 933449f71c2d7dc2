"""HRNet (Sun et al., 2019, https://arxiv.org/abs/1902.09212): maps of several sizes side by side.

Branch 0 has stride 4, every further one half the size of the one before. Modules let each branch
work on its own and then give every branch the sum of all, resized.
"""

import keras
from keras import ops

from keras_pose.backbones.resnet import BasicBlock, Bottleneck
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    DepthwiseConv2D,
    Stack,
    resize,
    set_kernel_initializer,
)

# Published networks as arguments of `HRNet`; "v2" yields all four maps.
VARIANTS = {
    "w32": {"channels": (32, 64, 128, 256)},
    "w48": {"channels": (48, 96, 192, 384)},
    "v2_w18": {
        "channels": (18, 36, 72, 144),
        "multiscale_output": True,
        "interpolation": "bilinear",
    },
}


def convolution(channels, kernel_size, strides=1, relu=True) -> Stack:
    """Convolution 0, normalisation 1 and, where wanted, a ReLU."""
    layers = [
        Conv2D(channels, kernel_size, strides, kernel_size // 2, use_bias=False),
        BatchNormalization(),
    ]
    return Stack([*layers, keras.layers.ReLU()] if relu else layers)


def separable_convolution(channels, strides=1, relu=True) -> Stack:
    """Depthwise 3x3 and 1x1 convolutions, each with its normalisation, as 0 to 3; then a ReLU."""
    layers = [
        DepthwiseConv2D(3, strides, padding=1, use_bias=False),
        BatchNormalization(),
        Conv2D(channels, 1, use_bias=False),
        BatchNormalization(),
    ]
    return Stack([*layers, keras.layers.ReLU()] if relu else layers)


class Fusion(Composite):
    """Branches, each on its own, and then sums of all branches in the size of each.

    Args:
        branches: list of layers, one per branch.
        fuse_layers: list with a list per output; entry j turns branch j into what is added to that
            output, but for the size where j is smaller than the output. Entry i of output i is
            the identity.
        interpolation, align_corners: how smaller maps are enlarged, as in `layers.resize`.
    """

    def __init__(self, branches, fuse_layers, interpolation, align_corners=False, **kwargs):
        super().__init__(**kwargs)
        self.branches = Stack(branches)
        self.fuse_layers = Stack([Stack(routes) for routes in fuse_layers])
        self._resizing = (interpolation, align_corners)

    def call(self, maps, training=None):
        maps = [branch(x, training=training) for branch, x in zip(self.branches, maps, strict=True)]
        return [
            ops.relu(sum(self._terms(i, routes, maps, training)))
            for i, routes in enumerate(self.fuse_layers)
        ]

    def _terms(self, i, routes, maps, training):
        for j, (route, x) in enumerate(zip(routes, maps, strict=True)):
            if j == i:
                yield x
            else:
                x = route(x, training=training)
                yield resize(x, maps[i].shape[1:3], *self._resizing) if j > i else x


class HighResolutionNet(Composite):
    """The frame of HRNet and its relatives; subclasses make its branches and call `_assemble`.

    Args:
        channels: width of each branch, fine to coarse.
        num_modules: number of modules of each stage but the first; stage n has n branches.
        num_blocks: number of blocks of a branch in each stage.
        stem_channels: width of the stem.
        multiscale_output: bool, whether to yield all branches or only the finest.
    """

    def __init__(
        self,
        channels,
        num_modules,
        num_blocks,
        stem_channels,
        multiscale_output,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.num_modules = tuple(num_modules)
        self.num_blocks = tuple(num_blocks)
        self.stem_channels = stem_channels
        self.multiscale_output = multiscale_output
        count = len(self.channels)
        if len(self.num_modules) != count - 1 or len(self.num_blocks) != count:
            raise ValueError(
                f"{count} channels need {count - 1} num_modules and {count} num_blocks, got "
                f"{self.num_modules} and {self.num_blocks}"
            )

    def _assemble(self, interpolation, align_corners=False) -> None:
        """Makes all layers.

        Args:
            interpolation, align_corners: how maps are enlarged, as in `layers.resize`.
        """
        self._resizing = (interpolation, align_corners)
        stem_channels, count = self.stem_channels, len(self.channels)
        self.conv1 = Conv2D(stem_channels, 3, 2, padding=1, use_bias=False)
        self.bn1 = BatchNormalization()
        self.conv2 = Conv2D(stem_channels, 3, 2, padding=1, use_bias=False)
        self.bn2 = BatchNormalization()
        width = Bottleneck.expansion * stem_channels
        self.layer1 = Stack()
        for i in range(self.num_blocks[0]):
            shortcut = convolution(width, 1, relu=False) if i == 0 else None
            self.layer1.append(
                Bottleneck(width, stem_channels, downsample=shortcut, zero_init=False)
            )
        for stage in range(2, count + 1):
            setattr(self, f"transition{stage - 1}", self._transition(stage))
            modules = range(self.num_modules[stage - 2])
            setattr(self, f"stage{stage}", Stack([self._module(stage, i) for i in modules]))
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))

    def _transition(self, stage):
        """Layers that make one branch more; those that pass are identities."""
        layers = [keras.layers.Identity() for _ in range(stage - 1)]
        if stage == 2:
            layers = [convolution(self.channels[0], 3)]
        # Published names have the stride-2 steps in a list of one.
        return Stack([*layers, Stack([convolution(self.channels[stage - 1], 3, 2)])])

    def _module(self, stage, index):
        last = stage == len(self.channels) and index == self.num_modules[-1] - 1
        outputs = stage if self.multiscale_output or not last else 1
        return Fusion(
            [self._branch(stage, index, branch) for branch in range(stage)],
            [[self._route(j, i) for j in range(stage)] for i in range(outputs)],
            *self._resizing,
        )

    def _route(self, source, target):
        if source == target:
            return keras.layers.Identity()
        if source > target:
            return convolution(self.channels[target], 1, relu=False)
        steps = [self._step(self.channels[source], relu=True) for _ in range(target - source - 1)]
        return Stack([*steps, self._step(self.channels[target], relu=False)])

    def _branch(self, stage: int, module: int, branch: int) -> Stack:
        """The blocks of one branch of a module of a stage (2, 3, ...)."""
        raise NotImplementedError

    def _step(self, channels: int, relu: bool) -> Stack:
        """Layers that halve a map on its way to a coarser branch."""
        raise NotImplementedError

    def call(self, x, training=None):
        x = ops.relu(self.bn1(self.conv1(x), training=training))
        x = ops.relu(self.bn2(self.conv2(x), training=training))
        maps = [self.layer1(x, training=training)]
        for stage in range(2, len(self.channels) + 1):
            transition = getattr(self, f"transition{stage - 1}")
            maps = [
                layer(x, training=training) if isinstance(layer, Stack) else x
                for layer, x in zip(transition, [*maps, maps[-1]], strict=True)
            ]
            maps = getattr(self, f"stage{stage}")(maps, training=training)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_modules": self.num_modules,
            "num_blocks": self.num_blocks,
            "stem_channels": self.stem_channels,
            "multiscale_output": self.multiscale_output,
        }


@keras.saving.register_keras_serializable(package="keras_pose")
class HRNet(HighResolutionNet):
    """HRNet: images to feature maps. `VARIANTS` has the published ones: `HRNet(**VARIANTS["w32"])`.

    Args:
        channels: width of each branch, fine to coarse; each is one stage.
        num_modules: number of modules of each stage but the first.
        num_blocks: number of residual blocks of each branch, stage by stage.
        stem_channels: int, width of the stem and inside the first stage's blocks.
        multiscale_output: bool, whether to return the maps of all branches (strides 4, 8, 16, 32)
            or only the finest.
        interpolation: "nearest", or "bilinear" as in HRNetV2; how maps are enlarged.
        align_corners: bool, of bilinear enlargement; see `layers.resize`.

    Returns:
        List of maps `(B, h, w, C)`, fine to coarse.
    """

    def __init__(
        self,
        channels=(32, 64, 128, 256),
        num_modules=(1, 4, 3),
        num_blocks=(4, 4, 4, 4),
        stem_channels=64,
        multiscale_output=False,
        interpolation="nearest",
        align_corners=False,
        **kwargs,
    ):
        super().__init__(
            channels, num_modules, num_blocks, stem_channels, multiscale_output, **kwargs
        )
        if interpolation not in ("bilinear", "nearest"):
            raise ValueError(
                f'interpolation must be "bilinear" or "nearest", got "{interpolation}"'
            )
        self.interpolation = interpolation
        self.align_corners = align_corners
        self._assemble(interpolation, align_corners)

    def _branch(self, stage, module, branch):
        count = self.num_blocks[stage - 1]
        return Stack([BasicBlock(self.channels[branch], zero_init=False) for _ in range(count)])

    def _step(self, channels, relu):
        return convolution(channels, 3, 2, relu)

    def get_config(self):
        return {
            **super().get_config(),
            "interpolation": self.interpolation,
            "align_corners": self.align_corners,
        }
