"""Annotation files as checked records: JSON in, columns of numbers out.

Every fault is a ValueError of one sentence that names the file, the record and what to do. Columns
are made as a whole; only when that fails are the records looked at one by one.
"""

import gzip
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# No id, size or position is larger; int64 and float32 hold it.
LARGEST = 2**63 - 1


def load_json(source: str | os.PathLike | Any, name: str | None, kind: str = "annotation"):
    """The content of a JSON file, or what is given instead of a path.

    Args:
        source: path of a `.json` or `.json.gz` file, or its content.
        name: what messages call it. Default: the file's name.
        kind: kind of file, for messages.

    Returns:
        (content, name).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no JSON file.
    """
    if not isinstance(source, str | os.PathLike):
        return source, name or f"{kind}s"
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no {kind} file {path}")
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return json.loads(data), name or path.name
    except (ValueError, EOFError, OSError) as error:
        why = "it is empty" if not path.stat().st_size else error
        raise ValueError(
            f"{path} is not a JSON file: {why}; is it whole? get or write it again"
        ) from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply to be an {kind} file") from None


def check_lists(data: Any, keys: Iterable[str], name: str) -> None:
    """Raises ValueError unless `data` is a dict with these lists of dicts."""
    for key in keys:
        if not isinstance(data, Mapping) or not isinstance(data.get(key), list):
            raise ValueError(
                f"{name} is not in COCO form: it has no list `{key}`; it needs a JSON object with "
                "the lists `images`, `annotations` and `categories`"
            )
        for position, entry in enumerate(data[key]):
            if not isinstance(entry, Mapping):
                raise ValueError(
                    f"{name}: entry {position} of `{key}` must be a JSON object, "
                    f"got {shortened(entry)}; correct it or take it out"
                )


def by_id(entries: Sequence[Mapping], kind: str, name: str) -> dict[int, Mapping[str, Any]]:
    """The records by their `id`, in their order."""
    table = {}
    for position, entry in enumerate(entries):
        number = entry.get("id")
        if not is_id(number):
            raise ValueError(
                f"{name}: {kind} {position} needs an integer `id`, got {shortened(number)}; "
                "give each one of its own"
            )
        if number in table:
            raise ValueError(f"{name}: {kind} id {number} occurs twice; ids must be unique")
        table[number] = entry
    return table


def is_id(value: Any) -> bool:
    """Whether a value is an integer that an int64 array can hold."""
    return type(value) is int and abs(value) <= LARGEST


def scalars(
    rows: Sequence[Mapping],
    key: str,
    default: np.ndarray | float,
    name: str,
    least: float = 0.0,
    kind: str = "annotation",
) -> np.ndarray:
    """A number of every record.

    Args:
        rows: `M` records with an `id`.
        key: of the number; where it is missing or null, `default` (one, or `(M,)`) stands.
        default: see `key`.
        name: what messages call the file.
        least: smallest number that is allowed.
        kind: what messages call a record.

    Returns:
        float64 `(M,)`.
    """
    values = [row.get(key) for row in rows]
    for row, value in zip(rows, values, strict=True):
        if value is not None and not (_is_number(value) and least <= value <= LARGEST):
            raise ValueError(
                f"{name}: `{key}` of {kind} {row['id']} must be a number of at least "
                f"{least:g}, got {shortened(value)}; correct it or leave it out"
            )
    missing = np.array([value is None for value in values], bool)
    numbers = np.array([0.0 if value is None else float(value) for value in values], np.float64)
    return np.where(missing, default, numbers)


def integers(
    rows: Sequence[Mapping], key: str, default: int, name: str, kind: str = "annotation"
) -> np.ndarray:
    """An integer of every record, int64 `(M,)`; `default` where it is missing or null."""
    values = [default if row.get(key) is None else row[key] for row in rows]
    for row, value in zip(rows, values, strict=True):
        if not is_id(value):
            raise ValueError(
                f"{name}: `{key}` of {kind} {row['id']} must be an integer, "
                f"got {shortened(value)}; correct it or leave it out"
            )
    return np.array(values, np.int64)


def vectors(
    rows: Sequence[Mapping], key: str, length: int, name: str, kind: str = "annotation"
) -> np.ndarray:
    """A list of numbers of every record.

    Args:
        rows: `M` records with an `id`.
        key: of the list; lists in lists, such as `[[x, y, v], ...]`, are joined. Null is NaN.
        length: how many numbers it must have.
        name: what messages call the file.
        kind: what messages call a record.

    Returns:
        float32 `(M, length)`; what is too large for float32 is infinite.
    """
    try:
        with np.errstate(over="ignore"):
            array = np.array([row[key] for row in rows], np.float32)
        return array.reshape(len(rows), length)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError):
        for row in rows:
            _check_vector(row, key, length, name, kind)
    with np.errstate(over="ignore"):
        return np.array([joined(row[key]) for row in rows], np.float32)


def _check_vector(row: Mapping, key: str, length: int, name: str, kind: str) -> None:
    value = row.get(key)
    flat = joined(value) if isinstance(value, list) else None
    wrong = [value] if flat is None else [v for v in flat if not (v is None or _is_number(v))]
    if wrong or len(flat) != length:
        got = shortened(wrong[0]) if wrong else f"{len(flat)} numbers"
        raise ValueError(
            f"{name}: `{key}` of every {kind} must be a list of {length} numbers, "
            f"{kind} {row['id']} has {got}; correct it or leave the {kind} out"
        )
    if any(type(number) is int and abs(number) > LARGEST for number in flat):
        raise ValueError(
            f"{name}: `{key}` of {kind} {row['id']} has a number beyond 64 bits; "
            f"correct it or leave the {kind} out"
        )


def joined(value: list) -> list:
    """A list without one level of lists in it: `[[x, y, v], ...]` as `[x, y, v, ...]`."""
    if any(isinstance(part, list) for part in value):
        return [x for part in value for x in (part if isinstance(part, list) else [part])]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def shortened(value: Any, length: int = 60) -> str:
    """A value as messages show it."""
    text = repr(value) if not isinstance(value, list | dict) else f"a {type(value).__name__}"
    return text if len(text) <= length else f"{text[:length]}..."
