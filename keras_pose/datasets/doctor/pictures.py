"""Checks of the image files: there, whole, of the size named, and each there once."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_pose.datasets.doctor.contents import Contents, Found, image_size, worded
from keras_pose.images import read_image

# Bits by which the hashes of nearly the same picture differ at most, of 64.
_NEAR = 3


@dataclass(frozen=True)
class Picture:
    """What one file is.

    Attributes:
        path: str.
        problem: "missing", a sentence of the decoder, or None.
        size: (width, height), upright, or None.
        turned: whether its EXIF data turn it by a quarter.
        content: hash of the file's bytes, or None.
        look: 64-bit hash of what it shows (difference hash), or None.
    """

    path: str
    problem: str | None = None
    size: tuple[int, int] | None = None
    turned: bool = False
    content: str | None = None
    look: int | None = None


def look_at(
    images: list, folder: Path, progress: Callable[[int], None] = lambda count: None
) -> list[Picture | None]:
    """Reads every image of a file's list; None for those without a name.

    Args:
        images: entries of the list.
        folder: that `file_name` is relative to.
        progress: called with the number of images done.
    """
    names = [image.get("file_name") for image in images]
    paths = [str(folder / name) if isinstance(name, str) and name else None for name in names]
    wanted = list(dict.fromkeys(path for path in paths if path))
    done = {}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if _linux() else None) as pool:
        for count, (path, picture) in enumerate(
            zip(wanted, pool.map(_picture, wanted), strict=True), 1
        ):
            done[path] = picture
            progress(count)
    return [done.get(path) for path in paths]


def _linux() -> bool:
    return hasattr(os, "sched_getaffinity")


def _picture(path: str) -> Picture:
    import cv2

    if not os.path.isfile(path):
        return Picture(path, "missing")
    content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    try:
        image = read_image(path)
    except (ValueError, OSError) as error:
        return Picture(path, str(error).removeprefix(f"{path} "), content=content)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(int)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    look = int.from_bytes(np.packbits(bits).tobytes(), "big")
    height, width = image.shape[:2]
    return Picture(path, None, (width, height), _turned(path, width, height), content, look)


def _turned(path: str, width: int, height: int) -> bool:
    import cv2

    if width == height or Path(path).suffix.lower() not in (".jpg", ".jpeg", ".png", ".tif"):
        return False
    data = np.fromfile(path, np.uint8)
    # Only the EXIF header tells; where there is none the second decoding is spared.
    if b"Exif" not in data[:4096].tobytes() and b"eXIf" not in data[:4096].tobytes():
        return False
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    stored = cv2.imdecode(data, flags)
    return stored is not None and (stored.shape[1] > stored.shape[0]) != (width > height)


def missing(contents: Contents, pictures: list) -> Found | None:
    bad = [i for i, p in enumerate(pictures) if p and p.problem == "missing"]
    message = worded(f"# of {len(pictures)} image files [is|are] missing.", len(bad))
    return contents.in_images(bad, message, lambda i: f"no file {pictures[i].path}")


def corrupt(contents: Contents, pictures: list) -> Found | None:
    bad = [i for i, p in enumerate(pictures) if p and p.problem not in (None, "missing")]
    message = worded("# image file[|s] cannot be decoded.", len(bad))
    return contents.in_images(bad, message, lambda i: pictures[i].problem)


def turned(contents: Contents, pictures: list) -> Found | None:
    """EXIF turns the picture, and the file names the size of the picture before."""
    bad = [i for i in _other_sizes(contents, pictures) if _is_turned(contents, pictures, i)]
    return contents.in_images(
        bad,
        worded(
            "# image[ is|s are] turned by [its|their] EXIF data, but annotated as stored, lying on "
            "[its|their] side.",
            len(bad),
        ),
        lambda i: _size_text(contents, pictures, i),
    )


def other_sizes(contents: Contents, pictures: list) -> Found | None:
    bad = [i for i in _other_sizes(contents, pictures) if not _is_turned(contents, pictures, i)]
    exchanged = sum(_named(contents, i) == pictures[i].size[::-1] for i in bad)
    message = worded("# image[|s] ha[s|ve] another size than the file says", len(bad))
    message += f"; in {exchanged} of them width and height are exchanged." if exchanged else "."
    return contents.in_images(bad, message, lambda i: _size_text(contents, pictures, i))


def same_pictures(contents: Contents, pictures: list) -> Found | None:
    """Files of equal bytes, which are listed as different images."""
    groups = defaultdict(list)
    for place, picture in enumerate(pictures):
        if picture and picture.content:
            groups[picture.content].append(place)
    twins = {
        place: group[0]
        for group in groups.values()
        for place in group[1:]
        if pictures[place].path != pictures[group[0]].path
    }
    return contents.in_images(
        twins,
        worded(
            "# image[ is|s are] the same file[|s] as [an earlier one|earlier ones] under "
            "[another name|other names].",
            len(twins),
        ),
        lambda i: f"the same as {contents.images[twins[i]].get('file_name')}",
    )


def similar_pictures(contents: Contents, pictures: list) -> Found | None:
    """Pictures that differ by little: neighbouring frames, resized or recompressed copies."""
    near = _near(pictures, pictures, own=True)
    return contents.in_images(
        near,
        worded(f"# of {len(pictures)} images look[s|] nearly like another one.", len(near)),
        lambda i: f"nearly the same as {contents.images[near[i]].get('file_name')}",
    )


def shared_pictures(contents: Contents, pictures: list, other: str, others: list) -> Found | None:
    """Files of equal bytes in two splits."""
    known = {p.content: p.path for p in others if p and p.content}
    bad = [i for i, p in enumerate(pictures) if p and p.content in known]
    return contents.in_images(
        bad,
        worded(f"# of {len(pictures)} images [is|are] also in ", len(bad)) + f"{other}.",
        lambda i: f"the same as {Path(known[pictures[i].content]).name}",
    )


def shared_names(contents: Contents, other: str, images: list) -> Found | None:
    """Equal file names in two splits, where there are no files to look at."""
    names = {image.get("file_name") for image in images if isinstance(image.get("file_name"), str)}
    bad = [i for i, image in enumerate(contents.images) if str(image.get("file_name")) in names]
    message = worded(f"# of {len(contents.images)} images ha[s a name|ve names] of ", len(bad))
    message += f"{other}."
    return contents.in_images(bad, message)


def shared_looks(contents: Contents, pictures: list, other: str, others: list) -> Found | None:
    known = {p.content for p in others if p and p.content}
    rest = [p if p and p.content not in known else None for p in pictures]
    near = _near(rest, others)
    return contents.in_images(
        near,
        worded(f"# of {len(pictures)} images look[s|] nearly like one in ", len(near))
        + f"{other}.",
        lambda i: f"nearly the same as {Path(others[near[i]].path).name}",
    )


def _near(pictures: list, others: list, own: bool = False) -> dict[int, int]:
    """Place of each picture that looks like another one, and the place of that."""
    looks = {i: p.look for i, p in enumerate(pictures) if p and p.look is not None and _shows(p)}
    theirs = {i: p.look for i, p in enumerate(others) if p and p.look is not None}
    # Hashes that differ in at most 3 bits agree in one of their 4 quarters at least.
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, look in theirs.items():
        for part in range(_NEAR + 1):
            buckets[part, (look >> (16 * part)) & 0xFFFF].append(place)
    near = {}
    for place, look in looks.items():
        for part in range(_NEAR + 1):
            for other in buckets[part, (look >> (16 * part)) & 0xFFFF]:
                picture, twin = pictures[place], others[other]
                if own and (other >= place or picture.content == twin.content):
                    continue
                if (look ^ theirs[other]).bit_count() <= _NEAR:
                    near[place] = other
                    break
            if place in near:
                break
    return near


def _shows(picture: Picture) -> bool:
    """Pictures of one colour all look alike to the hash."""
    return picture.look.bit_count() > 4


def _named(contents: Contents, place: int) -> tuple[float, float]:
    return tuple(image_size(contents.images[place]))


def _other_sizes(contents: Contents, pictures: list) -> list[int]:
    return [
        i
        for i, p in enumerate(pictures)
        if p
        and p.size
        and not np.isnan(_named(contents, i)).any()
        and p.size != _named(contents, i)
    ]


def _is_turned(contents: Contents, pictures: list, place: int) -> bool:
    return pictures[place].turned and _named(contents, place) == pictures[place].size[::-1]


def _size_text(contents: Contents, pictures: list, place: int) -> str:
    width, height = _named(contents, place)
    actual = pictures[place].size
    return f"{actual[0]} x {actual[1]} upright, the file says {width:.0f} x {height:.0f}"
