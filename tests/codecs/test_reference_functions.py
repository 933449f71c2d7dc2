"""The functions that the reference's codecs share, against their stored cases."""

import numpy as np
import pytest

from keras_pose.codecs import (
    MSRAHeatmap,
    RegressionLabel,
    UDPHeatmap,
    WithVisibility,
)
from keras_pose.codecs.blur import blur_maps, blur_vectors, gaussian_kernel, with_maximum_of
from keras_pose.codecs.decoding import heatmap_maximum, is_local_maximum
from keras_pose.codecs.gaussian import instance_gaussians
from keras_pose.codecs.instances import instance_boxes, instance_diagonals, instance_roots
from keras_pose.codecs.refinement import dark_step, quarter_step, udp_dark_step
from keras_pose.layers.resize import resize

pytestmark = pytest.mark.parity

# Operations whose cases are not looked at here, and why.
ELSEWHERE = {
    "get_simcc_maximum": "of SimCC, see its tests",
    "get_simcc_normalized": "of SimCC, see its tests",
    "refine_simcc_dark": "of SimCC, see its tests",
    "flip_vectors": "of SimCC, see its tests",
    "soft_argmax": "of the integral regression heads",
    "get_heatmap_3d_maximum": "of lifted and volumetric poses",
    "camera_to_pixel": "of lifted and volumetric poses",
    "pixel_to_camera": "of lifted and volumetric poses",
    "camera_to_image_coord": "of lifted and volumetric poses",
}
HERE = {
    "get_heatmap_maximum",
    "gaussian_blur",
    "gaussian_blur1d",
    "gaussian_kernel",
    "refine_keypoints",
    "refine_keypoints_dark",
    "refine_keypoints_dark_udp",
    "generate_gaussian_heatmaps",
    "generate_unbiased_gaussian_heatmaps",
    "generate_udp_gaussian_heatmaps",
    "generate_offset_heatmap",
    "flip_heatmaps",
    "flip_coordinates",
    "flip_visibility",
    "aggregate_heatmaps",
    "batch_heatmap_nms",
    "get_instance_root",
    "get_instance_bbox",
    "get_diagonal_lengths",
}
# Of the cases of those, the ones that no codec here has a use for.
LEFT_OUT = {
    *[f"flip_heatmaps_offset_s{shift}" for shift in (0, 1)],
}


@pytest.fixture(scope="module")
def functions(codec_golden):
    return codec_golden("utils")


def _cases(golden, operation):
    cases = [case for case in golden.cases.values() if case["op"] == operation]
    cases = [case for case in cases if case["case"] not in LEFT_OUT]
    assert cases
    return cases


def test_every_operation_is_in_a_list(functions):
    assert {case["op"] for case in functions.cases.values()} == {*HERE, *ELSEWHERE}
    assert set(functions.cases) >= LEFT_OUT


def test_kernels(functions):
    for case in _cases(functions, "gaussian_kernel"):
        kernel = gaussian_kernel(case["call"]["ksize"])
        functions.check(case, "kernel", kernel, 1e-7)


def test_blurred_maps(functions, compiled):
    for case in _cases(functions, "gaussian_blur"):
        kernel = case["call"]["kernel"]
        blur = compiled(lambda m, kernel=kernel: with_maximum_of(blur_maps(m, kernel), m, (1, 2)))
        functions.check_maps(case, "out", blur(functions.maps(case["in"]["heatmaps"])), 2e-6)


def test_blurred_vectors(functions, compiled):
    for case in _cases(functions, "gaussian_blur1d"):
        kernel = case["call"]["kernel"]
        blur = compiled(lambda v, kernel=kernel: with_maximum_of(blur_vectors(v, kernel), v, -1))
        functions.check(case, "out", blur(functions.array(case["in"]["simcc"])), 2e-6)


