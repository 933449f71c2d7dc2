"""Every keypoint metric against the values of the reference."""

import numpy as np
import pytest

from keras_pose.datasets.transforms.keypoint_mapping import KeypointMapping
from keras_pose.evaluation.average_precision import AveragePrecision
from keras_pose.evaluation.coco import METRICS
from keras_pose.evaluation.distance_metrics import AUC, EPE, NME, NME_KEYPOINTS
from keras_pose.evaluation.interhand import InterHandMetric
from keras_pose.evaluation.metric import Poses
from keras_pose.evaluation.mpjpe import MPJPE, mpjpe, similarity_align
from keras_pose.evaluation.output_accuracy import heatmap_pck, label_accuracy, simcc_pck
from keras_pose.evaluation.partition import PartitionMetric
from keras_pose.evaluation.pck import (
    keypoint_distances,
    keypoint_error,
    mean_distance,
    pck,
    shares_within,
)
from keras_pose.evaluation.pck_metrics import PCK, JhmdbPCK, MpiiPCK
from keras_pose.skeleton import Skeleton

EXACT, SINGLE = 1e-9, 1e-6


@pytest.fixture(scope="module")
def arrays(golden):
    """(case, "in" or "out") -> arrays by name."""
    files = {}

    def arrays(case, side):
        if case["golden"] not in files:
            files[case["golden"]] = np.load(golden / f"{case['golden']}.npz")
        names = [entry.partition("=") for entry in case.get(side, ())]
        return {
            name: files[case["golden"]][key or f"{case['id']}/{side}/{name}"]
            for name, _, key in names
        }

    return arrays


def auc(pred, gt, mask, norm_factor, num_thrs):
    return AUC(norm_factor, num_thrs)(pred, gt, mask)["AUC"]


def share_within(distances, thr):
    return float(shares_within(distances, thr))


def pck_of(result):
    mean, shares = result
    return {"avg_acc": mean, "cnt": int((shares >= 0).sum()), "acc": shares}


def of_pixels(function, thr, normalize, **inputs):
    norm = None if isinstance(normalize, str) else normalize
    return pck_of(function(inputs, thr, norm))


def heatmaps(inputs, thr, norm):
    return heatmap_pck(inputs["output"], inputs["target"], inputs["mask"], thr, norm)


def vectors(pred_x, pred_y, gt_x, gt_y, mask, thr, simcc_split_ratio):
    return pck_of(simcc_pck((pred_x, pred_y), (gt_x, gt_y), simcc_split_ratio, mask, thr))


def mapped_sigmas(mapping, num_keypoints, sigmas):
    mapping = KeypointMapping.from_pairs(mapping, num_keypoints)
    values, there = mapping(np.array(sigmas)[:, None])
    return np.where(there > 0, values[:, 0], 1)


def mapped_annotation(ann, mapping, num_keypoints):
    points = np.reshape(ann["keypoints"], (-1, 3))
    points, _ = KeypointMapping.from_pairs(mapping, num_keypoints)(points.astype(float))
    return {"keypoints": points.ravel().tolist(), "num_keypoints": len(points)}


def mapped_predictions(keypoints, keypoint_scores, mapping, num_keypoints):
    mapping = KeypointMapping.from_pairs(mapping, num_keypoints)
    keypoints, keypoint_scores = mapping(keypoints, keypoint_scores)
    return {"keypoints": keypoints, "keypoint_scores": keypoint_scores}


