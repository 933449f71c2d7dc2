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
        groups: int, divides `deform_groups` and `filters`: as many convolutions side by side.
        use_bias: bool.
    """

    def __init__(self, filters, kernel_size, dilation_rate=1, deform_groups=1, groups=1, **kwargs):
        kwargs["padding"] = "same"
        super().__init__(filters, kernel_size, dilation_rate=dilation_rate, groups=groups, **kwargs)
        self.deform_groups = deform_groups
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")
        if self.strides != (1, 1):
            raise ValueError(f"strides must be 1, got {self.strides}")
        if deform_groups % groups:
            raise ValueError(f"groups must divide deform_groups {deform_groups}, got {groups}")

    def build(self, input_shape):
        if input_shape[-1] % self.deform_groups:
            raise ValueError(
                f"deform_groups must divide the {input_shape[-1]} channels, got "
                f"{self.deform_groups}"
            )
        super().build(input_shape)

    def call(self, inputs, offsets):
        height, width, channels = inputs.shape[1:]
        groups, inner = self.groups, self.deform_groups // self.groups
        rows, columns = self.kernel_size
        depth, taps, pixels = channels // self.deform_groups, rows * columns, height * width
        # Positions are counted in float32: half precision cannot name every pixel.
        offsets = ops.reshape(ops.cast(offsets, "float32"), (-1, pixels, groups, inner, taps, 2))
        # Groups of the convolution come first, as in the product below.
        offsets = ops.transpose(offsets, (4, 5, 2, 0, 1, 3))
        table = _corners(inputs, self.deform_groups)
        sampled = []
        for tap in range(taps):
            steps = (tap // columns - rows // 2, tap % columns - columns // 2)
            y, x = (
                offsets[tap, axis] + ops.convert_to_tensor(rest + step * dilation)
                for axis, (rest, step, dilation) in enumerate(
                    zip(_grid(height, width), steps, self.dilation_rate, strict=True)
                )
            )
            values = _sampled(table, y, x, (height, width), self.deform_groups)
            sampled.append(ops.reshape(values, (groups, -1, inner * depth)))
        values = ops.concatenate(sampled, axis=-1)
        # Per group: taps and its input channels against its filters.
        kernel = ops.reshape(ops.convert_to_tensor(self.kernel), (taps * inner * depth, groups, -1))
        kernel = ops.cast(ops.transpose(kernel, (1, 0, 2)), values.dtype)
        x = ops.transpose(ops.matmul(values, kernel), (1, 0, 2))
        x = ops.reshape(x, (-1, height, width, self.filters))
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)

    def compute_output_spec(self, inputs, offsets):
        return keras.KerasTensor((*inputs.shape[:3], self.filters), dtype=self.compute_dtype)

    def get_config(self):
        config = {**super().get_config(), "deform_groups": self.deform_groups}
        return {key: value for key, value in config.items() if key != "padding"}


def _grid(height, width) -> np.ndarray:
    """Row and column of every pixel, `(2, 1, 1, H * W, 1)`."""
    return np.mgrid[:height, :width].reshape(2, 1, 1, -1, 1).astype("float32")


def _corners(maps, groups):
    """The four pixels around every place between pixels, those outside the map being zero.

    Returns:
        `(B * (H + 1) * (W + 1) * groups, 4 * C / groups)`: rows for the squares whose top left
        corner is a pixel from (-1, -1) to (H - 1, W - 1); in each the corners top left, top right,
        bottom left, bottom right. One row is read for every sample, which is several times quicker
        than to read its corners one by one.
    """
    maps = ops.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    depth = maps.shape[-1] // groups
    corners = [
        ops.reshape(maps[:, rows, columns], (-1, depth))
        for rows in (slice(None, -1), slice(1, None))
        for columns in (slice(None, -1), slice(1, None))
    ]
    return ops.concatenate(corners, axis=-1)


def _sampled(table, y, x, size, groups):
    """Bilinear samples of the maps of which `_corners` made a table.

    Args:
        y, x: rows and columns `(outer, B, P, inner)`, where outer * inner = groups.
        size: (height, width) of the maps.

    Returns:
        `(outer * B * P * inner, C / groups)`.
    """
    height, width = size
    outer, _, _, inner = y.shape
    batch = ops.shape(y)[1]
    # Beyond the pixels around the map there is nothing either.
    y, x = ops.clip(y, -1.0, float(height)), ops.clip(x, -1.0, float(width))
    top = ops.minimum(ops.floor(y), float(height - 1))
    left = ops.minimum(ops.floor(x), float(width - 1))
    square = ops.cast((top + 1) * (width + 1) + left + 1, "int32") * groups
    group = np.arange(groups, dtype="int32").reshape(outer, 1, 1, inner)
    first = ops.arange(batch, dtype="int32") * ((height + 1) * (width + 1) * groups)
    index = square + ops.convert_to_tensor(group) + ops.reshape(first, (-1, 1, 1))
    corners = ops.take(table, ops.reshape(index, (-1,)), axis=0)
    corners = ops.reshape(corners, (-1, 4, table.shape[-1] // 4))
    down, right = y - top, x - left
    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
    weights = ops.reshape(ops.stack(weights, axis=-1), (-1, 4))
    return ops.einsum("nk,nkd->nd", ops.cast(weights, table.dtype), corners)
