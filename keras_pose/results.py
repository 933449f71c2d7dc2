"""PoseResult: the poses found in one image, in image pixels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_pose.geometry import xyxy_to_xywh
from keras_pose.images import read_image
from keras_pose.skeleton import Skeleton

if TYPE_CHECKING:
    import supervision

Index = int | slice | Sequence[int] | Sequence[bool] | np.ndarray


@dataclass(eq=False)
class PoseResult:
    """The poses found in one image: parallel arrays, a row a pose, in image pixels.

    Arrays are checked and converted when the object is made; all but the first three arguments
    may be missing.

    Args:
        keypoints: `(N, K, 2)` image pixels; or in 3D `(N, K, 3)`, image pixels and a depth in the
            unit of the network's codec, or as the lifter says; becomes float32.
        scores: `(N, K)`, how sure the network is of each keypoint; mostly, not always, in 0..1.
        skeleton: `Skeleton` of the `K` keypoints, or what `Skeleton.resolve` accepts.
        boxes: `(N, 4)`, xyxy in image pixels.
        box_scores: `(N,)`, the detector's scores.
        visible: `(N, K)`, probability that a keypoint is in sight, 0..1.
        track_ids: `(N,)` integers, the same for the same individual in every frame; -1: none.
        covariance: `(N, K, 2, 2)`, uncertainty of x and y in squared image pixels.
        image_size: (width, height) of the image.
        hand_type: `(N, 2)`, of networks that see both hands: 1 for a hand that is there, right and
            left.
        root_depth: `(N,)`, of the same: the left wrist's depth from the right one, millimetres.

    Raises:
        ValueError: for wrong shapes and for values that are not finite numbers.

    Example:
        >>> result = estimator.predict_poses("street.jpg")
        >>> sure = result[result.instance_scores() > 0.5]
        >>> picture = sure.draw(image)
    """

    keypoints: np.ndarray
    scores: np.ndarray
    skeleton: Skeleton
    boxes: np.ndarray | None = None
    box_scores: np.ndarray | None = None
    visible: np.ndarray | None = None
    track_ids: np.ndarray | None = None
    covariance: np.ndarray | None = None
    image_size: tuple[int, int] | None = None
    hand_type: np.ndarray | None = None
    root_depth: np.ndarray | None = None

    def __post_init__(self):
        self.skeleton = Skeleton.resolve(self.skeleton)
        count = self.skeleton.num_keypoints
        self.keypoints = _numbers("keypoints", self.keypoints)
        shape = self.keypoints.shape
        if shape == (0,):
            self.keypoints = self.keypoints.reshape(0, count, 2)
        elif len(shape) != 3 or shape[1] != count or shape[2] not in (2, 3):
            raise ValueError(
                f"keypoints must be (N, {count}, 2) or (N, {count}, 3) in image pixels for "
                f"skeleton {self.skeleton.name!r}, got shape {shape}"
            )
        for name, row in _rows(count).items():
            value = getattr(self, name)
            if value is None and name != "scores":
                continue
            value = _numbers(name, value)
            expected = (len(self), *row)
            if value.shape == (0,):
                value = value.reshape(0, *row)
            if value.shape != expected:
                raise ValueError(f"{name} must have shape {expected}, got {value.shape}")
            setattr(self, name, value)
        if self.image_size is not None:
            self.image_size = _checked_size(self.image_size)

    @classmethod
    def empty(
        cls,
        skeleton: Skeleton | str,
        image_size: tuple[int, int] | None = None,
        dimensions: int = 2,
    ) -> "PoseResult":
        """A result without poses, with empty `boxes` and `box_scores`."""
        skeleton = Skeleton.resolve(skeleton)
        count = skeleton.num_keypoints
        return cls(
            np.zeros((0, count, dimensions)),
            np.zeros((0, count)),
            skeleton,
            boxes=np.zeros((0, 4)),
            box_scores=np.zeros(0),
            image_size=image_size,
        )

    @classmethod
    def concatenate(cls, results: Iterable["PoseResult"]) -> "PoseResult":
        """Joins results for the same image and skeleton.

        Args:
            results: one or more; those without poses add nothing. An optional array is kept if all
                others have it.

        Raises:
            ValueError: without results, or for different skeletons, image sizes, 2D and 3D.
        """
        results = list(results)
        if not results:
            raise ValueError("concatenate needs at least one PoseResult")
        for other in results[1:]:
            if other.skeleton != results[0].skeleton:
                raise ValueError(
                    "results of different skeletons cannot be joined, got "
                    f"{results[0].skeleton.name!r} and {other.skeleton.name!r}"
                )
        sizes = {result.image_size for result in results} - {None}
        if len(sizes) > 1:
            raise ValueError(f"results of different image sizes cannot be joined, got {sizes}")
        parts = [result for result in results if len(result)] or results[:1]
        if len({part.keypoints.shape[2] for part in parts}) > 1:
            raise ValueError("2D and 3D results cannot be joined")
        joined = {}
        for name in _ARRAYS:
            values = [getattr(part, name) for part in parts]
            if all(value is not None for value in values):
                joined[name] = np.concatenate(values)
        size = sizes.pop() if sizes else None
        return cls(skeleton=results[0].skeleton, image_size=size, **joined)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: Index) -> "PoseResult":
        """Selects poses by position, slice, boolean mask `(N,)` or array of positions.

        Returns:
            A PoseResult, also for a single position (then with one pose).
        """
        if isinstance(index, int | np.integer) and not isinstance(index, bool | np.bool_):
            if not -len(self) <= index < len(self):
                raise IndexError(f"pose {index} is not among the {len(self)} poses")
            index = [index]
        elif not isinstance(index, slice):
            index = np.asarray(index)
            if index.ndim != 1 or not (index.dtype.kind in "iub" or index.size == 0):
                raise TypeError(
                    "poses are selected by an int, a slice, a (N,) mask or a list of positions, "
                    f"got an array of shape {index.shape} and dtype {index.dtype}"
                )
            if index.size == 0 and index.dtype.kind != "b":
                index = index.astype(np.int64)
        selected = {name: getattr(self, name) for name in _ARRAYS}
        selected = {name: a if a is None else a[index] for name, a in selected.items()}
        return PoseResult(skeleton=self.skeleton, image_size=self.image_size, **selected)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.image_size)) if self.image_size else "unknown"
        return f"PoseResult({len(self)} poses, skeleton {self.skeleton.name!r}, image {size})"

    def instance_scores(self) -> np.ndarray:
        """How sure each pose is, by the rule that `to_coco` uses.

        Returns:
            float32 `(N,)`: box score times mean keypoint score where there are box scores, else the
            mean keypoint score.
        """
        scores = self.scores.mean(axis=1)
        return scores if self.box_scores is None else scores * self.box_scores

    def to_coco(self, image_id: int | str, category_id: int = 1) -> list[dict[str, Any]]:
        """Rows of a COCO keypoint results file.

        Args:
            image_id: id of the image in the annotation file.
            category_id: int, default 1 (person in COCO).

        Returns:
            A dict a pose: `image_id`, `category_id`, `keypoints` (flat x, y, score in image pixels;
            depth is left out), `score` (see `instance_scores`), and where they are known `bbox`
            (x, y, width, height) and `track_id`.
        """
        flat = np.concatenate([self.keypoints[..., :2], self.scores[..., None]], axis=-1)
        rows = [
            {
                "image_id": image_id,
                "category_id": category_id,
                "keypoints": pose.ravel().tolist(),
                "score": float(score),
            }
            for pose, score in zip(flat, self.instance_scores(), strict=True)
        ]
        if self.boxes is not None:
            for row, box in zip(rows, xyxy_to_xywh(self.boxes), strict=True):
                row["bbox"] = box.tolist()
        if self.track_ids is not None:
            for row, track in zip(rows, self.track_ids.tolist(), strict=True):
                row["track_id"] = track
        return rows

    def to_dict(self, with_skeleton: bool = True) -> dict[str, Any]:
        """Plain data that `from_dict` reads and that JSON can hold.

        Args:
            with_skeleton: bool, whether the whole skeleton goes in, or only its name. Default True.

        Returns:
            A dict with `skeleton` (see `Skeleton.to_dict`, or the name), `image_size`
            ([width, height] or None) and `poses`, a list of dicts, in image pixels and in the
            skeleton's order: `keypoints` (`K` lists x, y or x, y, z), `scores` (`K`), and where
            known `box` (xyxy), `box_score`, `visible` (`K`), `track_id`, `covariance`
            (`K` times 2 x 2), `hand_type` (right, left), `root_depth`.
        """
        columns = {
            key: getattr(self, name).tolist()
            for name, key in _POSE_KEYS.items()
            if getattr(self, name) is not None
        }
        return {
            "skeleton": self.skeleton.to_dict() if with_skeleton else self.skeleton.name,
            "image_size": None if self.image_size is None else list(self.image_size),
            "poses": [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ],
        }

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], skeleton: Skeleton | str | None = None
    ) -> "PoseResult":
        """Reads what `to_dict` wrote.

        Args:
            data: the dict.
            skeleton: used in place of the one in `data`, e.g. where only its name is there and it
                is not one of the package's.

        Raises:
            ValueError: for a dict of another form.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("poses"), list):
            raise ValueError('a result must be a dict with a list "poses"')
        skeleton = Skeleton.resolve(data.get("skeleton") if skeleton is None else skeleton)
        poses = data["poses"]
        if not poses:
            return cls.empty(skeleton, data.get("image_size"))
        arrays = {}
        for name, key in _POSE_KEYS.items():
            values = [pose[key] for pose in poses if key in pose]
            if len(values) not in (0, len(poses)):
                raise ValueError(f"{key!r} must be in all {len(poses)} poses or in none")
            if values:
                arrays[name] = values
        if missing := {"keypoints", "scores"} - set(arrays):
            raise ValueError(f"every pose needs {sorted(missing)}")
        return cls(skeleton=skeleton, image_size=data.get("image_size"), **arrays)

    def draw(self, image: np.ndarray | str | PathLike, **style: Any) -> np.ndarray:
        """Draws the poses on a copy of the image.

        Args:
            image: the picture that the poses belong to: RGB, as `keras_pose.images.as_rgb` takes,
                or the path of a file.
            **style: see `keras_pose.visualization.draw_poses`. Boxes are drawn if
                `show_boxes=True`; tracked poses are labelled with their number unless `labels` says
                otherwise.

        Returns:
            uint8 RGB array `(H, W, 3)`.
        """
        from keras_pose.visualization import draw_poses

        image = read_image(image) if isinstance(image, str | PathLike) else image
        style = {"show_boxes": False, "instance_ids": self.track_ids} | style
        if self.track_ids is not None:
            style.setdefault("labels", [f"#{i}" if i >= 0 else "" for i in self.track_ids])
        return draw_poses(
            image, self.keypoints, self.scores, self.skeleton, boxes=self.boxes, **style
        )

    def to_supervision(self) -> "supervision.KeyPoints":
        """The same poses as `supervision.KeyPoints` (>= 0.31).

        `detection_confidence` holds `box_scores`; `data` holds under their own names `boxes`,
        `track_ids`, `visible` (the probabilities; the field `visible` says which are above 0.5),
        `covariance`, `hand_type` and `root_depth`, where known. Depth is left out.

        Raises:
            ImportError: if the package supervision is missing or too old.
        """
        return _supervision().KeyPoints(
            xy=self.keypoints[..., :2].copy(),
            class_id=np.zeros(len(self), dtype=int),
            keypoint_confidence=self.scores.copy(),
            detection_confidence=None if self.box_scores is None else self.box_scores.copy(),
            visible=None if self.visible is None else self.visible > 0.5,
            data={n: getattr(self, n).copy() for n in _DATA if getattr(self, n) is not None},
        )

    @classmethod
    def from_supervision(
        cls,
        key_points: "supervision.KeyPoints",
        skeleton: Skeleton | str,
        image_size: tuple[int, int] | None = None,
    ) -> "PoseResult":
        """Takes over poses from `supervision.KeyPoints`, whoever made them.

        Args:
            key_points: the poses; keypoints that are not finite, and those at (0, 0) without a
                confidence, count as missing and get score 0, others without a confidence 1.
            skeleton: the skeleton of the keypoints.
            image_size: (width, height) of the image.
        """
        skeleton = Skeleton.resolve(skeleton)
        xy = np.asarray(key_points.xy, dtype=np.float32)
        if len(xy) == 0:
            return cls.empty(skeleton, image_size)
        known = np.isfinite(xy).all(axis=-1)
        scores = key_points.keypoint_confidence
        scores = (xy != 0).any(axis=-1) if scores is None else np.nan_to_num(scores)
        data = {name: key_points.data.get(name) for name in _DATA}
        if data["visible"] is None:
            data["visible"] = key_points.visible
        return cls(
            np.where(known[..., None], xy, 0),
            np.where(known, scores, 0),
            skeleton,
            box_scores=key_points.detection_confidence,
            image_size=image_size,
            **data,
        )


