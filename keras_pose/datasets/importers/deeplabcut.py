"""DeepLabCut projects and label tables, which lightning-pose also writes.

Own reader: of the samples here, sleap-io 0.9.5 sorts the keypoints by name, loses the skeleton of
`config.yaml`, and finds none of the 90 frames of a lightning-pose table.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.datasets.importers.content import (
    HDF5_SIGNATURE,
    beginning,
    number,
    read_text,
    read_yaml,
)
from keras_pose.datasets.importers.deeplabcut_h5 import is_table, read_table
from keras_pose.datasets.importers.labels import (
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)

LEVELS = ("scorer", "individuals", "bodyparts", "coords")
# The individual that carries the keypoints which exist once in the scene, such as a box's corners.
SCENE = "single"
_BODYPARTS = (b"bodyparts:", b"multianimalbodyparts:")


@dataclass
class Table:
    """A label table.

    Args:
        columns: (individual, bodypart, coordinate) of every column; individual is "" in the table
            of a single animal.
        rows: path of the image, as the table has it.
        values: floats `(rows, columns)`, NaN where nothing is labelled.
    """

    columns: list[tuple[str, str, str]]
    rows: list[str]
    values: np.ndarray


def detects(path: Path) -> bool:
    """Whether this is a project folder, its `config.yaml`, or a label table."""
    if path.is_dir():
        config = beginning(path / "config.yaml", 1 << 16)
        return any(key in config for key in _BODYPARTS) or any(path.glob("CollectedData*.csv"))
    start = beginning(path, 1 << 16)
    if start.startswith(HDF5_SIGNATURE):
        return is_table(path)
    if path.suffix in (".yaml", ".yml"):
        return any(key in start for key in _BODYPARTS) and b"kpt_shape" not in start
    return start.removeprefix(b"\xef\xbb\xbf").startswith(b"scorer,")


def read(path: Path) -> Labels:
    """Reads a project folder, its `config.yaml`, or one label table (CSV or H5).

    In a project the tables `labeled-data/*/CollectedData_*.csv` are read, the H5 only where there
    is no CSV. Every labelled point counts as seen: the format does not tell.
    """
    config: dict[str, Any] = {}
    if path.is_dir() and (path / "config.yaml").is_file():
        path = path / "config.yaml"
    if path.suffix in (".yaml", ".yml"):
        config = dict(read_yaml(path))
        tables = _tables(path.parent, config)
    elif path.is_dir():
        tables = sorted(path.glob("CollectedData*.csv"))
    else:
        tables = [path]
    parents = tables[0].resolve().parents
    labels = Labels(roots=[path.resolve().parent] if config else [parents[0]], above=parents[1:4])
    reader = _Reader(labels, config)
    for table in tables:
        reader.add(table)
    return reader.labels


def _tables(project: Path, config: dict[str, Any]) -> list[Path]:
    """The label tables of a project, one a video."""
    tables = []
    for folder in sorted((project / "labeled-data").glob("*")):
        for pattern in (f"CollectedData_{config.get('scorer')}", "CollectedData_*"):
            found = [p for s in (".csv", ".h5") for p in sorted(folder.glob(f"{pattern}{s}"))]
            if found:
                tables.append(found[0])
                break
    if not tables:
        raise FileNotFoundError(
            f"{project} has no label table labeled-data/*/CollectedData_*.csv: label frames first"
        )
    return tables


def read_csv(path: Path) -> Table:
    """A table in CSV: 3 or 4 rows of heads, then a row an image.

    Raises:
        ValueError: the message names file, row and column.
    """
    try:
        lines = [row for row in csv.reader(io.StringIO(read_text(path))) if row]
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file: {error}") from None
    heads = {}
    while lines and lines[0][0] in LEVELS:
        name, *cells = lines.pop(0)
        if name in heads:
            raise ValueError(f"{path} has two rows of heads called {name!r}")
        heads[name] = cells
    if missing := {"bodyparts", "coords"} - heads.keys():
        raise ValueError(f"{path} has no row of heads {sorted(missing)[0]!r}")
    width = len(heads["coords"])
    for name, cells in heads.items():
        if len(cells) != width:
            raise ValueError(f"{path}: row {name!r} has {len(cells)} columns, `coords` {width}")
    # Newer tables split an image's path into three columns, whose heads are empty.
    folders = next((i for i, cell in enumerate(heads["coords"]) if cell), width)
    individuals = heads.get("individuals", [""] * width)
    columns = list(zip(individuals, heads["bodyparts"], heads["coords"], strict=True))[folders:]
    rows, values = [], np.full((len(lines), len(columns)), np.nan)
    for i, line in enumerate(lines):
        if len(line) != width + 1:
            raise ValueError(
                f"{path}: the row of {line[0]!r:.60} has {len(line)} columns, the heads {width + 1}"
            )
        rows.append("/".join(line[: folders + 1]))
        for j, cell in enumerate(line[folders + 1 :]):
            if cell.strip().lower() not in ("", "nan"):
                what = f"{path}: {columns[j][2]} of {columns[j][1]} of {rows[-1]:.60}"
                values[i, j] = number(cell, what)
    return Table(columns, rows, values)


class _Reader:
    """Collects the tables of one project."""

    def __init__(self, labels: Labels, config: dict[str, Any]):
        self.labels = labels
        self.name = str(config.get("Task") or "animal")
        self.listed = {
            "": _names(config, "bodyparts"),
            SCENE: _names(config, "uniquebodyparts"),
        }
        if _names(config, "multianimalbodyparts"):
            self.listed[""] = _names(config, "multianimalbodyparts")
        self.skeleton = config.get("skeleton") or []
        self.kinds: dict[str, int] = {}

    def add(self, path: Path) -> None:
        in_hdf5 = beginning(path, 8) == HDF5_SIGNATURE
        table = Table(*read_table(path)) if in_hdf5 else read_csv(path)
        if table.rows and all(row.isdigit() for row in table.rows):
            raise ValueError(
                f"{path} has frame numbers in place of image paths: it holds a network's "
                "predictions for a video; import the label table CollectedData_*.csv"
            )
        people = dict.fromkeys(column[0] for column in table.columns)
        where = {column: j for j, column in enumerate(table.columns)}
        if len(where) < len(table.columns):
            raise ValueError(f"{path} has two columns of the same bodypart and coordinate")
        if not where:
            raise ValueError(f"{path} has no columns with coordinates")
        groups = []
        for individual in people:
            bodyparts = list(dict.fromkeys(c[1] for c in table.columns if c[0] == individual))
            kind = self._kind(individual, bodyparts, path)
            names = self.labels.kinds[kind].keypoints
            try:
                places = [[where[individual, b, axis] for axis in "xy"] for b in bodyparts]
            except KeyError as error:
                raise ValueError(f"{path} has no column {error.args[0][1:]}") from None
            groups.append((individual, kind, [names.index(b) for b in bodyparts], places))
        for row, values in zip(table.rows, table.values, strict=True):
            image = LabelledImage(row)
            for individual, kind, order, places in groups:
                keypoints = np.zeros((len(self.labels.kinds[kind].keypoints), 3))
                points = values[np.array(places)]
                labelled = np.isfinite(points).all(-1)
                if (half := np.isfinite(points).any(-1) & ~labelled).any():
                    self.labels.skipped.add("keypoints of which only x or only y is there", row)
                keypoints[order, :2] = np.where(labelled[:, None], points, 0)
                keypoints[order, 2] = np.where(labelled, SEEN, 0)
                fields = {"individual": individual} if individual else {}
                if labelled.any() or half.any() or len(groups) == 1:
                    image.objects.append(LabelledObject(kind, keypoints, fields=fields))
            self.labels.images.append(image)

    def _kind(self, individual: str, bodyparts: list[str], path: Path) -> int:
        """The kind of an individual: the animal's, or that of the scene."""
        key = SCENE if individual == SCENE else ""
        if "" in bodyparts:
            raise ValueError(f"{path} has a column without a bodypart")
        if key in self.kinds:
            known = self.labels.kinds[self.kinds[key]].keypoints
        else:
            known = self.listed[key] or bodyparts
            links = self._links(known) if key == "" else []
            self.kinds[key] = len(self.labels.kinds)
            name = f"{self.name}_scene" if key else self.name
            self.labels.kinds.append(Kind(name, known, links))
        if unknown := [name for name in bodyparts if name not in known]:
            others = "config.yaml" if self.listed[key] else "the other tables"
            raise ValueError(
                f"{path} labels {unknown[0]!r}, which is not among the bodyparts of {others}: "
                f"{', '.join(known)!r:.200}"
            )
        return self.kinds[key]

    def _links(self, names: Sequence[str]) -> list[tuple[int, int]]:
        links, lost = [], []
        for link in self.skeleton if isinstance(self.skeleton, list) else []:
            ends = [str(end) for end in link] if isinstance(link, list) else []
            if len(ends) == 2 and set(ends) <= set(names):
                links.append((names.index(ends[0]), names.index(ends[1])))
            else:
                lost.append(str(link))
        if lost:
            self.labels.notes.append(
                f"{len(lost)} links in `skeleton` of config.yaml do not join two bodyparts and "
                f"are left out, for example {lost[0]:.60}"
            )
        return links


def _names(config: dict[str, Any], key: str) -> list[str]:
    names = config.get(key)
    if not isinstance(names, list):  # multi-animal projects write "MULTI!" instead
        return []
    return [str(name) for name in names]
