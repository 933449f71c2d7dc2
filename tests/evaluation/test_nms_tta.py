"""Every case of suppression and of merging the outputs of mirrored images."""

import numpy as np
import pytest
from keras import ops

from keras_pose import geometry
from keras_pose.codecs import MSRAHeatmap, RegressionLabel, SimCCLabel, UDPHeatmap
from keras_pose.codecs.decoding import mirrored
from keras_pose.codecs.movenet import mirrored_pairs
from keras_pose.codecs.scale_merging import merge_scales
from keras_pose.evaluation.coco import COCO_SIGMAS

SIZES = ((32, 32), (8, 8))
LEFT_OUT = {
    f"nms_tta/nms_tta/ae_test_ms_{size}_{corners}": "the reference raises TypeError, there is no "
    "value; merge_scales is compared by the other cases"
    for size in ("keep", "restore")
    for corners in (False, True)
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
    if args.get("flip_mode") == "offset":
        return flip_offsets(given, args)
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


def last(maps):
    """Channels last, as this package has them."""
    return ops.convert_to_tensor(np.ascontiguousarray(maps.transpose(0, 2, 3, 1)))


def first(maps):
    return ops.convert_to_numpy(maps).transpose(0, 3, 1, 2)


def swapped(maps):
    """Maps of (x, y) pairs as those of (y, x), and back."""
    shape = maps.shape
    return maps.reshape(shape[0], -1, 2, *shape[2:])[:, :, ::-1].reshape(shape)


def flip_pairs(maps, indices, shift=False, remainder=0.0):
    maps = mirrored(last(swapped(maps)), shift)
    return swapped(first(mirrored_pairs(maps, indices, remainder)))


def flip_offsets(given, args):
    maps = flip_pairs(given["heatmaps"], args["flip_indices"], args["shift_heatmap"])
    return {"heatmaps": maps}


def aggregated(given, args):
    maps = [last(given[f"heatmaps{number}"]) for number in range(3)]
    concatenate = args["mode"] == "concat"
    merged = merge_scales(maps, args["size"], concatenate, args["align_corners"])
    return {"heatmaps": first(merged)}


def associative_embedding(given, args):
    size = args["img_shape"] if args["restore_heatmap_size"] else None
    merged = {}
    for name, kind in (("heatmaps", "heatmap"), ("tags", "tag")):
        turned = mirrored(last(given[f"{kind}_flip0"]), args["shift_heatmap"])
        turned = ops.take(turned, args["flip_indices"], axis=-1)
        views = [last(given[f"{kind}_orig0"]), turned]
        merged[name] = first(merge_scales(views, size, kind == "tag", args["align_corners"]))
    return merged


def dekr_displacements(given, args):
    other = given["displacements_of_flipped_image"]
    factor = args["input_width"] * args["scale"] / other.shape[-1]
    turned = flip_pairs(other, args["flip_indices"], remainder=(factor - 1) / factor)
    return {"displacements": 0.5 * (given["displacements"] + turned)}


def rescored(given, args):
    scores = geometry.lowered_scores(given["overlap"], given["scores"], args["thr"], args["type"])
    return {"scores": scores}


def best_candidates(given, args):
    found = geometry.best_candidates(given["scores"], args["score_thr"], args["topk"])
    return dict(zip(("scores", "keep", "labels"), found, strict=True))


# Of all inputs of a case, without a mean with the values of the image itself.
WHOLE = {
    "aggregate_heatmaps": aggregated,
    "ae_test_merge": associative_embedding,
    "merge_flip_dekr_displacements": dekr_displacements,
    "_rescore": rescored,
    "filter_scores_and_topk": best_candidates,
}
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
    if case["fn"] in WHOLE:
        for name, values in WHOLE[case["fn"]](given, args).items():
            expected = arrays[f"{case['id']}/out/{name}"]
            # With aligned corners the reference rounds the weights to float32 more than once.
            tolerance = 3e-6 if args.get("align_corners") else 1e-6
            np.testing.assert_allclose(values, expected, rtol=1e-6, atol=tolerance)
    elif not given:
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
