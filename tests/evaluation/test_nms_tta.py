"""Every case of suppression and of merging the outputs of mirrored images."""

import numpy as np
import pytest
from keras import ops

from keras_pose import geometry
from keras_pose.codecs import MSRAHeatmap, RegressionLabel, SimCCLabel, UDPHeatmap
from keras_pose.evaluation.coco import COCO_SIGMAS

SIZES = ((32, 32), (8, 8))
STEP = "a step of soft_oks_nms, which is compared as a whole; no published config asks for another"
ONE_STAGE = "what precedes box NMS in one-stage models belongs to their codecs"
OFFSETS = "no codec has maps of offsets alone"
SCALES = "merging maps of several scales belongs to associative embedding and DEKR"
REFERENCE_FAILS = "the reference raises TypeError"
LEFT_OUT = {
    f"nms_tta/nms_tta/{name}": reason
    for reason, names in {
        STEP: ["rescore_linear", "rescore_gaussian"],
        ONE_STAGE: [f"filter_topk_{end}" for end in ("0.01_100", "0.5_10", "0.99999_5")],
        OFFSETS: ["flip_offset_False", "flip_offset_True"],
        SCALES: [
            *(
                f"aggregate_{corners}_{mode}_{size}"
                for corners in (False, True)
                for mode in ("average", "concat")
                for size in ("none", "given")
            ),
            *(
                f"ae_test_ss_{size}_{corners}"
                for size in ("keep", "restore")
                for corners in (False, True)
            ),
            "dekr_displacements",
        ],
        REFERENCE_FAILS: [
            f"ae_test_ms_{size}_{corners}"
            for size in ("keep", "restore")
            for corners in (False, True)
        ],
    }.items()
    for name in names
}


@pytest.fixture(scope="module")
def arrays(golden):
    return dict(np.load(golden / "nms_tta/nms_tta.npz"))


def oks_nms(given, args):
    sigmas = args.get("sigmas") or COCO_SIGMAS
    poses = (given["keypoints"], given["score"], given["area"])
    return geometry.oks_nms(*poses, sigmas, args["thr"], args.get("vis_thr"))


def soft_oks_nms(given, args):
    poses = (given["keypoints"], given["score"], given["area"])
    return geometry.soft_oks_nms(*poses, COCO_SIGMAS, args["thr"], args["max_dets"])


def nearby_joints_nms(given, args):
    limits = (args["dist_thr"], args["num_nearby_joints_thr"], args["max_dets"])
    return geometry.nearby_joints_nms(given["keypoints"], given["score"], *limits)


def box_nms(given, args):
    return geometry.box_nms(given["bboxes"], given["scores"], args["threshold"])


def box_nms_of_whole_pixels(given, args):
    """The reference counts the last pixel in: boxes one pixel larger."""
    boxes, scores = np.split(given["dets"], [4], axis=1)
    return geometry.box_nms(np.add(boxes, [0, 0, 1, 1]), scores[:, 0], args["thr"])


SUPPRESSIONS = {
    "oks_nms": oks_nms,
    "soft_oks_nms": soft_oks_nms,
    "nearby_joints_nms": nearby_joints_nms,
    "nms": box_nms_of_whole_pixels,
    "nms_torch": box_nms,
}


def heatmap_codec(args):
    if args.get("flip_mode") == "udp_combined":
        return UDPHeatmap(*SIZES, "combined", shift_flipped=args["shift_heatmap"])
    return MSRAHeatmap(*SIZES, 2.0, shift_flipped=args["shift_heatmap"])


def flip_heatmaps(given, args):
    indices = args["flip_indices"] or range(given["heatmaps"].shape[1])
    maps = ops.convert_to_tensor(given["heatmaps"].transpose(0, 2, 3, 1))
    flipped = heatmap_codec(args).flip({"heatmaps": maps}, list(indices))
    return {"heatmaps": ops.convert_to_numpy(flipped["heatmaps"]).transpose(0, 3, 1, 2)}


def flip_vectors(given, args):
    return SimCCLabel((192, 256)).flip(given, args["flip_indices"])


def flip_coordinates(given, args):
    codec = RegressionLabel(args["input_size"], shift_flipped=args["shift_coords"])
    flipped = codec.flip({"coordinates": given["coords"]}, args["flip_indices"])
    return {"coords": flipped["coordinates"]}


def flip_visibility(given, args):
    return {"vis": ops.take(given["vis"], args["flip_indices"], axis=1)}


FLIPS = {
    "flip_heatmaps": flip_heatmaps,
    "flip_vectors": flip_vectors,
    "flip_coordinates": flip_coordinates,
    "flip_visibility": flip_visibility,
    "merge_flip_heatmap_head": flip_heatmaps,
    "merge_flip_simcc_head": flip_vectors,
    "merge_flip_regression_head": flip_coordinates,
}


@pytest.mark.cases("nms_tta/nms_tta")
def test_case(case, arrays):
    args = case.get("args", {})
    pairs = (item.partition("=")[::2] for item in case.get("in", []))
    given = {name: arrays[key or f"{case['id']}/in/{name}"] for name, key in pairs}
    if not given:
        defaults = {"dist_thr": 0.05, "num_nearby_joints_thr": None, "max_dets": 20}
        nobody = {"keypoints": np.zeros((0, 17, 3)), "dets": np.zeros((0, 5))}
        nobody |= dict.fromkeys(("score", "area"), np.zeros(0))
        assert SUPPRESSIONS[case["fn"]](nobody, defaults | args).tolist() == case["expect"]
    elif case["fn"] in SUPPRESSIONS:
        kept = SUPPRESSIONS[case["fn"]](given, args)
        np.testing.assert_array_equal(kept, arrays[f"{case['id']}/out/keep"])
    else:
        merge = case["fn"].startswith("merge")
        mirrored = {
            name.removesuffix("_of_flipped_image"): value
            for name, value in given.items()
            if not merge or name.endswith("_of_flipped_image")
        }
        for name, flipped in FLIPS[case["fn"]](mirrored, args).items():
            values = ops.convert_to_numpy(flipped)
            values = 0.5 * (given[name] + values) if merge else values
            np.testing.assert_allclose(values, arrays[f"{case['id']}/out/{name}"], atol=1e-6)
