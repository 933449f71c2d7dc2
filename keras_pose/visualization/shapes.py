"""Anti-aliased shapes with sub-pixel coordinates, and the transparent layer they are drawn on."""

import numpy as np

# Told apart easily, on dark and light ground alike; RGB.
INSTANCE_COLORS = np.array(
    [
        (66, 133, 244),
        (251, 140, 0),
        (52, 199, 89),
        (236, 64, 122),
        (0, 188, 212),
        (253, 216, 53),
        (149, 117, 205),
        (255, 87, 66),
        (156, 204, 101),
        (161, 136, 127),
    ],
    np.uint8,
)

DARK, LIGHT = (24, 24, 27), (245, 245, 245)

# OpenCV takes coordinates in units of 1/16 pixel.
_SHIFT = 4


def contrast_color(color: np.ndarray) -> tuple[int, int, int]:
    """`DARK` or `LIGHT`, whichever reads better on `color` (RGB)."""
    luminance = float(np.dot(np.asarray(color, np.float32), (0.299, 0.587, 0.114)))
    return LIGHT if luminance < 140 else DARK


def discs(centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Polygons `(S, P, 2)` of circles."""
    return capsules(centers, centers, radii, radii)


def capsules(
    starts: np.ndarray, ends: np.ndarray, start_radii: np.ndarray, end_radii: np.ndarray
) -> np.ndarray:
    """Lines with round ends that may taper: convex polygons around two circles each.

    Args:
        starts: `(S, 2)`.
        ends: `(S, 2)`.
        start_radii: `(S,)`.
        end_radii: `(S,)`.

    Returns:
        `(S, P, 2)`.
    """
    start_radii, end_radii = np.asarray(start_radii), np.asarray(end_radii)
    delta = np.asarray(ends) - starts
    distance = np.hypot(*delta.T)
    inside = distance <= np.abs(start_radii - end_radii) + 1e-6  # one circle holds the other
    larger = np.where((start_radii >= end_radii)[:, None], starts, ends)
    starts, ends = (np.where(inside[:, None], larger, points) for points in (starts, ends))
    largest = np.maximum(start_radii, end_radii)
    start_radii, end_radii = (np.where(inside, largest, r) for r in (start_radii, end_radii))
    tangent = np.arccos((start_radii - end_radii) / np.maximum(distance, 1e-6))
    direction = np.arctan2(delta[:, 1], delta[:, 0])
    steps = np.linspace(0, 1, 6 + int(2 * np.sqrt(largest.max(initial=0))))
    arcs = []
    for centers, radii, first, sweep in (
        (starts, start_radii, tangent, 2 * (np.pi - tangent)),
        (ends, end_radii, -tangent, 2 * tangent),
    ):
        angles = (direction + first)[:, None] + sweep[:, None] * steps
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        arcs.append(centers[:, None] + radii[:, None, None] * circle)
    return np.concatenate(arcs, axis=1)


class Layer:
    """A transparent sheet over part of a picture: shapes replace each other on it, then it is laid
    over the picture at once, so that half-transparent shapes do not show through each other.

    Args:
        canvas: uint8 RGB array `(H, W, 3)`, changed by `merge`.
        box: xyxy in pixels of the canvas, the part to cover.
        finer: int, how many times finer than the canvas the sheet is. Small shapes need it:
            OpenCV's own anti-aliasing makes everything half a pixel wider.
    """

    def __init__(self, canvas: np.ndarray, box: np.ndarray, finer: int = 1):
        height, width = canvas.shape[:2]
        left, top = np.clip(np.floor(box[:2]), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(box[2:]) + 1, 0, (width, height)).astype(int)
        self.part = canvas[top : max(top, bottom), left : max(left, right)]
        self.origin, self.finer = np.array([left, top]), finer
        rows, columns = self.part.shape[:2]
        # red, green, blue, already multiplied by the opacity, and the opacity
        self.sheet = np.zeros((rows * finer, columns * finer, 4), np.uint8)

    def fill(self, polygons: np.ndarray, colors: np.ndarray, opacities: np.ndarray) -> None:
        """Puts shapes in place of what is there, one after the other.

        Args:
            polygons: `(S, P, 2)`, convex, in pixels of the canvas.
            colors: RGB, `(3,)` or `(S, 3)`.
            opacities: `(S,)` in 0..1.
        """
        import cv2

        if not self.sheet.size:  # all of it lies outside of the canvas
            return
        points = (polygons - self.origin + 0.5) * self.finer - 0.5
        points = np.rint(points * (1 << _SHIFT)).astype(np.int32)
        values = np.empty((len(points), 4))
        values[:, :3], values[:, 3] = colors, 255
        values *= np.reshape(opacities, (-1, 1))
        for polygon, value in zip(points, values.tolist(), strict=True):
            cv2.fillConvexPoly(self.sheet, polygon, value, cv2.LINE_AA, _SHIFT)

    def merge(self) -> None:
        """Lays the sheet over the canvas."""
        import cv2

        if not self.part.size:
            return
        sheet = self.sheet
        if self.finer > 1:
            sheet = cv2.resize(sheet, self.part.shape[1::-1], interpolation=cv2.INTER_AREA)
        clear = cv2.cvtColor(255 - sheet[..., 3], cv2.COLOR_GRAY2RGB)
        below = cv2.multiply(self.part, clear, scale=1 / 255)
        self.part[:] = cv2.add(below, np.ascontiguousarray(sheet[..., :3]))


def draw_box(canvas: np.ndarray, box: np.ndarray, width: int, color: np.ndarray) -> None:
    """Draws the outline of an xyxy box, in pixels, with a thin darker rim."""
    import cv2

    left, top, right, bottom = np.rint(box * (1 << _SHIFT)).astype(int).tolist()
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.int32)
    for line, brightness in ((width + 1, 0.35), (width, 1.0)):
        value = [float(channel * brightness) for channel in color]
        cv2.polylines(canvas, [corners], True, value, line, cv2.LINE_AA, _SHIFT)


def write_label(
    canvas: np.ndarray, text: str, anchor: np.ndarray, size: float, color: np.ndarray
) -> None:
    """Writes text on a rounded plate, moved so that it stays inside the picture.

    Args:
        canvas: uint8 RGB array, changed in place.
        text: str.
        anchor: (x, y) pixels, the lower left corner of the plate.
        size: float, height of the capitals in pixels.
        color: RGB of the plate; the letters are dark or light, whichever reads better.
    """
    import cv2

    font, capitals = cv2.FONT_HERSHEY_SIMPLEX, 22.0  # height of its capitals at scale 1
    scale, thickness = size / capitals, max(1, round(size / 14))
    width = cv2.getTextSize(text, font, scale, thickness)[0][0]
    plate = np.array([width + 1.6 * size, 2 * size])
    room = np.maximum(np.array(canvas.shape[1::-1]) - 1 - plate, 0)
    left, top = np.clip(np.array(anchor) - (0, plate[1]), 0, room)
    radius = plate[1] / 2
    ends = [[left + radius, top + radius]], [[left + plate[0] - radius, top + radius]]
    layer = Layer(canvas, np.array([left, top, left + plate[0], top + plate[1]]))
    layer.fill(capsules(*ends, [radius], [radius]), color, [0.9])
    layer.merge()
    at = (round(left + 0.8 * size), round(top + 1.5 * size))
    letters = contrast_color(color)
    cv2.putText(canvas, text, at, font, scale, letters, thickness, cv2.LINE_AA)
