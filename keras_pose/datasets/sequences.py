"""PoseSequences: films of 2D and 3D poses as frame arrays, and the windows that lifters learn."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_pose.datasets.transforms.draws import Draws
from keras_pose.datasets.transforms.lifting import RandomPoseFlip
from keras_pose.datasets.windows import Windows, sliding_windows
from keras_pose.geometry import Camera
from keras_pose.skeleton import Skeleton


class PoseSequences:
    """Frames of videos with 2D and 3D keypoints; a row is a window of frames with its targets.

    Readers of file formats return this constructor's arguments as a dict. Frames are stored once,
    whatever the windows are.

    Args:
        skeleton: Skeleton, name, path or dict; `K` keypoints.
        keypoints: floats `(F, K, 2)`, image pixels.
        keypoints_3d: floats `(F, K, 3)`, camera space, metres unless `unit` says otherwise.
        visible: floats `(F, K)`. Default: ones.
        visible_3d: floats `(F, K)`. Default: ones.
        windows: Windows. Default: one for every frame.
        image_paths: `F` paths of the frames' images. Default: empty.
        image_ids: ints `(F,)`. Default: the frames' numbers.
        cameras: the Camera objects of the films.
        camera_ids: ints `(F,)`, a frame's place in `cameras`, -1 for none. Default: none.
        extras: dict of further columns, arrays `(F, ...)`, such as `boxes` `(F, 4)`.
        unit: str, of `keypoints_3d`. Default "m".
        name: str, for messages and reports.

    Attributes:
        The arguments, as arrays (floats as float32, ids as int64).

    Example:
        >>> walks = keras_pose.datasets.walking_sequences(frames=300, seq_len=27)
        >>> inputs, labels = walks.batch([0, 1, 2])
        >>> inputs.shape, labels["keypoints_3d"].shape
        ((3, 27, 17, 2), (3, 1, 17, 3))
    """

    def __init__(
        self,
        skeleton: Skeleton | str | os.PathLike | Mapping,
        keypoints,
        keypoints_3d,
        visible=None,
        visible_3d=None,
        windows: Windows | None = None,
        image_paths=None,
        image_ids=None,
        cameras: Sequence[Camera] = (),
        camera_ids=None,
        extras: Mapping[str, Any] | None = None,
        unit: str = "m",
        name: str = "sequences",
    ):
        self.name, self.unit = name, unit
        self.skeleton = Skeleton.resolve(skeleton)
        count, k = len(keypoints), self.skeleton.num_keypoints
        self.keypoints = self._array("keypoints", keypoints, (count, k, 2))
        self.keypoints_3d = self._array("keypoints_3d", keypoints_3d, (count, k, 3))
        ones = np.ones((count, k), np.float32)
        self.visible = self._array("visible", ones if visible is None else visible, (count, k))
        self.visible_3d = self._array(
            "visible_3d", ones if visible_3d is None else visible_3d, (count, k)
        )
        for field, shown in (("keypoints", self.visible), ("keypoints_3d", self.visible_3d)):
            numbers = np.isfinite(getattr(self, field)).all(-1)
            wrong = ((shown > 0) & ~numbers).any(-1)
            if wrong.any():
                raise ValueError(
                    f"{name}: frame {wrong.argmax()} has a visible point of {field} that is no "
                    "number; set its visibility to 0 or correct it"
                )
            np.nan_to_num(getattr(self, field), copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        paths = [""] * count if image_paths is None else image_paths
        self.image_paths = np.array([os.fspath(path) for path in paths], dtype=object)
        numbers = np.arange(count) if image_ids is None else image_ids
        self.image_ids = self._array("image_ids", numbers, (count,), np.int64)
        self.cameras = tuple(cameras)
        for camera in self.cameras:
            if not isinstance(camera, Camera):
                raise ValueError(
                    f"{name}: cameras must be Camera objects, as Camera.from_dict makes them of "
                    f"parameters, got {camera!r:.80}"
                )
        none = np.full(count, -1) if camera_ids is None else camera_ids
        self.camera_ids = self._array("camera_ids", none, (count,), np.int64)
        if count and not -1 <= self.camera_ids.min() <= self.camera_ids.max() < len(self.cameras):
            raise ValueError(
                f"{name}: camera_ids must be below {len(self.cameras)}, the number of cameras, "
                f"got {self.camera_ids.max()}"
            )
        self.extras = {key: np.array(value) for key, value in (extras or {}).items()}
        for key, value in {"image_paths": self.image_paths, **self.extras}.items():
            if value.ndim < 1 or len(value) != count:
                raise ValueError(f"{name}: {key} must have {count} rows, got shape {value.shape}")
        self.windows = sliding_windows([0] * count) if windows is None else windows
        if len(self.windows.order) != count:
            raise ValueError(
                f"{name}: the windows are over {len(self.windows.order)} frames, there are {count}"
            )

    @property
    def num_frames(self) -> int:
        """How many frames are stored."""
        return len(self.keypoints)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, which) -> "PoseSequences | dict[str, Any]":
        """One window as a dict (for an int), or some of the windows (see `subset`)."""
        if isinstance(which, int | np.integer):
            frames = self.windows.frames(np.array([which]))[0]
            targets = self.windows.targets(np.array([which]))[0]
            camera = int(self.camera_ids[targets[0]])
            return {
                "frames": frames,
                "targets": targets,
                "keypoints": self.keypoints[frames],
                "visible": self.visible[frames],
                "keypoints_3d": self.keypoints_3d[targets],
                "visible_3d": self.visible_3d[targets],
                "image_paths": self.image_paths[frames],
                "image_ids": self.image_ids[frames],
                "camera": self.cameras[camera] if camera >= 0 else None,
                **{key: value[frames] for key, value in self.extras.items()},
            }
        return self.subset(which)

    def subset(self, which) -> "PoseSequences":
        """Some of the windows, of the same frames: slice, boolean mask or indices."""
        return self.with_windows(self.windows.subset(np.arange(len(self))[which]))

    def with_windows(self, windows: Windows) -> "PoseSequences":
        """The same frames under other windows; arrays are shared."""
        other = object.__new__(PoseSequences)
        other.__dict__.update(self.__dict__, windows=windows)
        return other

    def batch(
        self, rows, epoch: int = 0, augment: RandomPoseFlip | None = None, seed: int = 0
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Some windows as a lifter's inputs and labels.

        Args:
            rows: ints `(B,)`.
            epoch, seed: int; with a row, they decide what `augment` draws.
            augment: RandomPoseFlip or None (default).

        Returns:
            float32 `(B, T, K, 2)`, image pixels, and a dict of float32 arrays: `visible`
            `(B, T, K)`, `keypoints_3d` `(B, N, K, 3)` in camera space, `visible_3d` `(B, N, K)`,
            and where the film has cameras `focal` and `center` `(B, 2)`, pixels, and `image_size`
            `(B, 2)`, 0 where it is not known; where a lens distorts, `distortion` `(B, 5)`: k1, k2,
            k3, p2, p1 (see `Camera`; lenses with six k count as straight).
        """
        rows = np.asarray(rows, np.int64)
        frames, targets = self.windows.frames(rows), self.windows.targets(rows)
        inputs = self.keypoints[frames]
        labels = {
            "visible": self.visible[frames],
            "keypoints_3d": self.keypoints_3d[targets],
            "visible_3d": self.visible_3d[targets],
        }
        if self.cameras:
            used = self.camera_ids[targets[:, 0]]
            if (used < 0).any():
                raise ValueError(
                    f"{self.name}: frame {targets[(used < 0).argmax(), 0]} has no camera, others "
                    "have; give one to every frame or to none"
                )
            labels |= {
                "focal": np.array([c.focal for c in self.cameras], np.float32)[used],
                "center": np.array([c.center for c in self.cameras], np.float32)[used],
                "image_size": np.array([c.size or (0, 0) for c in self.cameras], np.float32)[used],
            }
            if any(c.distorts for c in self.cameras):
                bent = [_distortion(camera) for camera in self.cameras]
                labels["distortion"] = np.array(bent, np.float32)[used]
        if augment is not None:
            draws = Draws(seed, epoch, rows)
            inputs, labels = augment(inputs, labels, self.skeleton, draws)
        return inputs, labels

    def shuffled(self, epoch: int = 0, seed: int = 0) -> np.ndarray:
        """The rows in the random order of an epoch, int64 `(S,)`."""
        return np.random.default_rng((seed, epoch)).permutation(len(self))

    def __repr__(self) -> str:
        return (
            f"PoseSequences({self.name!r}, {len(self)} windows of {len(self.windows.offsets)} in "
            f"{self.num_frames} frames, skeleton {self.skeleton.name!r})"
        )

    def _array(self, field: str, value, shape: tuple, dtype=np.float32) -> np.ndarray:
        try:
            array = np.array(value, dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: {field} must be numbers, {error}") from None
        if not array.size and not shape[0]:
            return array.reshape(shape)
        if array.shape != shape:
            raise ValueError(
                f"{self.name}: {field} must have shape {shape} ({shape[0]} frames, "
                f"{self.skeleton.num_keypoints} keypoints), got {array.shape}"
            )
        return array


def _distortion(camera: Camera) -> list[float]:
    if not camera.distorts or len(camera.radial) != 3:
        return [0.0] * 5
    return [*camera.radial, *camera.tangential[::-1]]