FUNCTIONS = {
    "calc_distances": (
        lambda pred, gt, mask, norm_factor: {
            "distances": keypoint_distances(pred, gt, mask, norm_factor).T
        },
        SINGLE,
    ),
    "distance_acc": (share_within, EXACT),
    "keypoint_pck_accuracy": (
        lambda pred, gt, mask, norm_factor, thr: pck_of(pck(pred, gt, mask, norm_factor, thr)),
        EXACT,
    ),
    "keypoint_auc": (auc, EXACT),
    "keypoint_nme": (
        lambda pred, gt, mask, normalize_factor: mean_distance(
            keypoint_distances(pred, gt, mask, normalize_factor)
        ),
        SINGLE,
    ),
    "keypoint_epe": (lambda pred, gt, mask: keypoint_error(pred, gt, mask), SINGLE),
    "pose_pck_accuracy": (lambda **inputs: of_pixels(heatmaps, **inputs), EXACT),
    "simcc_pck_accuracy": (vectors, EXACT),
    "multilabel_classification_accuracy": (
        lambda pred, gt, mask, thr: label_accuracy(pred, gt, mask, thr),
        EXACT,
    ),
    "keypoint_mpjpe": (lambda pred, gt, mask, alignment: mpjpe(pred, gt, mask, alignment), SINGLE),
    "compute_similarity_transform": (
        lambda source, target: {"aligned": similarity_align(source, target)},
        SINGLE,
    ),
    "transform_sigmas": (mapped_sigmas, EXACT),
    "transform_ann": (mapped_annotation, EXACT),
    "transform_pred": (mapped_predictions, EXACT),
}


@pytest.mark.cases("metrics/functional")
def test_functions(case, arrays):
    function, tolerance = FUNCTIONS[case["fn"]]
    if case["fn"] == "keypoint_mpjpe" and "float64" in case["id"]:
        tolerance = SINGLE if case["args"]["alignment"] == "procrustes" else EXACT
    actual = function(**case.get("args", {}) | arrays(case, "in"))
    expected = case.get("expect", {})
    # Of the caller's norm the reference makes another one.
    outputs = {k: v for k, v in arrays(case, "out").items() if k != "norm_factor_after"}
    if isinstance(actual, dict):
        expected = expected | outputs
        assert actual.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(actual[name], value, rtol=tolerance, atol=EXACT)
    else:
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=EXACT)


def poses_of(inputs):
    """The inputs of the metric classes under this package's names."""
    visible = inputs["vis"] if "vis" in inputs else inputs["mask"]
    names = {"bboxes": "boxes", "head_size": "head_sizes", "norm": "norm"}
    columns = {ours: inputs[theirs] for theirs, ours in names.items() if theirs in inputs}
    visible = visible[..., 0] if visible.ndim == 3 else visible
    return Poses(inputs["pred"], inputs["gt"], visible, columns)


NORMS = {"bbox": ("box", "PCK"), "head": ("head", "PCKh"), "torso": ("torso", "tPCK")}


def pck_metric(args, poses):
    found = {}
    for item in np.atleast_1d(args["norm_item"]).tolist():
        norm, name = NORMS[item]
        metric = PCK(norm, [args["thr"]], torso=(4, 5), labelled_torso=False)
        (found[name],) = metric.measure(poses).values.values()
    return found


def mpii_metric(args, poses):
    found = MpiiPCK(args["thr"]).measure(poses).values
    groups = {name.replace("PCKh", "PCK"): value for name, value in found.items() if " " in name}
    return groups | {"PCK": found[f"PCKh@{args['thr']:g}"], "PCK@0.1": found["PCKh@0.1"]}


SHORT = {"Shoulder": "Sho", "Elbow": "Elb", "Wrist": "Wri", "Ankle": "Ank", "PCKt": "tPCK"}


def jhmdb_metric(args, poses):
    norms = [NORMS[item][0] for item in args["norm_item"]]
    found = JhmdbPCK(norms, args["thr"]).measure(poses).values
    return {
        " ".join(SHORT.get(word, word) for word in name.split("@")[0].split()): value
        for name, value in found.items()
    }


def nme_metric(args, poses):
    if args["norm_mode"] == "use_norm_item":
        norm = "box" if args["norm_item"] == "bbox_size" else args["norm_item"]
    else:
        norm = args.get("keypoint_indices") or NME_KEYPOINTS[args["dataset_name"]]
        assert list(norm) == list(args.get("keypoint_indices_used", norm))
    return NME(norm, labelled=False).measure(poses).values


FLAT_METRICS = {
    "PCKAccuracy": (pck_metric, EXACT),
    "MpiiPCKAccuracy": (mpii_metric, EXACT),
    "JhmdbPCKAccuracy": (jhmdb_metric, EXACT),
    "AUC": (
        lambda args, poses: AUC(args["norm_factor"], args["num_thrs"]).measure(poses).values,
        EXACT,
    ),
    "EPE": (lambda args, poses: EPE().measure(poses).values, SINGLE),
    "NME": (nme_metric, SINGLE),
}


