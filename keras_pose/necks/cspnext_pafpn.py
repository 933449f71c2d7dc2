"""Pyramid of CSPNeXt's layers, down and up again (https://arxiv.org/abs/2212.07784)."""

import keras
from keras import ops

from keras_pose.layers import Composite, Stack, upsample
from keras_pose.layers.csp import CSPConv, CSPLayer, CSPSeparableConv


@keras.saving.register_keras_serializable(package="keras_pose")
class CSPNeXtPAFPN(Composite):
    """Levels that see each other: from coarse to fine, then from fine to coarse.

    Args:
        in_channels: channels of the levels, fine to coarse.
        out_channels: int, width of a last 3x3 convolution of each level; None for no such
            convolution, so that levels keep their channels.
        out_indices: which levels to return, fine to coarse.
        blocks: int, number of blocks in each `CSPLayer`.
        expand_ratio: float, width of either path of a `CSPLayer` in units of its output.
        separable: bool, separable instead of dense 3x3 convolutions.
        norm_epsilon, norm_momentum: of every `BatchNormalization`.
        activation: name.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    # Blocks of CSPNeXt instead of Darknet.
    _large_kernels = True

    def __init__(
        self,
        in_channels,
        out_channels=None,
        out_indices=(0, 1, 2),
        blocks=3,
        expand_ratio=0.5,
        separable=False,
        norm_epsilon=1e-5,
        norm_momentum=0.9,
        activation="silu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.out_indices = tuple(out_indices)
        self._blocks = blocks
        self.expand_ratio = expand_ratio
        self.separable = separable
        self.norm_epsilon = norm_epsilon
        self.norm_momentum = norm_momentum
        self.activation = activation
        levels = len(self.in_channels)
        if not self.out_indices or not all(0 <= i < levels for i in self.out_indices):
            raise ValueError(f"out_indices must lie in 0..{levels - 1}, got {self.out_indices}")
        settings = {
            "norm": {"epsilon": norm_epsilon, "momentum": norm_momentum},
            "activation": activation,
        }
        convolution = CSPSeparableConv if separable else CSPConv

        def layer(filters):
            return CSPLayer(
                filters,
                blocks,
                add=False,
                large_kernels=self._large_kernels,
                separable=separable,
                expand_ratio=expand_ratio,
                **settings,
            )

        coarse_to_fine = self.in_channels[-2::-1]
        self.reduce_layers = Stack([CSPConv(n, 1, **settings) for n in coarse_to_fine])
        self.top_down_blocks = Stack([layer(n) for n in coarse_to_fine])
        self.downsamples = Stack([convolution(n, 3, 2, **settings) for n in self.in_channels[:-1]])
        self.bottom_up_blocks = Stack([layer(n) for n in self.in_channels[1:]])
        self.out_convs = None
        if out_channels is not None:
            self.out_convs = self._last_convolutions(convolution, settings)

    def _last_convolutions(self, convolution, settings):
        return Stack([convolution(self.out_channels, 3, **settings) for _ in self.in_channels])

    def call(self, features, training=None):
        x = features[-1]
        laterals = []
        for step, finer in enumerate(features[-2::-1]):
            lateral = self.reduce_layers[step](x, training=training)
            laterals.insert(0, lateral)
            x = ops.concatenate([upsample(lateral, 2, "nearest"), finer], axis=-1)
            x = self.top_down_blocks[step](x, training=training)
        maps = [x]
        for step, lateral in enumerate(laterals):
            x = self.downsamples[step](x, training=training)
            x = ops.concatenate([x, lateral], axis=-1)
            x = self.bottom_up_blocks[step](x, training=training)
            maps.append(x)
        if self.out_convs is not None:
            maps = [
                convolution(x, training=training)
                for convolution, x in zip(self.out_convs, maps, strict=True)
            ]
        return [maps[i] for i in self.out_indices]

    def get_config(self):
        return {
            **super().get_config(),
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "out_indices": self.out_indices,
            "blocks": self._blocks,
            "expand_ratio": self.expand_ratio,
            "separable": self.separable,
            "norm_epsilon": self.norm_epsilon,
            "norm_momentum": self.norm_momentum,
            "activation": self.activation,
        }
