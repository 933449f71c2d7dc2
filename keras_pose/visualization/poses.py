"""Skeletons drawn on pictures."""

from collections.abc import Sequence

import numpy as np

from keras_pose.images import as_rgb
from keras_pose.skeleton import Skeleton
from keras_pose.visualization.shapes import (
    DARK,
    INSTANCE_COLORS,
    LIGHT,
    Layer,
    capsules,
    discs,
    draw_box,
    write_label,
)

# Joint radius in pixels of a person whose keypoints span `diagonal` pixels: 1.9 for 40, 4.6 for
# 200, 10.5 for 900. Chosen by eye: in proportion, a large person's lines would look like pipes.
_RADIUS_FACTOR, _RADIUS_POWER = 0.137, 0.63

# Half a line's width, in radii of the dots at its ends.
_LINE_TO_DOT = 0.5

# A keypoint at the threshold is drawn with the first opacity; one this much above it is solid.
_FAINTEST, _FADE_RANGE = 0.3, 0.3


def draw_poses(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None,
    skeleton: Skeleton | str,
    boxes: np.ndarray | None = None,
    *,
    threshold: float = 0.3,
    color_by: str = "skeleton",
    labels: Sequence[str] | None = None,
    instance_ids: Sequence[int] | None = None,
    show_boxes: bool = True,
    show_names: bool = False,
    radius: float | None = None,
    line_width: float | None = None,
    opacity: float = 1.0,
) -> np.ndarray:
    """Draws poses on a copy of a picture.

    Lines and dots are anti-aliased, placed with sub-pixel accuracy, scaled to each individual and
    finer where keypoints lie close together (faces, hands); a thin dark rim keeps them readable on
    any background. Uncertain keypoints are pale, those below the threshold are left out.

    Args:
        image: RGB picture, as `keras_pose.images.as_rgb` takes.
        keypoints: `(N, K, 2)`, image pixels; further coordinates are not looked at.
        scores: `(N, K)`; None draws every keypoint solid.
        skeleton: the skeleton of the `K` keypoints, or its name.
        boxes: optional `(N, 4)`, xyxy in image pixels.
        threshold: float, keypoints with a lower score are left out. Default 0.3.
        color_by: `"skeleton"` (the skeleton's own colours, default) or `"instance"` (one colour an
            individual).
        labels: optional `N` texts, written above each individual; empty ones are left out.
        instance_ids: optional `N` integers that choose the colours of boxes, labels and, with
            `color_by="instance"`, limbs. Default: the position.
        show_boxes: bool, whether `boxes` are drawn. Default True.
        show_names: bool, whether keypoints are labelled with their names. Default False.
        radius: float, radius of the dots in pixels. Default: from the individual's size.
        line_width: float, width of the lines in pixels. Default: the radius of the dots they join.
        opacity: float in 0..1 of lines and dots. Default 1.

    Returns:
        uint8 RGB array `(H, W, 3)`.

    Raises:
        ValueError: for arrays that do not fit each other or the skeleton.
    """
    canvas = as_rgb(image).copy()
    skeleton = Skeleton.resolve(skeleton)
    keypoints = _checked("keypoints", keypoints, (-1, skeleton.num_keypoints, -1))[..., :2]
    count = len(keypoints)
    if scores is None:
        scores = np.full(keypoints.shape[:2], np.inf)
    scores = _checked("scores", scores, keypoints.shape[:2])
    if boxes is not None:
        boxes = _checked("boxes", boxes, (count, 4))
    if color_by not in ("skeleton", "instance"):
        raise ValueError(f'color_by must be "skeleton" or "instance", got {color_by!r}')
    for name, values in (("labels", labels), ("instance_ids", instance_ids)):
        if values is not None and len(values) != count:
            raise ValueError(f"{name} must have one item a pose, {count}, got {len(values)}")

    for name, value in (("radius", radius), ("line_width", line_width)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be above 0 pixels, got {value}")
    seen = _seen(keypoints, scores, threshold, canvas.shape)
    fade = np.clip((scores - threshold) / _FADE_RANGE, 0, 1)
    opacities = opacity * (_FAINTEST + (1 - _FAINTEST) * fade)
    ids = np.arange(count) if instance_ids is None else np.asarray(instance_ids)
    sizes = [_size(points[mask]) for points, mask in zip(keypoints, seen, strict=True)]
    # Large ones first, so that their thick lines do not cover the small ones.
    order = sorted(range(count), key=lambda i: -sizes[i])
    for i in order:
        color = INSTANCE_COLORS[ids[i] % len(INSTANCE_COLORS)]
        if boxes is not None and show_boxes:
            draw_box(canvas, boxes[i], 1 + int(np.ptp(boxes[i]) / 500), color)
        dot = _RADIUS_FACTOR * sizes[i] ** _RADIUS_POWER if radius is None else radius
        _draw_pose(
            canvas,
            keypoints[i],
            np.where(seen[i], opacities[i], 0),
            _finer_where_dense(keypoints[i], seen[i], dot),
            line_width,
            skeleton,
            color if color_by == "instance" else None,
        )
    for i in order:
        color = INSTANCE_COLORS[ids[i] % len(INSTANCE_COLORS)]
        letters = float(np.clip(0.35 * sizes[i] ** 0.6, 7, 18))
        if show_names:
            for k in np.flatnonzero(seen[i]):
                name, plate = skeleton.keypoints[k], skeleton.keypoint_colors[k]
                write_label(canvas, name, keypoints[i, k] + 0.6 * letters, 0.5 * letters + 2, plate)
        boxed = boxes is not None and show_boxes
        if labels is not None and labels[i] and (boxed or seen[i].any()):
            box = _extent(keypoints[i, seen[i]]) if boxes is None else boxes[i]
            write_label(canvas, str(labels[i]), box[:2] - (0, 2), letters, color)
    return canvas


def _draw_pose(
    canvas: np.ndarray,
    points: np.ndarray,
    opacities: np.ndarray,
    radii: np.ndarray,
    line_width: float | None,
    skeleton: Skeleton,
    color: np.ndarray | None,
):
    """Draws one individual; keypoints of opacity 0 are left out."""
    drawn = np.flatnonzero(opacities)
    if not drawn.size:
        return
    widest = radii[drawn].max()
    rim = float(np.clip(0.3 * widest, 0.5, 2.0))
    margin = max(widest, line_width or 0) + rim + 1
    covered = _extent(points[drawn]) + margin * np.array([-1, -1, 1, 1])
    layer = Layer(canvas, covered, finer=1 if widest > 6 else 2 if widest > 3 else 4)
    half = radii * _LINE_TO_DOT if line_width is None else np.full_like(radii, line_width / 2)
    # The surest last: where shapes cross, they are on top.
    dots = drawn[np.argsort(opacities[drawn], kind="stable")]
    limb_opacities = opacities[skeleton.links].min(axis=1)
    limbs = np.argsort(limb_opacities, kind="stable")
    limbs = limbs[limb_opacities[limbs] > 0]
    a, b = skeleton.links[limbs].T
    if color is None:
        limb_colors, dot_colors = skeleton.link_colors[limbs], skeleton.keypoint_colors[dots]
    else:
        limb_colors = dot_colors = color
    centers, sizes = points[dots], radii[dots]
    for grow, limb_fill, dot_fill in ((rim, DARK, DARK), (0, limb_colors, LIGHT)):
        lines = capsules(points[a], points[b], half[a] + grow, half[b] + grow)
        layer.fill(lines, limb_fill, limb_opacities[limbs])
        layer.fill(discs(centers, sizes + grow), dot_fill, opacities[dots])
    layer.fill(discs(centers, sizes * _core(sizes)), dot_colors, opacities[dots])
    layer.merge()


def _core(radii: np.ndarray) -> np.ndarray:
    """How much of a dot has its colour; the rest is a white ring, if there is room for one."""
    return 1 - 0.3 * np.clip((radii - 1.8) / 1.5, 0, 1)


def _seen(
    keypoints: np.ndarray, scores: np.ndarray, threshold: float, shape: tuple[int, ...]
) -> np.ndarray:
    # A point many pictures away tells nothing, and OpenCV's fixed-point coordinates end somewhere.
    near = (np.abs(keypoints) < 8 * max(shape[:2])).all(axis=-1)
    return near & (scores >= threshold)  # comparisons with NaN are False


def _extent(points: np.ndarray) -> np.ndarray:
    """Box xyxy around `(P, 2)` points."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _size(points: np.ndarray) -> float:
    """Diagonal of the box around `(P, 2)` points; a plausible size where there is only one."""
    if not len(points):
        return 0.0
    low, high = np.split(_extent(points), 2)
    return max(float(np.hypot(*(high - low))), 20.0)


def _finer_where_dense(points: np.ndarray, seen: np.ndarray, radius: float) -> np.ndarray:
    """Radius of each dot: at most `radius`, less where keypoints crowd.

    The second nearest keypoint decides, not the nearest: in a side view the two hips coincide, and
    that is no reason for small dots.
    """
    radii = np.full(len(points), radius)
    if seen.sum() > 2:
        positions = points[seen]
        gaps = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        radii[seen] = np.clip(0.33 * np.partition(gaps, 2, axis=1)[:, 2], min(0.8, radius), radius)
    return radii


def _checked(name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    value = np.asarray(value, np.float32)
    given = tuple(v if s < 0 else s for s, v in zip(shape, value.shape, strict=False))
    if value.ndim != len(shape) or value.shape != given:
        wanted = ", ".join("any" if side < 0 else str(side) for side in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {value.shape}")
    return value
