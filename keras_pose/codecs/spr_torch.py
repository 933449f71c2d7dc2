"""DEKR's people under PyTorch: one operation, where each of two hundred would cost as much.

What is computed is described in `SPR`. It runs on the host, to which another device moves no map
but the values that are read. Recorded passes hold the operations as they are.
"""

import cv2
import numpy as np
import torch

from keras_pose.codecs.decoding import is_local_maximum
from keras_pose.codecs.pose_suppression_torch import visit


@torch.library.custom_op("keras_pose::spr_people", mutates_args=())
def people(
    maps: torch.Tensor, ways: torch.Tensor, slots: int, kernel: int, threshold: float, scored: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Everybody who may be in the images.

    Args:
        maps: `(B, h, w, C)` float32, the first K of keypoints, the last of roots.
        ways: `(B, h, w, 2K)` float32, displacements in cells.
        slots, kernel, threshold: `max_people`, at most the number of cells, `nms_kernel` and
            `root_threshold` of the codec.
        scored: bool, read scores from the maps; else they are 1.

    Returns:
        Roots' scores `(B, P)`, keypoints `(B, P, K, 2)` in cells, and scores `(B, P, K)`.
    """
    return _tensors(_people(maps, ways, slots, kernel, threshold, scored), maps.device)


@people.register_fake
def _(maps, ways, slots, kernel, threshold, scored):
    keypoints = ways.new_empty((ways.shape[0], slots, ways.shape[-1] // 2, 2))
    scores = torch.empty_like(keypoints[..., 0])
    return torch.empty_like(scores[..., 0]), keypoints, scores


@torch.library.custom_op("keras_pose::spr_poses", mutates_args=())
def poses(
    keypoints: torch.Tensor, scores: torch.Tensor, sure: torch.Tensor, distance: float, joints: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The surest first, and one pose of each.

    Args:
        keypoints: `(B, P, K, 2)`; `scores` `(B, P, K)`; `sure` `(B, P)`, 0 in empty slots.
        distance, joints: see `distinct_poses`.

    Returns:
        Keypoints, scores times `sure`, boxes `(B, P, 4)` and scores of poses `(B, P)`.
    """
    arrays = (each.detach().cpu().numpy() for each in (keypoints, scores, sure))
    return _tensors(_poses(*arrays, distance, joints), keypoints.device)


@poses.register_fake
def _(keypoints, scores, sure, distance, joints):
    boxes = keypoints.new_empty((*sure.shape, 4))
    return (*map(torch.empty_like, (keypoints, scores)), boxes, torch.empty_like(sure))


@torch.library.custom_op("keras_pose::spr_decoded", mutates_args=())
def decoded(
    maps: torch.Tensor,
    ways: torch.Tensor,
    slots: int,
    kernel: int,
    threshold: float,
    scored: bool,
    stride: float,
    distance: float,
    joints: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """`poses` of `people`, whose keypoints are multiplied with the stride."""
    sure, keypoints, scores = _people(maps, ways, slots, kernel, threshold, scored)
    found = _poses(keypoints * np.float32(stride), scores, sure, distance, joints)
    return _tensors(found, maps.device)


@decoded.register_fake
def _(maps, ways, slots, kernel, threshold, scored, stride, distance, joints):
    keypoints = ways.new_empty((ways.shape[0], slots, ways.shape[-1] // 2, 2))
    scores, boxes = (
        torch.empty_like(keypoints[..., 0]),
        keypoints.new_empty((*keypoints.shape[:2], 4)),
    )
    return keypoints, scores, boxes, torch.empty_like(boxes[..., 0])


def _people(maps, ways, slots, kernel, threshold, scored):
    maps, ways = maps.detach(), ways.detach()
    batch, height, width, channels = maps.shape
    find = _host_peaks if maps.device.type == "cpu" else _device_peaks
    sure, cells = find(maps[..., -1], slots, kernel, threshold)
    first = np.arange(batch)[:, None] * (height * width)
    y, x = np.divmod(cells, width)
    keypoints = _rows(ways.reshape(batch * height * width, -1), cells + first)
    keypoints = keypoints.reshape(batch, slots, -1, 2)
    keypoints = keypoints + np.stack([x, y], axis=-1)[:, :, None].astype("float32")
    if scored:
        scores = _scores(maps, keypoints, first[..., None] * channels)
    else:
        scores = np.ones_like(keypoints[..., 0])
    return sure, keypoints, scores


def _host_peaks(roots, slots, kernel, threshold):
    """Peaks above the threshold `(B, P)`, best first, 0 in empty slots, and their cells."""
    square, cells = np.ones((kernel, kernel), "uint8"), roots.shape[1] * roots.shape[2]
    values, places = (np.zeros((len(roots), slots), kind) for kind in ("float32", "int64"))
    for root, value, place in zip(roots.numpy(), values, places, strict=True):
        root = np.ascontiguousarray(root)
        found = np.flatnonzero((root >= cv2.dilate(root, square)) & (root > threshold))
        heights = root.reshape(cells)[found]
        best = np.arange(len(found))
        if len(found) > slots:
            best = np.sort(np.argpartition(-heights, slots - 1)[:slots])
        best = best[np.argsort(-heights[best], kind="stable")]
        value[: len(best)], place[: len(best)] = heights[best], found[best]
    return values, places


def _device_peaks(roots, slots, kernel, threshold):
    peak = is_local_maximum(roots[..., None], kernel // 2)[..., 0] & (roots > threshold)
    found = torch.topk(torch.where(peak, roots, 0.0).reshape(len(roots), -1), slots)
    return tuple(each.cpu().numpy() for each in found)


def _scores(maps, keypoints, first):
    """As `spr.keypoint_scores`; `first` is where each image begins in the flattened maps."""
    _, height, width, channels = maps.shape
    size = np.array([width, height])
    factor, last = (size / (size - 1)).astype("float32"), (size - 1).astype("float32")
    places = np.minimum(np.maximum(keypoints * factor - np.float32(0.5), 0), last)
    low = places.astype("int64")
    share = places - low.astype("float32")
    across, down = share[..., 0], share[..., 1]
    left, top = low[..., 0], low[..., 1]
    step = np.minimum(left + 1, width - 1) - left
    bottom = np.minimum(top + 1, height - 1)
    left = left * channels + np.arange(keypoints.shape[2])
    step = step * channels
    top, bottom = (first + each * (width * channels) + left for each in (top, bottom))
    values = _rows(maps.reshape(-1), np.stack([top, top + step, bottom, bottom + step]))
    upper = values[0] + (values[1] - values[0]) * across
    lower = values[2] + (values[3] - values[2]) * across
    return upper + (lower - upper) * down


def _rows(table, index):
    if table.device.type == "cpu":
        return table.numpy().take(index, axis=0)
    return table[torch.from_numpy(index).to(table.device)].cpu().numpy()


def _poses(points, scores, sure, distance, joints):
    count = scores.shape[-1]
    present = sure != 0
    rank = np.where(present, scores.sum(axis=-1), -1e9)
    rows, order = np.arange(len(points))[:, None], np.argsort(-rank, axis=-1, kind="stable")
    points, present, sure = points[rows, order], present[rows, order], sure[rows, order]
    scores = scores[rows, order] * sure[..., None]
    # x and y on their own: (2, B, P, K).
    places = np.ascontiguousarray(points.transpose(3, 0, 1, 2))
    low, high = places.min(axis=-1), places.max(axis=-1)
    limit = np.square(high - low).sum(axis=0) * np.float32(distance**2)
    apart = places[:, :, :, None] - places[:, :, None]
    apart *= apart
    close = apart[0] + apart[1] < limit[..., None, None]
    near = np.count_nonzero(close, axis=-1) > joints
    near |= np.eye(near.shape[1], dtype=bool)
    near &= present[:, :, None] & present[:, None]
    means = scores.sum(axis=-1) / np.float32(count) * visit(near)
    return points, scores, np.concatenate([low, high]).transpose(1, 2, 0).copy(), means


def _tensors(arrays, device):
    return tuple(torch.from_numpy(each).to(device) for each in arrays)
