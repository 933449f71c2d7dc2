"""Makes a page of which reference values the tests compare, case by case.

    python tools/coverage_data.py [data|evaluation] [--golden ../shared/golden] [--out PAGE.md]

`data` (the default) writes docs/coverage_data.md, of data sets, transforms and geometry;
`evaluation` docs/coverage_evaluation.md, of metrics, suppression and training. Runs the tests whose
ids name a stored case, such as `test_flip[transforms/flip/flip0]`, and those that a page names,
and holds them against the files. The exit code is 1 if a case failed or is looked at by no test.
"""

import argparse
import datetime
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Page:
    """What a page is about.

    Attributes:
        title: its heading.
        name: file name in docs, without ending.
        folders: folders of reference values.
        tests: folders of tests.
        not_values: file to reason, of files without values of their own.
        by_test: test to the cases that it looks at, for tests whose ids do not name them. A file
            stands for all of its cases; "file:prefix" for those whose names begin so. A test that
            ends in "[*]" looks at the case that its id names.
        left_out: case to reason, of values that no test can look at.
    """

    title: str
    name: str
    folders: tuple[str, ...]
    tests: tuple[str, ...]
    not_values: dict[str, str] = field(default_factory=dict)
    by_test: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


_TRUTH = "annotations, which the cases beside it are measured with"
PAGES = {
    "data": Page(
        "data sets, transforms, geometry",
        "coverage_data",
        ("datasets", "datasets/parsed", "geometry", "structures", "transforms"),
        ("tests/datasets", "tests/estimators", "tests/geometry"),
        {
            "datasets/classes": "words about the reference's classes, for writing the readers",
            "datasets/index": "the list of the other files",
        },
    ),
    "evaluation": Page(
        "metrics, suppression and test-time merging, training",
        "coverage_evaluation",
        ("metrics", "metrics/coco_eval", "nms_tta", "training"),
        ("tests/evaluation", "tests/geometry/test_oks.py", "tests/training"),
        {
            **{
                f"metrics/{file}": _TRUTH
                for file in (
                    *(f"coco_metric_gt{n}{end}" for n in (0, 1) for end in ("", "_special")),
                    *(f"coco_metric_crowdpose_gt{n}" for n in (0, 1)),
                    *(f"wholebody_gt{n}" for n in (0, 1)),
                    *(f"posetrack18_gt{n}" for n in (0, 1)),
                )
            },
        },
        {
            "test_coco.py::test_where_evaluators_differ_the_right_one_is_followed": (
                "metrics/evaluator_differences",
            ),
            "test_coco_golden.py::test_val2017_size[keras-pose]": (
                "metrics/coco_eval/expected:stats",
            ),
            "test_coco_golden.py::test_curves_of_val2017_size": (
                "metrics/coco_eval/expected:ap_per_threshold",
                "metrics/coco_eval/expected:ar_per_threshold",
                "metrics/coco_eval/expected:oks_thresholds",
                "metrics/coco_eval/expected:counts",
                "metrics/coco_eval/expected:arrays",
            ),
            "test_oks.py::test_oks_equals_coco_evaluator": ("metrics/oks:oks_",),
            "test_oks.py::test_mean_similarity_equals_oks_of_nms": ("metrics/oks:oks_iou",),
            "test_averaging.py::test_momentum_curve": ("training/ema:momentum_curve",),
            "test_recipe.py::test_scaling_is_the_reference_s": ("training/facts:auto_scale_lr",),
            "test_recipe.py::test_switches_of_published_hooks": (
                "training/facts:YOLOXPoseModeSwitchHook",
                "training/facts:custom_hooks",
            ),
            "test_recipe.py::test_rules_of_rtmo_change_at_the_epoch": (
                "training/facts:RTMOModeSwitchHook",
            ),
            "test_parameter_rules.py::test_factors_of_published_models[*]": (
                "training/param_groups",
            ),
            "test_parameter_rules.py::test_layer_decay_of_published_sizes": (
                "training/param_groups:layer_decay",
            ),
        },
        {
            "metrics/coco_eval/expected/wall_seconds": "times; tools/benchmark.py measures both "
            "evaluations in the same run",
            "training/facts/published_settings": "counts of settings; the recipes with these "
            "settings are all translated by tests/training/test_recipe.py",
            "training/facts/published_settings_unreadable": "a count of configs, no value",
        },
    ),
}
FOLDERS = tuple(folder for page in PAGES.values() for folder in page.folders)
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
    "training/ema": ["momentum_curve"],
}


