"""Does a network learn a handful of samples? If not, labels, crops, pairs or loss do not fit."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from keras_pose.datasets.doctor.pairing import compare_pairings, named_pairing, pairing_text
from keras_pose.datasets.doctor.shapes import as_complex, enough
from keras_pose.estimators import TopdownEstimator
from keras_pose.skeleton import Skeleton

# A keypoint counts as found within this fraction of the input's longer side.
_PCK = 0.05
# Time is looked at after so many steps.
_STEPS_PER_EPOCH = 5
# Of correct data more than 0.9 are found after the default steps; less than this is a failure.
_LEARNT = 0.7
# Another pairing must be better in mirrored crops by so many standard errors over the samples, and
# by this share of the input's size on average; beyond the last number errors count as equal.
_STANDARD_ERRORS, _NEARER, _FAR = 3.0, 0.02, 0.25

# Findings of the doctor that explain a failure of the training by themselves.
CAUSES = ("coordinate-form", "swap-names")


@dataclass(frozen=True)
class OverfitReport:
    """What a short training on few samples showed. Shares of keypoints found (PCK) are 0..1.

    Attributes:
        samples, steps: how many; seconds: the training took.
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
    """

    samples: int
    steps: int
    seconds: float
    loss_first: float
    loss_last: float
    in_crop: float
    extent: float | None
    preset_pck: float | None
    preset_pck_swapped: float | None
    pck_before: float
    pck_after: float
    pck_flip_test: float
    pck_mirrored: float
    pose_distance: float | None
    pose_distance_best: float | None
    suggested: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        lines = [
            f"trained on {self.samples} samples for {self.steps} steps ({self.seconds:.0f} s)",
            f"  loss             {self.loss_first:.4g} -> {self.loss_last:.4g}",
            f"  keypoints found  {self.pck_before:.2f} -> {self.pck_after:.2f}, "
            f"with flip test {self.pck_flip_test:.2f}",
            f"  mirrored crops   {self.pck_mirrored:.2f} under the skeleton's pairs",
            f"  crops            hold {self.in_crop:.0%} of the labelled keypoints"
            + ("" if self.extent is None else f", which extend over {self.extent:.0%} of them"),
        ]
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
        if self.ok and not self.not_judged:
            lines.append("verdict: labels, crops, swap pairs and loss fit together")
        lines += [f"verdict: {problem}" for problem in self.problems]
        return "\n".join(lines)


# (holds, sentence) of a report; sentences are formatted with its attributes.
_PROBLEMS = (
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
    (
        lambda r: r.pck_after < _LEARNT and not r.not_judged,
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
    known: Sequence[str] = (),
    seed: int = 0,
) -> OverfitReport:
    """Trains on a few samples and says whether labels, crop, swap pairs and loss fit together.

    Swap pairs are judged in two ways, and one is enough to call them wrong. All poses of the data
    set: under the right pairs mirrored poses resemble real ones (`pairing.compare_pairings`). And
    the network: training turns and resizes the crops a little but never mirrors them, so where its
    predictions in mirrored crops come to lie tells which keypoints change places. There the
    skeleton's pairs are compared with those of the names, those that the poses suggest and none.

    Args:
        dataset: KeypointDataset; its best labelled objects are taken, of different images.
        preset: name of a preset or a TopdownEstimator; if its keypoints are others, the layers
            that depend on them start anew.
        samples: int. Default 8.
        steps: int, of the training. Default 300.
        seconds: float, when it stops before its last step; compiling comes on top. Default 120. If
            the samples are not learnt by then, that is not judged.
        learning_rate: float, of Adam.
        known: sentences of problems that are known already; they are put first.
        seed: int.

    Returns:
        An OverfitReport.

    Raises:
        ValueError: for a data set without a labelled object.
        ImportError: without TensorFlow, whose tf.data makes the batches.
    """
    keras.utils.set_random_seed(seed)
    small = _best_labelled(dataset, samples)
    source = preset if isinstance(preset, TopdownEstimator) else None
    source = source or TopdownEstimator.from_preset(preset)
    estimator = source.with_skeleton(small.skeleton)
    crops = TopdownCrops(
        small, estimator.input_size, box_padding=estimator.box_padding, udp=estimator.udp
    )
    images, labels = crops.batch(np.arange(len(small)))
    truth, visible = labels["keypoints"][:, 0], labels["visible"][:, 0] > 0
    before = _predicted(estimator, images)
    start = time.monotonic()
    losses = _train(estimator, small, seconds, steps, learning_rate, seed)
    taken = time.monotonic() - start
    after = _predicted(estimator, images)
    flip_test = _predicted(estimator, images, flip_test=True)
    mirrored = _predicted(estimator, np.ascontiguousarray(images[:, :, ::-1]))
    mirrored[..., 0] = images.shape[2] - 1 - mirrored[..., 0]
    size = max(estimator.input_size)
    skeleton = small.skeleton
    flip = skeleton.flip_indices
    fits = _pose_fits(dataset)
    better, evidence = _better_pairing(mirrored, truth, visible, skeleton, fits, size)
    tenth = max(1, len(losses) // 10)
    low = np.where(visible[..., None], truth, np.inf).min(axis=1)
    high = np.where(visible[..., None], truth, -np.inf).max(axis=1)
    inside = ((truth >= 0) & (truth < np.array(estimator.input_size))).all(axis=-1)
    by_name = _by_name(source, small.skeleton, images, truth, visible)
    wide = visible.sum(axis=1) >= 3
    pck_after = _found(after, truth, visible, size)
    not_judged = []
    if len(losses) < steps and pck_after < _LEARNT:
        not_judged.append(
            f"whether the samples can be learnt, because {seconds:g} seconds were over after "
            f"{len(losses)} of {steps} steps"
        )
    report = OverfitReport(
        samples=len(small),
        steps=len(losses),
        seconds=taken,
        loss_first=float(np.mean(losses[:tenth])),
        loss_last=float(np.mean(losses[-tenth:])),
        in_crop=float(inside[visible].mean()),
        extent=float(np.median((high - low)[wide].max(axis=1)) / size) if wide.any() else None,
        preset_pck=by_name[0],
        preset_pck_swapped=by_name[1],
        pck_before=_found(before, truth, visible, size),
        pck_after=pck_after,
        pck_flip_test=_found(flip_test, truth, visible, size),
        pck_mirrored=_found(mirrored[:, flip], truth, visible, size),
        pose_distance=fits[0].distance if fits else None,
        pose_distance_best=fits[1].distance if fits else None,
        suggested=_changes(skeleton, better),
        not_judged=tuple(not_judged),
    )
    facts = {**asdict(report), "out_of_crop": 1 - report.in_crop, "evidence": evidence}
    facts["pairs"] = ", ".join(report.suggested[:6])
    problems = [text.format(**facts) for holds, text in _PROBLEMS if holds(report)]
    return OverfitReport(**{**asdict(report), "problems": (*known, *problems)})


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


def _train(estimator, dataset, seconds, most_steps, learning_rate, seed) -> list[float]:
    """Losses of the steps; stops after a time, not counting the compilation."""
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
    watch = _Watch(seconds)
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
    """Keeps the losses of single steps and stops some seconds after the first."""

    def __init__(self, seconds: float):
        super().__init__()
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
        self.model.stop_training = time.monotonic() > self._end


def _predicted(estimator, images: np.ndarray, **options) -> np.ndarray:
    """Keypoints `(B, K, 2)` in input pixels."""
    outputs = estimator.predict_on_batch(images, **options)
    return np.array(outputs["keypoints"], np.float32)[:, 0, :, :2]


def _found(points, truth, visible, size: int) -> float:
    near = np.linalg.norm(points - truth, axis=-1) < _PCK * size
    return float(near[visible].mean()) if visible.any() else 0.0


def _pose_fits(dataset: KeypointDataset):
    """The skeleton's pairing and the best one by the poses of the whole data set, or None."""
    seen = dataset.visible > 0
    rows = seen.sum(axis=1) >= enough(dataset.skeleton.num_keypoints)
    rows &= ~dataset.iscrowd
    if rows.sum() < 10:
        return None
    poses = as_complex(dataset.keypoints[rows].astype(float), seen[rows])
    fits = compare_pairings(poses, seen[rows], dataset.skeleton)
    # Where even the best pairs make no mirror image, poses say nothing about pairs.
    return None if fits is None or fits[2] else fits[:2]


