"""Left and right in the names of keypoints."""

import re

_OTHER_SIDE = {
    "left": "right",
    "Left": "Right",
    "LEFT": "RIGHT",
    "l": "r",
    "L": "R",
}
_OTHER_SIDE |= {right: left for left, right in _OTHER_SIDE.items()}

# Where a name says its side: the word; a letter alone; a capital after a small letter (eyeL,
# forelegL1); a letter before a capitalised word (LEye, lEye). Only a name whose mirror image exists
# counts, which keeps the patterns from finding sides in words like "cleft".
_SIDE_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(left|right|Left|Right|LEFT|RIGHT)",
        r"(?<![A-Za-z0-9])([lrLR])(?![A-Za-z])",
        r"(?<=[a-z])([LR])(?![A-Za-z])",
        r"(?<![A-Za-z0-9])([lrLR])(?=[A-Z][a-z])",
    )
)


def mirror_names(name: str) -> list[tuple[str, str]]:
    """What a keypoint's name says about left and right.

    Args:
        name: str, e.g. `"eyeL"`.

    Returns:
        (side, name with the sides exchanged) by every pattern that the name fits, e.g.
        `[("left", "eyeR")]`; whether there is such a keypoint is for the caller to see.
    """
    found = []
    for pattern in _SIDE_PATTERNS:
        if match := pattern.search(name):
            side = "left" if match[1][0] in "lL" else "right"
            found.append((side, pattern.sub(lambda m: _OTHER_SIDE[m[1]], name)))
    return found