def test_maxima(functions, compiled):
    for case in _cases(functions, "get_heatmap_maximum"):
        maps = functions.maps(case["in"]["heatmaps"])
        x, y, value = compiled(heatmap_maximum)(maps)
        places, values = (functions.array(case["out"][name]) for name in ("locs", "vals"))
        found = np.stack([x, y], axis=-1).reshape(places.shape)
        # The reference has -1 for maps without anything above 0.
        positive = values > 0
        np.testing.assert_array_equal(found[positive], places[positive])
        np.testing.assert_array_equal(value.reshape(values.shape), values)


STEPS = {
    "refine_keypoints": quarter_step,
    "refine_keypoints_dark": dark_step,
    "refine_keypoints_dark_udp": udp_dark_step,
}


@pytest.mark.parametrize("operation", STEPS)
def test_steps_to_where_the_keypoint_is(functions, compiled, operation):
    for case in _cases(functions, operation):
        keypoints = functions.array(case["in"]["keypoints"])
        # Each instance is a sample here.
        maps = np.repeat(functions.maps(case["in"]["heatmaps"]), len(keypoints), axis=0)
        settings = (case.get("call") or {}).values()
        step = compiled(lambda *values, s=tuple(settings): STEPS[operation](*values, *s))
        x, y = keypoints[..., 0], keypoints[..., 1]
        step_x, step_y = step(maps, x, y)
        tolerance = 1e-6 if operation == "refine_keypoints" else 1e-3
        functions.check(case, "out", np.stack([x + step_x, y + step_y], axis=-1), tolerance)


def _unscaled(operation, call):
    """The codec that encodes with a function, of maps as large as its input."""
    sizes = (call["heatmap_size"],) * 2
    return {
        "generate_gaussian_heatmaps": lambda: MSRAHeatmap(*sizes, call["sigma"]),
        "generate_unbiased_gaussian_heatmaps": lambda: MSRAHeatmap(
            *sizes, call["sigma"], unbiased=True
        ),
        "generate_udp_gaussian_heatmaps": lambda: UDPHeatmap(*sizes, sigma=call["sigma"]),
        "generate_offset_heatmap": lambda: UDPHeatmap(
            *sizes, "combined", radius_factor=call["radius_factor"]
        ),
    }[operation]()


@pytest.mark.parametrize("operation", [name for name in sorted(HERE) if name.startswith("gen")])
def test_several_people_share_maps(functions, compiled, operation):
    codec = _unscaled(operation, _cases(functions, operation)[0]["call"])
    encode = compiled(codec.encode)
    for case in _cases(functions, operation):
        if "persigma" in case["case"]:
            continue
        targets = encode(functions.labels(case))
        maps = targets["heatmaps"]
        functions.check_maps(case, "heatmaps", maps, 2e-6 * max(1.0, np.abs(maps).max()))
        # A keypoint counts as much as that of whom it counts most for.
        weights = functions.array(case["out"]["keypoint_weights"]).max(0)
        np.testing.assert_array_equal(targets["weights"][0], weights)


def test_people_have_gaussians_of_their_own_width(functions, compiled):
    for case in _cases(functions, "generate_gaussian_heatmaps"):
        if "persigma" not in case["case"]:
            continue
        size, labels = case["call"]["heatmap_size"], functions.labels(case)
        labels["sigmas"] = np.float32(case["call"]["sigma"])[None, :, None]
        maps, weights = compiled(
            lambda labels, size=size: instance_gaussians(
                labels, labels["keypoints"], size, labels["sigmas"], "pixel"
            )
        )(labels)
        functions.check_maps(case, "heatmaps", maps.max(1), 2e-6)
        functions.check(case, "keypoint_weights", weights[0], 0)


def test_peaks(functions, compiled):
    for case in _cases(functions, "batch_heatmap_nms"):
        maps = functions.maps(case["in"]["batch_heatmaps"])
        radius = case["call"]["kernel_size"] // 2
        peaks = compiled(lambda m, r=radius: is_local_maximum(m, r))(maps) * maps
        expected = functions.maps(case["out"]["out"])
        # Peaks below 0 are of no use to anybody.
        np.testing.assert_array_equal(np.maximum(peaks, 0), np.maximum(expected, 0))