def _better_pairing(mirrored, truth, visible, skeleton: Skeleton, fits, size: int):
    """A pairing `(K,)` that is surely better than the skeleton's, or its own; and why, in words."""
    flip = skeleton.flip_indices
    if fits and not np.array_equal(fits[1].flip, flip) and fits[1].surely_better(fits[0]):
        return fits[1].flip, "mirrored poses of the data set"
    others = [named_pairing(skeleton), np.arange(len(flip)), *([fits[1].flip] if fits else [])]
    error = _mirror_error(mirrored, truth, size, flip)
    best, most = flip, 0.0
    for other in others:
        # Only keypoints whose partner differs tell the two apart.
        told = visible & (other != flip)
        samples = told.any(axis=1)
        if samples.sum() < 3:
            continue
        theirs = _mirror_error(mirrored, truth, size, other)
        gain = np.where(told, error - theirs, 0).sum(axis=1)[samples] / told.sum(axis=1)[samples]
        noise = gain.std(ddof=1) / np.sqrt(len(gain))
        understood = np.median(theirs[told]) < _PCK
        if understood and gain.mean() > max(most, _NEARER, _STANDARD_ERRORS * noise):
            best, most = other, float(gain.mean())
    return best, "predictions in mirrored crops"


def _mirror_error(mirrored, truth, size: int, flip: np.ndarray) -> np.ndarray:
    return np.minimum(np.linalg.norm(mirrored[:, flip] - truth, axis=-1) / size, _FAR)


def _changes(skeleton: Skeleton, pairing: np.ndarray) -> tuple[str, ...]:
    changed = np.flatnonzero(pairing != skeleton.flip_indices)
    return tuple(dict.fromkeys(pairing_text(skeleton.keypoints, pairing, k) for k in changed))


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
