"""Lifting: 2D poses of a person over frames to 3D poses."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from keras_pose.estimators.lifting_input import checked_track, mapped, track_places, without_gaps
from keras_pose.estimators.pose_estimator import PoseEstimator
from keras_pose.estimators.semi_supervision import (
    check_parts,
    labelled_only,
    seen,
    unlabelled_terms,
)
from keras_pose.layers import KeypointNormalization, component, serialized, symbolic
from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton

# Frames that networks of windows lift at once; so few shapes are compiled.
_CHUNKS = (1, 4, 16, 64, 256)


@keras.saving.register_keras_serializable(package="keras_pose")
class PoseLifter(PoseEstimator):
    """Lifts 2D poses over frames to 3D.

    Its batches are keypoints `(B, T, K, 2)` in input pixels, or `(B, T, K, 3)` with the visibility
    of each, instead of images. Input pixels are those of a picture of `input_size`. A picture of
    another size is brought there by a map that keeps circles round, see `to_input`.

    Args:
        backbone: layer from normalised poses `(B, T, K, D)` to features, such as `TCN` or
            `DSTFormer`, or its config.
        head: `TemporalRegressionHead` or `MotionRegressionHead` or its config.
        preprocess: layer from keypoints to the backbone's input, or its config; default
            `KeypointNormalization.of_picture(input_size)`.
        skeleton: see `PoseEstimator`.
        input_size: (width, height) of the pictures in pixels; default: Human3.6M's.
        traj_backbone, traj_head: of the root's trajectory in camera space, for training with it;
            or None. Without a backbone of its own the head reads the poses' features.
        semi_loss: `SemiSupervisionLoss` for windows without 3D labels (`visible_3d` is 0), which
            then count in it and in nothing else; it needs a `traj_head` and films with cameras.
            Default None: windows should have labels.
        output_keypoints: see `PoseEstimator`.

    Example:

    ```python
    lifter = keras_pose.PoseLifter.from_preset("video_pose_lift_tcn_27frm_supv_h36m")
    poses = lifter.lift(track, image_size=(1920, 1080))  # (F, 17, 2) -> (F, 17, 3)
    ```
    """

    task = "pose lifting"
    metric = "mpjpe"

    def __init__(
        self,
        backbone,
        head,
        preprocess=None,
        skeleton="h36m",
        input_size=(1000, 1002),
        traj_backbone=None,
        traj_head=None,
        semi_loss=None,
        output_keypoints=None,
        **kwargs,
    ):
        if kwargs.pop("neck", None) is not None:
            raise ValueError("a PoseLifter has no neck")
        super().__init__(
            backbone,
            head,
            preprocess=component(preprocess) or KeypointNormalization.of_picture(input_size),
            skeleton=skeleton,
            input_size=input_size,
            output_keypoints=output_keypoints,
            parts={
                "traj_backbone": traj_backbone,
                "traj_head": traj_head,
                "semi_loss": semi_loss,
            },
            **kwargs,
        )
        check_parts(self.head.codec, self.traj_head, self.semi_loss)

    @property
    def frames(self) -> int:
        """How many frames the network reads at once."""
        return self.backbone.frames

    def build(self, input_shape=None):
        if self.built:
            return
        shape = (None, self.frames, self.skeleton.num_keypoints, 2)
        outputs = self.call(symbolic(shape, "float32"))
        # One frame of a window, or all of them.
        self.output_frames = outputs["coordinates"].shape[1]
        self.built = True

    def call(self, keypoints, training=None):
        self._check_size(keypoints)
        x = self.preprocess(keypoints)
        features = self.backbone(x, training=training)
        outputs = self.head(features, training=training)
        if self.traj_head is not None:
            if self.traj_backbone is not None:
                features = self.traj_backbone(x, training=training)
            trajectory = self.traj_head(features, training=training)
            outputs = {**outputs, "trajectory": trajectory["coordinates"]}
        return outputs

    def mirrored(self, keypoints):
        """The poses of the mirrored picture."""
        flips = ops.convert_to_tensor(np.asarray(self.skeleton.flip_indices, "int32"))
        x = ops.take(ops.cast(keypoints, "float32"), flips, axis=2)
        return ops.concatenate([self.input_size[0] - x[..., :1], x[..., 1:]], axis=-1)

    def to_input(self, keypoints: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """Keypoints `(..., 2)` in pixels of a picture of a size (width, height) as input pixels.

        The middle of the picture comes to the middle, its width to the width.
        """
        try:
            size = np.asarray(image_size, np.float64)
        except (TypeError, ValueError):
            size = np.zeros(0)
        if size.shape != (2,) or not (size > 0).all() or not np.isfinite(size).all():
            raise ValueError(f"image_size must be (width, height) in pixels, got {image_size!r}")
        scale = self.input_size[0] / size[0]
        middle = np.asarray(self.input_size) / 2
        return ((np.asarray(keypoints) - size / 2) * scale + middle).astype(np.float32)

    def lift(
        self,
        keypoints,
        visible=None,
        image_size: tuple[int, int] | None = None,
        skeleton: Skeleton | str | None = None,
        mapping: Mapping | None = None,
        flip_test: bool = False,
        batch_size: int = 16,
    ) -> np.ndarray:
        """The 3D poses of one person over the frames of a video.

        Windows at both ends repeat the first and the last frame. Missing keypoints are filled in
        from the frames around them.

        Args:
            keypoints: `(F, K, 2)`, pixels of the video; NaN where one is missing.
            visible: `(F, K)`, for networks that read visibility, such as scores. Default: 1.
            image_size: (width, height) of the video in pixels; default: `input_size`.
            skeleton: of the keypoints; default: the lifter's.
            mapping: {keypoint of the lifter: one of `skeleton` or several, whose mean it is} where
                the skeletons differ, beyond what is known for "coco" and "h36m".
            flip_test: bool, average with the mirrored poses; twice the time.
            batch_size: int, most windows at a time.

        Returns:
            float32 `(F, K, 3)`, metres about the root: x to the right, y down, z away from the
            camera.

        Raises:
            ValueError: for wrong shapes, a skeleton without a mapping, or keypoints that are
                missing in all frames.
        """
        source = self.skeleton if skeleton is None else Skeleton.resolve(skeleton)
        points, shown = checked_track(keypoints, visible, source.num_keypoints)
        points, shown = mapped(points, shown, source, self.skeleton, mapping)
        if not len(points):
            return np.zeros((0, self.output_skeleton.num_keypoints, 3), np.float32)
        points, shown = without_gaps(points, shown)
        points = self.to_input(points, self.input_size if image_size is None else image_size)
        if getattr(self.preprocess, "visibility", False):
            points = np.concatenate([points, shown[..., None]], -1)
        frames, kept = self._windows(len(points))
        found = self.predict_padded(points[frames], batch_size, flip_test=flip_test)["keypoints"]
        poses = np.zeros((len(points), *found.shape[2:]), np.float32)
        # Where windows overlap, the last one counts.
        for window, numbers in zip(found, kept, strict=True):
            poses[numbers[numbers >= 0]] = window[numbers >= 0]
        return poses

    def predict_poses(
        self,
        poses,
        image_size: tuple[int, int] | None = None,
        mapping: Mapping | None = None,
        flip_test: bool = False,
        batch_size: int = 16,
    ) -> list[PoseResult]:
        """The 3D poses of everybody in a video.

        Args:
            poses: list of `PoseResult`, one a frame, with `track_ids` where a frame has more than
                one person. Poses without a track (-1) are left out.
            image_size: (width, height) of the video; default: the first that a result states, else
                `input_size`.
            mapping, flip_test, batch_size: see `lift`.

        Returns:
            List of `PoseResult`, one a frame, whose keypoints are `(N, K, 3)`, metres about each
            root, with the same tracks, boxes and scores of the keypoints.

        Raises:
            ValueError: as `lift`, and where it is not known who is who.
        """
        poses = poses if isinstance(poses, PoseResult) else list(poses)
        tracks = track_places(poses)
        if image_size is None:
            image_size = next((p.image_size for p in poses if p.image_size), None)
        count = self.output_skeleton.num_keypoints
        found: list[list[tuple[int, np.ndarray, np.ndarray]]] = [[] for _ in poses]
        for track in sorted(tracks):
            places = tracks[track]
            # A person who is away for some frames is filled in like a missing keypoint.
            first, last = places[0][0], places[-1][0]
            source = poses[first].skeleton
            points = np.full((last - first + 1, source.num_keypoints, 2), np.nan, np.float32)
            shown = np.zeros(points.shape[:2], np.float32)
            for frame, row in places:
                points[frame - first] = poses[frame].keypoints[row, :, :2]
                shown[frame - first] = np.clip(poses[frame].scores[row], 0, 1)
            lifted = self.lift(points, shown, image_size, source, mapping, flip_test, batch_size)
            _, scores = mapped(points, shown, source, self.output_skeleton, mapping)
            for frame, row in places:
                found[frame].append((row, lifted[frame - first], scores[frame - first]))
        results = []
        for result, rows in zip(poses, found, strict=True):
            rows = sorted(rows, key=lambda item: item[0])
            kept = [row for row, _, _ in rows]
            results.append(
                PoseResult(
                    keypoints=np.array([p for _, p, _ in rows]).reshape(-1, count, 3),
                    scores=np.array([s for _, _, s in rows]).reshape(-1, count),
                    skeleton=self.output_skeleton,
                    boxes=None if result.boxes is None else result.boxes[kept],
                    box_scores=None if result.box_scores is None else result.box_scores[kept],
                    track_ids=None if result.track_ids is None else result.track_ids[kept],
                    image_size=result.image_size,
                )
            )
        return results

    def get_config(self):
        config = {
            **super().get_config(),
            "traj_backbone": serialized(self.traj_backbone),
            "traj_head": serialized(self.traj_head),
            "semi_loss": serialized(self.semi_loss),
        }
        del config["neck"]
        return config

    def _windows(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames `(W, T)` of the windows of a film, and the frame `(W, N)` that each output is, -1
        for none."""
        if self.output_frames == self.frames:
            length = min(count, self.frames)
            starts = [*range(0, count - length, length), count - length]
            frames = np.array(starts)[:, None] + np.arange(length)
            return frames, frames
        lost = self.frames - self.output_frames
        before = lost if getattr(self.backbone, "causal", False) else lost // 2
        length = next((n for n in _CHUNKS if n >= count), _CHUNKS[-1])
        starts = np.arange(0, count, length)[:, None]
        frames = np.clip(starts - before + np.arange(length + lost), 0, count - 1)
        kept = starts + np.arange(length)
        return frames, np.where(kept < count, kept, -1)

    def _check_size(self, keypoints):
        count = self.skeleton.num_keypoints
        shape = tuple(keypoints.shape)
        if len(shape) != 4 or shape[2] != count or shape[3] not in (2, 3):
            raise ValueError(
                f"poses must be (B, T, {count}, 2), or 3 with their visibility, got shape {shape}"
            )

    def _checked_labels(self, y) -> dict:
        if not isinstance(y, dict):
            raise ValueError(
                "training needs labels as a dict with keypoints_3d (B, N, K, 3) in metres and "
                f"visible_3d (B, N, K), got {type(y).__name__}"
            )
        wanted = self.head.codec.label_keys
        missing = [key for key in wanted if key not in y]
        if missing:
            camera = "; the films need cameras" if missing[0] in ("focal", "center") else ""
            raise ValueError(f"the labels lack {missing[0]!r}{camera}; there are {', '.join(y)}")
        keys = [*wanted, *(key for key in ("weights", "factor") if key in y)]
        labels = {key: ops.cast(ops.convert_to_tensor(y[key]), "float32") for key in keys}
        shape, count = tuple(labels["keypoints_3d"].shape), self.skeleton.num_keypoints
        if len(shape) != 4 or shape[1:] != (self._label_frames(shape), count, 3):
            raise ValueError(
                f"labels: keypoints_3d must be (B, {self.output_frames}, {count}, 3), a pose for "
                f"every frame that the network puts out, got shape {shape}"
            )
        visible = labels["visible_3d"]
        labels["keypoints_3d"] = ops.where(visible[..., None] > 0, labels["keypoints_3d"], 0.0)
        if "image_size" in labels:
            size = ops.convert_to_tensor(np.float32(self.input_size))
            labels["image_size"] = ops.where(labels["image_size"] > 0, labels["image_size"], size)
        return {**labels, "visible": visible}

    def _label_frames(self, shape):
        """Networks that put out all frames may be trained with fewer."""
        return shape[1] if self.output_frames == self.frames else self.output_frames

    def loss_terms(self):
        others = [self.traj_head and self.traj_head.loss_module, self.semi_loss]
        return sum((loss.terms for loss in others if loss is not None), super().loss_terms())

    def compute_loss(self, x=None, y=None, y_pred=None, *args, **kwargs):
        """See `PoseEstimator.compute_loss`; with a `semi_loss`, `x` is read too."""
        if self.semi_loss is not None and isinstance(y, dict):
            y_pred = {**y_pred, **seen(x, y, getattr(self.backbone, "causal", False))}
        return super().compute_loss(x, y, y_pred, *args, **kwargs)

    def _compare(self, targets, outputs, training):
        if self.semi_loss is None:
            return self._supervised(targets, outputs, training)
        targets, known, share = labelled_only(targets, outputs)
        factor = 1 / ops.where(share > 0, share, 1.0)
        terms = self._supervised(targets, known, training)
        terms = {name: value * factor for name, value in terms.items()}
        codec, labelled = self.head.codec, targets["labelled"]
        return {**terms, **unlabelled_terms(self.semi_loss, codec, labelled, outputs)}

    def _supervised(self, targets, outputs, training):
        terms = super()._compare(targets, outputs, training)
        if self.traj_head is None:
            return terms
        wanted = {"coordinates": targets["trajectory"], "weights": targets["trajectory_weights"]}
        found = {"coordinates": outputs["trajectory"]}
        return {**terms, **self.traj_head.loss_module(wanted, found)}

    def _track(self, labels, targets, outputs):
        """The mean distance in metres, with the roots laid on each other."""
        codec = self.head.codec
        points = labels["keypoints_3d"]
        found = codec.decode({**targets, **outputs})["keypoints"]
        error = (found - codec.root(found)) - (points - codec.root(points))
        distance = ops.sqrt(ops.sum(ops.square(error), axis=-1))
        counted = ops.cast(labels["visible"] > 0, "float32")
        self._accuracy.update_state(distance, sample_weight=counted)
