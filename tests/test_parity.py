"""Small published models against the reference, from pixels to gradients.

`make parity` runs all of them; see docs/coverage.md.
"""

from pathlib import Path

import pytest

pytestmark = pytest.mark.parity

# The values of these are in the project.
OWN = Path(__file__).resolve().parent / "golden"
# What is compared of each, by the beginnings of the checks' names; below what else by config.
STEPS = ("inputs", "backbone", "head", "keypoints", "target.", "loss.")
MODELS = {
    "rtmpose-t_8xb256-420e_coco-256x192": ("scores", "flip_", "grad.", "train."),
    "td-reg_mobilenetv2_rle-pretrained-8xb64-210e_coco-256x192": ("scores", "flip_", "neck."),
    "td-hm_vipnas-mbv3_8xb64-210e_coco-256x192": ("scores", "flip_"),
    "td-hm_shufflenetv2_8xb64-210e_coco-256x192": ("scores", "flip_"),
}
# The values of these are only beside the project.
FURTHER = {
    "td-hm_res50_8xb64-210e_coco-256x192": ("scores", "flip_", "train."),
    "td-hm_rsn18_8xb32-210e_coco-256x192": ("scores", "flip_", "grad."),
    "td-hm_hrnetv2-w18_skps-1xb64-80e_wflw-256x256": ("scores", "neck."),
    "td-hm_ViTPose-small-simple_8xb64-210e_coco-256x192": ("scores", "flip_", "neck."),
    "image-pose-lift_tcn_8xb64-200e_h36m": ("grad.",),
    "video-pose-lift_tcn-1frm-supv-cpn-ft_8xb128-160e_h36m": (),
    "video-pose-lift_tcn-27frm-supv_8xb128-160e_h36m": ("grad.",),
}


def _check(case, wanted):
    found = list(case.differences(case.estimator()))
    names = [difference.name for difference in found]
    assert len(set(names)) == len(names)
    for beginning in (*STEPS, *wanted):
        assert any(name.startswith(beginning) for name in names), beginning
    assert not [difference for difference in found if not difference.small]


@pytest.mark.parametrize("config", MODELS)
def test_equals_the_reference(parity, config):
    _check(parity.open_case(OWN, config), MODELS[config])


@pytest.mark.parametrize("config", FURTHER)
def test_further_models_equal_the_reference(golden, parity, config):
    _check(parity.open_case(golden, config), FURTHER[config])


@pytest.mark.parametrize("flip_test", [False, True])
def test_predicting_is_what_the_comparison_did_in_steps(parity, flip_test):
    import numpy as np

    case = parity.open_case(OWN, "td-hm_vipnas-mbv3_8xb64-210e_coco-256x192")
    decoded = case.estimator().predict_on_batch(case.images, flip_test=flip_test)
    size = np.float32(case.entry["input_size"])
    scale = case.arrays["input_scale"][:, None, None] / size
    corner = (case.arrays["input_center"] - case.arrays["input_scale"] / 2)[:, None, None]
    prefix = "flip_" if flip_test else ""
    stable = ~case.arrays[f"{prefix}unstable"]
    distance = (decoded["keypoints"] * scale + corner - case.arrays[f"{prefix}keypoints"]) / scale
    assert np.abs(distance)[stable].max() <= 0.05


def test_the_values_in_the_project_are_those_beside_it(golden):
    for path in OWN.rglob("*.npz"):
        assert path.read_bytes() == (golden / path.relative_to(OWN)).read_bytes()
