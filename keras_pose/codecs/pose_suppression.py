"""Suppression of poses on the device, with a fixed number of slots."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.decoding import constant


def distinct_poses(keypoints, present, distance: float = 0.05, joints: int | None = None):
    """Which poses remain where several are of one person, as DEKR has it.

    The result is that of the sequential algorithm in `keras_pose.geometry.nearby_joints_nms`: poses
    are visited best first; of those that are near the visited one the best is kept, unless it was
    dropped before, and all of them are done with. The loop has as many rounds as there are slots,
    so that every format of export can hold it; PyTorch, which exports nothing, runs the sequential
    algorithm. A pose whose keypoints all lie on one spot is near itself only.

    Args:
        keypoints: `(B, P, K, 2)`, the best poses first.
        present: `(B, P)`, 1 for poses and 0 for empty slots.
        distance: float, joints are close below this fraction of the diagonal of the box around the
            visited pose's keypoints.
        joints: int, poses are near if more than so many of their joints are close. Default
            `K // 2`.

    Returns:
        `(B, P)`, 1 for poses that remain and 0 for the others.
    """
    slots, count = keypoints.shape[1:3]
    joints = count // 2 if joints is None else joints
    extent = ops.max(keypoints, axis=2) - ops.min(keypoints, axis=2)
    limit = ops.sum(ops.square(extent), axis=-1)[:, :, None, None] * distance**2
    x, y = keypoints[..., 0], keypoints[..., 1]
    apart = ops.square(x[:, :, None] - x[:, None]) + ops.square(y[:, :, None] - y[:, None])
    close = ops.sum(ops.cast(apart < limit, "float32"), axis=-1)
    itself = constant(np.eye(slots)[None])
    near = ops.maximum(ops.cast(close > joints, "float32"), itself)
    near = near * present[:, :, None] * present[:, None]
    if keras.backend.backend() == "torch":
        from keras_pose.codecs.pose_suppression_torch import remaining_poses

        return remaining_poses(near > 0)
    # The best of those near each: nobody before it is near.
    before = ops.matmul(near, constant(np.triu(np.ones((slots, slots)), 1)))
    best = near * ops.cast(before < 0.5, "float32")
    # A visit changes something unless an earlier one that did is done with the visited pose or with
    # the best near it. So the first slot is settled after one round, the second after two, ...
    conflict = ops.maximum(near, ops.matmul(near, ops.transpose(best, (0, 2, 1))))
    conflict = conflict * constant(np.triu(np.ones((slots, slots)), 1))
    # With a last row of ones every product is 1 - (how many earlier visits are in the way).
    one = np.zeros((slots + 1, slots + 1))
    one[-1] = 1
    rounds = ops.pad(-conflict, ((0, 0), (0, 1), (0, 1))) + constant(one)
    visits = ops.ones_like(rounds[:, :1])
    for _ in range(slots):
        visits = ops.relu(ops.matmul(visits, rounds))
    return ops.max(ops.transpose(visits[..., :slots], (0, 2, 1)) * best, axis=1)
