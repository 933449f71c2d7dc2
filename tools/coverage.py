"""Makes docs/coverage.md: which published architectures agree with the reference, where, how far.

    python tools/coverage.py [--record docs/parity.json] [--out docs/coverage.md]

Reads what `tools/parity.py --record` found. A cell is the largest difference as a fraction of what
it may be; a model that was not compared has the reason.
"""

import argparse
import json
import sys
from pathlib import Path

from reference.index import FOLDERS, LEFT_OUT, entries

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("jax", "tensorflow", "torch")
# What the checks of tools/parity.py are about, by the beginning of their names.
STEPS = {
    "forward": ("inputs", "backbone", "neck", "head", "traj_"),
    "decode": ("keypoints", "scores", "visibility", "people", "same_people", "box", "pred"),
    "flip": ("flip_",),
    "targets": ("target.", "assign."),
    "loss": ("loss.",),
    "gradients": ("grad.",),
    "training": ("train.",),
}
# Written from the architecture's description: nobody published weights, nobody stored values.
NO_GOLDEN = {
    "backbones": [
        "SEResNeXt",
        "RegNet",
        "MobileNetV3 (as a pose backbone)",
        "HourglassAE",
        "VGG without bn",
    ],
    "necks": ["ChannelMapper", "FPN", "PoseWarperNeck"],
}


def step_of(check: str) -> str:
    """The step that a check belongs to."""
    for step, beginnings in STEPS.items():
        if check.startswith(beginnings):
            return step
    raise ValueError(f"the check {check!r} belongs to no step")


def cells(result: dict | None) -> dict[str, str]:
    """One backend's results of one model, by step."""
    if result is None:
        return dict.fromkeys(STEPS, "not run")
    worst: dict[str, float] = {}
    for name, (value, limit) in result["checks"].items():
        step = step_of(name)
        worst[step] = max(worst.get(step, 0.0), value / limit if limit else value)
    shown = {
        step: f"{value:.2f}" if value <= 1 else f"**{value:.1f}**" for step, value in worst.items()
    }
    missing = "not compared" if result["error"] else ""
    return {step: shown.get(step, missing) for step in STEPS}


def table(results: dict, names: list[str]) -> list[str]:
    """Markdown rows: a model and backend each."""
    rows = [
        "| model | backend | " + " | ".join(STEPS) + " |",
        "|---" * (len(STEPS) + 2) + "|",
    ]
    for name in names:
        for i, backend in enumerate(BACKENDS):
            found = cells(results.get(name, {}).get(backend))
            rows.append(
                f"| {name if i == 0 else ''} | {backend} | " + " | ".join(found.values()) + " |"
            )
    return rows


def _when(dates: list[str]) -> str:
    days = sorted(set(dates))
    return f" of {' to '.join(dict.fromkeys((days[0], days[-1])))}." if days else "."


def document(results: dict, folders: dict[str, list[str]]) -> str:
    """The whole page.

    Args:
        results: of `tools/parity.py`.
        folders: {folder of reference values: names of its models}.
    """
    names = [name for each in folders.values() for name in each]
    dates = [found["date"] for result in results.values() for found in result.values()]
    lines = [
        "# Coverage: agreement with the reference",
        "",
        "Made by `tools/coverage.py` from the results of `tools/parity.py`" + _when(dates),
        "",
        "Each number is the largest difference from the reference's values as a fraction of what "
        "it may be (1.00 is the limit; the limits are those of the reference values: outputs 1e-4 "
        "of their deviation or 20 times the reference's own float32 error, keypoints 0.05 network "
        "pixels, scores 1e-3, targets 2e-6, losses 1e-4, gradients 1e-3 of their deviation but "
        "for models whose gradients float32 cannot tell so closely: `topdown.py` and "
        "`bottomup.py` in `tools/reference` name them with the proof; keypoints of bottom-up "
        "models 0.02 pixels of the photo and 20 times the reference's own float32 error, those "
        "of lifters 2e-5 m). An empty cell means that the reference stored no such values. "
        "Bottom-up models find all people that the reference finds, and no others.",
        "",
        "| models | backend | compared | within all limits | of |",
        "|---|---|---|---|---|",
    ]
    for folder, of in folders.items():
        for i, backend in enumerate(BACKENDS):
            done = [results[name][backend] for name in of if backend in results.get(name, {})]
            good = sum(not found["error"] and not found["too_large"] for found in done)
            what = FOLDERS[folder] if i == 0 else ""
            lines.append(f"| {what} | {backend} | {len(done)} | {good} | {len(of)} |")
    for folder, of in folders.items():
        lines += ["", f"## {FOLDERS[folder]}", "", *table(results, of)]
    lines.append("")
    problems = [
        f"- {name}, {backend}: {result['error'] or 'too large: ' + ', '.join(result['too_large'])}"
        for name in names
        for backend, result in sorted(results.get(name, {}).items())
        if result["error"] or result["too_large"]
    ]
    if problems:
        lines += ["## Not within the limits", "", *problems, ""]
    lines += [
        "## Not compared",
        "",
        *[f"- {name}: {reason}" for name, reason in LEFT_OUT.items()],
        "",
        "## Without reference values",
        "",
        "Nobody published weights of these. They are written from the architectures' description; "
        "tests check shapes, names and round trips only:",
        "",
        *[f"- {kind}: {', '.join(names)}" for kind, names in NO_GOLDEN.items()],
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--record", type=Path, default=ROOT / "docs/parity.json")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/coverage.md")
    parser.add_argument("--golden", type=Path, default=ROOT.parent / "shared/golden")
    arguments = parser.parse_args()
    for path in (arguments.record, arguments.golden / "models/index.json"):
        if not path.exists():
            parser.error(f"there is no {path}")
    folders = {
        folder: sorted(entry["config"] for _, entry in entries(arguments.golden, [folder]))
        for folder in FOLDERS
    }
    results = json.loads(arguments.record.read_text("utf-8"))
    arguments.out.write_text(document(results, folders), "utf-8")
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
