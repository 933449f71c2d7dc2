"""Makes docs/coverage_data.md: which reference values of data the tests compare, case by case.

    python tools/coverage_data.py [--golden ../shared/golden] [--out docs/coverage_data.md]

Runs the tests of data sets, transforms and geometry whose ids name a stored case, such as
`test_flip[transforms/flip/flip0]`, and holds the ids against the files. The exit code is 1 if a
case failed or is looked at by no test.
"""

import argparse
import datetime
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("datasets", "datasets/parsed", "geometry", "structures", "transforms")
TESTS = ("tests/datasets", "tests/estimators", "tests/geometry")
# Files without values of their own.
NOT_VALUES = {
    "datasets/classes": "words about the reference's classes, for writing the readers",
    "datasets/index": "the list of the other files",
}
# Arrays that are given to the reference, in files that are nothing but arrays.
INPUTS = {
    "geometry/bbox": {"xyxy", "xywh", "corner", "iou_b"},
    "geometry/keypoints": {
        "keypoints",
        "visible",
        "visible_weights",
        "flip_indices",
        "flip_indices_h36m",
        "keypoints_3d",
        "visible_3d",
    },
    "geometry/warp_matrix": {
        "center",
        "scale",
        "rot",
        "output_size",
        "shift",
        "inv",
        "fix_aspect_ratio",
        "points",
        *(f"pers_{name}" for name in ("center", "translate", "scale", "rot", "shear")),
    },
    "transforms/hsv_table": {"bgr", "hsv"},
}
# Results that stand beside a file's cases.
BESIDE_CASES = {
    "datasets/h36m_sequences": ["subset_frac_0_4"],
    "geometry/camera": ["lift", "proj", "unproj"],
}


def stored_cases(golden: Path, file: str) -> list[str]:
    """Names of the cases of a file of reference values, `file` relative to the folder."""
    index = json.loads((golden / f"{file}.json").read_text("utf-8"))
    if "cases" in index:
        names = [case.get("id", str(i)) for i, case in enumerate(index["cases"])]
        return [*names, *BESIDE_CASES.get(file, [])]
    if file.startswith("datasets/parsed/"):
        return list(index["variants"])
    if file in INPUTS:
        arrays = np.load(golden / f"{file}.npz").files
        return [name for name in arrays if name not in INPUTS[file]]
    if file == "transforms/half_body":
        return [str(row) for row in range(len(np.load(golden / f"{file}.npz")["half.mode"]))]
    if file == "transforms/recipes":
        return sorted({row["transform"] for row in index["rows"]})
    return list(index)


def files(golden: Path) -> Iterator[str]:
    """The files that hold values."""
    for folder in FOLDERS:
        for path in sorted((golden / folder).glob("*.json")):
            if f"{folder}/{path.stem}" not in NOT_VALUES:
                yield f"{folder}/{path.stem}"


class Collector:
    """Lets the tests run whose ids name a case and keeps what became of them."""

    def __init__(self):
        self.results: dict[str, list[tuple[str, str]]] = defaultdict(list)

    @staticmethod
    def case_of(nodeid: str) -> str | None:
        name = nodeid.partition("[")[2].removesuffix("]")
        return name if name.startswith(tuple(f"{folder}/" for folder in FOLDERS)) else None

    def pytest_collection_modifyitems(self, config, items):
        kept = [item for item in items if self.case_of(item.nodeid)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            outcome = (report.outcome, reason.removeprefix("Skipped: "))
            self.results[self.case_of(report.nodeid)].append(outcome)


def outcomes(
    cases: dict[str, list[str]], results: dict[str, list[tuple[str, str]]]
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """What became of every stored case, and the ids of tests that name no stored case.

    Returns:
        Dict from `file/case` to "compared", "failed", "left out" or "nobody" and the reason; ids.
    """
    known = {f"{file}/{case}" for file, names in cases.items() for case in names}
    of_case, strangers = defaultdict(list), []
    for name, found in results.items():
        # a case may be looked at in parts: transforms/flip/flip0/image
        case = name
        while case not in known and case:
            case = case.rpartition("/")[0]
        # or several at once: flip_root0 is flip_root0_keypoints and flip_root0_visible
        met = [case] if case else [one for one in known if one.startswith(f"{name}_")]
        for one in met:
            of_case[one] += found
        if not met:
            strangers.append(name)
    became = {}
    for case in sorted(known):
        ends = dict(of_case[case])
        if not ends:
            became[case] = ("nobody", "")
        elif "failed" in ends:
            became[case] = ("failed", "")
        elif "passed" in ends:
            became[case] = ("compared", "")
        else:
            became[case] = ("left out", ends["skipped"])
    return became, strangers


def report(cases: dict[str, list[str]], became: dict[str, tuple[str, str]]) -> str:
    """The Markdown page."""
    total = Counter(kind for kind, _ in became.values())
    lines = [
        "# Coverage: data sets, transforms, geometry",
        "",
        f"Made by `tools/coverage_data.py` on {datetime.date.today()}. A case is one stored call "
        "of the reference (or one array of results); it is compared to the precision that the "
        "reference values state. Where the reference errs in a part of a case, the rest of it "
        "is compared and the part has a test of what is right. Left out is what is not compared, "
        "with the reason.",
        "",
        f"{len(became)} cases: {total['compared']} compared, {total['left out']} left out, "
        f"{total['failed']} failed, {total['nobody']} looked at by no test.",
        "",
        "| reference values | cases | compared | left out | failed | by no test |",
        "|---|---|---|---|---|---|",
    ]
    reasons: dict[str, list[str]] = defaultdict(list)
    for file, names in cases.items():
        count = Counter(became[f"{file}/{name}"][0] for name in names)
        kinds = ("compared", "left out", "failed", "nobody")
        numbers = " | ".join(str(count[kind]) if count[kind] else "" for kind in kinds)
        lines.append(f"| {file} | {len(names)} | {numbers} |")
        for name in names:
            kind, reason = became[f"{file}/{name}"]
            if kind != "compared":
                reasons[reason or kind].append(f"{file}/{name}")
    if reasons:
        lines += ["", "## What is not compared", "", "| reason | cases |", "|---|---|"]
        lines += [f"| {reason} | {', '.join(names)} |" for reason, names in reasons.items()]
    lines += ["", "Files without values: " + "; ".join(f"{k} ({v})" for k, v in NOT_VALUES.items())]
    return "\n".join(lines) + ".\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--golden", type=Path, default=ROOT.parent / "shared/golden")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/coverage_data.md")
    options = parser.parse_args(arguments)
    if not options.golden.is_dir():
        parser.error(f"there is no folder of reference values {options.golden}")
    collector = Collector()
    tests = [str(ROOT / folder) for folder in TESTS]
    code = pytest.main(["-q", "-p", "no:cacheprovider", "--tb=line", *tests], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print("the tests could not be run, see above", file=sys.stderr)
        return 1
    cases = {file: stored_cases(options.golden, file) for file in files(options.golden)}
    became, strangers = outcomes(cases, collector.results)
    options.out.write_text(report(cases, became), encoding="utf-8")
    print(f"wrote {options.out}")
    missing = [case for case, (kind, _) in became.items() if kind in ("failed", "nobody")]
    for name in strangers:
        print(f"no stored case is called {name}", file=sys.stderr)
    for case in missing[:20]:
        print(f"{case}: {became[case][0]}", file=sys.stderr)
    if missing:
        print(f"{len(missing)} cases failed or are looked at by no test", file=sys.stderr)
    return 1 if missing or strangers else 0


if __name__ == "__main__":
    raise SystemExit(main())
