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
    groups = near.cpu().numpy()
    kept, done = (np.zeros(groups.shape[:2], bool) for _ in range(2))
    for group, keep, gone in zip(groups, kept, done, strict=True):
        for visited, best in enumerate(group.argmax(axis=1)):
            if group[visited, best] and not (gone[visited] or gone[best]):
                keep[best] = True
                gone |= group[visited]
    return torch.from_numpy(kept.astype("float32")).to(near.device)


@remaining_poses.register_fake
def _(near):
    return near.new_empty(near.shape[:2], dtype=torch.float32)
