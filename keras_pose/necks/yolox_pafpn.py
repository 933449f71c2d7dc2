"""YOLOX's pyramid, down and up again (https://arxiv.org/abs/2107.08430)."""

import keras

from keras_pose.layers import Stack
from keras_pose.layers.csp import CSPConv
from keras_pose.necks.cspnext_pafpn import CSPNeXtPAFPN


@keras.saving.register_keras_serializable(package="keras_pose")
class YOLOXPAFPN(CSPNeXtPAFPN):
    """`CSPNeXtPAFPN` with Darknet's blocks and 1x1 convolutions at the end.

    Args:
        in_channels: channels of the levels, fine to coarse.
        out_channels: int, width of a last 1x1 convolution of each level; None for no such
            convolution.
        norm_epsilon, norm_momentum: of every `BatchNormalization`, by default YOLOX's.
        (others): see `CSPNeXtPAFPN`.

    Returns:
        List of maps `(B, h, w, C)`.
    """

    _large_kernels = False

    def __init__(
        self, in_channels, out_channels=None, norm_epsilon=1e-3, norm_momentum=0.97, **kwargs
    ):
        super().__init__(
            in_channels,
            out_channels,
            norm_epsilon=norm_epsilon,
            norm_momentum=norm_momentum,
            **kwargs,
        )

    def _last_convolutions(self, convolution, settings):
        return Stack([CSPConv(self.out_channels, 1, **settings) for _ in self.in_channels])