# Key of each array in one pose of `PoseResult.to_dict`.
_POSE_KEYS = {
    "keypoints": "keypoints",
    "scores": "scores",
    "boxes": "box",
    "box_scores": "box_score",
    "visible": "visible",
    "track_ids": "track_id",
    "covariance": "covariance",
    "hand_type": "hand_type",
    "root_depth": "root_depth",
}
_ARRAYS = tuple(_POSE_KEYS)
# What supervision has no field for.
_DATA = ("boxes", "track_ids", "visible", "covariance", "hand_type", "root_depth")


def _rows(count: int) -> dict[str, tuple[int, ...]]:
    """Shape of one pose's part of each array that belongs to the `count` keypoints."""
    return {
        "scores": (count,),
        "boxes": (4,),
        "box_scores": (),
        "visible": (count,),
        "track_ids": (),
        "covariance": (count, 2, 2),
        "hand_type": (2,),
        "root_depth": (),
    }


def _numbers(name: str, value: Any) -> np.ndarray:
    dtype = np.int64 if name == "track_ids" else np.float32
    try:
        array = np.asarray(value)
        if array.size and dtype is np.int64 and array.dtype.kind not in "iu":
            raise TypeError
        array = array.astype(dtype)
    except (TypeError, ValueError):
        kind = "integers" if dtype is np.int64 else "numbers"
        raise ValueError(f"{name} must be an array of {kind}, got {value!r:.80}") from None
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers (no NaN or infinity)")
    return array


def _checked_size(image_size: Sequence[int]) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in image_size)
    except (TypeError, ValueError):
        width = height = 0
    if width < 1 or height < 1:
        raise ValueError(f"image_size must be (width, height) in pixels, got {image_size!r}")
    return width, height


def _supervision():
    """The package supervision, if it is there and new enough."""
    hint = "pip install keras-pose[supervision]"
    try:
        import supervision
    except ImportError:
        raise ImportError(f"this needs the package supervision: {hint}") from None
    if tuple(int(part) for part in supervision.__version__.split(".")[:2]) < (0, 31):
        raise ImportError(f"this needs supervision >= 0.31, got {supervision.__version__}: {hint}")
    return supervision
