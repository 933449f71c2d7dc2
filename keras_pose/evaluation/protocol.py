"""Metric values together with how they were measured, without which they cannot be compared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

# Metrics of the first line when a result is printed; the others follow in brackets.
HEADLINES = ("AP", "PCK@0.05")


@dataclass(frozen=True)
class Protocol:
    """How a metric was measured.

    Args:
        dataset: name of the data set or of its annotation file.
        images: number of images that were evaluated.
        people: number of annotated people (animals, hands, ...) that could be found.
        boxes: "ground truth", or the name of the detector or of the file with its boxes.
        score: how a pose is ranked, e.g. "mean keypoint score".
        split: part of the data set, e.g. "val"; None if the name says it.
        box_padding: factor on the boxes' sides, None if not known.
        flip_test: whether outputs were averaged with those of the mirrored image.
        nms: suppression of double poses, "none" or e.g. "OKS 0.9".
        measure: what the metric is relative to where there is a choice, e.g. "longer box side".
        engine: library that computed it, None if it is this package.
    """

    dataset: str
    images: int
    people: int
    boxes: str = "ground truth"
    score: str = "mean keypoint score"
    split: str | None = None
    box_padding: float | None = None
    flip_test: bool = False
    nms: str = "none"
    measure: str | None = None
    engine: str | None = None

    def __str__(self) -> str:
        name = self.dataset if self.split is None else f"{self.dataset} {self.split}"
        padding = "" if self.box_padding is None else f", padded x{self.box_padding:g}"
        parts = [
            f"{name}: {_plural(self.images, 'image')}, {_plural(self.people, 'instance')}",
            f"boxes: {self.boxes}{padding}",
            f"score: {self.score}",
            f"flip test: {'yes' if self.flip_test else 'no'}",
            f"pose NMS: {self.nms}",
            self.measure,
            self.engine and f"computed by {self.engine}",
        ]
        return "; ".join(part for part in parts if part)

    def to_dict(self) -> dict:
        """Plain data that `from_dict` reads and that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping) -> "Protocol":
        """Reads what `to_dict` wrote.

        Raises:
            ValueError: for missing or unknown keys.
        """
        names = {item.name for item in fields(cls)}
        required = {"dataset", "images", "people"}
        if not isinstance(data, Mapping) or data.keys() - names or required - data.keys():
            raise ValueError(
                f"a protocol must be a dict with {sorted(required)} and of the others at most "
                f"{sorted(names - required)}, got {data!r}"
            )
        return cls(**data)


@dataclass(frozen=True)
class EvaluationResult:
    """Metric values and the protocol they belong to; printing shows both.

    Args:
        metrics: name to value, the most important first.
        protocol: how they were measured.
        notes: sentences about what was unusual, e.g. predictions that were not finite.
        per_keypoint: metric to keypoint name to value, -1 where it is never annotated; for metrics
            that can be told apart by keypoint.

    Example:
        >>> print(evaluate_topdown(estimator, people))
        AP 0.4070 (AP50 0.6705, AP75 0.3981, ...)
        on val.json: 72 images, 199 instances; boxes: ground truth, padded x1.25; score: ...
    """

    metrics: dict[str, float]
    protocol: Protocol
    notes: tuple[str, ...] = field(default=())
    per_keypoint: dict[str, dict[str, float]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.metrics[name]

    def __str__(self) -> str:
        values = {name: f"{name} {_number(value)}" for name, value in self.metrics.items()}
        first = [values.pop(name) for name in HEADLINES if name in values]
        rest = (
            f" ({', '.join(values.values())})" if first and values else ", ".join(values.values())
        )
        return "\n".join([", ".join(first) + rest, f"on {self.protocol}", *self.notes])

    def to_dict(self) -> dict:
        """Plain data that `from_dict` reads and that JSON can hold."""
        return {
            "metrics": dict(self.metrics),
            "protocol": self.protocol.to_dict(),
            "notes": list(self.notes),
            "per_keypoint": {name: dict(values) for name, values in self.per_keypoint.items()},
        }

    def keypoint_table(self) -> str:
        """A line a keypoint with its metrics, empty if none can be told apart by keypoint."""
        if not self.per_keypoint:
            return ""
        names = list(dict.fromkeys(name for row in self.per_keypoint.values() for name in row))
        rows = [["keypoint", *self.per_keypoint]]
        for name in names:
            values = [row.get(name, -1) for row in self.per_keypoint.values()]
            rows.append([name, *(_number(value) for value in values)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                [row[0].ljust(widths[0])]
                + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            )
            for row in rows
        )

    @classmethod
    def from_dict(cls, data: Mapping) -> "EvaluationResult":
        """Reads what `to_dict` wrote.

        Raises:
            ValueError: for a dict of another form.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("metrics"), Mapping):
            raise ValueError(f"a result must be a dict with 'metrics' and 'protocol', got {data!r}")
        metrics = {str(name): float(value) for name, value in data["metrics"].items()}
        notes = tuple(data.get("notes", ()))
        per_keypoint = {name: dict(row) for name, row in data.get("per_keypoint", {}).items()}
        return cls(metrics, Protocol.from_dict(data.get("protocol")), notes, per_keypoint)


def _number(value: float) -> str:
    """-1 is what COCO evaluators say where nobody is annotated."""
    return "n/a" if value == -1 else f"{value:.4f}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
