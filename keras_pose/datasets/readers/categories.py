"""What the `categories` of a COCO file say of the skeleton."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from keras_pose.datasets.readers.records import by_id, check_lists
from keras_pose.skeleton import Skeleton


def chosen_categories(
    data: Mapping[str, Any], category: str | int | None, name: str
) -> dict[int, Mapping[str, Any]]:
    """The categories that are read, by id.

    Args:
        data: content of a COCO file.
        category: name or id of one. Default `None`: all that have keypoints.
        name: what messages call the file.

    Raises:
        ValueError: if the one wanted is not there.
    """
    if data.get("categories") is not None:
        check_lists(data, ["categories"], name)
    known = by_id(data.get("categories") or (), "category", name)
    for number, entry in known.items():
        points = entry.get("keypoints") or []
        if not isinstance(points, list) or not all(isinstance(point, str) for point in points):
            raise ValueError(
                f"{name}: `keypoints` of category {number} must be a list of names; "
                "correct them, or leave them out and give a skeleton="
            )
    if category is None:
        return {number: entry for number, entry in known.items() if entry.get("keypoints")}
    chosen = {n: e for n, e in known.items() if category in (n, e.get("name"))}
    if not chosen:
        names = ", ".join(f"{e.get('name')!r} ({n})" for n, e in known.items()) or "none"
        raise ValueError(f"{name}: there is no category {category!r}; the file has {names}")
    return chosen


def skeleton_of(categories: Mapping[int, Mapping], name: str) -> Skeleton:
    """The skeleton that categories describe; the package's "coco" for its 17 keypoints.

    Raises:
        ValueError: if they name none, or different ones.
    """
    named = {tuple(entry["keypoints"]) for entry in categories.values() if entry.get("keypoints")}
    if not named:
        raise ValueError(
            f"{name}: its categories name no keypoints: add `keypoints`, their names, to one of "
            "`categories`, or give a skeleton= (--skeleton in commands)"
        )
    if len(named) != 1:
        raise ValueError(
            f"{name}: its categories name {len(named)} different sets of keypoints; "
            "say which one with category= or give a skeleton="
        )
    (keypoints,) = named
    coco = Skeleton.load("coco")
    if keypoints == coco.keypoints:
        return coco
    entry = next(entry for entry in categories.values() if entry.get("keypoints"))
    links = _links(entry.get("skeleton") or [], len(keypoints), name)
    try:
        return Skeleton(str(entry.get("name") or name), keypoints, links=links)
    except ValueError as error:
        raise ValueError(f"{name}: its category is no skeleton: {error}") from None


def _links(links, num_keypoints: int, name: str) -> list[tuple[int, int]]:
    """Links between keypoints, counted from 0; impossible ones only cost a line in a drawing."""
    pairs = [link for link in links if _is_pair(link)] if isinstance(links, list) else []
    # COCO counts from 1; some tools count from 0
    start = 0 if any(0 in link for link in pairs) else 1
    good = {}
    for link in pairs:
        a, b = (end - start for end in link)
        if a != b and min(a, b) >= 0 and max(a, b) < num_keypoints:
            good.setdefault(frozenset((a, b)), (a, b))
    if len(good) < len(links):
        dropped = len(links) - len(good)
        warnings.warn(
            f"{name}: {dropped} of {len(links)} `skeleton` links of its category are repeated or "
            "join keypoints that do not exist; they are left out",
            stacklevel=2,
        )
    return list(good.values())


def _is_pair(link: Any) -> bool:
    return isinstance(link, list) and len(link) == 2 and all(type(end) is int for end in link)


def check_same_keypoints(ours: Iterable[str], our_name: str, theirs: Iterable[str], name: str):
    """Raises ValueError if two lists of keypoints cannot mean the same points in the same order.

    Names may be spelt differently; another number, or the same names in another order, is an error,
    because it would train or score in silence with the wrong points.
    """
    ours, theirs = list(ours), list(theirs)
    if len(ours) != len(theirs):
        raise ValueError(
            f"{name} has {len(theirs)} keypoints, {our_name} has {len(ours)}; "
            "give the skeleton that fits"
        )
    plain = [[n.lower().replace(" ", "_") for n in names] for names in (ours, theirs)]
    if plain[0] != plain[1] and sorted(plain[0]) == sorted(plain[1]):
        at = next(i for i, (a, b) in enumerate(zip(*plain, strict=True)) if a != b)
        raise ValueError(
            f"{name} has the keypoints of {our_name} in another order: "
            f"keypoint {at} is {theirs[at]!r}, not {ours[at]!r}"
        )
