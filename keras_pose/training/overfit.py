"""Does a network learn a handful of samples? If not, labels, crops, pairs or loss do not fit."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_pose.datasets import (
    KeypointDataset,
    RandomJitter,
    TopdownAugment,
    TopdownCrops,
    topdown_dataset,
)
from keras_pose.estimators import TopdownEstimator
from keras_pose.skeleton import Skeleton
from keras_pose.training.swap_pairs import (
    better_by_poses,
    better_by_predictions,
    changed_pairs,
    has_pairs,
    pose_fits,
)

# A keypoint counts as found within this fraction of the input's longer side.
_PCK = 0.05
# Time is looked at after so many steps, and whether training can stop after so many.
_STEPS_PER_EPOCH, _STEPS_PER_LOOK = 5, 25
# Share of the keypoints found at which training stops, and below which it has failed at its end.
_ENOUGH, _LEARNT = 0.95, 0.7
_SIDES_UNKNOWN = (
    "whether left and right are exchanged in all labels, because the preset knows fewer than 4 of "
    "these keypoints by name",
)

# Findings of the doctor that explain a failure of the training by themselves.
FORM = "coordinate-form"
CAUSES = (FORM, "swap-names")


@dataclass(frozen=True)
class OverfitReport:
    """What a short training on few samples showed. Shares of keypoints found (PCK) are 0..1.

    Attributes:
        samples, steps: how many; seconds: the training took. No step is made where the labels must
            be corrected first; what training tells is None then.
        loss_first, loss_last: means over the first and the last tenth of the steps.
        in_crop: share of the labelled keypoints that lie in their crops.
        extent: median over the objects with 3 or more labelled keypoints of these keypoints' extent
            over the crop's longer side, None without such objects.
        preset_pck: found by the preset before training, of the keypoints that it knows by name;
            preset_pck_swapped: the same with left and right exchanged. None if it knows none.
        pck_before, pck_after: found before and after training.
        pck_flip_test: after, averaged with the mirrored crops.
        pck_mirrored: after, on the mirrored crops alone, under the skeleton's swap pairs.
        pose_distance, pose_distance_best: mean distance of the data set's mirrored poses to the
            most similar real ones under the skeleton's pairs and under those that fit best (0 the
            same shape, 1 nothing in common). None where too few poses can be compared.
        suggested: swap pairs that are better than the skeleton's, as texts.
        problems: sentences; empty if all fits together.
        not_judged: sentences, what could not be judged and why.
        out_of_time: whether training ended for its time before its steps.
    """

    samples: int
    in_crop: float
    extent: float | None
    preset_pck: float | None
    preset_pck_swapped: float | None
    pck_before: float
    pose_distance: float | None
    pose_distance_best: float | None
    steps: int = 0
    seconds: float = 0.0
    loss_first: float | None = None
    loss_last: float | None = None
    pck_after: float | None = None
    pck_flip_test: float | None = None
    pck_mirrored: float | None = None
    suggested: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    out_of_time: bool = False

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        head = f"trained on {self.samples} samples for {self.steps} steps ({self.seconds:.0f} s)"
        found = f"{self.pck_before:.2f}"
        if self.steps:
            found += f" -> {self.pck_after:.2f}, with flip test {self.pck_flip_test:.2f}"
        lines = [head if self.steps else f"looked at {self.samples} samples, not trained"]
        if self.steps:
            lines.append(f"  loss             {self.loss_first:.4g} -> {self.loss_last:.4g}")
        lines.append(f"  keypoints found  {found}")
        if self.steps:
            lines.append(f"  mirrored crops   {self.pck_mirrored:.2f} under the skeleton's pairs")
        lines.append(
            f"  crops            hold {self.in_crop:.0%} of the labelled keypoints"
            + ("" if self.extent is None else f", which extend over {self.extent:.0%} of them")
        )
        if self.pose_distance is not None:
            lines.append(
                f"  mirrored poses   {self.pose_distance:.3f} from real ones under the skeleton's "
                f"pairs, {self.pose_distance_best:.3f} under those that fit best"
            )
        if self.preset_pck is not None:
            lines.append(
                f"  preset untrained {self.preset_pck:.2f} of the keypoints that it knows by name, "
                f"{self.preset_pck_swapped:.2f} with left and right exchanged"
            )
        lines += [f"not judged: {sentence}" for sentence in self.not_judged]
        if self.ok and self.pck_after >= _LEARNT:
            lines.append("verdict: labels, crops, swap pairs and loss fit together")
        lines += [f"verdict: {problem}" for problem in self.problems]
        return "\n".join(lines)


# (holds, sentence) of a report; sentences are formatted with its attributes. Of the first ones
# nothing is learnt by training.
_PROBLEMS_OF_LABELS = (
    (
        lambda r: r.in_crop < 0.9,
        "{out_of_crop:.0%} of the labelled keypoints lie outside the crops of their boxes: boxes "
        "and keypoints do not belong together, or the keypoints are no pixels",
    ),
    (
        lambda r: r.extent is not None and r.extent < 0.3,
        "the keypoints of an object extend over {extent:.1%} of its crop: boxes are far too large "
        "(corners read as width and height?), or the keypoints are no pixels",
    ),
    (
        lambda r: (r.preset_pck or 0) + 0.2 < (r.preset_pck_swapped or 0),
        "the preset finds {preset_pck_swapped:.2f} of the keypoints with left and right exchanged, "
        "{preset_pck:.2f} as labelled: the sides of the labels are exchanged",
    ),
)
_PROBLEMS = (
    *_PROBLEMS_OF_LABELS,
    (
        lambda r: r.steps and r.pck_after < _LEARNT and not r.out_of_time,
        "the samples are not learnt: {pck_after:.2f} of their keypoints are found after {steps} "
        "steps, the loss went from {loss_first:.4g} to {loss_last:.4g}",
    ),
    (
        lambda r: r.suggested,
        "the swap pairs are wrong: {evidence} fit the pairs {pairs} better than the skeleton's",
    ),
)


def overfit(
    dataset: KeypointDataset,
    preset: str | TopdownEstimator,
    samples: int = 8,
    steps: int = 300,
    seconds: float = 120.0,
    *,
    learning_rate: float = 2e-4,
    known: Mapping[str, str] | None = None,
    seed: int = 0,
) -> OverfitReport:
    """Trains on a few samples and says whether labels, crop, swap pairs and loss fit together.

    Swap pairs are judged in two ways, and one is enough to call them wrong. All poses of the data
    set: under the right pairs mirrored poses resemble real ones (`pairing.compare_pairings`). And
    the network: training turns and resizes the crops a little but never mirrors them, so where its
    predictions in mirrored crops come to lie tells which keypoints change places. There the
    skeleton's pairs are compared with those of the names and those that the poses suggest.

    Training stops early once the samples are learnt, and is left out where labels lie outside their
    crops, fill next to nothing of them or have their sides exchanged: first these are to be mended.

    Args:
        dataset: KeypointDataset; its best labelled objects are taken, of different images.
        preset: name of a preset or a TopdownEstimator; if its keypoints are others, the layers
            that depend on them start anew.
        samples: int. Default 8.
        steps: int, of the training. Default 300.
        seconds: float, when it stops before its last step; compiling comes on top. Default 120. If
            the samples are not learnt by then, that is not judged.
        learning_rate: float, of Adam.
        known: findings of the doctor, name to sentence, that explain a failure; they are put first.
            With that of a wrong form of coordinates nothing is trained.
        seed: int.

    Returns:
        An OverfitReport.

    Raises:
        ValueError: for a data set without a labelled object.
        ImportError: without TensorFlow, whose tf.data makes the batches.
    """
    keras.utils.set_random_seed(seed)
    known = dict(known or {})
    small = _best_labelled(dataset, samples)
    source = preset if isinstance(preset, TopdownEstimator) else None
    source = source or TopdownEstimator.from_preset(preset)
    estimator = source.with_skeleton(small.skeleton)
    crops = TopdownCrops(
        small, estimator.input_size, box_padding=estimator.box_padding, udp=estimator.udp
    )
    images, labels = crops.batch(np.arange(len(small)))
    truth, visible = labels["keypoints"][:, 0], labels["visible"][:, 0] > 0
    size = max(estimator.input_size)
    low = np.where(visible[..., None], truth, np.inf).min(axis=1)
    high = np.where(visible[..., None], truth, -np.inf).max(axis=1)
    inside = ((truth >= 0) & (truth < np.array(estimator.input_size))).all(axis=-1)
    by_name = _by_name(source, small.skeleton, images, truth, visible)
    wide = visible.sum(axis=1) >= 3
    fits = pose_fits(dataset)
    better, evidence = better_by_poses(small.skeleton, fits), "mirrored poses of the data set"
    report = OverfitReport(
        samples=len(small),
        in_crop=float(inside[visible].mean()),
        extent=float(np.median((high - low)[wide].max(axis=1)) / size) if wide.any() else None,
        preset_pck=by_name[0],
        preset_pck_swapped=by_name[1],
        pck_before=_found(_predicted(estimator, images), truth, visible, size),
        pose_distance=fits[0].distance if fits else None,
        pose_distance_best=fits[1].distance if fits else None,
        suggested=changed_pairs(small.skeleton, better),
        not_judged=_SIDES_UNKNOWN if by_name[0] is None and has_pairs(small.skeleton) else (),
    )
    if FORM in known or any(holds(report) for holds, _ in _PROBLEMS_OF_LABELS):
        return _judged(report, known, evidence)

    def learnt() -> bool:
        return _found(_predicted(estimator, images), truth, visible, size) >= _ENOUGH

    start = time.monotonic()
    losses = _train(estimator, small, seconds, steps, learning_rate, seed, learnt)
    taken = time.monotonic() - start
    pck_after = _found(_predicted(estimator, images), truth, visible, size)
    mirrored = _predicted(estimator, np.ascontiguousarray(images[:, :, ::-1]))
    mirrored[..., 0] = images.shape[2] - 1 - mirrored[..., 0]
    flip = small.skeleton.flip_indices
    if np.array_equal(better, flip):
        better = better_by_predictions(mirrored, truth, visible, small.skeleton, fits, size)
        evidence = "predictions in mirrored crops"
    tenth = max(1, len(losses) // 10)
    out_of_time = len(losses) < steps and pck_after < _LEARNT
    not_judged = list(report.not_judged)
    if out_of_time:
        not_judged.append(
            f"whether the samples can be learnt, because {seconds:g} seconds were over after "
            f"{len(losses)} of {steps} steps (--seconds)"
        )
    report = replace(
        report,
        steps=len(losses),
        seconds=taken,
        loss_first=float(np.mean(losses[:tenth])),
        loss_last=float(np.mean(losses[-tenth:])),
        pck_after=pck_after,
        pck_flip_test=_found(_predicted(estimator, images, flip_test=True), truth, visible, size),
        pck_mirrored=_found(mirrored[:, flip], truth, visible, size),
        suggested=changed_pairs(small.skeleton, better),
        not_judged=tuple(not_judged),
        out_of_time=out_of_time,
    )
    return _judged(report, known, evidence)


def _judged(report: OverfitReport, known: Mapping[str, str], evidence: str) -> OverfitReport:
    """The report with its problems in words."""
    facts = {**asdict(report), "out_of_crop": 1 - report.in_crop, "evidence": evidence}
    facts["pairs"] = ", ".join(report.suggested[:6])
    if len(report.suggested) > 6:
        facts["pairs"] += f" and {len(report.suggested) - 6} more"
    problems = [text.format(**facts) for holds, text in _PROBLEMS if holds(report)]
    return replace(report, problems=(*known.values(), *problems))


def _best_labelled(dataset: KeypointDataset, count: int) -> KeypointDataset:
    """Objects with most labelled keypoints, first one of every image."""
    labelled = (dataset.visible > 0).sum(axis=1)
    if not labelled.any():
        raise ValueError(f"{dataset.name} has no object with a box and a labelled keypoint")
    # Ties in the file's order would be neighbouring frames.
    order = np.random.default_rng(0).permutation(len(dataset))
    order = order[np.argsort(-labelled[order], kind="stable")]
    order = order[labelled[order] > 0]
    paths = dataset.image_paths[order]
    first = np.sort(np.unique(paths.astype(str), return_index=True)[1])
    rest = np.setdiff1d(np.arange(len(order)), first)
    return dataset[order[np.concatenate([first, rest])[:count]]]


def _train(
    estimator, dataset, seconds, most_steps, learning_rate, seed, learnt: Callable[[], bool]
) -> list[float]:
    """Losses of the steps; stops once learnt, or after a time, not counting the compilation."""
    batches = topdown_dataset(
        dataset,
        estimator,
        batch_size=len(dataset),
        training=True,
        augment=TopdownAugment(
            flip=None,
            half_body=None,
            jitter=RandomJitter(scale_factor=(0.9, 1.1), rotate_factor=30, shift_factor=0.05),
        ),
        seed=seed,
        repeat=True,
    )
    for layer in estimator._flatten_layers():
        # The same few samples in every batch have statistics of their own; with those of the preset
        # the network trains in the form in which it predicts.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    estimator.compile(keras.optimizers.Adam(learning_rate, global_clipnorm=1.0))
    watch = _Watch(seconds, learnt)
    steps = min(_STEPS_PER_EPOCH, most_steps)
    estimator.fit(
        batches,
        steps_per_epoch=steps,
        epochs=max(1, most_steps // steps),
        verbose=0,
        callbacks=[watch],
    )
    return watch.losses


class _Watch(keras.callbacks.Callback):
    """Keeps the losses of single steps; stops once learnt, or some seconds after the first."""

    def __init__(self, seconds: float, learnt: Callable[[], bool]):
        super().__init__()
        self.learnt = learnt
        self.seconds = seconds
        self.losses: list[float] = []
        self._sum = 0.0
        self._end = np.inf

    def on_epoch_begin(self, epoch, logs=None):
        self._sum = 0.0

    def on_train_batch_end(self, batch, logs=None):
        # Keras logs the mean over the epoch so far.
        total = float(logs["loss"]) * (batch + 1)
        self.losses.append(total - self._sum)
        self._sum = total
        if len(self.losses) == 1:
            self._end = time.monotonic() + self.seconds

    def on_epoch_end(self, epoch, logs=None):
        look = len(self.losses) % _STEPS_PER_LOOK == 0
        self.model.stop_training = time.monotonic() > self._end or (look and self.learnt())


def _predicted(estimator, images: np.ndarray, **options) -> np.ndarray:
    """Keypoints `(B, K, 2)` in input pixels."""
    outputs = estimator.predict_on_batch(images, **options)
    return np.array(outputs["keypoints"], np.float32)[:, 0, :, :2]


def _found(points, truth, visible, size: int) -> float:
    near = np.linalg.norm(points - truth, axis=-1) < _PCK * size
    return float(near[visible].mean()) if visible.any() else 0.0


def _by_name(source, skeleton: Skeleton, images, truth, visible) -> tuple:
    """Share of keypoints that the untrained preset finds, as labelled and with sides exchanged."""
    ours = source.output_skeleton
    shared = [name for name in skeleton.keypoints if name in ours.keypoints]
    if len(shared) < 4:
        return None, None
    mine = [ours.index(name) for name in shared]
    theirs = [skeleton.index(name) for name in shared]
    found = _predicted(source, images)
    size = max(source.input_size)
    partners = [int(ours.flip_indices[k]) for k in mine]
    return tuple(
        _found(found[:, indices], truth[:, theirs], visible[:, theirs], size)
        for indices in (mine, partners)
    )
