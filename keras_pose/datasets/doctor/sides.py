"""Checks of left and right: in the skeleton, and in the poses against it."""

import numpy as np

from keras_pose.datasets.doctor.contents import Contents, Found, worded
from keras_pose.datasets.doctor.pairing import compare_pairings, pairing_text
from keras_pose.datasets.doctor.shapes import as_complex, enough, shape_distances
from keras_pose.sides import mirror_names
from keras_pose.skeleton import Skeleton

# Poses that are compared with every pose; more make the comparison slower, not better.
_REFERENCES = 1500
# Suggested pairs that a sentence names; the report as JSON holds all.
_PAIRS_SHOWN = 6
# How much nearer a pose must come to others once sides are exchanged. Measured on coco_people,
# lspet_people, dlc_openfield, fly32 and face68: at most 2.4 % of correct objects pass.
SWAP_RATIO = 1.5
# Suspicious objects are a note while there are no more than in correct data (and a margin), and
# none of them is as far off as only wrong labels were (correct ones: at most 2.4).
_USUAL_SHARE, _USUAL_COUNT, _CERTAIN_RATIO = 0.03, 2, 4.0
# Among fewer objects than this, farther apart than this, no note is made of suspicious ones.
_FEWEST_FOR_NOTE, _ALIKE = 20, 0.1


def asymmetric_pairs(contents: Contents) -> Found | None:
    if not contents.asymmetric:
        return None
    name, partner = contents.asymmetric[0]
    return Found(
        len(contents.asymmetric),
        worded(
            "# keypoint[|s] of the skeleton swap[s|] with one that does not swap with [it|them].",
            len(contents.asymmetric),
        ),
        {"detail": f"{name} swaps with {partner}, but {partner} not with {name}"},
    )


def pairs_against_names(contents: Contents) -> Found | None:
    """Pairs of the skeleton that are not those of the names (left_x, right_x)."""
    skeleton = contents.skeleton
    if skeleton is None:
        return None
    guessed = {name: other for pair in _guessed(skeleton) for name, other in (pair, pair[::-1])}
    bad = []
    for index, flip in enumerate(skeleton.flip_indices.tolist()):
        name, partner = skeleton.keypoints[index], skeleton.keypoints[flip]
        # Of a keypoint with a side the partner is known; one without may swap as the user likes.
        if guessed.get(name, partner) != partner:
            kept = "keeps its place" if flip == index else f"swaps with {partner}"
            bad.append(f"{name} {kept}, not with {guessed[name]}")
    if not bad:
        return None
    message = (
        "# keypoint[|s] do[es|] not swap with the one that [its name suggests|their names suggest]."
    )
    message = worded(message, len(bad))
    return Found(len(bad), message, {"detail": bad[0]})


def sides_without_partner(contents: Contents) -> Found | None:
    """left_x without right_x."""
    skeleton = contents.skeleton
    if skeleton is None:
        return None
    bad = [
        name
        for index, name in enumerate(skeleton.keypoints)
        if skeleton.flip_indices[index] == index
        and ("left" in name.lower() or "right" in name.lower())
        and all(other not in skeleton.keypoints for _, other in mirror_names(name))
    ]
    if not bad:
        return None
    message = worded("# keypoint[|s] name[s|] a side, and the other side has none.", len(bad))
    return Found(len(bad), message, {"detail": bad[0]})


def one_sided_links(contents: Contents) -> Found | None:
    skeleton = contents.skeleton
    if skeleton is None:
        return None
    flip = skeleton.flip_indices
    links = {frozenset(link) for link in skeleton.links.tolist()}
    bad = [link for link in skeleton.links.tolist() if frozenset(flip[link].tolist()) not in links]
    if not bad:
        return None
    a, b = (skeleton.keypoints[end] for end in bad[0])
    message = worded(
        "# link[|s] of the skeleton ha[s|ve] no counterpart on the other side.", len(bad)
    )
    return Found(len(bad), message, {"detail": f"{a} - {b}"})


def sigmas_missing(contents: Contents) -> Found | None:
    if contents.skeleton is None or contents.skeleton.sigmas is not None:
        return None
    return Found(
        1,
        f"Skeleton {contents.skeleton.name!r} has no sigmas, so there is no COCO AP: evaluation "
        "gives PCK and pixel errors instead.",
    )


def pairs_against_data(contents: Contents) -> Found | None:
    """Pairs under which mirrored poses do not look like the data's own, while others do.

    Mirrored poses, their pairs exchanged, are fitted to the most similar real ones. The pairing
    found by `pairing.suggested_pairing` is reported if it brings them nearer by at least 5 % and 4
    standard errors, and near enough to be believed (see `mirror_unlike`).
    """
    found = _mirrored(contents)
    if found is None:
        return None
    declared, best, unlike = found
    skeleton = contents.skeleton
    if unlike or np.array_equal(declared.flip, best.flip) or not best.surely_better(declared):
        return None
    names = skeleton.keypoints
    changed = np.flatnonzero(best.flip != declared.flip)
    words = [pairing_text(names, best.flip, k) for k in changed]
    words = list(dict.fromkeys(words))
    more = f" and {len(words) - _PAIRS_SHOWN} more" if len(words) > _PAIRS_SHOWN else ""
    first, partner = names[changed[0]], names[declared.flip[changed[0]]]
    now = "keeps its place" if first == partner else f"swaps with {partner}"
    pairs = np.flatnonzero(best.flip > np.arange(len(names)))
    return Found(
        len(changed),
        worded("The poses contradict the swap pairs of # keypoint[|s]: ", len(changed))
        + f"mirrored poses come within {best.distance:.3f} of real ones under other pairs, "
        f"{declared.distance:.3f} under the skeleton's (0 the same shape, 1 nothing in common). "
        f"The data suggest: {', '.join(words[:_PAIRS_SHOWN])}{more}.",
        {
            "detail": f"{first} {now} in the skeleton",
            "suggested_swaps": [[names[i], names[best.flip[i]]] for i in pairs.tolist()],
        },
    )