@pytest.mark.cases("metrics/keypoint_2d")
def test_metrics_in_the_picture(case, arrays):
    metric, tolerance = FLAT_METRICS[case["fn"]]
    actual = metric(case.get("args", {}), poses_of(arrays(case, "in")))
    assert actual == pytest.approx(case["expect"], rel=tolerance, abs=EXACT)


ALIGNMENTS = {"mpjpe": "none", "p-mpjpe": "procrustes", "n-mpjpe": "scale"}
INTERHAND_COLUMNS = {
    "hand_type": "hand_type",
    "abs_depth": "absolute_depth",
    "focal": "focal",
    "principal_pt": "center",
    "rel_root_depth": "predicted_root_depth",
    "pred_hand_type": "predicted_hand_type",
    "hand_type_valid": "hand_type_valid",
}


@pytest.mark.cases("metrics/keypoint_3d")
def test_metrics_in_space(case, arrays):
    args, inputs = case["args"], arrays(case, "in")
    if case["fn"] == "InterHandMetric":
        columns = {ours: inputs[theirs] for theirs, ours in INTERHAND_COLUMNS.items()}
        names = ("pred", "keypoints_cam", "keypoints_visible")
        poses = Poses(*(inputs[name][:, 0] for name in names), columns)
        actual = InterHandMetric(args["modes"]).measure(poses).values
        assert actual == pytest.approx(case["expect"], rel=1e-5)
        return
    truth, visible = inputs["lifting_target"], inputs["lifting_target_visible"]
    count = len(truth)
    keypoints = truth.shape[-2]
    frames = truth.size // (count * keypoints * 3)
    columns = {}
    if "target_img_path" in args:
        columns["image_names"] = np.repeat(args["target_img_path"], frames)
    poses = Poses(
        inputs["pred"].reshape(-1, keypoints, 3),
        truth.reshape(-1, keypoints, 3),
        visible.reshape(-1, keypoints),
        columns,
    )
    metric = MPJPE(ALIGNMENTS[args["mode"]], case["fn"] == "MPJPE", args.get("skip_list", ()))
    assert metric.measure(poses).values == pytest.approx(case["expect"], rel=SINGLE)


def average_precision(args):
    return [("coco", AveragePrecision(SIGMAS, args["score_mode"], args["nms_mode"]))]


# As the reference's data set of COCO's seventeen keypoints has them.
SIGMAS = Skeleton.load("coco").sigmas.tolist()
INNER = {
    "CocoMetric": average_precision,
    "PCKAccuracy": lambda args: [
        (NORMS[item][1], PCK(NORMS[item][0], [args["thr"]]))
        for item in np.atleast_1d(args["norm_item"]).tolist()
    ],
    "AUC": lambda args: [("AUC", AUC())],
    "EPE": lambda args: [("EPE", EPE())],
    "NME": lambda args: [("NME", NME("box"))],
}


@pytest.mark.cases("metrics/partition")
def test_parts(case, arrays, reference_names):
    args, inputs = case["args"], arrays(case, "in")
    truth = inputs["gt_keypoints"]
    poses = Poses(
        inputs["pred"],
        truth[..., :2],
        truth[..., 2],
        {
            "boxes": inputs["bbox_xyxy"],
            "head_sizes": inputs["head_size"],
            "image_ids": inputs["image_id"],
            "areas": inputs["area"],
            "scores": inputs["keypoint_scores"],
            "box_scores": inputs["bbox_scores"],
            "crop_areas": inputs["bbox_scales"].prod(1),
        },
    )
    actual = {}
    for theirs, metric in INNER[args["metric"]["type"]](args["metric"]):
        found = PartitionMetric(metric, args["partitions"]).measure(poses).values
        for name, value in found.items():
            part, own = name.split("/")
            if own in METRICS:
                own = f"/{reference_names[list(METRICS).index(own)]}"
            known = theirs + own if own[0] == "/" else theirs
            actual[f"{part}/{known}"] = value
    assert actual == pytest.approx(case["expect"], rel=SINGLE, abs=EXACT)
