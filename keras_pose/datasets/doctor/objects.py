"""Checks of what the objects say: keypoints, boxes, areas, counts."""

import numpy as np

from keras_pose.datasets.doctor.contents import Contents, Found, numbers, worded

# Pixels by which annotation tools round and clip.
_SLACK = 2.0
# Up to this share of the objects a fault of boxes is worth no more than a note.
_STRAY_SHARE = 0.01
# An object with more than this share of its keypoints outside its box is badly boxed.
_OUTSIDE_SHARE = 0.5


def keypoints_not_finite(contents: Contents) -> Found | None:
    objects = contents.objects
    bad = (objects.flags > 0) & ~np.isfinite(objects.points).all(axis=-1)
    rows = bad.any(axis=1)
    message = worded("# labelled keypoint[|s] of", bad.sum())
    message += worded(" # object[|s]", rows.sum())
    message += worded(" [is no|are no] finite number[|s].", bad.sum())
    return contents.in_objects(
        rows, message, lambda r: contents.keypoint_name(int(bad[r].argmax())), count=int(bad.sum())
    )


def flags(contents: Contents) -> Found | None:
    """A flag must be 0, 1 or 2."""
    values = contents.objects.flags
    bad = ~np.isin(values, (0, 1, 2))
    rows = bad.any(axis=1)
    scores = rows.any() and ((values[bad] > 0) & (values[bad] < 1)).all()
    message = worded("# visibility flag[|s] of", bad.sum()) + worded(" # object[|s]", rows.sum())
    message += worded(" [is|are] not 0, 1 or 2", bad.sum())
    message += "; they look like scores of a model." if scores else "."
    return contents.in_objects(
        rows, message, lambda r: f"{values[r][bad[r]][0]:g}", count=int(bad.sum())
    )


def keypoints_outside(contents: Contents) -> Found | None:
    objects = contents.objects
    sizes = objects.sizes[:, None]
    out = (objects.points < -1) | (objects.points > sizes + 1)
    out = out.any(axis=-1) & objects.seen
    rows = out.any(axis=1)

    def detail(row: int) -> str:
        keypoint = int(out[row].argmax())
        x, y = objects.points[row, keypoint]
        width, height = objects.sizes[row]
        name = contents.keypoint_name(keypoint)
        return f"{name} at ({x:.0f}, {y:.0f}) of {width:.0f} x {height:.0f}"

    message = worded("# labelled keypoint[|s] of", out.sum()) + worded(" # object[|s]", rows.sum())
    message += worded(" lie[s|] outside [its|their] image.", out.sum())
    return contents.in_objects(rows, message, detail, count=int(out.sum()))


def keypoints_at_origin(contents: Contents) -> Found | None:
    objects = contents.objects
    zero = objects.seen & (objects.points == 0).all(axis=-1)
    rows = zero.any(axis=1)
    message = worded("# keypoint[|s] of", zero.sum()) + worded(" # object[|s]", rows.sum())
    message += worded(" [is|are] labelled, but lie[s|] at (0, 0).", zero.sum())
    return contents.in_objects(
        rows,
        message,
        lambda r: contents.keypoint_name(int(zero[r].argmax())),
        count=int(zero.sum()),
    )


def unlabelled_with_position(contents: Contents) -> Found | None:
    """Flag 0 at a place that makes sense: is 0 meant as 'hidden'?"""
    objects = contents.objects
    points = objects.points
    inside = (points > 0).all(axis=-1) & (points < objects.sizes[:, None]).all(axis=-1)
    placed = inside & (objects.flags == 0)
    rows = placed.any(axis=1)
    unlabelled = max(int((objects.flags == 0).sum()), 1)
    message = worded(
        f"# of {unlabelled} keypoints with flag 0 (not labelled) ha[s|ve] a position.",
        placed.sum(),
    )
    hidden = placed.sum() > 0.5 * unlabelled and not (objects.flags == 2).any()
    if hidden:
        message += " As no flag is 2, 0 may be meant as hidden, 1 as seen."
    return contents.in_objects(
        rows,
        message,
        lambda r: contents.keypoint_name(int(placed[r].argmax())),
        "warning" if hidden else None,
        int(placed.sum()),
    )


def never_labelled(contents: Contents) -> Found | None:
    objects = contents.objects
    if not len(objects):
        return None
    never = np.flatnonzero(~objects.seen.any(axis=0))
    if not len(never) or not objects.seen.any():
        return None
    names = ", ".join(contents.keypoint_name(int(k)) for k in never[:6])
    more = f" and {len(never) - 6} more" if len(never) > 6 else ""
    text = worded(f"# of {contents.num_keypoints} keypoints [is|are] never labelled", len(never))
    text += f": {names}{more}."
    # Of a handful of objects it is chance.
    return Found(len(never), text, severity=None if len(objects) >= 10 else "note")


