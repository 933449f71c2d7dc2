"""What the losses of one-stage networks share: matched priors, and the terms of boxes and poses.

Sums over positives are divided by their number in the batch, as in MMPose 1.3.2.
"""

from dataclasses import dataclass

from keras import ops

from keras_pose.codecs.decoding import rows_at
from keras_pose.codecs.priors import encode_boxes, input_extent
from keras_pose.losses.assignment import SimOTAAssigner, positives, rows_of_objects
from keras_pose.losses.comparison import ComparisonLoss

# Keypoints that are surer than this say where a person is.
_SURE = 0.3


@dataclass
class Matches:
    """The priors of a batch that have an object, in R = B * S slots, and what they shall learn.

    Args:
        numbers: `(B, P)` int, 0 for the background and 1 + n for object n.
        overlaps: `(B, P)`, the similarity of each prior's keypoints with its object's.
        index: `(B, S)` int, the prior of each slot.
        found: `(R,)`, 1 for slots with a prior, 0 for the others, whose rows mean nothing.
        count: how many slots have one, at least 1.
        similarity: `(R,)`, `overlaps` of the slots.
        priors: `(R, 3)`; `boxes` `(R, 4)` xyxy, `keypoints` `(R, K, 2)`, `visible` `(R, K)`,
            `areas` `(R,)` of its object; `weights` `(R, K)` where the labels have some.
    """

    numbers: object
    overlaps: object
    index: object
    found: object
    count: object
    similarity: object
    priors: object
    boxes: object
    keypoints: object
    visible: object
    areas: object
    weights: object = 1.0

    def rows(self, values):
        """Outputs `(B, P, C)` of the slots' priors: `(R, C)`."""
        return ops.reshape(rows_at(values, self.index), (-1, values.shape[-1]))

    def mean(self, values):
        """The mean of values `(R,)` over slots with a prior."""
        return ops.sum(values * self.found) / self.count

    def where_found(self, values, others):
        """Rows `(R, ...)` of slots with a prior, in the others what has no gradient to lose."""
        mask = ops.reshape(self.found, (-1, *[1] * (len(values.shape) - 1)))
        return ops.where(mask > 0, values, others)


def match(
    assigner: SimOTAAssigner, targets: dict, priors, boxes, keypoints, scores, limit=None
) -> Matches:
    """Gives objects to priors.

    Args:
        assigner: SimOTAAssigner.
        targets: `keypoints`, `visible`, `boxes`, `areas` and `objects` as `SimOTAAssigner` reads
            them; `weights` `(B, N, K)` where there are some.
        priors, boxes, keypoints, scores: see `SimOTAAssigner`.
        limit: int, slots of an image; of more positives the last get none. Default: enough.
    """
    numbers, overlaps = assigner(priors, boxes, keypoints, scores, targets)
    enough = assigner.candidate_topk * targets["visible"].shape[1]
    index, found = positives(numbers, enough if limit is None else min(limit, enough))
    own = ops.cast(rows_at(ops.cast(numbers, "float32")[..., None], index)[..., 0], "int32")

    def rows(values):
        return ops.reshape(values, (-1, *values.shape[2:]))

    def of_objects(values):
        taken = rows_of_objects(values, own)
        mask = ops.reshape(own, (-1, ops.shape(own)[1], *[1] * (len(taken.shape) - 2)))
        return rows(ops.where(mask > 0, taken, 0.0))

    objects = {
        name: of_objects(targets[name])
        for name in ("boxes", "keypoints", "visible", "areas", "weights")
        if name in targets
    }
    found = ops.reshape(found, (-1,))
    return Matches(
        numbers=numbers,
        overlaps=overlaps,
        index=index,
        found=found,
        count=ops.maximum(ops.sum(found), 1.0),
        similarity=rows(rows_at(overlaps[..., None], index))[:, 0],
        priors=rows(rows_at(priors, index)),
        **objects,
    )


def box_term(loss, boxes, matches: Matches):
    """A loss of predicted boxes `(R, 4)` xyxy, summed and divided by the number of positives."""
    boxes = matches.where_found(boxes, matches.boxes)
    return loss.value(boxes, matches.boxes, matches.found) / matches.count


