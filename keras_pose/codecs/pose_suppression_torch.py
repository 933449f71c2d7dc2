"""Suppression of poses under PyTorch: one operation, where each of a hundred would cost as much."""

import numpy as np
import torch


@torch.library.custom_op("keras_pose::remaining_poses", mutates_args=())
def remaining_poses(near: torch.Tensor) -> torch.Tensor:
    """Visits poses one after the other on the host; recorded passes hold it as it is.

    Args:
        near: bool `(B, P, P)`, the best poses first: who is near the visited one, itself included,
            nobody for empty slots.

    Returns:
        `(B, P)` float32, 1 for poses that remain.
    """
    return torch.from_numpy(visit(near.cpu().numpy()).astype("float32")).to(near.device)


@remaining_poses.register_fake
def _(near):
    return near.new_empty(near.shape[:2], dtype=torch.float32)


def visit(near: np.ndarray) -> np.ndarray:
    """Which poses remain, bool `(B, P)`; `near` as `remaining_poses` takes it."""
    alone = (near.sum(axis=1) == 1) & (near.sum(axis=2) == 1)
    present = near.diagonal(axis1=1, axis2=2)
    kept, done = alone & present, np.zeros_like(alone)
    for group, keep, gone, visits in zip(near, kept, done, present & ~alone, strict=True):
        for visited in np.flatnonzero(visits):
            best = group[visited].argmax()
            if not (gone[visited] or gone[best]):
                keep[best] = True
                gone |= group[visited]
    return kept
