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
from keras_pose.datasets.doctor.pairing import paired
from keras_pose.estimators import TopdownEstimator
from keras_pose.skeleton import Skeleton

# A keypoint counts as found within this fraction of the input's longer side.
_PCK = 0.05
# Time is looked at after so many steps.
_STEPS_PER_EPOCH = 5

# Findings of the doctor that explain a failure of the training by themselves.
CAUSES = ("coordinate-form", "swap-data", "swap-names")


@dataclass(frozen=True)
class OverfitReport:
    """What a short training on few samples showed. Shares of keypoints found (PCK) are 0..1.

    Attributes:
        samples, steps: how many; seconds: the training took.
        loss_first, loss_last: means over the first and the last tenth of the steps.
        in_crop: share of the labelled keypoints that lie in their crops.
        extent: median of the keypoints' extent over the crop's longer side.
        preset_pck: found by the preset before training, of the keypoints that it knows by name;
            preset_pck_swapped: the same with left and right exchanged. None if it knows none.
        pck_before, pck_after: found before and after training.
        pck_flip_test: after, averaged with the mirrored crops.
        pck_mirrored: after, on the mirrored crops alone, under the skeleton's swap pairs;
            pck_mirrored_suggested: under the pairs that fit these predictions best.
        suggested: those pairs, where they differ, as texts.
        problems: sentences; empty if all fits together.
    """

    samples: int
    steps: int
    seconds: float
    loss_first: float
    loss_last: float
    in_crop: float
    extent: float
    preset_pck: float | None
    preset_pck_swapped: float | None
    pck_before: float
    pck_after: float
    pck_flip_test: float
    pck_mirrored: float
    pck_mirrored_suggested: float
    suggested: tuple[str, ...]
    problems: tuple[str, ...] = ()

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
            f"  mirrored crops   {self.pck_mirrored:.2f} under the skeleton's pairs, "
            f"{self.pck_mirrored_suggested:.2f} under those that fit best",
            f"  crops            hold {self.in_crop:.0%} of the labelled keypoints, which extend "
            f"over {self.extent:.0%} of them",
        ]
        if self.preset_pck is not None:
            lines.append(
                f"  preset untrained {self.preset_pck:.2f} of the keypoints that it knows by name, "
                f"{self.preset_pck_swapped:.2f} with left and right exchanged"
            )
        if self.ok:
            lines.append("verdict: labels, crops, swap pairs and loss fit together")
        lines += [f"verdict: {problem}" for problem in self.problems]
        return "\n".join(lines)


# (holds, sentence) of a report; sentences are formatted with its attributes.
_PROBLEMS = (
    (
        lambda r: r.in_crop < 0.9,
        "{out_of_crop:.0%} of the labelled keypoints lie outside the crops of their boxes: boxes "
        "and keypoints do not belong together",
    ),
    (
        lambda r: r.extent < 0.15,
        "the keypoints of an object extend over {extent:.1%} of its crop: boxes are far too large, "
        "or the keypoints are no pixels",
    ),
    (
        lambda r: (r.preset_pck or 0) + 0.2 < (r.preset_pck_swapped or 0),
        "the preset finds {preset_pck_swapped:.2f} of the keypoints with left and right exchanged, "
        "{preset_pck:.2f} as labelled: the sides of the labels are exchanged",
    ),
    (
        lambda r: not r.loss_last < 0.7 * r.loss_first,
        "the loss does not fall ({loss_first:.4g} -> {loss_last:.4g})",
    ),
    (
        lambda r: r.pck_after < 0.8,
        "the samples are not learnt: {pck_after:.2f} of their keypoints are found after training",
    ),
    (
        # Mirrored crops say nothing where even the crops learnt from are not understood.
        lambda r: (
            r.pck_after >= 0.5
            and r.pck_mirrored_suggested > max(0.5, r.pck_mirrored + 0.15)
            and r.suggested
        ),
        "the swap pairs are wrong: in mirrored crops {pck_mirrored:.2f} of the keypoints are found "
        "under them, {pck_mirrored_suggested:.2f} under {pairs}; the flip test gives "
        "{pck_flip_test:.2f} instead of {pck_after:.2f}",
    ),
)