def few_keypoints(contents: Contents) -> Found | None:
    objects = contents.objects
    if contents.num_keypoints < 4:
        return None
    counts = objects.seen.sum(axis=1)
    rows = (counts > 0) & (counts < 3) & ~objects.crowd
    return contents.in_objects(
        rows,
        worded("# object[|s] ha[s|ve] fewer than 3 labelled keypoints.", rows.sum()),
        lambda r: f"{counts[r]} of {contents.num_keypoints}",
    )


def unlabelled_objects(contents: Contents) -> Found | None:
    objects = contents.objects
    rows = ~objects.seen.any(axis=1) & ~objects.crowd
    all_of_them = rows.any() and not objects.seen.any()
    message = worded(f"# of {len(objects)} objects ha[s|ve] no labelled keypoint.", rows.sum())
    return contents.in_objects(rows, message, severity="error" if all_of_them else None)


def num_keypoints_missing(contents: Contents) -> Found | None:
    entries = contents.annotations
    bad = [i for i in contents.objects.places if entries[i].get("num_keypoints") is None]
    message = worded("# annotation[|s] ha[s|ve] no `num_keypoints`.", len(bad))
    return contents.in_annotations(bad, message)


def num_keypoints_wrong(contents: Contents) -> Found | None:
    objects, entries = contents.objects, contents.annotations
    counts = (objects.flags > 0).sum(axis=1)
    given = [entries[i].get("num_keypoints") for i in objects.places]
    rows = np.array([g is not None and g != c for g, c in zip(given, counts, strict=True)], bool)
    return contents.in_objects(
        rows,
        worded(
            "`num_keypoints` of # annotation[|s] is not the count of flags above 0.", rows.sum()
        ),
        lambda r: f"{given[r]!r}, counted {counts[r]}",
    )


def boxes_missing(contents: Contents) -> Found | None:
    entries = contents.annotations
    bad = [i for i, entry in enumerate(entries) if not entry.get("bbox") and not _crowd(entry)]
    message = worded(f"# of {len(entries)} annotations ha[s|ve] no `bbox`.", len(bad))
    all_of_them = len(bad) == len(entries)
    return contents.in_annotations(bad, message, severity="error" if all_of_them else None)


def boxes_no_numbers(contents: Contents) -> Found | None:
    entries = contents.annotations
    bad = []
    for place, entry in enumerate(entries):
        if entry.get("bbox"):
            box = numbers(entry["bbox"], 4)
            if box is None or not np.isfinite(box).all():
                bad.append(place)
    message = worded("# box[ is|es are] no four finite numbers.", len(bad))
    return contents.in_annotations(bad, message, lambda i: f"{entries[i]['bbox']!s:.60}")


def boxes_empty(contents: Contents) -> Found | None:
    boxes = contents.objects.boxes
    rows = (boxes[:, 2:] <= 0).any(axis=1)
    message = worded("# box[|es] ha[s|ve] no positive width and height.", rows.sum())
    return contents.in_objects(rows, message, lambda r: _numbers_text(boxes[r]))


def boxes_outside(contents: Contents) -> Found | None:
    rows, _ = _overhang(contents)
    message = worded("# box[|es] lie[s|] wholly outside [its|their] image.", rows.sum())
    return contents.in_objects(rows, message, lambda r: _box_in_image(contents, r))


def boxes_beyond(contents: Contents) -> Found | None:
    _, beyond = _overhang(contents)
    rows = beyond > _SLACK
    far = rows & (beyond > 0.2 * contents.objects.boxes[:, 2:].max(axis=1))
    return contents.in_objects(
        rows,
        worded(
            f"# box[|es] reach[es|] beyond [its|their] image by more than {_SLACK:g} pixels.",
            rows.sum(),
        ),
        lambda r: _box_in_image(contents, r),
        # Boxes of a detector or with a margin are often not clipped, which does no harm.
        None if far.sum() > _STRAY_SHARE * len(rows) else "note",
    )


