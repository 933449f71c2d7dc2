"""Top-down estimation: one crop per person, one pose per crop."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_pose.estimators.pose_estimator import PoseEstimator
from keras_pose.geometry import apply_affine, crop_affine, validate_boxes, warp
from keras_pose.images import as_rgb, read_image
from keras_pose.results import PoseResult


@keras.saving.register_keras_serializable(package="keras_pose")
class TopdownEstimator(PoseEstimator):
    """Finds the keypoints of the one person (animal, hand, ...) in each crop.

    Args:
        backbone, head, neck, preprocess: see `ImageModel`.
        skeleton, output_keypoints: see `PoseEstimator`.
        input_size: (width, height) of the crops in pixels.
        box_padding: float, how much larger than its box a crop is.
        udp: bool, whether crops are made by the unbiased warp (https://arxiv.org/abs/1911.07524).

    Example:

    ```python
    estimator = keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")
    poses = estimator.predict_poses("photo.jpg", boxes=[[100, 50, 220, 400]])
    poses.draw("photo.jpg")
    ```
    """

    task = "top-down pose"

    def __init__(
        self,
        backbone,
        head,
        neck=None,
        preprocess=None,
        skeleton="coco",
        input_size=(192, 256),
        box_padding=1.25,
        udp=False,
        output_keypoints=None,
        **kwargs,
    ):
        super().__init__(
            backbone,
            head,
            neck=neck,
            preprocess=preprocess,
            skeleton=skeleton,
            input_size=input_size,
            output_keypoints=output_keypoints,
            **kwargs,
        )
        self.box_padding = float(box_padding)
        self.udp = bool(udp)

    def predict_poses(
        self,
        images,
        boxes=None,
        box_scores=None,
        flip_test: bool = False,
        batch_size: int = 16,
    ) -> PoseResult | list[PoseResult]:
        """Poses in image pixels.

        Args:
            images: a photo or a list of them: paths, or RGB arrays `(H, W, 3)` uint8. Grey, RGBA
                and 16-bit images are converted.
            boxes: for one image `(N, 4)` xyxy in image pixels, for a list a list of them. None
                takes each whole image, unpadded.
            box_scores: for one image `(N,)`, for a list a list of them; copied to the results.
            flip_test: bool, average with the mirrored crops; twice the time.
            batch_size: int, most crops per batch. People of several images share batches.

        Returns:
            A `PoseResult`, or a list of them where `images` is a list. Keypoints are `(N, K, 2)`,
            or `(N, K, 3)` of networks that see depth, whose unit `head.codec.depth` names.

        Raises:
            FileNotFoundError: if a path does not exist.
            ValueError: if an image cannot be read or boxes are not valid.
        """
        if isinstance(images, list | tuple):
            places = [f"[{i}]" for i in range(len(images))]
            return self._predict_list(
                images,
                [None] * len(images) if boxes is None else boxes,
                [None] * len(images) if box_scores is None else box_scores,
                places,
                flip_test,
                batch_size,
            )
        one = self._predict_list([images], [boxes], [box_scores], [""], flip_test, batch_size)
        return one[0]

    def _predict_list(
        self, images, boxes, box_scores, places: Sequence[str], flip_test, batch_size
    ) -> list[PoseResult]:
        for name, values in (("boxes", boxes), ("box_scores", box_scores)):
            if len(values) != len(images):
                raise ValueError(
                    f"{name} must be a list with one entry per image, got {len(values)} for "
                    f"{len(images)} images"
                )
        crops, affines, all_boxes, sizes = [], [], [], []
        for image, one, place in zip(images, boxes, places, strict=True):
            is_path = isinstance(image, str | Path)
            image = read_image(image) if is_path else as_rgb(image, f"images{place}")
            height, width = image.shape[:2]
            whole = one is None
            one = [[0, 0, width, height]] if whole else one
            one = validate_boxes(one, f"boxes{place}", image_size=(width, height))
            affine = crop_affine(
                one, self.input_size, padding=1.0 if whole else self.box_padding, udp=self.udp
            )
            crops.extend(warp(image, matrix, self.input_size) for matrix in affine)
            affines.append(affine)
            all_boxes.append(one)
            sizes.append((width, height))
        decoded = self._decode(crops, flip_test, batch_size)
        results, start = [], 0
        for affine, one, scores, size in zip(affines, all_boxes, box_scores, sizes, strict=True):
            span = slice(start, start + len(one))
            start += len(one)
            points = decoded["keypoints"][span, 0]
            flat = apply_affine(affine, points[..., :2])
            hands = (
                {
                    "hand_type": decoded["hand_type"][span],
                    "root_depth": decoded["root_depth"][span, 0],
                }
                if "hand_type" in decoded
                else {}
            )
            results.append(
                PoseResult(
                    keypoints=np.concatenate([flat, points[..., 2:]], axis=-1),
                    scores=decoded["scores"][span, 0],
                    visible=decoded["visible"][span, 0] if "visible" in decoded else None,
                    boxes=one,
                    box_scores=None if scores is None else np.asarray(scores, np.float32),
                    skeleton=self.output_skeleton,
                    image_size=size,
                    **hands,
                )
            )
        return results

    def _decode(self, crops, flip_test, batch_size) -> dict:
        if crops:
            return self.predict_padded(np.stack(crops), batch_size, flip_test=flip_test)
        count = self.output_skeleton.num_keypoints
        dimensions = 2 if self.head.codec.depth is None else 3
        return {
            "keypoints": np.zeros((0, 1, count, dimensions), np.float32),
            "scores": np.zeros((0, 1, count), np.float32),
        }

    def get_config(self):
        return {**super().get_config(), "box_padding": self.box_padding, "udp": self.udp}
