"""Bottom-up and one-stage estimation: all poses of a photo at once, without boxes."""

from pathlib import Path

import keras
import numpy as np

from keras_pose.estimators.pose_estimator import PoseEstimator
from keras_pose.geometry import (
    apply_affine,
    clip_boxes,
    compose_affine,
    invert_affine,
    warp,
)
from keras_pose.geometry.fitting import fit_affine
from keras_pose.images import as_rgb, read_image
from keras_pose.model import Inference
from keras_pose.results import PoseResult

# An input that grows to cover another is at most so many times as long. MMPose 1.3.2 has no limit:
# of a photo of 2000x20 pixels it makes an input of 51200x512.
_LONGEST = 8


@keras.saving.register_keras_serializable(package="keras_pose")
class BottomupEstimator(PoseEstimator):
    """Finds all people (animals, ...) in whole photos, with their keypoints and boxes.

    The codec has a fixed number of slots for people: of more people in one photo those of whom it
    is less sure are left out (`AssociativeEmbedding`: those that it found last).

    Args:
        backbone, head, neck, preprocess: see `ImageModel`.
        skeleton, output_keypoints: see `PoseEstimator`.
        input_size: (width, height) in pixels that photos are resized to, keeping their shape.
        resize_mode: "fit" puts a photo into the middle of the whole input; "expand" covers the
            input, which grows until it is eight times as long; "corner" puts it into the top left
            corner of an input that shrinks around it.
        size_factor: int, sides of inputs are multiples of it. Each size of input is compiled once.
        udp: bool, whether photos are resized by the unbiased warp
            (https://arxiv.org/abs/1911.07524).
        fill: number or one a channel, 0..255, what surrounds a photo.

    Example:

    ```python
    estimator = keras_pose.BottomupEstimator.from_preset("movenet_multipose_coco")
    poses = estimator.predict_poses("crowd.jpg", threshold=0.2)
    poses.draw("crowd.jpg")
    ```
    """

    task = "bottom-up pose"
    # Whose keypoint is whose is only known after decoding.
    metric = None

    def __init__(
        self,
        backbone,
        head,
        neck=None,
        preprocess=None,
        skeleton="coco",
        input_size=(512, 512),
        resize_mode="fit",
        size_factor=32,
        udp=False,
        fill=0,
        output_keypoints=None,
        **kwargs,
    ):
        self.resize_mode = resize_mode
        self.size_factor = int(size_factor)
        self.udp = bool(udp)
        self.fill = tuple(fill) if isinstance(fill, list | tuple) else fill
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
        # Kept out of Keras' tracking, as those of `ImageModel`.
        self.__dict__["_sized"] = {}

    def _check_size(self, images):
        shape, factor = tuple(images.shape), self.size_factor
        if (
            len(shape) != 4
            or shape[3] != 3
            or any(side is None or side < 1 or side % factor for side in shape[1:3])
        ):
            raise ValueError(
                f"images must be (B, H, W, 3) with H and W multiples of {factor}, got shape {shape}"
            )

    def predict_on_batch(self, x, **options):
        """Decoded outputs of one batch in input pixels; see `predict`."""
        self._check_size(x)
        # TensorFlow would otherwise compile one program for all sizes, and decoding needs to know.
        key = (*x.shape[1:3], *sorted(options.items()))
        if key not in self._sized:
            self._sized[key] = Inference(self, **options)
        return self._sized[key].predict_on_batch(x)

    def compute_loss(self, *args, **kwargs):
        """As that of `PoseEstimator`."""
        if self.head.loss_module is None:
            raise ValueError(
                f"{type(self.head).__name__} has no loss to train with: give it a loss_module and "
                "a codec that encodes"
            )
        return super().compute_loss(*args, **kwargs)

    def predict_poses(
        self,
        images,
        threshold: float = 0.1,
        flip_test: bool = False,
        batch_size: int = 8,
    ) -> PoseResult | list[PoseResult]:
        """Poses in image pixels.

        Args:
            images: a photo or a list of them: paths, or RGB arrays `(H, W, 3)` uint8. Grey, RGBA
                and 16-bit images are converted. They may have different sizes: those whose inputs
                have the same size share batches, and a photo's poses do not depend on the others.
            threshold: float in 0..1, people of whom the network is less sure (`box_scores`) are
                left out.
            flip_test: bool, average with the mirrored photos; twice the time.
            batch_size: int, most photos per batch.

        Returns:
            A `PoseResult`, or a list of them where `images` is a list; those of whom the network is
            surest first, without poses where nobody was found.

        Raises:
            FileNotFoundError: if a path does not exist.
            ValueError: if an image cannot be read.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in 0..1, got {threshold}")
        several = isinstance(images, list | tuple)
        inputs, affines, sizes = [], [], []
        for i, image in enumerate(images if several else [images]):
            is_path = isinstance(image, str | Path)
            name = f"images[{i}]" if several else "images"
            image = read_image(image) if is_path else as_rgb(image, name)
            resized, affine = self._resized(image)
            inputs.append(resized)
            affines.append(affine)
            sizes.append(image.shape[1::-1])
        results = [None] * len(inputs)
        for shape in dict.fromkeys(resized.shape for resized in inputs):
            members = [i for i, resized in enumerate(inputs) if resized.shape == shape]
            batch = np.stack([inputs[i] for i in members])
            decoded = self.predict_padded(batch, batch_size, flip_test=flip_test)
            decoded = self._finished(decoded)
            for row, i in enumerate(members):
                poses = {name: values[row] for name, values in decoded.items()}
                results[i] = self._result(poses, affines[i], sizes[i], threshold)
        return results if several else results[0]

    def _finished(self, decoded: dict) -> dict:
        """People, with the keypoints that predictions keep, on the host.

        Where the device's part of decoding ends with people it has selected their keypoints.
        """
        finished = self.head.codec.finish(decoded)
        if "keypoints" in decoded:
            return finished
        return keras.tree.map_structure(keras.ops.convert_to_numpy, self.select_outputs(finished))

    def _resized(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The input that a photo becomes, and the map from it to the photo."""
        import cv2

        height, width = image.shape[:2]
        affine, size = fit_affine(
            (width, height),
            self._size_to_fit(width / height),
            self.resize_mode,
            self.size_factor,
            self.udp,
        )
        # Averages whole blocks of large photos first: the warp reads four pixels only.
        reduction = int(np.abs(affine[:, :2]).max())
        if reduction < 2:
            return warp(image, affine, size, self.fill), affine
        reduced = [max(1, side // reduction) for side in (width, height)]
        factors = np.array([width, height]) / reduced
        to_image = np.c_[np.diag(factors), (factors - 1) / 2]
        image = cv2.resize(image, reduced, interpolation=cv2.INTER_AREA)
        inner = compose_affine(invert_affine(to_image), affine)
        return warp(image, inner, size, self.fill), affine

    def _size_to_fit(self, ratio: float) -> tuple[float, float]:
        """What the input for a photo of a ratio of width to height fits or covers."""
        width, height = self.input_size
        longer = max(ratio * height / width, width / (ratio * height)) / _LONGEST
        shrink = longer if self.resize_mode == "expand" and longer > 1 else 1.0
        return width / shrink, height / shrink

    def _result(self, poses: dict, affine, size, threshold: float) -> PoseResult:
        order = np.argsort(-poses["box_scores"], kind="stable")
        order = order[poses["box_scores"][order] >= max(threshold, np.finfo(np.float32).tiny)]
        corners = poses["boxes"][order].reshape(-1, 2, 2)
        return PoseResult(
            keypoints=apply_affine(affine, poses["keypoints"][order]),
            scores=poses["scores"][order],
            boxes=clip_boxes(apply_affine(affine, corners).reshape(-1, 4), size),
            box_scores=poses["box_scores"][order],
            skeleton=self.output_skeleton,
            image_size=size,
        )

    def get_config(self):
        fill = list(self.fill) if isinstance(self.fill, tuple) else self.fill
        return {
            **super().get_config(),
            "resize_mode": self.resize_mode,
            "size_factor": self.size_factor,
            "udp": self.udp,
            "fill": fill,
        }
