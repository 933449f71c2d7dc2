"""Skeleton: names of the keypoints of one kind of object, how they join, mirror and look."""

import difflib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_pose.paths import PRESETS
from keras_pose.sides import mirror_names

# The colours that MMPose's skeletons use for the two sides, RGB.
SIDE_COLORS = {"left": (0, 255, 0), "right": (255, 128, 0), None: (51, 153, 255)}

# What a skeleton file may say beside the skeleton itself, for its readers only.
DOCUMENTATION = ("dataset_name", "notes", "papers", "extra")

Point = str | int


@keras.saving.register_keras_serializable(package="keras_pose")
class Skeleton:
    """Keypoints of one kind of object, in the order in which models output them.

    Args:
        name: str, e.g. `"coco"`.
        keypoints: names of the `K` keypoints, in order.
        links: pairs of keypoints that are joined by a line, by name or index.
        swaps: pairs of keypoints that change places when a picture is mirrored, by name or index;
            every other keypoint keeps its place. Default `None`: guessed from the names, see
            `guess_swaps`; `()`: none.
        sigmas: `K` floats, the OKS constants (how far annotators disagree, relative to the
            object's size). Default `None`: unknown, OKS needs them.
        joint_weights: `K` floats, factors of the training loss. Default: ones.
        keypoint_colors: `K` RGB triples in 0..255. Default: green for the left side, orange for the
            right, blue between; sides come from the names, else the first of each swapped pair is
            taken as left.
        link_colors: an RGB triple per link. Default: the colour of the side that a link belongs to.
        upper_body, lower_body: keypoints by name or index, used by half-body augmentation.

    Attributes:
        keypoints: tuple of str. `num_keypoints` is its length.
        links: int32 `(L, 2)`.
        flip_indices: int32 `(K,)`; `mirrored[:, flip_indices]` puts left and right back in place.
        sigmas: float32 `(K,)` or None.
        joint_weights: float32 `(K,)`.
        keypoint_colors, link_colors: uint8 `(K, 3)` and `(L, 3)`, RGB.
        upper_body, lower_body: int32 indices.

    Example:
        >>> mouse = Skeleton("mouse", ["snout", "leftear", "rightear", "tailbase"],
        ...                  links=[("snout", "tailbase")])
        >>> mouse.flip_indices
        array([0, 2, 1, 3], dtype=int32)
    """

    def __init__(
        self,
        name: str,
        keypoints: Sequence[str],
        links: Iterable[tuple[Point, Point]] = (),
        swaps: Iterable[tuple[Point, Point]] | None = None,
        sigmas: Sequence[float] | None = None,
        joint_weights: Sequence[float] | None = None,
        keypoint_colors: Sequence[Sequence[int]] | None = None,
        link_colors: Sequence[Sequence[int]] | None = None,
        upper_body: Iterable[Point] = (),
        lower_body: Iterable[Point] = (),
    ):
        if not isinstance(name, str) or not name:
            raise ValueError(f"name of a skeleton must be a non-empty string, got {name!r}")
        self.name = name
        self.keypoints = _checked_names(name, keypoints)
        self.num_keypoints = len(self.keypoints)
        self.links = self._pairs("links", links)
        self._check_links()
        if swaps is None:
            swaps = self.guess_swaps(self.keypoints)
        self.flip_indices = self._flip_indices(self._pairs("swaps", swaps))
        self.sigmas = None if sigmas is None else self._positive("sigmas", sigmas)
        if joint_weights is None:
            joint_weights = np.ones(self.num_keypoints)
        self.joint_weights = self._numbers("joint_weights", joint_weights)
        if keypoint_colors is None:
            keypoint_colors = [SIDE_COLORS[side] for side in self._sides()]
        self.keypoint_colors = self._colors("keypoint_colors", keypoint_colors, self.num_keypoints)
        if link_colors is None:
            link_colors = self._default_link_colors()
        self.link_colors = self._colors("link_colors", link_colors, len(self.links))
        self.upper_body = self._indices("upper_body", upper_body)
        self.lower_body = self._indices("lower_body", lower_body)
        both = set(self.upper_body.tolist()) & set(self.lower_body.tolist())
        if both:
            raise ValueError(
                f"skeleton {name!r}: {self.keypoints[min(both)]!r} is in upper_body and lower_body"
            )

    @classmethod
    def names(cls) -> list[str]:
        """Names of the skeletons that come with the package."""
        return sorted(path.stem for path in (PRESETS / "skeletons").glob("*.json"))

    @classmethod
    def load(cls, name_or_path: str | os.PathLike) -> "Skeleton":
        """Reads a skeleton that comes with the package, or a file of one's own.

        Args:
            name_or_path: one of `Skeleton.names()`, or the path of a JSON file as `save` writes it.

        Raises:
            ValueError: for an unknown name (the nearest ones are named) or a file that is no
                skeleton.
            FileNotFoundError: if there is no such file.
        """
        text = os.fspath(name_or_path)
        path = Path(text)
        if isinstance(name_or_path, str) and path.name == text and path.suffix != ".json":
            path = PRESETS / "skeletons" / f"{text}.json"
            if not path.is_file():
                near = difflib.get_close_matches(text, cls.names(), n=3, cutoff=0.4)
                hint = f"did you mean {', '.join(near)}?" if near else "see Skeleton.names()"
                raise ValueError(f"unknown skeleton {text!r}; {hint}")
        if not path.is_file():
            raise FileNotFoundError(f"there is no skeleton file {path}")
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not a JSON file: {error}") from None
        try:
            return cls.from_dict(data)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @classmethod
    def resolve(cls, skeleton: "Skeleton | str | os.PathLike | Mapping") -> "Skeleton":
        """The skeleton that is meant by an instance, a name, a path, or a dict.

        A dict is one as `to_dict` gives it, or as Keras serialises the object.
        """
        if isinstance(skeleton, cls):
            return skeleton
        if isinstance(skeleton, Mapping):
            if "class_name" in skeleton:
                return cls.from_config(skeleton["config"])
            return cls.from_dict(skeleton)
        if isinstance(skeleton, str | os.PathLike):
            return cls.load(skeleton)
        raise ValueError(
            f"skeleton must be a Skeleton, a name, a path or a dict, got {type(skeleton).__name__}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads and that JSON can hold.

        Returns:
            A dict with `name`; `keypoints`, a list of `{"name", "color", "swap", "part"}` in order,
            `swap` the name of the partner or None, `part` "upper", "lower" or None; `links`, a list
            of `{"from", "to", "color"}`; `sigmas`, a list or None; `joint_weights`, a list.
        """
        part = dict.fromkeys(self.upper_body.tolist(), "upper")
        part |= dict.fromkeys(self.lower_body.tolist(), "lower")
        return {
            "name": self.name,
            "keypoints": [
                {
                    "name": keypoint,
                    "color": self.keypoint_colors[i].tolist(),
                    "swap": self.keypoints[flip] if flip != i else None,
                    "part": part.get(i),
                }
                for i, (keypoint, flip) in enumerate(
                    zip(self.keypoints, self.flip_indices.tolist(), strict=True)
                )
            ],
            "links": [
                {"from": self.keypoints[a], "to": self.keypoints[b], "color": color}
                for (a, b), color in zip(
                    self.links.tolist(), self.link_colors.tolist(), strict=True
                )
            ],
            "sigmas": None if self.sigmas is None else _short(self.sigmas),
            "joint_weights": _short(self.joint_weights),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Skeleton":
        """Builds a skeleton from a dict as `to_dict` gives it.

        What a person writes by hand may be shorter: only `name` and `keypoints` are needed, a
        keypoint may be just its name, a link a pair of names, and every other key may be missing.
        Partners are given by `swap` of the keypoints or as a list of pairs `swaps`; where neither
        is there, they are guessed from the names (see `guess_swaps`).

        Args:
            data: a dict; the keys `dataset_name`, `notes`, `papers` and `extra` are not read.

        Raises:
            ValueError: for missing or unknown keys, and for what the constructor refuses.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"a skeleton must be a dict, got {type(data).__name__}")
        known = {"name", "keypoints", "links", "swaps", "sigmas", "joint_weights"}
        _check_keys("a skeleton", data, {"name", "keypoints"}, known | set(DOCUMENTATION))
        points = [p if isinstance(p, Mapping) else {"name": p} for p in data["keypoints"]]
        for point in points:
            _check_keys("a keypoint", point, {"name"}, {"name", "color", "swap", "part"})
        names = _checked_names(data["name"], [p["name"] for p in points])
        links = data.get("links") or ()
        for link in links:
            if isinstance(link, Mapping):
                _check_keys("a link", link, {"from", "to"}, {"from", "to", "color"})
        part = {p["name"]: p.get("part") for p in points}
        unknown = set(part.values()) - {"upper", "lower", None, ""}
        if unknown:
            raise ValueError(
                f'part of a keypoint must be "upper" or "lower", got {unknown.pop()!r}'
            )
        return cls(
            data["name"],
            names,
            links=[(x["from"], x["to"]) if isinstance(x, Mapping) else x for x in links],
            swaps=data.get("swaps", _declared_swaps(data["name"], points)),
            sigmas=data.get("sigmas") or None,
            joint_weights=data.get("joint_weights"),
            keypoint_colors=_given_colors("keypoints", points),
            link_colors=_given_colors("links", links),
            upper_body=[name for name in names if part[name] == "upper"],
            lower_body=[name for name in names if part[name] == "lower"],
        )

    def save(self, path: str | os.PathLike) -> None:
        """Writes a JSON file that `load` reads, a keypoint and a link a line."""
        Path(path).write_text(format_json(self.to_dict()), encoding="utf-8")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        flips = enumerate(self.flip_indices.tolist())
        return {
            "name": self.name,
            "keypoints": list(self.keypoints),
            "links": self.links.tolist(),
            "swaps": [[i, flip] for i, flip in flips if i < flip],
            "sigmas": None if self.sigmas is None else _short(self.sigmas),
            "joint_weights": _short(self.joint_weights),
            "keypoint_colors": self.keypoint_colors.tolist(),
            "link_colors": self.link_colors.tolist(),
            "upper_body": self.upper_body.tolist(),
            "lower_body": self.lower_body.tolist(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Skeleton":
        """Rebuilds a skeleton from `get_config`."""
        return cls(**config)

    def index(self, keypoint: str) -> int:
        """Position of a keypoint.

        Raises:
            ValueError: for an unknown name; the nearest ones are named.
        """
        if keypoint not in self.keypoints:
            near = difflib.get_close_matches(str(keypoint), self.keypoints, n=3, cutoff=0.4)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ValueError(f"skeleton {self.name!r} has no keypoint {keypoint!r}{hint}")
        return self.keypoints.index(keypoint)

    def select(self, keypoints: Iterable[Point], name: str | None = None) -> "Skeleton":
        """The skeleton of some of the keypoints, with the links, pairs and colours among them.

        Args:
            keypoints: names or positions, in the new order.
            name: of the new skeleton; default: this one's.

        Raises:
            ValueError: for an unknown keypoint or one named twice.
        """
        kept = self._indices("keypoints", keypoints).tolist()
        place = {old: new for new, old in enumerate(kept)}
        links = [i for i, link in enumerate(self.links.tolist()) if set(link) <= place.keys()]
        flips = enumerate(self.flip_indices.tolist())
        swaps = [(i, flip) for i, flip in flips if i < flip and {i, flip} <= place.keys()]
        return type(self)(
            name or self.name,
            [self.keypoints[i] for i in kept],
            links=[[place[point] for point in self.links[i].tolist()] for i in links],
            swaps=[[place[point] for point in pair] for pair in swaps],
            sigmas=None if self.sigmas is None else self.sigmas[kept],
            joint_weights=self.joint_weights[kept],
            keypoint_colors=self.keypoint_colors[kept],
            link_colors=self.link_colors[links],
            upper_body=[place[i] for i in self.upper_body.tolist() if i in place],
            lower_body=[place[i] for i in self.lower_body.tolist() if i in place],
        )

    @staticmethod
    def guess_swaps(names: Sequence[str]) -> list[tuple[str, str]]:
        """Left/right pairs among keypoint names.

        Understood are `left_eye`, `Eye_Left`, `leftear`, `earleft`, `L_Eye`, `eye.l`, `eyeL`,
        `forelegL1`, `LEye` and `lEye`, each if its mirror image is among the names too.

        Args:
            names: the keypoints' names.

        Returns:
            Pairs (left name, right name), in the order of `names`.
        """
        pairs, taken = [], set()
        for name in names:
            for side, mirrored in mirror_names(name):
                if mirrored in names and mirrored != name and not {name, mirrored} & taken:
                    pairs.append((name, mirrored) if side == "left" else (mirrored, name))
                    taken |= {name, mirrored}
        return pairs

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Skeleton):
            return NotImplemented
        return self is other or self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((self.name, self.keypoints))

    def __repr__(self) -> str:
        return (
            f"Skeleton({self.name!r}, {self.num_keypoints} keypoints, {len(self.links)} links, "
            f"{'with' if self.sigmas is not None else 'no'} sigmas)"
        )

    def _index(self, argument: str, keypoint: Point) -> int:
        if isinstance(keypoint, str):
            try:
                return self.index(keypoint)
            except ValueError as error:
                raise ValueError(f"{argument}: {error}") from None
        if isinstance(keypoint, bool | np.bool_) or not isinstance(keypoint, int | np.integer):
            raise ValueError(f"{argument}: a keypoint is a name or an index, got {keypoint!r}")
        if not 0 <= keypoint < self.num_keypoints:
            raise ValueError(
                f"{argument}: index {keypoint} is outside the {self.num_keypoints} keypoints "
                f"of skeleton {self.name!r}"
            )
        return int(keypoint)

    def _indices(self, argument: str, keypoints: Iterable[Point]) -> np.ndarray:
        return _frozen([self._index(argument, keypoint) for keypoint in keypoints], np.int32)

    def _pairs(self, argument: str, pairs: Iterable[tuple[Point, Point]]) -> np.ndarray:
        rows = []
        for pair in pairs:
            row = [] if isinstance(pair, str) else [self._index(argument, point) for point in pair]
            if len(row) != 2 or row[0] == row[1]:
                raise ValueError(
                    f"{argument} must be pairs of two different keypoints, got {pair!r}"
                )
            rows.append(row)
        return _frozen(rows, np.int32, (-1, 2))

    def _check_links(self):
        seen = set()
        for a, b in self.links.tolist():
            if {(a, b), (b, a)} & seen:
                raise ValueError(
                    f"skeleton {self.name!r}: {self.keypoints[a]!r} and {self.keypoints[b]!r} "
                    "are linked twice"
                )
            seen.add((a, b))

    def _flip_indices(self, swaps: np.ndarray) -> np.ndarray:
        flip = np.arange(self.num_keypoints, dtype=np.int32)
        for a, b in swaps.tolist():
            for one, partner in ((a, b), (b, a)):
                if flip[one] not in (one, partner):
                    raise ValueError(
                        f"skeleton {self.name!r}: {self.keypoints[one]!r} swaps with both "
                        f"{self.keypoints[flip[one]]!r} and {self.keypoints[partner]!r}"
                    )
                flip[one] = partner
        return _frozen(flip, np.int32)

    def _numbers(self, argument: str, values: Sequence[float]) -> np.ndarray:
        values = _frozen(values, np.float32)
        if values.shape != (self.num_keypoints,):
            raise ValueError(
                f"{argument} must be {self.num_keypoints} numbers, one a keypoint of skeleton "
                f"{self.name!r}, got shape {values.shape}"
            )
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"{argument} must be finite and not negative, got {values.tolist()}")
        return values

    def _positive(self, argument: str, values: Sequence[float]) -> np.ndarray:
        values = self._numbers(argument, values)
        if not (values > 0).all():
            raise ValueError(f"{argument} must be above 0, got {values.tolist()}")
        return values

    def _colors(self, argument: str, colors: Sequence[Sequence[int]], count: int) -> np.ndarray:
        wide = np.asarray(colors)
        if wide.size == 0:
            wide = np.zeros((0, 3), np.int64)
        if wide.shape != (count, 3) or wide.dtype.kind not in "iu":
            raise ValueError(
                f"{argument} must be {count} RGB triples of integers for skeleton {self.name!r}, "
                f"got shape {wide.shape} of {wide.dtype}"
            )
        if count and not (wide.min() >= 0 and wide.max() <= 255):
            raise ValueError(f"{argument} must be in 0..255, got {wide.min()} to {wide.max()}")
        return _frozen(wide, np.uint8, (-1, 3))

    def _sides(self) -> list[str | None]:
        """Which side every keypoint is on: "left", "right" or None."""
        sides = []
        for i, flip in enumerate(self.flip_indices.tolist()):
            named = next((side for side, _ in mirror_names(self.keypoints[i])), None)
            sides.append(None if i == flip else named or ("left" if i < flip else "right"))
        return sides

    def _default_link_colors(self) -> list[tuple[int, int, int]]:
        sides = self._sides()
        colors = []
        for a, b in self.links.tolist():
            both = {sides[a], sides[b]} - {None}
            colors.append(SIDE_COLORS[both.pop() if len(both) == 1 else None])
        return colors


