"""What the processes of `torch.distributed` that share every batch tell each other.

Gradients are averaged over the processes afterwards, as `DistributedDataParallel` does.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist


class _Rows(torch.autograd.Function):
    """Everybody's rows. The loss of them is the same one in every process, so nobody needs to be
    asked for its gradient."""

    @staticmethod
    def forward(context, own, sizes):
        rank = dist.get_rank()
        context.start, context.size, context.count = sum(sizes[:rank]), sizes[rank], len(sizes)
        padded = own.new_zeros((max(sizes), *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(context, gradient):
        own = gradient[context.start : context.start + context.size]
        return own * context.count, None


class _Vectors(torch.autograd.Function):
    """Everybody's vector, as rows; everybody's gradients of it are added up."""

    @staticmethod
    def forward(context, own):
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(context, gradient):
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]


def copies_summed() -> int:
    return 1


def is_copy(processes: int, x) -> bool:
    return processes > 1 and not x.is_meta


def sizes_of_all(size: int) -> list[int]:
    """How many rows each process has. Told on the host, so that no device has to be waited for."""
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([size]))
    return [int(size) for size in sizes]


def rows_of_all(values: dict) -> dict:
    sizes = sizes_of_all(len(next(iter(values.values()))))
    return {key: _Rows.apply(value, sizes) for key, value in values.items()}


def moments_of_all(x: torch.Tensor, axes: Sequence[int]):
    variance, mean = torch.var_mean(x, dim=tuple(axes), correction=0)
    count = mean.new_full((1,), x.numel() // mean.numel())
    rows = _Vectors.apply(torch.cat([mean, variance, count]))
    share = rows[:, -1:] / rows[:, -1].sum()
    means, variances = rows[:, :-1].chunk(2, dim=1)
    mean = (means * share).sum(0)
    return mean, ((variances + (means - mean).square()) * share).sum(0)
