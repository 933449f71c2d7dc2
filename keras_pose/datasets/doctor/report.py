"""What a check of a data set found, for people and for programs."""

import textwrap
from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("error", "warning", "note")
_WIDTH = 92


@dataclass(frozen=True)
class Finding:
    """One kind of trouble.

    Attributes:
        check: name of the check, e.g. `"box-empty"`.
        severity: "error" (training or evaluation fails or goes wrong), "warning" (probably not
            meant) or "note" (good to know).
        count: how often.
        message: one sentence.
        remedy: one sentence.
        example: one case, with those of `file`, `image_id`, `annotation_id` and `detail` that
            apply.
        annotations: places of the objects concerned in the file's list, for drawing.
    """

    check: str
    severity: str
    count: int
    message: str
    remedy: str
    example: dict[str, Any] = field(default_factory=dict)
    annotations: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        keys = ("check", "severity", "count", "message", "remedy", "example")
        return {key: getattr(self, key) for key in keys}

    def __str__(self) -> str:
        lines = [f"{self.severity.upper():<9}{self.check}", self.message]
        if self.example:
            lines.append(f"for example {_example(self.example)}")
        lines.append(f"-> {self.remedy}")
        wrapped = [
            textwrap.fill(
                line,
                _WIDTH,
                initial_indent=" " * 9,
                subsequent_indent=" " * 9,
                # Paths and names stay whole.
                break_long_words=False,
                break_on_hyphens=False,
            )
            for line in lines[1:]
        ]
        return "\n".join([lines[0], *wrapped])


@dataclass(frozen=True)
class Report:
    """All that was found in a data set; worst first.

    Attributes:
        name: of the annotation file.
        facts: `images`, `objects`, `keypoints` (labelled ones), `skeleton`, `num_keypoints`, and
            `sigmas` with their `sigmas_method` where they were estimated.
        findings: tuple of Finding.
        not_checked: sentences, what could not be looked at and why.

    Example:
        >>> report = check("train.json", "images")
        >>> report.counts
        {'error': 0, 'warning': 1, 'note': 2}
        >>> report.ok
        True
    """

    name: str
    facts: dict[str, Any]
    findings: tuple[Finding, ...]
    not_checked: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings of each severity."""
        found = [finding.severity for finding in self.findings]
        return {severity: found.count(severity) for severity in SEVERITIES}

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.counts["error"]

    def exit_code(self, strict: bool = False) -> int:
        """0, or 1 after errors; with `strict` also after warnings."""
        return int(not self.ok or (strict and self.counts["warning"] > 0))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "ok": self.ok,
            "counts": self.counts,
            "facts": self.facts,
            "findings": [finding.to_dict() for finding in self.findings],
            "not_checked": list(self.not_checked),
        }

    def __str__(self) -> str:
        facts = self.facts
        parts = [
            f"{self.name}: {_counted(facts['objects'], 'object')} in "
            f"{_counted(facts['images'], 'image')}, "
            f"{_counted(facts['keypoints'], 'labelled keypoint')}, skeleton "
            f"{facts['skeleton'] or 'unknown'} of {_counted(facts['num_keypoints'], 'keypoint')}",
            *(str(finding) for finding in self.findings),
        ]
        if "sigmas" in facts:
            numbers = ", ".join(f"{sigma:.3f}" for sigma in facts["sigmas"])
            text = f"sigmas, {facts['sigmas_method']}: [{numbers}]"
            parts.append(textwrap.fill(text, _WIDTH))
        parts += [textwrap.fill(f"not checked: {text}", _WIDTH) for text in self.not_checked]
        counts = ", ".join(_counted(number, word) for word, number in self.counts.items())
        return "\n\n".join([*parts, counts])


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _example(example: dict[str, Any]) -> str:
    words = {"file": "{}", "image_id": "image {}", "annotation_id": "annotation {}"}
    parts = [
        text.format(example[key]) for key, text in words.items() if example.get(key) is not None
    ]
    place = ", ".join(parts)
    detail = example.get("detail")
    return f"{place}: {detail}" if place and detail else place or str(detail)
