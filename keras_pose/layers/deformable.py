"""Convolutions that read beside their grid (Dai et al., 2017, https://arxiv.org/abs/1703.06211)."""

import keras
import numpy as np
from keras import ops

from keras_pose.layers.convolution import Conv2D


@keras.saving.register_keras_serializable(package="keras_pose")
class DeformableConv2D(Conv2D):
    """A convolution of stride 1 whose taps are moved by offsets that come in as a second map.

    `call(x, offsets)` takes maps `(B, H, W, C)` and offsets `(B, H, W, 2 * G * taps)` in pixels of
    the map: (y, x) pairs, tap by tap in row-major order, group by group. Group g of
    `deform_groups` G moves channels `g * C / G` to `(g + 1) * C / G - 1`. Values between pixels are
    interpolated bilinearly, with zeros outside the map.

    Args:
        filters: int, number of output channels.
        kernel_size: int, odd, or a pair.
        dilation_rate: int or pair; the padding that keeps the map's size follows from it.
        deform_groups: int, divides the number of input channels.
        use_bias: bool.
    """

    def __init__(self, filters, kernel_size, dilation_rate=1, deform_groups=1, **kwargs):
        kwargs["padding"] = "same"
        super().__init__(filters, kernel_size, dilation_rate=dilation_rate, **kwargs)
        self.deform_groups = deform_groups
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")
        if self.strides != (1, 1) or self.groups != 1:
            raise ValueError(f"strides and groups must be 1, got {self.strides} and {self.groups}")

    def build(self, input_shape):
        if input_shape[-1] % self.deform_groups:
            raise ValueError(
                f"deform_groups must divide the {input_shape[-1]} channels, got "
                f"{self.deform_groups}"
            )
        super().build(input_shape)

    def call(self, inputs, offsets):
        height, width, channels = inputs.shape[1:]
        taps = self.kernel_size[0] * self.kernel_size[1]
        # Positions are counted in float32: half precision cannot name every pixel.
        offsets = ops.cast(offsets, "float32")
        offsets = ops.reshape(offsets, (-1, height * width, self.deform_groups * taps, 2))
        y, x = (
            offsets[..., axis] + ops.convert_to_tensor(grid)
            for axis, grid in enumerate(self._grid(height, width))
        )
        values = _sampled(inputs, y, x, self.deform_groups)
        # Pixels of (group, tap, channel of the group) against a kernel in the same order.
        depth = channels // self.deform_groups
        kernel = ops.reshape(
            ops.convert_to_tensor(self.kernel), (taps, self.deform_groups, depth, self.filters)
        )
        kernel = ops.reshape(ops.transpose(kernel, (1, 0, 2, 3)), (-1, self.filters))
        values = ops.reshape(values, (-1, height, width, taps * channels))
        x = ops.matmul(values, ops.cast(kernel, values.dtype))
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)

    def _grid(self, height, width) -> list[np.ndarray]:
        """Rows and columns of all taps at rest, `(1, H * W, G * taps)` each."""
        pixels = np.mgrid[:height, :width].reshape(2, -1, 1)
        taps = np.mgrid[: self.kernel_size[0], : self.kernel_size[1]].reshape(2, 1, -1)
        half = np.array(self.kernel_size).reshape(2, 1, 1) // 2
        steps = (taps - half) * np.array(self.dilation_rate).reshape(2, 1, 1)
        grids = np.tile(pixels + steps, (1, 1, self.deform_groups)).astype("float32")
        return [grid[None] for grid in grids]

    def compute_output_spec(self, inputs, offsets):
        return keras.KerasTensor((*inputs.shape[:3], self.filters), dtype=self.compute_dtype)

    def get_config(self):
        config = {**super().get_config(), "deform_groups": self.deform_groups}
        return {key: value for key, value in config.items() if key != "padding"}


def _sampled(maps, y, x, groups):
    """Bilinear samples `(B, P, G * taps, C / G)` of maps at rows and columns `(B, P, G * taps)`."""
    height, width, channels = maps.shape[1:]
    batch, count = ops.shape(maps)[0], y.shape[-1]
    table = ops.reshape(maps, (-1, channels // groups))
    # Row of the table for channel group 0 of pixel 0 of each sample, and the group's step.
    start = ops.arange(batch, dtype="int32") * (height * width * groups)
    group = np.repeat(np.arange(groups, dtype="int32"), count // groups)
    start = ops.reshape(start, (-1, 1, 1)) + ops.convert_to_tensor(group)
    top, left = ops.floor(y), ops.floor(x)
    total = 0.0
    for row, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
        for column, column_weight in ((left, left + 1 - x), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = ops.where(inside, row_weight * column_weight, 0.0)
            pixel = ops.clip(row, 0, height - 1) * width + ops.clip(column, 0, width - 1)
            index = ops.cast(pixel, "int32") * groups + start
            value = ops.take(table, ops.reshape(index, (-1,)), axis=0)
            value = ops.reshape(value, (-1, height * width, count, channels // groups))
            total = total + value * ops.cast(weight, maps.dtype)[..., None]
    return total
