"""Convolutions under PyTorch, without the copies that changing the layout costs.

Channels-last images seen through `permute` are PyTorch's own channels-last format. Kernels are
kept in PyTorch's layout between calls as long as no gradient is wanted and they do not change.
"""

import torch
import torch.nn.functional as F
from keras import ops


def _kernel(layer, axes):
    kernel = ops.convert_to_tensor(layer.kernel)
    if torch.compiler.is_compiling():
        return kernel.permute(axes)
    if torch.is_grad_enabled() or kernel.is_meta:
        # An optimizer may follow, and not each one raises the version of what it changes.
        layer.__dict__.pop("_torch_kernel", None)
        return kernel.permute(axes)
    stored = layer.kernel.value
    key = (stored._version, stored.data_ptr(), stored.device, kernel.dtype)
    cached = layer.__dict__.get("_torch_kernel")
    if cached is None or cached[0] != key:
        value = kernel.detach().permute(axes).contiguous(memory_format=torch.channels_last)
        cached = layer.__dict__["_torch_kernel"] = (key, value)
    return cached[1]


def _bias(layer):
    return None if layer.bias is None else ops.convert_to_tensor(layer.bias)


def _padded(layer, x):
    """Channels-first view of x and the symmetric padding PyTorch shall add itself."""
    x = x.permute(0, 3, 1, 2)
    if layer.pads != "same":
        return x, layer.pads
    before_after = []
    for size, kernel, stride, dilation in zip(
        x.shape[2:], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
        before_after.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = before_after
    if top == bottom and left == right:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom)), (0, 0)


def convolve(layer, x):
    x, padding = _padded(layer, x)
    kernel = _kernel(layer, (3, 2, 0, 1))
    x = F.conv2d(x, kernel, _bias(layer), layer.strides, padding, layer.dilation_rate, layer.groups)
    return x.permute(0, 2, 3, 1)


def convolve_depthwise(layer, x):
    channels = x.shape[-1]
    x, padding = _padded(layer, x)
    kernel = _kernel(layer, (2, 3, 0, 1))
    if layer.depth_multiplier != 1:
        kernel = kernel.reshape(-1, 1, *layer.kernel_size)
    x = F.conv2d(x, kernel, _bias(layer), layer.strides, padding, layer.dilation_rate, channels)
    return x.permute(0, 2, 3, 1)


def convolve_transposed(layer, x):
    if layer.groups == 1 and x.shape[-1] >= 4 * layer.filters:
        return _convolve_transposed_by_product(layer, x)
    kernel = _kernel(layer, (3, 2, 0, 1))
    x = F.conv_transpose2d(
        x.permute(0, 3, 1, 2),
        kernel,
        _bias(layer),
        layer.strides,
        layer.pads,
        layer.output_pads,
        layer.groups,
    )
    return x.permute(0, 2, 3, 1)


def _convolve_transposed_by_product(layer, x):
    """One matrix product makes what every pixel adds to its surroundings; then it is added up.

    With many more channels before than after, that is several times quicker.
    """
    batch, height, width, channels = x.shape
    kernel = ops.convert_to_tensor(layer.kernel).reshape(-1, channels)
    terms = x.reshape(-1, channels) @ kernel.T
    terms = terms.reshape(batch, height * width, -1, layer.filters).permute(0, 3, 2, 1)
    x = F.fold(
        terms.reshape(batch, -1, height * width),
        layer.output_size(x.shape),
        layer.kernel_size,
        padding=layer.pads,
        stride=layer.strides,
    )
    x = x.permute(0, 2, 3, 1)
    return x if layer.bias is None else x + _bias(layer)
