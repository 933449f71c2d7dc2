"""What an import did: counts, and what was left out and why."""

from dataclasses import dataclass, field


@dataclass
class ImportReport:
    """Counts of an import.

    Args:
        format: title of the format.
        source: the path that was read.
        images: int, how many images there are now, with or without objects.
        image_sizes: (width, height) -> how many.
        splits: name of a split -> how many images.
        objects: name of a category -> how many.
        keypoints: "seen", "hidden" and "not labelled" -> how many.
        boxes_made: int, boxes that the file did not have.
        box_rule: str, how they were made.
        pairs: category -> its left/right pairs, and what says so.
        skipped: reason -> (how many, an example).
        failed: the reasons in `skipped` that are failures: images missing or not readable.
        notes: sentences about what was decided.
    """

    format: str
    source: str
    images: int = 0
    image_sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    keypoints: dict[str, int] = field(default_factory=dict)
    boxes_made: int = 0
    box_rule: str = ""
    pairs: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, tuple[int, str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every image could be read."""
        return not self.failed

    def __str__(self) -> str:
        """Lines for people."""
        sizes = [f"{w}x{h}" for w, h in sorted(self.image_sizes, key=self.image_sizes.get)[::-1]]
        sizes = ", ".join(sizes[:3]) + (f" and {len(sizes) - 3} more sizes" if sizes[3:] else "")
        rows = [("read", f"{self.source} ({self.format})"), ("images", f"{self.images} ({sizes})")]
        if self.splits:
            rows.append(("splits", ", ".join(f"{n} {name}" for name, n in self.splits.items())))
        rows.append(("objects", ", ".join(f"{n} {name}" for name, n in self.objects.items())))
        rows.append(("keypoints", ", ".join(f"{n} {name}" for name, n in self.keypoints.items())))
        if self.boxes_made:
            rows.append(("boxes", f"{self.boxes_made} made: {self.box_rule}"))
        rows += [("left/right", f"{name}: {text}") for name, text in self.pairs.items()]
        for reason, (count, example) in self.skipped.items():
            rows.append(("left out", f"{count} {reason}, for example {example}"))
        rows += [("note", note) for note in self.notes]
        return "\n".join(f"{title:<11} {text}" for title, text in rows)