def box_code_term(loss, deltas, matches: Matches):
    """A loss of what the network says of boxes `(R, 4)`, in the units of `decode_boxes`."""
    wanted = encode_boxes(matches.boxes, matches.priors)
    wanted = matches.where_found(wanted, ops.zeros_like(wanted))
    return loss.value(deltas, wanted, matches.found) / matches.count


def visibility_term(loss, logits, matches: Matches):
    """The mean cross entropy of visibilities `(R, K)` over the keypoints of positives."""
    value = loss.value(logits, matches.visible, matches.weights * matches.found[:, None])
    # It averages over all slots.
    return value * (ops.cast(ops.shape(logits)[0], "float32") / matches.count)


def similarity_losses(loss, keypoints, wanted, weights, matches: Matches):
    """An `OKSLoss` of keypoints `(R, K, 2)`: `(R,)`, 0 in slots without a prior."""
    keypoints = matches.where_found(keypoints, wanted)
    areas = matches.where_found(matches.areas, 1.0)
    return loss.value(keypoints, wanted, weights, areas=areas) * matches.found


def outside_weights(targets: dict, priors, keypoints, visibility, extent=None):
    """How much the background of each prior counts: less where the labels say nothing.

    Each prior asks the mask at the mean of the keypoints of which it is sure. What lies outside
    the mask counts, and so do all priors of images without objects.

    MMPose 1.3.2 divides by the mask's width in both directions, which is right for the square
    inputs that it trains with; here heights count downwards.

    Args:
        targets: `masks` `(B, h, w)`, 1 where a loss counts and 0 in regions that nobody labelled,
            over the whole input in any resolution; `objects` `(B, N)`.
        priors: `(B, P, 3)`.
        keypoints: `(B, P, K, 2)` in input pixels, as predicted.
        visibility: `(B, P, K)` logits.
        extent: width and height `(B, 1, 2)` of the mask in input pixels; default: the input's.

    Returns:
        `(B, P)`, 1 everywhere where there are no masks; it has no gradient.
    """
    if "masks" not in targets:
        return ops.ones_like(priors[..., 0])
    sure = ops.cast(ops.sigmoid(visibility) > _SURE, "float32")[..., None]
    place = ops.sum(keypoints * sure, axis=2) / ops.maximum(ops.sum(sure, axis=2), 1e-8)
    place = ops.stop_gradient(place) / ((input_extent(priors) if extent is None else extent) - 1.0)
    missing = _bilinear(1.0 - ops.cast(targets["masks"], "float32"), place)
    anybody = ops.max(targets["objects"], axis=1, keepdims=True) > 0
    return ops.where(anybody, 1.0 - missing, 1.0)


def _bilinear(maps, place):
    """Maps `(B, h, w)` at places `(B, P, 2)`, 0..1 from side to side; 0 outside."""
    height, width = ops.shape(maps)[1:]
    place = ops.where(ops.isfinite(place), ops.clip(place, -2.0, 3.0), -2.0)
    x = place[..., 0] * ops.cast(width, "float32") - 0.5
    y = place[..., 1] * ops.cast(height, "float32") - 0.5
    flat = ops.reshape(maps, (-1, height * width, 1))
    left, top = ops.floor(x), ops.floor(y)
    total = 0.0
    for column in (left, left + 1.0):
        for row in (top, top + 1.0):
            near = (1.0 - ops.abs(x - column)) * (1.0 - ops.abs(y - row))
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = ops.where(inside, row * ops.cast(width, "float32") + column, 0.0)
            total = total + ops.where(inside, rows_at(flat, index)[..., 0] * near, 0.0)
    return total


def check_weighted(**losses: ComparisonLoss) -> None:
    """Refuses losses that do not read weights: slots without a prior would count."""
    for name, loss in losses.items():
        if not loss.weighted:
            raise ValueError(
                f"{name} must read weights, which empty slots have none of: set weighted=True of "
                f"{type(loss).__name__}"
            )
