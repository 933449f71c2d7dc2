"""Pinhole cameras with lens distortion: world, camera and pixel coordinates of 3D keypoints.

Camera space has x to the right, y down and z along the view; its unit is the data set's (metres or
millimetres). Pixels are those of the image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera.

    The lens moves a point `x, y` of the plane at distance 1, with `r2 = x^2 + y^2`, to
    `xy (radial + tangential) + r2 (p2, p1)`. There, `radial = 1 + k1 r2 + k2 r2^2 + k3 r2^3`
    (divided by the same series of `k4, k5, k6` where there are six) and
    `tangential = 2 (p2 x + p1 y)`. Then `pixel = focal * xy + center`.

    Args:
        focal: array `(2,)`, pixels.
        center: array `(2,)`, the principal point, pixels.
        rotation: array `(3, 3)`, camera to world: `X_world = rotation @ X_camera + translation`.
            Default: none, the world is the camera's.
        translation: array `(3,)`, the camera's place in the world. Default: the origin.
        radial: array `(0,)`, `(3,)` or `(6,)`, k. Default: none.
        tangential: array `(0,)` or `(2,)`, p. Default: none. As in MMPose 1.3.2, a lens distorts
            only where `radial` and `tangential` are both given.
        size: (width, height) of the image, or None (default) if it is not known.

    Raises:
        ValueError: for parameters of another shape, or that are no finite numbers.
    """

    focal: np.ndarray
    center: np.ndarray
    rotation: np.ndarray | None = None
    translation: np.ndarray | None = None
    radial: np.ndarray = ()
    tangential: np.ndarray = ()
    size: tuple[int, int] | None = None

    def __post_init__(self):
        rotation = np.eye(3) if self.rotation is None else self.rotation
        translation = np.zeros(3) if self.translation is None else self.translation
        allowed = {
            "focal": (self.focal, {(2,)}),
            "center": (self.center, {(2,)}),
            "rotation": (rotation, {(3, 3)}),
            "translation": (translation, {(3,)}),
            "radial": (self.radial, {(0,), (3,), (6,)}),
            "tangential": (self.tangential, {(0,), (2,)}),
        }
        for name, (value, shapes) in allowed.items():
            try:
                array = np.array(value, np.float64)
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"{name} of a camera must be numbers, got {value!r:.80}") from None
            if name != "rotation":
                array = array.reshape(-1)
            if array.shape not in shapes or not np.isfinite(array).all():
                wanted = " or ".join(str(shape) for shape in sorted(shapes))
                raise ValueError(
                    f"{name} of a camera must be finite numbers of shape {wanted}, "
                    f"got {array.tolist()!r:.80}"
                )
            object.__setattr__(self, name, array)
        if not self.focal.all():
            raise ValueError(f"focal of a camera must not be 0, got {self.focal.tolist()}")
        if self.size is not None:
            sides = tuple(self.size)
            if len(sides) != 2 or not all(_is_side(side) for side in sides):
                raise ValueError(f"size of a camera must be (width, height), got {sides!r:.80}")
            object.__setattr__(self, "size", (int(sides[0]), int(sides[1])))

    @classmethod
    def from_dict(cls, parameters: Mapping[str, Any]) -> "Camera":
        """A camera of MMPose's parameters.

        Args:
            parameters: dict with `K` `(2, 3)` or `(3, 3)`, or `f` and `c`; optional `R` and `T`
                (camera to world), `k` and `p`, `w` and `h`.
        """
        if not isinstance(parameters, Mapping):
            raise ValueError(f"a camera must be a dict of parameters, got {parameters!r:.80}")
        if "K" in parameters:
            try:
                matrix = np.asarray(parameters["K"], np.float64)
            except (TypeError, ValueError):
                given = parameters["K"]
                raise ValueError(f"K of a camera must be numbers, got {given!r:.80}") from None
            if matrix.shape not in ((2, 3), (3, 3)):
                raise ValueError(f"K of a camera must be (2, 3) or (3, 3), got {matrix.shape}")
            focal, center = np.diag(matrix)[:2], matrix[:2, 2]
        elif {"f", "c"} <= set(parameters):
            focal, center = parameters["f"], parameters["c"]
        else:
            raise ValueError(f"a camera needs `K`, or `f` and `c`, got only {sorted(parameters)}")
        size = (parameters.get("w"), parameters.get("h"))
        return cls(
            focal,
            center,
            parameters.get("R"),
            parameters.get("T"),
            parameters.get("k", ()),
            parameters.get("p", ()),
            size if all(size) else None,
        )

    @property
    def distorts(self) -> bool:
        """Whether the lens bends lines."""
        return bool(len(self.radial) and len(self.tangential))

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World to camera coordinates, `(..., 3)`."""
        return (np.asarray(points) - self.translation) @ self.rotation

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Camera to world coordinates, `(..., 3)`."""
        return np.asarray(points) @ self.rotation.T + self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels `(..., 2)` of points `(..., 3)` in camera space.

        Points in the plane of the lens (z = 0) have no pixel: theirs are not finite.
        """
        points = np.asarray(points)
        with np.errstate(divide="ignore", invalid="ignore"):
            flat = points[..., :2] / points[..., 2:]
            return self._distorted(flat) * self.focal + self.center

    def unproject(
        self, pixels: np.ndarray, depths: np.ndarray, undistort: bool = True
    ) -> np.ndarray:
        """Points `(..., 3)` in camera space that are seen at pixels.

        Args:
            pixels: array `(..., 2)`.
            depths: array `(...)`, distance along the view.
            undistort: bool, undo the lens (default); the reference does not.
        """
        bent = (np.asarray(pixels, np.float64) - self.center) / self.focal
        flat = bent
        if undistort and self.distorts:
            # the lens moves a point a little: what it adds is taken off until nothing changes
            for _ in range(100):
                before, flat = flat, flat - (self._distorted(flat) - bent)
                if np.abs(flat - before).max(initial=0) < 1e-12:
                    break
        depths = np.asarray(depths, np.float64)[..., None]
        return np.concatenate([flat * depths, depths], -1)

    def mirrored(self, axis_x: float | None = None) -> "Camera":
        """The camera of the mirror image: it sees `(-x, y, z)` where this one sees `(x, y, z)`.

        Rotation and translation stay as they are: they say nothing about the mirrored world.

        Args:
            axis_x: float, the x that stays in place, in pixels. Default: the middle of the image,
                `(width - 1) / 2`.

        Raises:
            ValueError: without `axis_x` if the image's size is not known.
        """
        if axis_x is None:
            if self.size is None:
                raise ValueError("a camera without a size needs axis_x to be mirrored")
            axis_x = (self.size[0] - 1) / 2
        tangential = self.tangential.copy()
        tangential[1:] *= -1  # p2 is the one that goes with x
        center = np.array([2 * axis_x - self.center[0], self.center[1]])
        return replace(self, center=center, tangential=tangential)

    def _distorted(self, flat: np.ndarray) -> np.ndarray:
        if not self.distorts:
            return flat
        squares = (flat**2).sum(-1, keepdims=True)
        powers = squares ** np.arange(1, 4)
        radial = 1 + powers @ self.radial[:3, None]
        if len(self.radial) == 6:
            radial = radial / (1 + powers @ self.radial[3:, None])
        swapped = self.tangential[::-1]
        return flat * (radial + 2 * (flat @ swapped[:, None])) + squares * swapped


def _is_side(value: Any) -> bool:
    """Whether a value, perhaps an array of one, is a number of pixels."""
    return np.size(value) == 1 and np.asarray(value).dtype.kind in "iuf" and 0 < value < 2**31


def image_coordinates(
    points: np.ndarray, focal: np.ndarray, center: np.ndarray, root: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Poses in camera space as pixels with a depth of the same unit (as MotionBERT learns them).

    Args:
        points: array `(..., K, 3)`, metres.
        focal, center: arrays `(2,)`, or `(..., 2)` where every pose has its own, pixels.
        root: int, the keypoint whose depth becomes 0.

    Returns:
        Array `(..., K, 3)` in thousands of pixels, and factors `(...)`: metres per thousand pixels
        at the root's depth, measured on a square of 2 m there. 0.001 is added to that square's
        width, as in the reference.
    """
    points = np.asarray(points)
    focal, center = np.asarray(focal) / 1000.0, np.asarray(center) / 1000.0
    depth = points[..., root, 2]
    factors = 2.0 / (2.0 * focal[..., 0] / depth + 0.001)
    flat = points[..., :2] / points[..., 2:] * focal[..., None, :] + center[..., None, :]
    above = (points[..., 2] - depth[..., None]) / factors[..., None]
    return np.concatenate([flat, above[..., None]], -1), factors
