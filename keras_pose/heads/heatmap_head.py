"""Transposed convolutions and one heatmap per keypoint, as in SimpleBaseline."""

import keras
from keras import ops

from keras_pose.heads.head import Head
from keras_pose.layers import BatchNormalization, Conv2D, Conv2DTranspose, Stack, component
from keras_pose.losses import CombinedTargetMSELoss, KeypointMSELoss


def deconvolutions(filters, kernels, groups=None) -> Stack:
    """Transposed convolutions that double the size, each with a normalisation and a ReLU.

    Args:
        filters, kernels: their widths and kernel sizes.
        groups: their groups; default: 1 each.

    Raises:
        ValueError: if the arguments are not equally long.
    """
    given = {} if groups is None else {"deconv_groups": groups}
    check_lengths(deconv_filters=filters, deconv_kernels=kernels, **given)
    groups = groups or (1,) * len(filters)
    stack = Stack()
    for width, kernel, count in zip(filters, kernels, groups, strict=True):
        pad = (kernel - 1) // 2
        append_normalized(
            stack, Conv2DTranspose(width, kernel, 2, pad, kernel % 2, groups=count, use_bias=False)
        )
    return stack


def append_normalized(stack: Stack, convolution) -> None:
    """Appends a convolution, a normalisation and a ReLU."""
    for layer in (convolution, BatchNormalization(), keras.layers.ReLU()):
        stack.append(layer)


def check_lengths(**settings) -> None:
    """Refuses settings of which some layers have no value."""
    if len({len(values) for values in settings.values()}) > 1:
        *names, last = settings
        given = " and ".join(str(values) for values in settings.values())
        raise ValueError(f"{', '.join(names)} and {last} must be equally long, got {given}")


@keras.saving.register_keras_serializable(package="keras_pose")
class HeatmapHead(Head):
    """Heatmaps from the last feature map (https://arxiv.org/abs/1804.06208).

    Args:
        num_keypoints: int.
        codec: a heatmap codec, e.g. `MSRAHeatmap`; some need several maps per keypoint.
        loss_module: default `KeypointMSELoss()`; `CombinedTargetMSELoss()` where the codec needs
            several maps per keypoint.
        deconv_filters: widths of the transposed convolutions, each of which doubles the size.
        deconv_kernels: their kernel sizes.
        deconv_groups: their groups, as in ViPNAS; default: 1 each.
        conv_filters: widths of the convolutions that follow them.
        conv_kernels: their kernel sizes.
        final_kernel: int, kernel size of the last convolution; None to do without it, then what
            comes before makes the maps.

    Returns:
        `{"heatmaps": (B, h, w, K)}`.

    Raises:
        ValueError: if a convolution lacks its kernel size or groups, or there are other maps than
            the codec needs.
    """

    # Deviation of the convolutions' initial values.
    _deviation = 0.001

    def __init__(
        self,
        num_keypoints,
        codec,
        loss_module=None,
        deconv_filters=(256, 256, 256),
        deconv_kernels=(4, 4, 4),
        conv_filters=(),
        conv_kernels=(),
        final_kernel=1,
        deconv_groups=None,
        **kwargs,
    ):
        codec = component(codec)
        maps_per_keypoint = 1 if codec is None else codec.maps_per_keypoint
        if loss_module is None:
            loss_module = KeypointMSELoss() if maps_per_keypoint == 1 else CombinedTargetMSELoss()
        super().__init__(codec, loss_module, **kwargs)
        self.num_keypoints = num_keypoints
        self.deconv_filters = tuple(deconv_filters)
        self.deconv_kernels = tuple(deconv_kernels)
        self.conv_filters = tuple(conv_filters)
        self.conv_kernels = tuple(conv_kernels)
        self.final_kernel = final_kernel
        self.deconv_groups = None if deconv_groups is None else tuple(deconv_groups)
        self._channels = self._number_of_maps()
        self.deconv_layers = deconvolutions(
            self.deconv_filters, self.deconv_kernels, self.deconv_groups
        )
        check_lengths(conv_filters=self.conv_filters, conv_kernels=self.conv_kernels)
        self.conv_layers = Stack()
        for filters, kernel in zip(self.conv_filters, self.conv_kernels, strict=True):
            append_normalized(self.conv_layers, self._convolution(filters, kernel))
        self.final_layer = None
        if final_kernel is not None:
            self.final_layer = self._convolution(self._channels, final_kernel)

    def _number_of_maps(self):
        return self.num_keypoints * (1 if self.codec is None else self.codec.maps_per_keypoint)

    def _convolution(self, filters, kernel):
        normal = keras.initializers.RandomNormal(stddev=self._deviation)
        return Conv2D(filters, kernel, padding=(kernel - 1) // 2, kernel_initializer=normal)

    def call(self, features, training=None):
        x = self.deconv_layers(features[-1], training=training)
        x = self.conv_layers(x, training=training)
        if self.final_layer is not None:
            x = self.final_layer(x)
        if x.shape[-1] != self._channels:
            raise ValueError(f"the codec needs {self._channels} maps, the head has {x.shape[-1]}")
        return {"heatmaps": ops.cast(x, "float32")}

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "deconv_filters": self.deconv_filters,
            "deconv_kernels": self.deconv_kernels,
            "deconv_groups": self.deconv_groups,
            "conv_filters": self.conv_filters,
            "conv_kernels": self.conv_kernels,
            "final_kernel": self.final_kernel,
        }
