"""DeepLabCut's label tables in HDF5, as pandas writes them, read without pandas and PyTables.

pandas stores the heads of the columns as a pickle, which may name any function; here it may hold
texts, lists and tuples only.
"""

import io
import pickle
from pathlib import Path

import numpy as np


def is_table(path: Path) -> bool:
    """Whether an HDF5 file holds a table of pandas."""
    import h5py

    try:
        with h5py.File(path) as file:
            return bool(_tables(file))
    except Exception:  # h5py does not say which errors damaged files raise
        return False


def read_table(path: Path) -> tuple[list, list, np.ndarray]:
    """A label table; both of pandas' ways of storing one, `fixed` and `table`.

    Returns:
        (individual, keypoint, coordinate) of every column, the names of the rows, and the numbers.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            if not _tables(file):
                raise ValueError("it holds no table of pandas")
            group = _tables(file)[0]
            read = _read_fixed if "block0_values" in group else _read_appendable
            names, columns, rows, values = read(group)
    except Exception as error:  # h5py does not say which errors damaged files raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is not a label table that can be read ({reason:.200}); the CSV of the same "
            "name holds the same labels"
        ) from None
    if len(columns) != values.shape[1] or len(rows) != values.shape[0]:
        raise ValueError(
            f"{path} has {values.shape} numbers for {len(rows)} rows and {len(columns)} columns"
        )
    if not np.isfinite(values[~np.isnan(values)]).all():
        raise ValueError(f"{path} has infinite coordinates")
    heads = []
    for column in columns:
        known = dict(zip(names, column, strict=True))
        heads.append((known.get("individuals", ""), known["bodyparts"], known["coords"]))
    return heads, rows, values


def _tables(file) -> list:
    """The groups that pandas wrote."""
    import h5py

    groups = [group for group in file.values() if isinstance(group, h5py.Group)]
    return [group for group in groups if "pandas_type" in group.attrs]


def _read_fixed(group):
    names, columns = _axis(group, "axis0")
    if len(group["block0_items_label0"]) != len(columns):
        raise ValueError("its columns are of several types")
    _, rows = _axis(group, "axis1")
    return names, columns, ["/".join(row) for row in rows], np.array(group["block0_values"], float)


def _axis(group, axis: str) -> tuple[list[str], list[tuple[str, ...]]]:
    """Names of the levels of an axis and its entries."""
    if f"{axis}_nlevels" not in group.attrs:
        return [axis], [(_text(value),) for value in group[axis][()]]
    names, levels = [], []
    for i in range(int(group.attrs[f"{axis}_nlevels"])):
        values = [_text(value) for value in group[f"{axis}_level{i}"][()]]
        levels.append([values[code] for code in group[f"{axis}_label{i}"][()]])
        name = group.attrs.get(f"{axis}_name{i}", group[f"{axis}_level{i}"].attrs.get("name", ""))
        names.append(_text(name))
    return _named(names), list(zip(*levels, strict=True))


def _read_appendable(group):
    table = group["table"]
    attributes = table.attrs
    columns = _heads(attributes["values_block_0_kind"])
    names = _named([""] * len(columns[0]))
    values = np.array(table["values_block_0"], float)
    levels = _row_levels(table)
    return names, columns, ["/".join(map(_text, row)) for row in zip(*levels, strict=True)], values


def _row_levels(table) -> list:
    """The texts that name the rows: one column of paths, or folder, video and image."""
    fields = table.dtype.names
    names = sorted(name for name in fields if name.startswith("level_")) or ["index"]
    if not set(names) <= set(fields):
        raise ValueError("its rows have no names")
    return [table[name] for name in names]


def _heads(pickled) -> list[tuple[str, ...]]:
    heads = _Plain(io.BytesIO(bytes(pickled))).load()
    if not isinstance(heads, list) or not heads:
        raise ValueError("its columns have no heads")
    heads = [tuple(map(_text, head)) for head in heads]
    if len({len(head) for head in heads}) != 1:
        raise ValueError("the heads of its columns differ in length")
    return heads


class _Plain(pickle.Unpickler):
    """Reads plain data and refuses everything that has a name."""

    def find_class(self, module: str, name: str):
        raise ValueError(f"its columns are described by {module}.{name}, which is not read")


def _named(names: list[str]) -> list[str]:
    """Names of the levels of the columns; where the file has none, by their number."""
    usual = {
        3: ["scorer", "bodyparts", "coords"],
        4: ["scorer", "individuals", "bodyparts", "coords"],
    }
    if {"bodyparts", "coords"} <= set(names):
        return names
    if len(names) in usual:
        return usual[len(names)]
    return names


def _text(value) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
