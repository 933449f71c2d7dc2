"""The reference's values of codecs."""

import functools
import json

import numpy as np
import pytest


class Golden:
    """Cases of one file of reference values."""

    def __init__(self, path, goldens):
        self.arrays = np.load(path.with_suffix(".npz"))
        self.goldens = goldens
        cases = json.loads(path.with_suffix(".json").read_text("utf-8"))["cases"]
        self.cases = {case["case"]: case for case in cases}

    def array(self, name):
        value = self.arrays[name]
        return value.astype("float32") if value.dtype == np.float16 else value

    def maps(self, name):
        """Maps of one image or several as `(B, h, w, K)`."""
        value = self.array(name)
        return value[None].transpose(0, 2, 3, 1) if value.ndim == 3 else value.transpose(0, 2, 3, 1)

    def labels(self, case):
        """The batch of one image that a case encodes."""
        keypoints = self.array(case["in"]["keypoints"])
        visible = case["in"]["keypoints_visible"]
        visible = np.ones(keypoints.shape[:2], "f4") if visible is None else self.array(visible)
        return {"keypoints": keypoints[None], "visible": visible[None]}

    def check(self, case, output, actual, tolerance):
        """Compares with one output of a case, which is stored whole or in part."""
        found = self.goldens.compare(self.arrays, case["out"][output], actual)
        assert found["max_abs"] <= tolerance, (case["case"], output, found)

    def check_maps(self, case, output, actual, tolerance):
        """The same of the maps `(1, h, w, K)` of one image."""
        self.check(case, output, actual[0].transpose(2, 0, 1), tolerance)


@pytest.fixture(scope="session")
def codec_golden(golden, goldens):
    """Reads a file of codec cases by its name."""
    return functools.cache(lambda name: Golden(golden / "codecs" / name, goldens))
