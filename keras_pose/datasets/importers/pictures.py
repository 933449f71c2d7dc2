"""The image files that labels belong to: finding them, their sizes, and frames as files."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_pose.files import replacing
from keras_pose.images import read_image

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Label Studio puts eight hexadecimal digits before the names of uploaded files.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")


def find_images(
    paths: Sequence[str], roots: Sequence[Path], above: Sequence[Path] = ()
) -> list[Path | None]:
    """The files that a label file means by its paths.

    Labels travel without their images and images get moved and converted, so the paths are read in
    several ways: as they stand below each root, then without their first folders; by their name
    anywhere below the first root; each also with another suffix, and without the prefix that Label
    Studio gives uploads. The first way that finds most files holds for all: never one image by one
    way and another by another. Where two paths would be one file, neither is found.

    Args:
        paths: as in the label file, with either kind of slash.
        roots: folders, the likeliest first.
        above: folders in which only whole paths of several parts count.

    Returns:
        A file or None for every path.
    """
    split = [tuple(part for part in re.split(r"[\\/]+", p) if part not in ("", ".")) for p in paths]
    best: list[Path | None] = [None] * len(paths)
    for lookup in _lookups(paths, split, [root for root in roots if root.is_dir()], above):
        found = [lookup(i) for i in range(len(paths))]
        uses = Counter(found)
        found = [path if uses[path] == 1 else None for path in found]
        if sum(p is not None for p in found) > sum(p is not None for p in best):
            best = found
        if None not in best:
            break
    return best


def _lookups(
    paths: Sequence[str],
    split: Sequence[tuple[str, ...]],
    roots: Sequence[Path],
    above: Sequence[Path],
) -> Iterator[Callable[[int], Path | None]]:
    """Ways of reading paths, each a function from a position in `paths` to a file."""
    existing: dict[Path, dict[str, list[Path]]] = {}

    def names(folder: Path) -> dict[str, list[Path]]:
        """Images in a folder, by name and by name without suffix."""
        if folder not in existing:
            existing[folder] = _table([folder] if folder.is_dir() else [])
        return existing[folder]

    yield lambda i: Path(paths[i]) if os.path.isabs(paths[i]) and _is_file(paths[i]) else None
    depth = max(map(len, split), default=0)
    for root in (*roots, *above):
        least = 1 if root in roots else 2
        yield (
            lambda i, root=root, least=least: (
                _below(root, split[i]) if len(split[i]) >= least else None
            )
        )
    for start in range(1, depth):
        for root in roots:
            yield lambda i, start=start, root=root: _below(root, split[i][start:])
    for spelling in (lambda name: name, _stem, _original, lambda name: _stem(_original(name))):
        for start in range(depth):
            for root in roots:
                yield lambda i, start=start, root=root, spelling=spelling: _spelt(
                    root, split[i][start:], spelling, names
                )
        for root in roots[:1]:
            anywhere = _table(Path(folder) for folder, _, _ in os.walk(root))
            yield lambda i, anywhere=anywhere, spelling=spelling: _only(
                anywhere.get(spelling(split[i][-1]), []) if split[i] else []
            )


def _below(root: Path, parts: tuple[str, ...]) -> Path | None:
    return root.joinpath(*parts) if parts and _is_file(root.joinpath(*parts)) else None


def _spelt(root: Path, parts: tuple[str, ...], spelling, names) -> Path | None:
    if not parts or "\0" in "".join(parts):
        return None
    return _only(names(root.joinpath(*parts[:-1])).get(spelling(parts[-1]), []))


def _only(found: list[Path]) -> Path | None:
    return found[0] if len(found) == 1 else None


def _stem(name: str) -> str:
    return Path(name).stem


def _original(name: str) -> str:
    return _UPLOAD.sub("", name)


def _table(folders) -> dict[str, list[Path]]:
    table: dict[str, list[Path]] = {}
    for folder in folders:
        for entry in os.scandir(folder):
            path = Path(entry.path)
            if path.suffix.lower() in IMAGE_SUFFIXES:
                for key in {path.name, path.stem}:
                    table.setdefault(key, []).append(path)
    return table


def _is_file(path: str | Path) -> bool:
    try:
        return os.path.isfile(path)
    except (OSError, ValueError):  # names that this system does not know
        return False


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder and of those in it, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)


def image_sizes(paths: Sequence[Path]) -> list[tuple[int, int] | str]:
    """(width, height) of image files, upright; for one that does not decode, why not."""

    def size(path: Path) -> tuple[int, int] | str:
        try:
            height, width = read_image(path).shape[:2]
        except (ValueError, OSError) as error:
            return str(error)
        return width, height

    with ThreadPoolExecutor() as pool:
        return list(pool.map(size, paths))


def write_frame(path: Path, frame: np.ndarray) -> tuple[int, int]:
    """Writes a picture as PNG, which loses nothing; makes the folder.

    Args:
        path: of the new file.
        frame: uint8 `(H, W, 1)` grey or `(H, W, 3)` RGB.

    Returns:
        (width, height).
    """
    import cv2

    frame = np.ascontiguousarray(frame[..., ::-1] if frame.shape[-1] == 3 else frame)
    _, data = cv2.imencode(".png", frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return frame.shape[1], frame.shape[0]
