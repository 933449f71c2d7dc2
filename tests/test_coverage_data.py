import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools/coverage_data.py"
CASES = {"transforms/flip": ["flip0", "flip1"], "geometry/keypoints": ["root_x", "root_y"]}


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("coverage_data", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({}, ("nobody", "")),
        ({"transforms/flip/flip0": [("passed", "")]}, ("compared", "")),
        ({"transforms/flip/flip0": [("skipped", "a bug")]}, ("left out", "a bug")),
        # one test leaves it out, another one compares it
        (
            {"transforms/flip/flip0": [("skipped", "elsewhere"), ("passed", "")]},
            ("compared", ""),
        ),
        (
            {
                "transforms/flip/flip0/pixels": [("failed", "")],
                "transforms/flip/flip0/boxes": [("passed", "")],
            },
            ("failed", ""),
        ),
    ],
)
def test_what_became_of_a_case(tool, results, expected):
    became, strangers = tool.outcomes(CASES, results)
    assert became["transforms/flip/flip0"] == expected and not strangers
    assert became["transforms/flip/flip1"] == ("nobody", "")


def test_one_test_may_look_at_several_arrays(tool):
    became, _ = tool.outcomes(CASES, {"geometry/keypoints/root": [("passed", "")]})
    assert {became[f"geometry/keypoints/root_{axis}"][0] for axis in "xy"} == {"compared"}


def test_ids_of_no_case_are_named(tool):
    assert tool.outcomes(CASES, {"transforms/flip/flap": [("passed", "")]})[1] == [
        "transforms/flip/flap"
    ]


def test_only_ids_of_stored_cases_are_taken(tool):
    case_of = tool.Collector.case_of
    assert case_of("tests/a.py::test_b[transforms/flip/flip0]") == "transforms/flip/flip0"
    assert case_of("tests/a.py::test_b[torch]") is None and case_of("tests/a.py::test_b") is None


def test_the_page_names_what_is_missing(tool):
    became, _ = tool.outcomes(CASES, {"transforms/flip/flip0": [("skipped", "a bug")]})
    page = tool.report(CASES, became)
    assert "| transforms/flip | 2 |  | 1 |  | 1 |" in page
    assert "| a bug | transforms/flip/flip0 |" in page
    assert "4 cases: 0 compared, 1 left out, 0 failed, 3 looked at by no test." in page


def test_tests_may_be_named_for_cases(tool):
    page = tool.Page(
        "t", "t", (), (), {}, {"a.py::test_b": ("m/f:x",), "a.py::test_c[*]": ("m/g",)}
    )
    collector = tool.Collector(page, {"m/f": ["x0", "x1", "y"], "m/g": ["one"]})
    assert collector.cases_of("tests/a.py::test_b") == ["m/f/x0", "m/f/x1"]
    assert collector.cases_of("tests/a.py::test_b[torch]") == ["m/f/x0", "m/f/x1"]
    assert collector.cases_of("tests/a.py::test_c[one]") == ["m/g/one"]
    assert collector.cases_of("tests/a.py::test_d") == []