def overfit(
    dataset: KeypointDataset,
    preset: str | TopdownEstimator,
    samples: int = 8,
    seconds: float = 60.0,
    *,
    most_steps: int = 1000,
    learning_rate: float = 2e-4,
    known: Sequence[str] = (),
    seed: int = 0,
) -> OverfitReport:
    """Trains on a few samples and says whether labels, crop, swap pairs and loss fit together.

    Training turns and resizes the crops a little but never mirrors them. So mirrored crops are new
    to the network, and where its predictions in them come to lie tells which keypoints change
    places, whatever the skeleton says.

    Args:
        dataset: KeypointDataset; its best labelled objects are taken, of different images.
        preset: name of a preset or a TopdownEstimator; if its keypoints are others, the layers
            that depend on them start anew.
        samples: int. Default 8.
        seconds: float, how long to train. Default 60; compiling comes on top.
        most_steps: int, where training stops at the latest.
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
    losses = _train(estimator, small, seconds, most_steps, learning_rate, seed)
    taken = time.monotonic() - start
    after = _predicted(estimator, images)
    flip_test = _predicted(estimator, images, flip_test=True)
    mirrored = _predicted(estimator, np.ascontiguousarray(images[:, :, ::-1]))
    mirrored[..., 0] = images.shape[2] - 1 - mirrored[..., 0]
    size = max(estimator.input_size)
    flip = small.skeleton.flip_indices
    suggested = _suggested(mirrored, truth, visible, flip)
    tenth = max(1, len(losses) // 10)
    low = np.where(visible[..., None], truth, np.inf).min(axis=1)
    high = np.where(visible[..., None], truth, -np.inf).max(axis=1)
    inside = ((truth >= 0) & (truth < np.array(estimator.input_size))).all(axis=-1)
    by_name = _by_name(source, small.skeleton, images, truth, visible)
    names = small.skeleton.keypoints
    report = OverfitReport(
        samples=len(small),
        steps=len(losses),
        seconds=taken,
        loss_first=float(np.mean(losses[:tenth])),
        loss_last=float(np.mean(losses[-tenth:])),
        in_crop=float(inside[visible].mean()),
        extent=float(np.median((high - low).max(axis=1)) / size),
        preset_pck=by_name[0],
        preset_pck_swapped=by_name[1],
        pck_before=_found(before, truth, visible, size),
        pck_after=_found(after, truth, visible, size),
        pck_flip_test=_found(flip_test, truth, visible, size),
        pck_mirrored=_found(mirrored[:, flip], truth, visible, size),
        pck_mirrored_suggested=_found(mirrored[:, suggested], truth, visible, size),
        suggested=tuple(
            f"{names[i]} - {names[j]}" if i != j else f"{names[i]} alone"
            for i, j in enumerate(suggested.tolist())
            if j != flip[i] and i <= j
        ),
    )
    facts = {**asdict(report), "out_of_crop": 1 - report.in_crop}
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


def _suggested(mirrored, truth, visible, flip: np.ndarray) -> np.ndarray:
    """The pairing that brings predictions in mirrored crops nearest to the labels."""
    apart = np.linalg.norm(mirrored[:, :, None] - truth[:, None], axis=-1) ** 2
    both = np.broadcast_to(visible[:, None], apart.shape)
    count = both.sum(axis=0)
    cost = np.where(count > 0, np.where(both, apart, 0).sum(axis=0) / np.maximum(count, 1), np.inf)
    # Keypoints that are never labelled together keep the skeleton's partner.
    suggested = paired(cost)
    return np.where((count > 0).any(axis=0) & (suggested != flip), suggested, flip)


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
