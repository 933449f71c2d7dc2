"""Anti-aliased shapes with sub-pixel coordinates, and the transparent layer they are drawn on."""

import math

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


def disc(center: np.ndarray, radius: float) -> np.ndarray:
    """Polygon `(P, 2)` of a circle."""
    return capsule(center, center, radius, radius)


def capsule(
    start: np.ndarray, end: np.ndarray, start_radius: float, end_radius: float
) -> np.ndarray:
    """Convex polygon `(P, 2)` around two circles: a line with round ends that may taper."""
    delta = np.subtract(end, start)
    distance = math.hypot(*delta)
    if distance <= abs(start_radius - end_radius) + 1e-6:  # one circle holds the other
        start = end = start if start_radius >= end_radius else end
        start_radius = end_radius = max(start_radius, end_radius)
        direction, tangent = 0.0, math.pi / 2
    else:
        direction = math.atan2(delta[1], delta[0])
        tangent = math.acos((start_radius - end_radius) / distance)
    arcs = []
    for center, radius, first, last in (
        (start, start_radius, tangent, 2 * math.pi - tangent),
        (end, end_radius, -tangent, tangent),
    ):
        angles = direction + np.linspace(first, last, 6 + int(2 * math.sqrt(radius)))
        arcs.append(np.asarray(center) + radius * np.stack([np.cos(angles), np.sin(angles)], 1))
    return np.concatenate(arcs)


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

    def fill(self, polygon: np.ndarray, color: np.ndarray, opacity: float = 1.0) -> None:
        """Puts a convex polygon `(P, 2)`, in pixels of the canvas, in place of what is there."""
        import cv2

        points = (polygon - self.origin + 0.5) * self.finer - 0.5
        points = np.rint(points * (1 << _SHIFT)).astype(np.int32)
        value = [float(channel * opacity) for channel in (*color, 255.0)]
        cv2.fillConvexPoly(self.sheet, points, value, cv2.LINE_AA, _SHIFT)

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
    ends = (left + radius, top + radius), (left + plate[0] - radius, top + radius)
    layer = Layer(canvas, np.array([left, top, left + plate[0], top + plate[1]]))
    layer.fill(capsule(*ends, radius, radius), color, 0.9)
    layer.merge()
    at = (round(left + 0.8 * size), round(top + 1.5 * size))
    letters = contrast_color(color)
    cv2.putText(canvas, text, at, font, scale, letters, thickness, cv2.LINE_AA)
