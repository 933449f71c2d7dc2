"""A model's forward pass under PyTorch as one list of operations, without what only training needs.

Layer by layer, a hundred small layers cost more in Python than in arithmetic, and every batch
normalisation walks over its maps once more. The pass is recorded once; then normalisations are
folded into the convolutions before them, and sums and ReLUs are written over their operands.
"""

import operator

import torch
from torch.fx.experimental.proxy_tensor import make_fx

_aten = torch.ops.aten


def record(model, images: torch.Tensor) -> torch.fx.GraphModule:
    """Records a model's pass for images of one shape, with the weights it has now.

    Args:
        model: callable of images.
        images: tensor `(B, H, W, 3)`.

    Returns:
        A module with the model's outputs; it holds for images of this shape and these weights only.
    """
    graph = make_fx(model)(images)
    _drop_inverse_permutes(graph.graph)
    for node in graph.graph.find_nodes(
        op="call_function", target=_aten.native_batch_norm.default, sort=True
    ):
        _fold(graph, node)
    graph.graph.eliminate_dead_code()
    _write_over(graph.graph)
    graph.recompile()
    return graph


def _drop_inverse_permutes(graph) -> None:
    for node in graph.find_nodes(op="call_function", target=_aten.permute.default):
        before, axes = node.args
        if before.target is not _aten.permute.default:
            continue
        first = before.args[1]
        if [first[axis] for axis in axes] == list(range(len(axes))):
            node.replace_all_uses_with(before.args[0])
    graph.eliminate_dead_code()


def _fold(module, norm) -> None:
    convolution, *parameters = norm.args[:5]
    training, epsilon = norm.args[5], norm.args[7]
    if (
        training
        or convolution.target is not _aten.convolution.default
        or len(convolution.users) > 1
    ):
        return
    _, kernel, bias, *_, transposed, _, groups = convolution.args
    if kernel.op != "get_attr" or (bias is not None and bias.op != "get_attr"):
        return
    if transposed and groups > 1:
        return
    gamma, beta, mean, variance = (_value(module, parameter) for parameter in parameters)
    value = _value(module, kernel)
    factor = gamma * torch.rsqrt(variance + epsilon)
    shape = (1, -1, 1, 1) if transposed else (-1, 1, 1, 1)
    folded = (value * factor.reshape(shape)).contiguous(memory_format=torch.channels_last)
    offset = beta - mean * factor
    if bias is not None:
        offset = offset + _value(module, bias) * factor
    with module.graph.inserting_before(convolution):
        kernel = _constant(module, f"folded_kernel_of_{convolution.name}", folded)
        bias = _constant(module, f"folded_bias_of_{convolution.name}", offset)
    convolution.args = (convolution.args[0], kernel, bias, *convolution.args[3:])
    for user in list(norm.users):
        if user.target is operator.getitem and user.args[1] == 0:
            user.replace_all_uses_with(convolution)


def _value(module, node) -> torch.Tensor:
    return getattr(module, node.target).detach()


def _constant(module, name: str, value: torch.Tensor):
    module.register_buffer(name, value, persistent=False)
    return module.graph.get_attr(name)


_OVER = {
    _aten.relu.default: _aten.relu_.default,
    _aten.add.Tensor: _aten.add_.Tensor,
}
_NEW_MEMORY = (_aten.convolution.default, _aten.add.Tensor, _aten.mm.default)
_VIEWS = (_aten.permute.default, _aten.view.default)


def _write_over(graph) -> None:
    """Sums and ReLUs of what nobody else reads go into the same memory."""
    for node in graph.nodes:
        if node.op != "call_function" or node.target not in _OVER:
            continue
        operands = [value for value in node.args if isinstance(value, torch.fx.Node)]
        same = all(_meta(value) == _meta(node) for value in operands)
        position = next((i for i, value in enumerate(operands) if _is_own(value)), None)
        if not same or position is None or node.kwargs:
            continue
        if position:
            node.args = (operands[1], operands[0])
        node.target = _OVER[node.target]


def _is_own(node) -> bool:
    """Whether a node's memory was made for it and is read by one operation only."""
    while node.op == "call_function" and len(node.users) == 1:
        if node.target in _NEW_MEMORY or node.target in _OVER.values():
            return True
        if node.target not in _VIEWS:
            return False
        node = node.args[0]
    return False


def _meta(node):
    value = node.meta.get("val")
    return None if value is None else (value.shape, value.dtype)
