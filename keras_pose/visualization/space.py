"""A 3D pose as a picture: the figure over a floor, seen from the side and a little from above."""

import numpy as np

from keras_pose.skeleton import Skeleton
from keras_pose.visualization.shapes import DARK, LIGHT, Layer, capsules, discs

# The eye's distance from the figure in metres.
_DISTANCE = 6.0
# Half the sides of the floor and the distance of its lines, metres.
_FLOOR, _SPACING = 1.0, 0.5
# Radius of a line of the figure and of the floor, metres.
_LIMB, _LINE = 0.028, 0.006
_BACKGROUND, _FLOOR_COLOR, _SHADOW = (36, 37, 42), (78, 80, 88), (20, 21, 24)


def draw_pose_3d(
    keypoints: np.ndarray | None,
    skeleton: Skeleton | str,
    size: tuple[int, int] = (360, 360),
    *,
    floor: float | None = None,
    height: float = 2.3,
    azimuth: float = 35.0,
    elevation: float = 12.0,
    color: tuple[int, int, int] | None = None,
) -> np.ndarray:
    """Draws the 3D pose of one individual, of a lifter for instance.

    Near limbs cover those behind them; the lines of the floor are half a metre apart.

    Args:
        keypoints: `(K, 3)`, metres about the root: x to the right, y down, z away from the camera.
            None draws the floor alone.
        skeleton: of the `K` keypoints, or its name.
        size: (width, height) of the picture in pixels.
        floor: float, the y of the floor. Default: of the lowest keypoint; say it for films, where a
            floor that follows every step would tremble.
        height: float, metres that the picture shows. Default 2.3: a grown-up with raised arms.
        azimuth: float, degrees by which the eye is turned about the figure from the camera's place.
            Default 35: from the camera itself one sees no depth.
        elevation: float, degrees above the horizontal. Default 12.
        color: RGB of all limbs. Default: the skeleton's colours.

    Returns:
        uint8 RGB array `(height, width, 3)`.

    Raises:
        ValueError: for keypoints of another shape, or that are no numbers.
    """
    skeleton = Skeleton.resolve(skeleton)
    if keypoints is not None:
        keypoints = np.asarray(keypoints, np.float64)
        if keypoints.shape != (skeleton.num_keypoints, 3) or not np.isfinite(keypoints).all():
            raise ValueError(
                f"keypoints must be ({skeleton.num_keypoints}, 3) finite numbers for the skeleton "
                f"{skeleton.name!r}, got shape {keypoints.shape}"
            )
    if floor is None:
        floor = 0.9 if keypoints is None else float(keypoints[:, 1].max())
    eye = _Eye(size, floor, height, azimuth, elevation)
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[:] = _BACKGROUND
    layer = Layer(canvas, np.array([0, 0, *size]), finer=2)
    ticks = np.arange(-_FLOOR, _FLOOR + _SPACING / 2, _SPACING)
    ends = np.array([[[t, -_FLOOR], [t, _FLOOR]] for t in ticks])
    ends = np.concatenate([ends, ends[..., ::-1]])  # (lines, 2, x and z)
    eye.lines(layer, _on_floor(ends, floor), _LINE, _FLOOR_COLOR)
    if keypoints is not None:
        limbs = keypoints[skeleton.links]  # (L, 2, 3)
        eye.lines(layer, _on_floor(limbs[..., ::2], floor), 0.7 * _LIMB, _SHADOW)
        colors = skeleton.link_colors if color is None else np.tile(color, (len(limbs), 1))
        order = np.argsort(-eye.see(limbs.mean(axis=1))[1], kind="stable")
        for limb, fill in zip(limbs[order], colors[order], strict=True):
            for radius, paint in ((1.45 * _LIMB, DARK), (_LIMB, fill)):
                eye.lines(layer, limb[None], radius, paint)
        heads = np.setdiff1d(np.arange(len(keypoints)), skeleton.links)
        eye.dots(layer, keypoints[heads], 1.3 * _LIMB, LIGHT)
    layer.merge()
    return canvas


def _on_floor(points: np.ndarray, floor: float) -> np.ndarray:
    """Points `(..., 2)` of x and z as points `(..., 3)` of the floor."""
    return np.stack([points[..., 0], np.full(points.shape[:-1], floor), points[..., 1]], -1)


class _Eye:
    """Perspective on the figure: metres to pixels of the picture."""

    def __init__(self, size, floor, height, azimuth, elevation):
        turn, tilt = np.deg2rad([azimuth, elevation])
        about_y = np.array(
            [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
        )
        about_x = np.array(
            [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
        )
        self._rotation = about_x @ about_y
        # More room is needed above the floor than below it.
        self._middle = np.array([0, floor - 0.42 * height, 0])
        self._size = np.array(size, np.float64)
        self._focal = min(size[1] / height, size[0] / (2.3 * _FLOOR)) * _DISTANCE

    def see(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels `(..., 2)` and distances `(...)` in metres of points `(..., 3)`."""
        seen = (points - self._middle) @ self._rotation.T
        away = np.maximum(seen[..., 2] + _DISTANCE, 0.5)
        return seen[..., :2] * (self._focal / away)[..., None] + self._size / 2, away

    def lines(self, layer: Layer, ends: np.ndarray, radius: float, color) -> None:
        """Draws lines `(L, 2, 3)` of a radius in metres, thinner when they are far."""
        places, away = self.see(ends)
        radii = np.maximum(radius * self._focal / away, 0.5)
        shapes = capsules(places[:, 0], places[:, 1], radii[:, 0], radii[:, 1])
        layer.fill(shapes, color, np.ones(len(shapes)))

    def dots(self, layer: Layer, points: np.ndarray, radius: float, color) -> None:
        """Draws spheres around points `(P, 3)`."""
        if len(points):
            places, away = self.see(points)
            layer.fill(discs(places, radius * self._focal / away), color, np.ones(len(points)))
