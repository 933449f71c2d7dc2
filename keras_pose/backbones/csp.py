"""CSPDarknet (https://arxiv.org/abs/2107.08430) and CSPNeXt (https://arxiv.org/abs/2212.07784)."""

import keras
from keras import ops

from keras_pose.layers import Composite, Stack
from keras_pose.layers.csp import CSPConv, CSPLayer, CSPSeparableConv, SpatialPyramidPooling

# One row per stage: input and output channels, blocks, whether blocks add their input, whether
# pooling over several windows comes first.
CSPNEXT = {
    "P5": (
        (64, 128, 3, True, False),
        (128, 256, 6, True, False),
        (256, 512, 6, True, False),
        (512, 1024, 3, False, True),
    ),
    "P6": (
        (64, 128, 3, True, False),
        (128, 256, 6, True, False),
        (256, 512, 6, True, False),
        (512, 768, 3, True, False),
        (768, 1024, 3, False, True),
    ),
}
CSPDARKNET = {
    "P5": (
        (64, 128, 3, True, False),
        (128, 256, 9, True, False),
        (256, 512, 9, True, False),
        (512, 1024, 3, False, True),
    ),
    "P6": (
        (64, 128, 3, True, False),
        (128, 256, 9, True, False),
        (256, 512, 9, True, False),
        (512, 768, 3, True, False),
        (768, 1024, 3, False, True),
    ),
}


class Focus(Composite):
    """Four pixels to the channels of one, then a 3x3 convolution."""

    def __init__(self, filters, settings, **kwargs):
        super().__init__(**kwargs)
        self.conv = CSPConv(filters, 3, **settings)

    def call(self, x, training=None):
        # Column by column: top left, bottom left, top right, bottom right.
        pixels = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(ops.concatenate(pixels, axis=-1), training=training)


class _CSPNetwork(Composite):
    """The stages that both networks share; a subclass adds `stem`."""

    _stages: dict[str, tuple] = {}

    def __init__(
        self,
        arch,
        deepen_factor,
        widen_factor,
        out_indices,
        separable,
        pool_sizes,
        norm_epsilon,
        norm_momentum,
        activation,
        csp_layer,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(arch, str) and arch not in self._stages:
            raise ValueError(f"arch must be rows or one of {sorted(self._stages)}, got {arch!r}")
        self.arch = arch if isinstance(arch, str) else [tuple(row) for row in arch]
        self.deepen_factor = deepen_factor
        self.widen_factor = widen_factor
        self.out_indices = tuple(out_indices)
        self.separable = separable
        self.pool_sizes = tuple(pool_sizes)
        self.norm_epsilon = norm_epsilon
        self.norm_momentum = norm_momentum
        self.activation = activation
        rows = self._stages[arch] if isinstance(arch, str) else self.arch
        if not self.out_indices or not all(0 <= i <= len(rows) for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..{len(rows)}, got {self.out_indices}")
        self._settings = {
            "norm": {"epsilon": norm_epsilon, "momentum": norm_momentum},
            "activation": activation,
        }
        self._stem_filters = int(rows[0][0] * widen_factor)
        convolution = CSPSeparableConv if separable else CSPConv
        for number, row in enumerate(rows[: max(self.out_indices)], start=1):
            _, filters, blocks, add, pooled = row
            filters = int(filters * widen_factor)
            stage = Stack([convolution(filters, 3, 2, **self._settings)])
            if pooled:
                stage.append(SpatialPyramidPooling(filters, self.pool_sizes, **self._settings))
            stage.append(
                CSPLayer(
                    filters,
                    max(round(blocks * deepen_factor), 1),
                    add,
                    separable=separable,
                    **csp_layer,
                    **self._settings,
                )
            )
            setattr(self, f"stage{number}", stage)

    def call(self, x, training=None):
        x = self.stem(x, training=training)
        maps = [x] if 0 in self.out_indices else []
        for index in range(1, max(self.out_indices) + 1):
            x = getattr(self, f"stage{index}")(x, training=training)
            if index in self.out_indices:
                maps.append(x)
        return maps

    def get_config(self):
        return {
            **super().get_config(),
            "arch": self.arch,
            "deepen_factor": self.deepen_factor,
            "widen_factor": self.widen_factor,
            "out_indices": self.out_indices,
            "separable": self.separable,
            "pool_sizes": self.pool_sizes,
            "norm_epsilon": self.norm_epsilon,
            "norm_momentum": self.norm_momentum,
            "activation": self.activation,
        }


@keras.saving.register_keras_serializable(package="keras_pose")
class CSPDarknet(_CSPNetwork):
    """CSPDarknet: images to feature maps.

    Args:
        arch: "P5" or "P6", or rows as in `CSPDARKNET`.
        deepen_factor: float, multiplies the numbers of blocks.
        widen_factor: float, multiplies all widths.
        out_indices: which maps to return, fine to coarse: 0 is the stem's (stride 2), 1 to 4 (5 for
            "P6") the stages' (strides 4, 8, 16, 32, 64).
        separable: bool, separable instead of dense 3x3 convolutions in the stages.
        pool_sizes: odd ints, windows of the pooling in the last stage.
        norm_epsilon, norm_momentum: of every `BatchNormalization`.
        activation: name.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    _stages = CSPDARKNET

    def __init__(
        self,
        arch="P5",
        deepen_factor=1.0,
        widen_factor=1.0,
        out_indices=(2, 3, 4),
        separable=False,
        pool_sizes=(5, 9, 13),
        norm_epsilon=1e-3,
        norm_momentum=0.97,
        activation="silu",
        **kwargs,
    ):
        super().__init__(
            arch,
            deepen_factor,
            widen_factor,
            out_indices,
            separable,
            pool_sizes,
            norm_epsilon,
            norm_momentum,
            activation,
            {},
            **kwargs,
        )
        self.stem = Focus(self._stem_filters, self._settings)


@keras.saving.register_keras_serializable(package="keras_pose")
class CSPNeXt(_CSPNetwork):
    """CSPNeXt: images to feature maps.

    Args:
        expand_ratio: float, width of either path of a `CSPLayer` in units of its output.
        channel_attention: bool, whether those layers scale their channels.
        (others): as in `CSPDarknet`, rows as in `CSPNEXT`.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    _stages = CSPNEXT

    def __init__(
        self,
        arch="P5",
        deepen_factor=1.0,
        widen_factor=1.0,
        out_indices=(2, 3, 4),
        expand_ratio=0.5,
        channel_attention=True,
        separable=False,
        pool_sizes=(5, 9, 13),
        norm_epsilon=1e-5,
        norm_momentum=0.9,
        activation="silu",
        **kwargs,
    ):
        super().__init__(
            arch,
            deepen_factor,
            widen_factor,
            out_indices,
            separable,
            pool_sizes,
            norm_epsilon,
            norm_momentum,
            activation,
            {
                "large_kernels": True,
                "attention": channel_attention,
                "expand_ratio": expand_ratio,
            },
            **kwargs,
        )
        self.expand_ratio = expand_ratio
        self.channel_attention = channel_attention
        width = self._stem_filters
        half = width // 2
        self.stem = Stack(
            [
                CSPConv(half, 3, 2, **self._settings),
                CSPConv(half, 3, **self._settings),
                CSPConv(width, 3, **self._settings),
            ]
        )

    def get_config(self):
        return {
            **super().get_config(),
            "expand_ratio": self.expand_ratio,
            "channel_attention": self.channel_attention,
        }