def boxes_not_enclosing(contents: Contents) -> Found | None:
    """Most labelled keypoints of an object lie outside its box."""
    objects = contents.objects
    boxes = objects.boxes
    slack = np.maximum(_SLACK, 0.1 * boxes[:, 2:])
    low, high = boxes[:, :2] - slack, boxes[:, :2] + boxes[:, 2:] + slack
    points = objects.points
    out = ((points < low[:, None]) | (points > high[:, None])).any(axis=-1) & objects.seen
    count, seen = out.sum(axis=1), objects.seen.sum(axis=1)
    rows = (count > _OUTSIDE_SHARE * seen) & ~objects.crowd
    return contents.in_objects(
        rows,
        worded(
            "# box[|es] leave[s|] most keypoints of [its|their] object outside (by over a tenth of "
            "the box).",
            rows.sum(),
        ),
        lambda r: f"{count[r]} of {seen[r]} outside {_numbers_text(boxes[r])}",
        # A stray one among many is the carelessness of one annotator.
        None if rows.sum() > _STRAY_SHARE * len(objects) else "note",
    )


def areas_missing(contents: Contents) -> Found | None:
    bad = [i for i, entry in enumerate(contents.annotations) if entry.get("area") is None]
    message = worded("# annotation[|s] ha[s|ve] no `area`.", len(bad))
    return contents.in_annotations(bad, message)


def areas_wrong(contents: Contents) -> Found | None:
    objects = contents.objects
    box = np.maximum(objects.boxes[:, 2] * objects.boxes[:, 3], 0)
    # An area counts what a segmentation covers; rounding may lift it above a small box's.
    too_large = objects.areas > 1.1 * box + 20
    rows = (objects.areas <= 0) | (too_large & (box > 0)) | (objects.areas < 0.005 * box)
    rows &= ~objects.crowd
    return contents.in_objects(
        rows,
        worded(
            "`area` of # object[|s] is not positive, larger than [its|their] box, or next to "
            "nothing of it.",
            rows.sum(),
        ),
        lambda r: f"area {objects.areas[r]:.6g}, box of {box[r]:.6g}",
    )


def objects_twice(contents: Contents) -> Found | None:
    """Objects of one image whose labelled keypoints are (nearly) the same."""
    objects = contents.objects
    order = np.argsort(objects.images, kind="stable")
    starts = np.flatnonzero(np.diff(objects.images[order], prepend=-2))
    again, first = [], {}
    for rows in np.split(order, starts[1:]):
        if len(rows) < 2 or objects.images[rows[0]] < 0:
            continue
        twins = np.argwhere(np.triu(_same(contents, rows), 1))
        for a, b in twins:
            if rows[b] not in first:
                first[rows[b]] = rows[a]
                again.append(rows[b])
    ids = [contents.annotations[place].get("id") for place in objects.places]
    return contents.in_objects(
        np.array(again, int),
        worded(
            "# object[ is|s are] annotated twice: an earlier one of the same image has the same "
            "keypoints.",
            len(again),
        ),
        lambda r: f"as annotation {ids[first[r]]}",
    )


def _same(contents: Contents, rows: np.ndarray) -> np.ndarray:
    """Which of the objects share nearly all their keypoints, `(n, n)`."""
    objects = contents.objects
    points, seen = objects.points[rows], objects.seen[rows]
    both = seen[:, None] & seen[None]
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    apart = np.where(both, np.nan_to_num(apart, nan=np.inf), 0).max(axis=-1)
    boxes = np.nan_to_num(objects.boxes[rows, 2:])
    reach = np.maximum(1.0, 0.01 * boxes.max(axis=1))
    common = both.sum(axis=-1)
    enough = common >= np.maximum(3, 0.8 * seen.sum(axis=1)[:, None])
    return (apart <= np.minimum(reach[:, None], reach[None])) & enough & enough.T


def _overhang(contents: Contents) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes are wholly outside the image, and by how much the others reach beyond it."""
    objects = contents.objects
    low, high = objects.boxes[:, :2], objects.boxes[:, :2] + objects.boxes[:, 2:]
    positive = (objects.boxes[:, 2:] > 0).all(axis=1)
    outside = ((low >= objects.sizes) | (high <= 0)).any(axis=1) & positive
    beyond = np.maximum(-low, high - objects.sizes).max(axis=1)
    return outside, np.where(positive & ~outside, np.nan_to_num(beyond), 0)


def _box_in_image(contents: Contents, row: int) -> str:
    width, height = contents.objects.sizes[row]
    return f"{_numbers_text(contents.objects.boxes[row])} in {width:.0f} x {height:.0f}"


def _numbers_text(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.5g}" for value in values) + "]"


def _crowd(entry) -> bool:
    return bool(entry.get("iscrowd"))