def format_json(data: Mapping[str, Any]) -> str:
    """JSON text for people: a line a key, and a line an item where the items are dicts or texts."""
    lines = []
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict | str):
            items = ",\n".join("    " + json.dumps(item, ensure_ascii=False) for item in value)
            text = f"[\n{items}\n  ]"
        else:
            text = json.dumps(value, ensure_ascii=False)
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _checked_names(skeleton: str, keypoints: Sequence[str]) -> tuple[str, ...]:
    if isinstance(keypoints, str) or not all(isinstance(k, str) and k for k in keypoints):
        raise ValueError(
            f"keypoints of skeleton {skeleton!r} must be a list of names, got {keypoints!r:.80}"
        )
    keypoints = tuple(keypoints)
    if not keypoints:
        raise ValueError(f"skeleton {skeleton!r} needs at least one keypoint")
    doubled = [name for name in keypoints if keypoints.count(name) > 1]
    if doubled:
        raise ValueError(f"skeleton {skeleton!r} has two keypoints called {doubled[0]!r}")
    return keypoints


def _declared_swaps(skeleton: str, points: list[Mapping]) -> list[tuple[str, str]] | None:
    """Pairs that the keypoints of a skeleton dict name, None where none names any."""
    if not any("swap" in point for point in points):
        return None
    partner = {point["name"]: point.get("swap") or None for point in points}
    for name, swap in partner.items():
        if swap is not None and partner.get(swap, name) != name:
            raise ValueError(
                f"skeleton {skeleton!r}: {name!r} swaps with {swap!r}, "
                f"but {swap!r} with {partner[swap]!r}"
            )
    return [(name, swap) for name, swap in partner.items() if swap is not None]


def _given_colors(what: str, items: Sequence) -> list | None:
    colors = [item.get("color") if isinstance(item, Mapping) else None for item in items]
    if all(color is None for color in colors):
        return None
    if any(color is None for color in colors):
        raise ValueError(
            f"either all {what} have a color or none, got {colors.count(None)} without"
        )
    return colors


def _check_keys(what: str, data: Mapping, needed: set[str], known: set[str]):
    if missing := needed - set(data):
        raise ValueError(f"{what} needs {sorted(missing)}, got only {sorted(data)}")
    if unknown := set(data) - known:
        raise ValueError(f"{what} has no {sorted(unknown)}; known are {sorted(known)}")


def _frozen(values: Any, dtype: type, shape: tuple[int, ...] = (-1,)) -> np.ndarray:
    try:
        array = np.array(values, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"expected numbers, got {values!r:.80}") from None
    if array.size == 0:
        array = array.reshape(0, *shape[1:])
    array.flags.writeable = False
    return array


def _short(values: np.ndarray) -> list[float]:
    """float32 as the shortest decimals that give it back, e.g. 0.026."""
    return [float(str(value)) for value in values]
