"""Several data sets as one: keypoints mapped to one skeleton, sources mixed in chosen ratios."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.datasets.transforms.keypoint_mapping import KeypointMapping, Pair
from keras_pose.skeleton import Skeleton


def combine(
    datasets: Sequence[KeypointDataset],
    ratios: Sequence[float] | None = None,
    skeleton: Skeleton | str | Mapping | None = None,
    mappings: Sequence[Iterable[Pair] | KeypointMapping | None] | None = None,
    batch_ratios: Sequence[float] | None = None,
    name: str = "combined",
) -> "CombinedDataset":
    """Joins data sets, one after the other.

    Args:
        datasets: KeypointDatasets.
        ratios: floats, how often an epoch shows each data set: 0.5 half of its objects, other ones
            in each epoch, 2 all of them twice. Default: once.
        skeleton: Skeleton, name, path or dict of the result. Default: the first data set's.
        mappings: for each data set how its keypoints become the skeleton's: pairs (source, target)
            or ((source, source), target) for the middle of two, each by name or index; a
            KeypointMapping; or None, by names that agree. Default: all by name.
        batch_ratios: floats, how many objects of a batch come from each data set, e.g. `[3, 1]`;
            instead of `ratios`. A data set that is used up begins again.
        name: str, for messages and reports.

    Returns:
        A CombinedDataset. Keypoints that a data set does not have are not visible there. `ids` and
        `image_ids` count from 1 anew; `extras` hold `source`, the number of a row's data set,
        `source_ids` and `source_image_ids`, and the columns that all data sets have. `annotations`
        are made of the arrays; for numbers to be compared, evaluate the data sets one by one.

    Raises:
        ValueError: for no data sets, or ratios or mappings that do not fit.

    Example:
        >>> people = combine([coco, aic], ratios=[1, 0.5])
        >>> train = topdown_dataset(people, estimator, training=True)
    """
    if not datasets:
        raise ValueError("combine needs at least one data set")
    for what, values in (("ratios", ratios), ("batch_ratios", batch_ratios)):
        _check_ratios(what, values, datasets)
    if ratios is not None and batch_ratios is not None:
        raise ValueError("say either ratios (of an epoch) or batch_ratios (of each batch)")
    skeleton = Skeleton.resolve(datasets[0].skeleton if skeleton is None else skeleton)
    if mappings is None:
        mappings = [None] * len(datasets)
    if len(mappings) != len(datasets):
        raise ValueError(f"mappings must be {len(datasets)}, one a data set, got {len(mappings)}")
    parts = [_part(*part, skeleton) for part in zip(datasets, mappings, strict=True)]
    counts = [len(dataset.images) for dataset in datasets]
    starts = np.cumsum([1, *counts[:-1]])
    images = ImageTable(
        np.concatenate([dataset.images.paths for dataset in datasets]),
        np.arange(1, 1 + sum(counts)),
        np.concatenate([dataset.images.sizes for dataset in datasets]),
    )
    ignored = {
        int(start + dataset.images.rows(np.array([image]))[0]): regions
        for start, dataset in zip(starts, datasets, strict=True)
        for image, regions in dataset.ignored.items()
    }
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    extras = _common_extras(datasets) | {
        "source": np.repeat(np.arange(len(datasets)), [len(dataset) for dataset in datasets]),
        "source_ids": columns.pop("ids"),
        "source_image_ids": columns.pop("image_ids"),
    }
    image_ids = [
        start + dataset.images.rows(dataset.image_ids)
        for start, dataset in zip(starts, datasets, strict=True)
    ]
    return CombinedDataset(
        skeleton,
        image_ids=np.concatenate(image_ids),
        **columns,
        extras=extras,
        images=images,
        ignored=ignored,
        name=name,
        sources=[dataset.name for dataset in datasets],
        ratios=ratios,
        batch_ratios=batch_ratios,
    )


class CombinedDataset(KeypointDataset):
    """A KeypointDataset that knows which data set each row is of, and how to mix them.

    Args:
        *args, **kwargs: as `KeypointDataset`; `extras` has the column `source`.
        sources: names of the data sets.
        ratios, batch_ratios: see `combine`.
    """

    def __init__(
        self,
        *args,
        sources: Sequence[str],
        ratios: Sequence[float] | None = None,
        batch_ratios: Sequence[float] | None = None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.sources = list(sources)
        self.ratios = ratios
        self.batch_ratios = batch_ratios

    def epoch_rows(self, epoch: int, seed: int = 0) -> np.ndarray:
        """The rows that an epoch shows, source after source, in their order.

        A source of `M` rows with the ratio `r` gives `round(M r)` of them: as many stretches of
        equal length, and a random row of each, as MMPose's `sample_ratio_factor` draws them.

        Args:
            epoch, seed: int; they decide what is drawn.

        Returns:
            int64 array, of the same length in every epoch.
        """
        if self.ratios is None:
            return np.arange(len(self))
        rows = []
        for source, ratio in enumerate(self.ratios):
            own = self._rows_of(source)
            count = round(len(own) * ratio)
            draws = Draws(seed, epoch, np.arange(count)).uniform(f"source {source}")
            rows.append(own[spread(len(own), count, draws)] if count else own[:0])
        return np.concatenate(rows)

    def batch_rows(
        self,
        epoch: int,
        seed: int,
        batch_size: int,
        shuffle: bool = True,
        round_up: bool = True,
    ) -> np.ndarray:
        """The rows of an epoch's batches, each mixed of the sources as `batch_ratios` says.

        Each source is a stream without end, in a new random order each time round; an epoch goes on
        where the last one stopped.

        Args:
            epoch, seed: int.
            batch_size: int. What its division by the ratios leaves over goes to the first source.
            shuffle: bool. Default on.
            round_up: bool, an epoch has at least as many rows as there are objects (default), or
                at most.

        Returns:
            int64 array, batch after batch; in a batch source after source.
        """
        ratios = np.asarray(self.batch_ratios, np.float64)
        counts = (batch_size * ratios / ratios.sum()).astype(np.int64)
        counts[0] += batch_size - counts.sum()
        batches = -(-len(self) // batch_size) if round_up else len(self) // batch_size
        parts = []
        for source, count in enumerate(counts.tolist()):
            own = self._rows_of(source)
            if count and not len(own):
                raise ValueError(
                    f"{self.name}: {self.sources[source]} has no objects, batch_ratios asks for "
                    f"{count} in a batch"
                )
            needed = np.arange(epoch * batches * count, (epoch + 1) * batches * count)
            rounds, places = np.divmod(needed, max(len(own), 1))
            if shuffle:
                for number in np.unique(rounds):
                    order = np.random.default_rng((seed, source, number)).permutation(len(own))
                    places[rounds == number] = order[places[rounds == number]]
            parts.append(own[places].reshape(batches, count))
        return np.concatenate(parts, axis=1).reshape(-1)

    def _rows_of(self, source: int) -> np.ndarray:
        return np.flatnonzero(self.extras["source"] == source)

    def _part(self, rows: np.ndarray, images: ImageTable) -> "CombinedDataset":
        part = object.__new__(CombinedDataset)
        part.__dict__.update(self.__dict__)
        part.__dict__.update(super()._part(rows, images).__dict__)
        return part


def spread(total: int, count: int, uniform: np.ndarray) -> np.ndarray:
    """Indices `(count,)` below `total`, one of each of `count` stretches of equal length.

    Args:
        total: int, at least 1.
        count: int; above `total`, indices come several times.
        uniform: floats `(count,)` in 0..1, where in its stretch each index lies.
    """
    gap = (total - 1e-4) / count
    return np.round(gap * np.arange(count) + uniform * gap - 0.5).astype(np.int64)


def _check_ratios(what: str, ratios, datasets: Sequence[KeypointDataset]) -> None:
    if ratios is None:
        return
    good = all(isinstance(r, int | float) and 0 <= r < np.inf for r in ratios)
    if len(ratios) != len(datasets) or not good or not sum(ratios) > 0:
        raise ValueError(
            f"{what} must be {len(datasets)} numbers of at least 0, one a data set and not all 0, "
            f"got {list(ratios)}"
        )


def _part(dataset: KeypointDataset, mapping, skeleton: Skeleton) -> dict[str, Any]:
    """The columns of a data set with the keypoints of the skeleton."""
    columns = {field: getattr(dataset, field) for field in KeypointDataset.FIELDS}
    columns["image_paths"] = dataset.image_paths
    if mapping is None and dataset.skeleton.keypoints == skeleton.keypoints:
        return columns
    if not isinstance(mapping, KeypointMapping):
        try:
            mapping = KeypointMapping.between(dataset.skeleton, skeleton, mapping)
        except ValueError as error:
            raise ValueError(f"{dataset.name}: {error}") from None
    keypoints, visible = mapping(dataset.keypoints, dataset.visible)
    number = (visible > 0).sum(axis=-1)
    return {**columns, "keypoints": keypoints, "visible": visible, "num_keypoints": number}


def _common_extras(datasets: Sequence[KeypointDataset]) -> dict[str, np.ndarray]:
    """The further columns that all data sets have, with rows of the same shape."""
    first = datasets[0].extras
    return {
        key: np.concatenate([dataset.extras[key] for dataset in datasets])
        for key in first
        if all(
            key in dataset.extras and dataset.extras[key].shape[1:] == first[key].shape[1:]
            for dataset in datasets
        )
    }