def stored_cases(golden: Path, file: str) -> list[str]:
    """Names of the cases of a file of reference values, `file` relative to the folder."""
    index = json.loads((golden / f"{file}.json").read_text("utf-8"))
    if isinstance(index, list):
        return [str(number) for number in range(len(index))]
    if isinstance(index.get("cases"), dict):
        return list(index["cases"])
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
    if file == "metrics/coco_eval/expected":
        return [*index, "arrays"]
    return list(index)


def files(golden: Path, page: Page) -> Iterator[str]:
    """The files that hold values."""
    for folder in page.folders:
        for path in sorted((golden / folder).glob("*.json")):
            if f"{folder}/{path.stem}" not in page.not_values:
                yield f"{folder}/{path.stem}"


class Collector:
    """Lets the tests run that look at cases and keeps what became of them.

    Args:
        page: what tests are about.
        cases: file to the names of its cases.
    """

    def __init__(self, page: Page = PAGES["data"], cases: dict[str, list[str]] | None = None):
        self.page = page
        self.cases = cases or {}
        self.results: dict[str, list[tuple[str, str]]] = defaultdict(list)

    @staticmethod
    def case_of(nodeid: str) -> str | None:
        name = nodeid.partition("[")[2].removesuffix("]")
        return name if name.startswith(tuple(f"{folder}/" for folder in FOLDERS)) else None

    def cases_of(self, nodeid: str) -> list[str]:
        """The cases that a test looks at."""
        own = self.case_of(nodeid)
        if own:
            return [own]
        whole = nodeid.rpartition("/")[2]
        test, _, named = whole.partition("[")
        found = []
        for key in {whole, test}:
            for target in self.page.by_test.get(key, ()):
                file, _, prefix = target.partition(":")
                names = [name for name in self.cases.get(file, ()) if name.startswith(prefix)]
                found += [f"{file}/{name}" for name in names]
        for target in self.page.by_test.get(f"{test}[*]", ()):
            found.append(f"{target}/{named.removesuffix(']')}")
        return found

    def pytest_collection_modifyitems(self, config, items):
        kept = [item for item in items if self.cases_of(item.nodeid)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            outcome = (report.outcome, reason.removeprefix("Skipped: "))
            for case in self.cases_of(report.nodeid):
                self.results[case].append(outcome)


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


def report(
    cases: dict[str, list[str]],
    became: dict[str, tuple[str, str]],
    page: Page = PAGES["data"],
) -> str:
    """The Markdown page."""
    total = Counter(kind for kind, _ in became.values())
    lines = [
        f"# Coverage: {page.title}",
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
    words = (f"{file} ({reason})" for file, reason in page.not_values.items())
    lines += ["", "Files without values: " + "; ".join(words)]
    return "\n".join(lines) + ".\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", nargs="?", choices=PAGES, default="data")
    parser.add_argument("--golden", type=Path, default=ROOT.parent / "shared/golden")
    parser.add_argument("--out", type=Path, help="default: the page's file in docs")
    options = parser.parse_args(arguments)
    if not options.golden.is_dir():
        parser.error(f"there is no folder of reference values {options.golden}")
    page = PAGES[options.page]
    cases = {file: stored_cases(options.golden, file) for file in files(options.golden, page)}
    collector = Collector(page, cases)
    tests = [str(ROOT / folder) for folder in page.tests]
    code = pytest.main(["-q", "-p", "no:cacheprovider", "--tb=line", *tests], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print("the tests could not be run, see above", file=sys.stderr)
        return 1
    for case, reason in page.left_out.items():
        collector.results[case].append(("skipped", reason))
    became, strangers = outcomes(cases, collector.results)
    options.out = options.out or ROOT / f"docs/{page.name}.md"
    options.out.write_text(report(cases, became, page), encoding="utf-8")
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
