"""PoseWarper's neck (Bertasius et al., 2019, https://arxiv.org/abs/1906.04016)."""

import keras
import numpy as np
from keras import ops

from keras_pose.backbones.resnet import BasicBlock
from keras_pose.layers import (
    BatchNormalization,
    Composite,
    Conv2D,
    DeformableConv2D,
    Stack,
    set_kernel_initializer,
)


def _centre(shape, dtype=None):
    """A kernel that copies each channel: 1 at the centre of the diagonal."""
    rows, columns, channels, filters = shape
    kernel = np.zeros(shape)
    kernel[rows // 2, columns // 2] = np.eye(channels, filters)
    return ops.convert_to_tensor(kernel.astype(dtype or keras.config.floatx()))


@keras.saving.register_keras_serializable(package="keras_pose")
class PoseWarperNeck(Composite):
    """Heatmaps of several frames, warped onto the first one and summed.

    The maps of each frame become heatmaps; from their difference to the first frame's come offsets
    for deformable convolutions of several dilations, whose mean is the warped frame.

    Args:
        out_channels: int, number of heatmaps.
        inner_channels: int, width of the residual blocks that look at the differences.
        frame_weights: a weight for every frame, the first one first; frames of weight 0 are left
            out.
        deform_groups: int, how many groups of heatmaps move together; divides `out_channels`.
        dilations: of the deformable convolutions.
        transfer_kernel: 1 or 3, kernel size of the convolution to heatmaps; None where the maps
            that come in are heatmaps.
        num_blocks: int, residual blocks.
        freeze_transfer: bool, whether the convolution to heatmaps is not trained.

    Returns:
        `[(B, h, w, K)]` from a list with one map per frame, or from a list with one map
        `(F * B, h, w, C)` in which the samples of the first frame come first.
    """

    def __init__(
        self,
        out_channels,
        inner_channels,
        frame_weights=(1.0,),
        deform_groups=17,
        dilations=(3, 6, 12, 18, 24),
        transfer_kernel=1,
        num_blocks=20,
        freeze_transfer=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.out_channels = out_channels
        self.inner_channels = inner_channels
        self.frame_weights = tuple(frame_weights)
        self.deform_groups = deform_groups
        self.dilations = tuple(dilations)
        self.transfer_kernel = transfer_kernel
        self.num_blocks = num_blocks
        self.freeze_transfer = freeze_transfer
        if transfer_kernel not in (None, 1, 3):
            raise ValueError(f"transfer_kernel must be None, 1 or 3, got {transfer_kernel}")
        if not any(self.frame_weights):
            raise ValueError(f"one of frame_weights must not be 0, got {self.frame_weights}")
        self.trans_layer = None
        if transfer_kernel is not None:
            self.trans_layer = Conv2D(
                out_channels,
                transfer_kernel,
                padding=transfer_kernel // 2,
                trainable=not freeze_transfer,
            )
        self.offset_feats = Stack()
        for i in range(num_blocks):
            shortcut = Stack([Conv2D(inner_channels, 1, use_bias=False), BatchNormalization()])
            self.offset_feats.append(
                BasicBlock(inner_channels, downsample=None if i else shortcut, zero_init=False)
            )
        set_kernel_initializer(self, keras.initializers.RandomNormal(stddev=0.001))
        self.offset_layers, self.deform_conv_layers = Stack(), Stack()
        for dilation in self.dilations:
            self.offset_layers.append(
                Conv2D(
                    2 * 9 * deform_groups,
                    3,
                    padding=dilation,
                    dilation_rate=dilation,
                    use_bias=False,
                    kernel_initializer="zeros",
                )
            )
            self.deform_conv_layers.append(
                DeformableConv2D(
                    out_channels,
                    3,
                    dilation,
                    deform_groups,
                    use_bias=False,
                    kernel_initializer=_centre,
                )
            )

    def call(self, features, training=None):
        frames = [
            x if self.trans_layer is None else self.trans_layer(x)
            for x in self._frames(list(features))
        ]
        total = 0.0
        for frame, weight in zip(frames, self.frame_weights, strict=True):
            if weight:
                total = total + self._warped(frames[0], frame, training) * weight
        return [total]

    def _frames(self, features):
        count = len(self.frame_weights)
        if len(features) == count:
            return features
        if len(features) != 1:
            raise ValueError(
                f"the neck reads one map or one for each of {count} frames, got {len(features)}"
            )
        x = ops.reshape(features[0], (count, -1, *features[0].shape[1:]))
        return [x[i] for i in range(count)]

    def _warped(self, reference, frame, training):
        features = self.offset_feats(reference - frame, training=training)
        warped = [
            convolution(frame, offsets(features))
            for offsets, convolution in zip(
                self.offset_layers, self.deform_conv_layers, strict=True
            )
        ]
        return sum(warped) / len(warped)

    def get_config(self):
        return {
            **super().get_config(),
            "out_channels": self.out_channels,
            "inner_channels": self.inner_channels,
            "frame_weights": self.frame_weights,
            "deform_groups": self.deform_groups,
            "dilations": self.dilations,
            "transfer_kernel": self.transfer_kernel,
            "num_blocks": self.num_blocks,
            "freeze_transfer": self.freeze_transfer,
        }
