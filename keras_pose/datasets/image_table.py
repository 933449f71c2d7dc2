"""ImageTable: the images of a data set, also those on which nothing is labelled."""

import os
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ImageTable:
    """The images of a data set as parallel arrays, each image once.

    Args:
        paths: `I` paths.
        ids: ints `(I,)`, unique.
        sizes: ints `(I, 2)`, width and height; 0 where nothing says them.

    Attributes:
        The arguments, as arrays: `paths` of str, `ids` as int64, `sizes` as int32.
    """

    paths: np.ndarray
    ids: np.ndarray
    sizes: np.ndarray

    def __post_init__(self):
        paths = np.array([os.fspath(path) for path in self.paths], dtype=object)
        ids = np.array(self.ids, np.int64).reshape(-1)
        sizes = np.array(self.sizes, np.int32).reshape(-1, 2)
        if not len(paths) == len(ids) == len(sizes):
            raise ValueError(
                f"images need as many paths, ids and sizes, got {len(paths)}, {len(ids)} and "
                f"{len(sizes)}"
            )
        for name, value in (("paths", paths), ("ids", ids), ("sizes", sizes)):
            object.__setattr__(self, name, value)

    @classmethod
    def of_rows(cls, paths: np.ndarray, ids: np.ndarray, sizes: np.ndarray) -> "ImageTable":
        """The images of a data set's rows, in the order in which they first occur."""
        _, first = np.unique(ids, return_index=True)
        first.sort()
        return cls(paths[first], ids[first], sizes[first])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, which) -> "ImageTable":
        """A part of the images: slice, boolean mask `(I,)` or indices."""
        which = np.arange(len(self))[which]
        return ImageTable(self.paths[which], self.ids[which], self.sizes[which])

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Where images stand in the table.

        Args:
            ids: ints `(M,)`.

        Returns:
            int64 `(M,)`; -1 for an id that the table does not have.
        """
        ids = np.asarray(ids, np.int64)
        if not len(self):
            return np.full(ids.shape, -1)
        order = np.argsort(self.ids)
        at = np.searchsorted(self.ids[order], ids).clip(max=len(self) - 1)
        rows = order[at]
        return np.where(self.ids[rows] == ids, rows, -1)
