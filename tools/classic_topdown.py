"""The classic input of top-down training, one sample after the other, to compare with.

What MMPose 1.3.2 and its forerunners do for a person, written plainly: read the photo again for
every person in it, mirror the whole photo, half body, random scale and rotation, one warp, heatmaps
on the CPU; PyTorch's DataLoader collates them in worker processes.
"""

import cv2
import numpy as np

INPUT, HEATMAP, SIGMA = (192, 256), (48, 64), 2.0
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
UPPER, LOWER = np.arange(11), np.arange(11, 17)
FLIPS = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])


class ClassicDataset:
    """Samples of a KeypointDataset with COCO's 17 keypoints, for PyTorch's DataLoader.

    Args:
        dataset: KeypointDataset.
        normalize: bool, also scale the pixels to floats here, as MMPose 0.x does; MMPose 1.x
            leaves that to the device.
    """

    def __init__(self, dataset, normalize: bool):
        self.paths, self.boxes = dataset.image_paths, dataset.boxes
        self.keypoints, self.visible = dataset.keypoints, dataset.visible
        self.normalize = normalize

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        rng = np.random.default_rng()
        image = cv2.imread(self.paths[row])
        points, visible = self.keypoints[row].copy(), self.visible[row]
        x1, y1, x2, y2 = self.boxes[row]
        center = np.array([x1 + x2, y1 + y2], np.float32) / 2
        scale = np.array([x2 - x1, y2 - y1], np.float32) * 1.25
        if rng.random() < 0.5:
            image = cv2.flip(image, 1)
            width = image.shape[1]
            points[:, 0] = width - 1 - points[:, 0]
            points, visible = points[FLIPS], visible[FLIPS]
            center[0] = width - 1 - center[0]
        if visible.sum() >= 9 and rng.random() < 0.3:
            center, scale = half_body(points, visible, rng, center, scale)
        rotation = 0.0
        draws = truncated_normal(rng, 4)
        if rng.random() < 0.3:
            center = center + 0.16 * draws[:2] * scale
        scale = scale * (1 + 0.5 * draws[2])
        if rng.random() < 0.6:
            rotation = 80 * draws[3]
        matrix = warp_matrix(center, scale, rotation)
        image = cv2.warpAffine(image, matrix, INPUT, flags=cv2.INTER_LINEAR)
        points = points @ matrix[:, :2].T + matrix[:, 2]
        if self.normalize:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32)
            cv2.subtract(image, np.float64(MEAN[None]), image)
            cv2.multiply(image, 1 / np.float64(STD[None]), image)
        image = np.ascontiguousarray(image.transpose(2, 0, 1))
        heatmaps, weights = msra_heatmaps(points, visible)
        return image, heatmaps, weights


def half_body(points, visible, rng, center, scale):
    upper, lower = UPPER[visible[UPPER] > 0], LOWER[visible[LOWER] > 0]
    chosen = upper if rng.random() < 0.7 else lower
    if len(upper) < 2:
        chosen = lower
    elif len(lower) < 3:
        chosen = upper
    chosen = points[chosen]
    extent = chosen.max(axis=0) - chosen.min(axis=0)
    return (chosen.mean(axis=0), extent * 1.5) if extent.all() else (center, scale)


def truncated_normal(rng, size):
    draws = rng.standard_normal(4 * size)
    return draws[np.abs(draws) <= 1][:size] if (np.abs(draws) <= 1).sum() >= size else draws * 0


def warp_matrix(center, scale, rotation):
    """Photo to input: centre, size (with the input's aspect) and rotation of the rectangle."""
    width, height = scale
    width = max(width, height * INPUT[0] / INPUT[1])
    zoom, angle = INPUT[0] / width, np.deg2rad(rotation)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, np.array(INPUT) / 2 - linear @ center])


def msra_heatmaps(points, visible):
    """Heatmaps `(17, 64, 48)` with a Gaussian patch around each keypoint, and weights `(17,)`."""
    heatmaps, weights = np.zeros((17, HEATMAP[1], HEATMAP[0]), np.float32), visible.copy()
    radius = int(3 * SIGMA)
    side = np.arange(2 * radius + 1, dtype=np.float32) - radius
    patch = np.exp(-(side[None] ** 2 + side[:, None] ** 2) / (2 * SIGMA**2))
    cells = (points / (INPUT[0] / HEATMAP[0]) + 0.5).astype(np.int64)
    for k, (x, y) in enumerate(cells):
        if visible[k] < 0.5:
            continue
        left, top, right, bottom = x - radius, y - radius, x + radius + 1, y + radius + 1
        if left >= HEATMAP[0] or top >= HEATMAP[1] or right < 0 or bottom < 0:
            weights[k] = 0
            continue
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(right, HEATMAP[0]), min(bottom, HEATMAP[1])
        region = heatmaps[k, y1:y2, x1:x2]
        np.maximum(region, patch[y1 - top : y2 - top, x1 - left : x2 - left], out=region)
    return heatmaps, weights


def start_worker(_):
    cv2.setNumThreads(0)


def batches(dataset, batch_size: int, workers: int, normalize: bool):
    """The loader; every pass is an epoch."""
    import torch

    torch.set_num_threads(1)
    return torch.utils.data.DataLoader(
        ClassicDataset(dataset, normalize),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
        worker_init_fn=start_worker,
    )
