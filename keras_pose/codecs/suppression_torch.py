"""Suppression of boxes under PyTorch: one operation, where each of hundreds would cost as much."""

import numpy as np
import torch

from keras_pose.geometry import box_nms


@torch.library.custom_op("keras_pose::remaining_boxes", mutates_args=())
def remaining_boxes(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, slots: int
) -> torch.Tensor:
    """Takes boxes one after the other on the host; recorded passes hold it as it is.

    Args:
        boxes: `(B, C, 4)` xyxy, the surest first.
        scores: `(B, C)`, 0 for boxes that are left out.
        iou_threshold: float, boxes with a larger intersection over union are dropped.
        slots: int, survivors per image; of more the weakest are dropped.

    Returns:
        Ranks `(B, slots)` float32 of the survivors, C in empty slots.
    """
    ranks = np.full((len(boxes), slots), boxes.shape[1], "float32")
    sure = (scores > 0).sum(dim=1).tolist()
    for row, count, image in zip(ranks, sure, boxes.cpu().numpy(), strict=True):
        kept = box_nms(image[:count], -np.arange(count), iou_threshold, slots)
        row[: len(kept)] = kept
    return torch.from_numpy(ranks).to(boxes.device)


@remaining_boxes.register_fake
def _(boxes, scores, iou_threshold, slots):
    return boxes.new_empty((boxes.shape[0], slots), dtype=torch.float32)