def test_maps_of_several_sizes_are_put_together(functions, compiled):
    for case in _cases(functions, "aggregate_heatmaps"):
        call = case["call"]
        maps = [functions.maps(name) for name in case["in"]["heatmaps"]]
        size = maps[0].shape[1:3] if call["size"] is None else call["size"][::-1]
        aligned = call["align_corners"]
        enlarge = compiled(lambda m, s=size, a=aligned: resize(m, s, align_corners=a))
        resized = [enlarge(each) for each in maps]
        joined = np.mean(resized, 0) if call["mode"] == "average" else np.concatenate(resized, -1)
        functions.check(case, "out", joined.transpose(0, 3, 1, 2), 2e-6 * np.abs(joined).max())


INSTANCES = {
    "get_instance_bbox": ("bbox", lambda points, visible, call: instance_boxes(points, visible)),
    "get_diagonal_lengths": (
        "lengths",
        lambda points, visible, call: instance_diagonals(points, visible),
    ),
    "get_instance_root": (
        "roots",
        lambda points, visible, call: instance_roots(points, visible, **call)[0],
    ),
}


@pytest.mark.parametrize("operation", INSTANCES)
def test_where_instances_are(functions, compiled, operation):
    output, function = INSTANCES[operation]
    for case in _cases(functions, operation):
        labels = functions.labels(case)
        call = {
            {"root_type": "kind"}[key]: value for key, value in (case.get("call") or {}).items()
        }
        found = compiled(lambda p, v, c=call, f=function: f(p, v, c))(
            labels["keypoints"], labels["visible"]
        )
        functions.check(case, output, found[0], 1e-6 * max(1.0, np.abs(found).max()))


@pytest.mark.parametrize("mode", ["heatmap", "udp_combined"])
def test_flipped_maps(functions, compiled, mode):
    kind = "combined" if mode == "udp_combined" else "gaussian"
    for case in _cases(functions, "flip_heatmaps"):
        if case["call"]["flip_mode"] != mode:
            continue
        maps = functions.maps(case["in"]["heatmaps"])
        shift = case["call"]["shift_heatmap"]
        codecs = [UDPHeatmap((32, 24), (8, 6), kind, shift_flipped=shift)]
        if mode == "heatmap":
            codecs.append(MSRAHeatmap((32, 24), (8, 6), shift_flipped=shift))
        order = np.int32(case["call"]["flip_indices"] or range(maps.shape[-1]))
        for codec in codecs:
            flipped = compiled(lambda outputs, c=codec, o=order: c.flip(outputs, o))
            flipped = flipped({"heatmaps": maps})["heatmaps"]
            functions.check(case, "out", flipped.transpose(0, 3, 1, 2), 0)


def test_flipped_coordinates(functions, compiled):
    for case in _cases(functions, "flip_coordinates"):
        coordinates = functions.array(case["in"]["coords"])
        codec = RegressionLabel(case["call"]["input_size"], case["call"]["shift_coords"])
        order = np.int32(case["call"]["flip_indices"])
        parts = {"coordinates": coordinates[..., :2], "sigmas": coordinates[..., 2:]}
        flipped = compiled(lambda outputs, c=codec, o=order: c.flip(outputs, o))(parts)
        flipped = np.concatenate([flipped["coordinates"], flipped["sigmas"]], axis=-1)
        functions.check(case, "out", flipped, 1e-7)


def test_flipped_visibility(functions, compiled):
    for case in _cases(functions, "flip_visibility"):
        codec = WithVisibility(RegressionLabel((32, 24)))
        visibility = functions.array(case["in"]["vis"])
        outputs = {
            "visibility": visibility,
            "coordinates": np.zeros((*visibility.shape, 2), "f4"),
        }
        order = np.int32(case["call"]["flip_indices"])
        flipped = compiled(lambda o, c=codec, i=order: c.flip(o, i))(outputs)
        functions.check(case, "out", flipped["visibility"], 0)
