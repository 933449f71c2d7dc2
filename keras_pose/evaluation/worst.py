"""Where an estimator errs: objects by size, and a page of the worst."""

import numpy as np

from keras_pose.datasets import KeypointDataset
from keras_pose.evaluation.coco import AREA_RANGES
from keras_pose.evaluation.predictions import PosePredictions
from keras_pose.geometry import oks, xyxy_to_center_scale
from keras_pose.images import read_image
from keras_pose.visualization import contact_sheet, draw_poses


def object_similarities(dataset: KeypointDataset, predictions: PosePredictions) -> np.ndarray:
    """How well each object was found, from 0 to 1.

    Args:
        dataset: KeypointDataset with the annotated objects.
        predictions: poses in image pixels.

    Returns:
        `(M,)`: highest OKS of the image's predictions with the object (with annotated boxes: of its
        own), 0 without any, NaN where nothing is labelled. A skeleton without sigmas is judged as
        if all were 0.1.
    """
    sigmas = dataset.skeleton.sigmas
    sigmas = np.full(dataset.skeleton.num_keypoints, 0.1) if sigmas is None else sigmas
    sides = xyxy_to_center_scale(dataset.boxes)[1]
    areas = np.where(dataset.areas > 0, dataset.areas, sides.prod(1))
    found = np.where(predictions.finite[:, None, None], predictions.keypoints, np.inf)
    by_image = {}
    for row, image in enumerate(predictions.image_ids.tolist()):
        by_image.setdefault(image, []).append(row)
    own = None
    if predictions.ids is not None:
        own = {number: [row] for row, number in enumerate(predictions.ids.tolist())}
    similarities = np.zeros(len(dataset))
    for row, (number, image) in enumerate(
        zip(dataset.ids.tolist(), dataset.image_ids.tolist(), strict=True)
    ):
        rows = by_image.get(image, []) if own is None else own.get(number, [])
        one = slice(row, row + 1)
        if not (dataset.visible[row] > 0).any():
            similarities[row] = np.nan
        elif rows:
            matrix = oks(
                found[rows], dataset.keypoints[one], dataset.visible[one], sigmas, areas[one]
            )
            similarities[row] = matrix.max()
    return similarities


def by_size(dataset: KeypointDataset, similarities: np.ndarray) -> dict[str, tuple[int, float]]:
    """Number of labelled objects and their mean similarity: small, medium and large by COCO."""
    low = AREA_RANGES["medium"][0]
    ranges = {"small": (0, low), "medium": AREA_RANGES["medium"], "large": AREA_RANGES["large"]}
    table = {}
    for name, (start, end) in ranges.items():
        above = dataset.areas >= start if name != "small" else dataset.areas >= 0
        below = dataset.areas < end if name == "small" else dataset.areas <= end
        values = similarities[above & below & np.isfinite(similarities)]
        table[name] = (len(values), float(values.mean()) if len(values) else float("nan"))
    return table


def worst_page(
    dataset: KeypointDataset,
    predictions: PosePredictions,
    similarities: np.ndarray,
    count: int = 12,
) -> np.ndarray:
    """A picture of the images whose objects were found worst, predictions drawn.

    Args:
        dataset, predictions: see `object_similarities`, which gives `similarities` `(M,)`.
        count: images at most.

    Returns:
        uint8 RGB array; the worst object of an image has a red frame, titles say its id and OKS.
    """
    worst = {}
    for row in np.argsort(similarities, kind="stable").tolist():  # NaN last
        image = int(dataset.image_ids[row])
        if np.isfinite(similarities[row]) and image not in worst and len(worst) < count:
            worst[image] = row
    if not worst:
        raise ValueError(f"{dataset.name} has no labelled object to draw")
    pictures = []
    for image, row in worst.items():
        rows = (predictions.image_ids == image) & predictions.finite
        picture = read_image(dataset.image_paths[row])
        picture = draw_poses(picture, predictions.keypoints[rows], None, dataset.skeleton)
        pictures.append(_framed(picture, dataset.boxes[row]))
    titles = [f"object {dataset.ids[row]}: OKS {similarities[row]:.2f}" for row in worst.values()]
    return contact_sheet(pictures, titles=titles)


def _framed(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    import cv2

    corners = np.round(box).astype(int).tolist()
    width = max(1, round(max(picture.shape) / 200))
    return cv2.rectangle(picture, corners[:2], corners[2:], (230, 30, 30), width)