def mirror_unlike(contents: Contents) -> Found | None:
    """No pairing makes mirrored poses look like the data's: twice as far as they from each other.

    So it is with two views in one frame, and with animals that are fixed.
    """
    found = _mirrored(contents)
    if found is None or not found[2]:
        return None
    return Found(
        1,
        "Mirrored poses look unlike the data's own whichever keypoints swap (nearest at a distance "
        f"of {found[1].distance:.2f}): mirrored pictures would be of another kind.",
    )


def swapped_sides(contents: Contents) -> Found | None:
    """Objects that look much more like the others once left and right are exchanged.

    Every pose, and the pose with one pair or with all pairs exchanged, is compared with all other
    poses of the data set by shape (Procrustes distance of the common keypoints, mean of the 3
    nearest). An object is suspicious if an exchange brings it nearer by the factor SWAP_RATIO.
    """
    chosen = _comparable(contents)
    if chosen is None or not (_flip(contents) != np.arange(contents.num_keypoints)).any():
        return None
    rows, poses, seen = chosen
    flip = _flip(contents)
    pairs = [(i, j) for i, j in enumerate(flip.tolist()) if i < j]
    references = np.random.default_rng(0).permutation(len(rows))[:_REFERENCES]
    everyone = np.arange(len(rows))
    poses = poses.astype(np.complex64)
    ratio, which = _exchange_ratios(poses, seen, pairs, everyone, references)
    suspicious = np.flatnonzero(ratio > SWAP_RATIO)
    suspicious = suspicious[np.argsort(-ratio[suspicious])]
    share = len(suspicious) / len(rows)
    unusual = share > _USUAL_SHARE and len(suspicious) > _USUAL_COUNT
    unusual = unusual or ratio.max(initial=0) > _CERTAIN_RATIO
    if len(rows) < _FEWEST_FOR_NOTE and not unusual:
        # Where hardly any pose resembles another, one that is unlike the rest says nothing.
        apart = _nearest(poses, seen, everyone, poses, seen, references)
        if np.median(apart) > _ALIKE:
            return None

    def detail(row: int) -> str:
        at = int(np.flatnonzero(rows == row)[0])
        what = "all sides"
        if which[at] < len(pairs):
            i, j = pairs[which[at]]
            what = f"{contents.keypoint_name(i)} and {contents.keypoint_name(j)}"
        return f"{what} exchanged, its shape is {ratio[at]:.1f} times nearer to others"

    return contents.in_objects(
        rows[suspicious],
        worded(
            f"# of {len(rows)} comparable objects ({share:.1%}) look[s|] as if left and right were "
            "exchanged in [it|them]",
            len(suspicious),
        )
        + ("." if unusual else ", no more than unusual poses would account for."),
        detail,
        None if unusual else "note",
    )


def _guessed(skeleton: Skeleton) -> list[tuple[str, str]]:
    return Skeleton.guess_swaps(skeleton.keypoints)


def _flip(contents: Contents) -> np.ndarray:
    count = contents.num_keypoints
    return contents.skeleton.flip_indices if contents.skeleton else np.arange(count)


def _comparable(contents: Contents):
    """Rows, poses and seen keypoints of the objects that shapes can be read from."""
    objects = contents.objects
    least = enough(contents.num_keypoints)
    if contents.skeleton is None or contents.num_keypoints < least:
        return None
    rows = np.flatnonzero((objects.seen.sum(axis=1) >= least) & ~objects.crowd)
    if len(rows) < 10:
        return None
    seen = objects.seen[rows]
    return rows, as_complex(objects.points[rows], seen), seen


def _exchange_ratios(poses, seen, pairs, some, references) -> tuple[np.ndarray, np.ndarray]:
    """By which factor poses come nearer to others by an exchange, and by which: a pair or all."""
    as_is = _nearest(poses[some], seen[some], some, poses, seen, references)
    best, which = np.full(len(some), np.inf), np.zeros(len(some), int)
    for number, group in enumerate([*([pair] for pair in pairs), pairs]):
        order = np.arange(poses.shape[1])
        for i, j in group:
            order[[i, j]] = j, i
        changed = np.flatnonzero(seen[some][:, np.unique(group)].any(axis=1))
        mine = some[changed]
        distance = _nearest(
            poses[mine][:, order], seen[mine][:, order], mine, poses, seen, references
        )
        nearer = distance < best[changed]
        best[changed[nearer]], which[changed[nearer]] = distance[nearer], number
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isfinite(as_is) & np.isfinite(best), as_is / np.maximum(best, 1e-9), 0)
    # Below a hundredth of its spread a pose has no side to speak of.
    ratio[as_is <= 0.01] = 0
    return ratio, which


def _nearest(changed, changed_seen, rows, poses, seen, references) -> np.ndarray:
    """Mean distance of some rows' changed poses to the 3 nearest others of the references."""
    distances = shape_distances(
        changed, changed_seen, poses[references], seen[references], enough(poses.shape[1])
    )
    distances[rows[:, None] == references] = np.inf
    return np.partition(distances, 2, axis=1)[:, :3].mean(axis=1)


def _mirrored(contents: Contents):
    """Fit of the skeleton's pairing, the best one, and whether even that is no mirror image."""
    if not hasattr(contents, "_mirror"):
        contents._mirror = _compare_mirrored(contents)
    return contents._mirror


def _compare_mirrored(contents: Contents):
    chosen = _comparable(contents)
    if chosen is None:
        return None
    return compare_pairings(*chosen[1:], contents.skeleton)
