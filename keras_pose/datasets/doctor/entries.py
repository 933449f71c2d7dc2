"""Checks of the file's form: ids, categories, lists of the right length and type."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from keras_pose.datasets.doctor.contents import (
    Contents,
    Found,
    good_links,
    image_size,
    is_id,
    worded,
)


def entries_that_are_no_dicts(contents: Contents) -> Found | None:
    bad = {key: count for key, count in contents.not_dicts.items() if count}
    if not bad:
        return None
    named = ", ".join(f"{count} of `{key}`" for key, count in bad.items())
    return Found(sum(bad.values()), f"entries that are no objects of JSON: {named}.")


def image_ids(contents: Contents) -> Found | None:
    bad = [i for i, image in enumerate(contents.images) if not is_id(image.get("id"))]
    message = worded("# image[|s] ha[s|ve] no integer `id`.", len(bad))
    return contents.in_images(bad, message, lambda i: f"id {contents.images[i].get('id')!r}")


def image_ids_twice(contents: Contents) -> Found | None:
    again = _repeated(image.get("id") for image in contents.images)
    message = worded("# image[|s] ha[s|ve] the id of an earlier image.", len(again))
    return contents.in_images(again, message)


def annotation_ids(contents: Contents) -> Found | None:
    bad = [i for i, entry in enumerate(contents.annotations) if not is_id(entry.get("id"))]
    message = worded("# annotation[|s] ha[s|ve] no integer `id`.", len(bad))
    return contents.in_annotations(
        bad, message, lambda i: f"id {contents.annotations[i].get('id')!r}"
    )


def annotation_ids_twice(contents: Contents) -> Found | None:
    again = _repeated(entry.get("id") for entry in contents.annotations)
    message = worded("# annotation[|s] ha[s|ve] the id of an earlier annotation.", len(again))
    return contents.in_annotations(again, message)


def annotation_id_zero(contents: Contents) -> Found | None:
    zero = [i for i, entry in enumerate(contents.annotations) if entry.get("id") == 0]
    message = "An annotation has the id 0, which COCO evaluators take for 'not matched'."
    return contents.in_annotations(zero, message)


def unknown_images(contents: Contents) -> Found | None:
    known = contents.image_table
    entries = contents.annotations
    bad = [i for i, e in enumerate(entries) if _hashable(e.get("image_id")) not in known]
    texts = {str(number) for number in known}
    alike = sum(str(entries[i].get("image_id")) in texts for i in bad)
    message = worded("# annotation[|s] belong[s|] to no image of the file", len(bad))
    message += f"; for {alike} only the type of the id differs." if alike else "."
    return contents.in_annotations(bad, message, lambda i: f"{entries[i].get('image_id')!r}")


def no_categories(contents: Contents) -> Found | None:
    if contents.categories:
        return None
    return Found(1, "There are no `categories`: keypoints have no names, evaluators find no class.")


def category_ids(contents: Contents) -> Found | None:
    again = _repeated(category.get("id") for category in contents.categories)
    bad = [i for i, c in enumerate(contents.categories) if not is_id(c.get("id"))]
    bad = sorted({*again, *bad})
    if not bad:
        return None
    example = {"detail": f"category {contents.categories[bad[0]].get('name')!r}"}
    message = worded("# categor[y has|ies have] no integer `id` of [its|their] own.", len(bad))
    return Found(len(bad), message, example)


def unknown_categories(contents: Contents) -> Found | None:
    if not contents.categories:
        return None
    known = {_hashable(category.get("id")) for category in contents.categories}
    entries = contents.annotations
    bad = [i for i, e in enumerate(entries) if _hashable(e.get("category_id")) not in known]
    message = worded(
        "# annotation[|s] ha[s|ve] a category that is not among `categories`.", len(bad)
    )
    return contents.in_annotations(
        bad, message, lambda i: f"category_id {entries[i].get('category_id')!r}"
    )


def no_keypoint_names(contents: Contents) -> Found | None:
    if contents.skeleton is not None or not contents.categories:
        return None
    return Found(
        1, f"No category names its keypoints ({contents.num_keypoints} of them in annotations)."
    )


def different_keypoints(contents: Contents) -> Found | None:
    """Categories with keypoints of their own, while no skeleton was given."""
    if contents.skeleton_given:
        return None
    named = [c for c in contents.categories if isinstance(c.get("keypoints"), list)]
    kinds = {str(category["keypoints"]): category for category in named if category["keypoints"]}
    if len(kinds) < 2:
        return None
    words = [f"{c.get('name')!r} {len(c['keypoints'])}" for c in list(kinds.values())[:4]]
    more = f" and {len(kinds) - 4} more" if len(kinds) > 4 else ""
    return Found(
        len(kinds),
        f"The categories name {len(kinds)} different sets of keypoints: {', '.join(words)}{more}. "
        f"Only those of {contents.skeleton.name!r} are looked at below."
        if contents.skeleton
        else f"The categories name {len(kinds)} different sets of keypoints.",
    )


def keypoint_order(contents: Contents) -> Found | None:
    """Names of the file against those of the skeleton that the user gave."""
    if not contents.skeleton_given:
        return None
    ours = contents.skeleton.keypoints
    for category in contents.categories:
        theirs = category.get("keypoints")
        if not isinstance(theirs, list) or not theirs:
            continue
        if len(theirs) != len(ours):
            return Found(
                1,
                f"Category {category.get('name')!r} names {len(theirs)} keypoints, skeleton "
                f"{contents.skeleton.name!r} has {len(ours)}.",
            )
        plain = [[str(n).lower().replace(" ", "_") for n in names] for names in (ours, theirs)]
        if plain[0] != plain[1] and sorted(plain[0]) == sorted(plain[1]):
            at = next(i for i, (a, b) in enumerate(zip(*plain, strict=True)) if a != b)
            return Found(
                1,
                f"Category {category.get('name')!r} has the keypoints of skeleton "
                f"{contents.skeleton.name!r} in another order.",
                {"detail": f"keypoint {at} is {theirs[at]!r}, not {ours[at]!r}"},
            )
    return None


def broken_links(contents: Contents) -> Found | None:
    counts = [
        good_links(category, len(category["keypoints"]))[1]
        for category in contents.categories
        if isinstance(category.get("keypoints"), list)
    ]
    bad = max(counts, default=0)
    if not bad:
        return None
    message = "# `skeleton` link[ is|s are] repeated or join[s|] keypoints that do not exist."
    return Found(bad, worded(message, bad))


def no_keypoints(contents: Contents) -> Found | None:
    entries = contents.annotations
    bad = [i for i, entry in enumerate(entries) if not entry.get("keypoints")]
    all_of_them = len(bad) == len(entries)
    message = worded(f"# of {len(entries)} annotations ha[s|ve] no `keypoints`.", len(bad))
    return contents.in_annotations(bad, message, severity="error" if all_of_them else None)


def keypoints_no_numbers(contents: Contents) -> Found | None:
    entries = contents.annotations
    bad = [i for i, e in enumerate(entries) if e.get("keypoints") and not _flat(e["keypoints"])]
    return contents.in_annotations(
        bad,
        worded(
            "`keypoints` of # annotation[|s] are no flat list of numbers x, y, v, x, y, v, ...",
            len(bad),
        ),
        lambda i: f"{entries[i]['keypoints']!s:.60}",
    )


def keypoint_counts(contents: Contents) -> Found | None:
    wanted = 3 * contents.num_keypoints
    entries = contents.annotations
    others = {} if contents.skeleton_given else _own_lengths(contents)
    bad = [
        i
        for i, e in enumerate(entries)
        if e.get("keypoints")
        and _flat(e["keypoints"])
        and len(e["keypoints"]) not in (wanted, others.get(_hashable(e.get("category_id"))))
    ]
    if not bad:
        return None
    lengths = {len(entries[i]["keypoints"]) for i in bad}
    why = " (x, y without a flag?)" if lengths == {wanted * 2 // 3} else ""
    whole = len(lengths) == 1 and not min(lengths) % 3 and not why
    count = min(lengths) // 3 if whole else "another number of"
    message = worded(f"# annotation[|s] ha[s|ve] {count} keypoints", len(bad))
    message += f", not the {contents.num_keypoints} of "
    message += f"skeleton {contents.skeleton.name!r}" if contents.skeleton else "most others"
    return contents.in_annotations(
        bad,
        f"{message}{why}.",
        lambda i: f"{len(entries[i]['keypoints'])} numbers, not {wanted}",
    )


def _own_lengths(contents: Contents) -> dict:
    """Numbers that the keypoints of an annotation have, by category."""
    return (
        {
            _hashable(category.get("id")): 3 * len(category["keypoints"])
            for category in contents.categories
            if isinstance(category.get("keypoints"), list)
            and str(category["keypoints"]) != str(list(contents.skeleton.keypoints))
        }
        if contents.skeleton
        else {}
    )


def no_file_names(contents: Contents) -> Found | None:
    images = contents.images
    bad = [i for i, im in enumerate(images) if not _is_text(im.get("file_name"))]
    return contents.in_images(bad, worded("# image[|s] ha[s|ve] no `file_name`.", len(bad)))


def file_names_twice(contents: Contents) -> Found | None:
    names = [i.get("file_name") if _is_text(i.get("file_name")) else None for i in contents.images]
    again = [place for place in _repeated(names) if names[place] is not None]
    message = worded("# image[|s] name[s|] the file of an earlier image.", len(again))
    return contents.in_images(again, message)


def image_sizes_missing(contents: Contents) -> Found | None:
    images = contents.images
    bad = [i for i, im in enumerate(images) if im.get("width") is None or im.get("height") is None]
    message = worded("# image[|s] ha[s|ve] no `width` and `height`.", len(bad))
    return contents.in_images(bad, message)


def image_sizes_wrong(contents: Contents) -> Found | None:
    bad = [
        i
        for i, image in enumerate(contents.images)
        if image.get("width") is not None
        and image.get("height") is not None
        and np.isnan(image_size(image)).any()
    ]
    return contents.in_images(
        bad,
        worded("# image[|s] ha[s|ve] a width or height that is no positive number.", len(bad)),
        lambda i: f"{contents.images[i]['width']!r} x {contents.images[i]['height']!r}",
    )


def images_without_objects(contents: Contents) -> Found | None:
    used = {_hashable(entry.get("image_id")) for entry in contents.annotations}
    bad = [i for i, im in enumerate(contents.images) if _hashable(im.get("id")) not in used]
    message = worded(f"# of {len(contents.images)} images ha[s|ve] no object.", len(bad))
    return contents.in_images(bad, message)


def _repeated(values: Iterable) -> list[int]:
    """Places of values that occurred before; missing ones do not count."""
    seen: Counter = Counter()
    again = []
    for place, value in enumerate(map(_hashable, values)):
        if value is not None and seen[value]:
            again.append(place)
        seen[value] += 1
    return again


def _hashable(value):
    return value if isinstance(value, int | str | float | None) else repr(value)


def _is_text(value) -> bool:
    return isinstance(value, str) and bool(value)


def _flat(values) -> bool:
    return isinstance(values, list) and all(type(v) in (int, float) or v is None for v in values)
