"""How long decoding takes with 30 people, beside plain NumPy versions of the reference algorithms.

    python tools/benchmark_bottomup.py [METHOD ...] [--repeats 50] [--one-thread]

Both decode the same maps in the same run and must find the same people. They take turns, and the
quickest of their calls counts, which other programs on the machine disturb least. What is timed
begins with a network's raw outputs in the host's memory and ends with poses there.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("KERAS_BACKEND", "torch")
# Libraries ask for these when they are imported.
os.environ.update(
    dict.fromkeys(
        (
            *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"),
            *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
        ),
        "1",
    )
    if "--one-thread" in sys.argv
    else {}
)

import cv2
import keras
import numpy as np

from keras_pose.codecs import SPR, AssociativeEmbedding
from keras_pose.codecs.priors import prior_points
from keras_pose.geometry import box_nms, nearby_joints_nms
from keras_pose.heads import RTMOHead
from keras_pose.layers.naming import state_dict
from keras_pose.prediction import BatchPredictor

ONE_THREAD = "--one-thread" in sys.argv
COLUMNS, ROWS = 6, 5
PEOPLE = COLUMNS * ROWS
INPUT = 512


class Decoding(keras.Model):
    """A codec's part on the device, compiled as in prediction.

    Args:
        decode: from a dict of maps to a dict of tensors.
        channels: {name: how many channels of the one input are this map's}.
    """

    def __init__(self, decode: Callable[[dict], dict], channels: dict[str, int]):
        super().__init__()
        self.decode = decode
        self.bounds = np.cumsum([0, *channels.values()])
        self.names = list(channels)
        self.built = True

    def call(self, maps):
        pairs = zip(self.names, zip(self.bounds, self.bounds[1:], strict=False), strict=True)
        return self.decode({name: maps[..., int(a) : int(b)] for name, (a, b) in pairs})


def best_times(functions: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Milliseconds of each function's quickest call, by the clock and of processors' time.

    The functions are called in turn, each twice before it counts.
    """
    clocks = {"ms": time.perf_counter, "cpu_ms": time.process_time}
    best = {f"{name}_{unit}": float("inf") for name in functions for unit in clocks}
    for repeat in range(repeats + 2):
        for name, function in functions.items():
            starts = {unit: clock() for unit, clock in clocks.items()}
            function()
            for unit, clock in clocks.items():
                taken = 1000 * (clock() - starts[unit])
                if repeat > 1:
                    best[f"{name}_{unit}"] = min(best[f"{name}_{unit}"], taken)
    return best


def row(method: str, ours: Callable, plain: Callable, repeats: int, **facts) -> dict:
    """One line of the table."""
    times = best_times({"ours": ours, "numpy": plain}, repeats)
    ratio = round(times["numpy_ms"] / times["ours_ms"], 2)
    rounded = {name: round(value, 2) for name, value in times.items()}
    backend, threads = keras.backend.backend(), 1 if ONE_THREAD else os.cpu_count()
    known = {"method": method, "backend": backend, "threads": threads}
    return {**known, **rounded, "times_as_fast": ratio, **facts}


def crowd(keypoints: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """30 people side by side: keypoints `(P, K, 2)` in input pixels; which are seen `(P, K)`."""
    random = np.random.default_rng(seed)
    corners = np.mgrid[:COLUMNS, :ROWS].reshape(2, -1).T * [INPUT / COLUMNS, INPUT / ROWS]
    inside = random.uniform(0.1, 0.9, (PEOPLE, keypoints, 2)) * [INPUT / COLUMNS, INPUT / ROWS]
    return corners[:, None] + inside, random.uniform(size=(PEOPLE, keypoints)) > 0.2


def associative_embedding(repeats: int) -> list[dict]:
    """Associative embedding of 17 keypoints with the flip test's two tags, a fifth unseen."""
    order = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]
    codec = AssociativeEmbedding(keypoint_order=order, center_shift=0.5)
    points, seen = crowd(17)
    size = INPUT // codec.stride
    y, x = np.mgrid[:size, :size]
    random = np.random.default_rng(1)
    heat = random.uniform(0, 0.05, (size, size, 17)).astype("f4")
    tags = random.normal(0, 0.02, (size, size, 2, 17)).astype("f4")
    for person in range(PEOPLE):
        for k in np.flatnonzero(seen[person]):
            square = ((np.stack([x, y], -1) - points[person, k] / codec.stride) ** 2).sum(-1)
            heat[..., k] = np.maximum(heat[..., k], 0.9 * np.exp(-square / 8))
    # Each person's area has their tag, also where a keypoint is not seen.
    area = x * COLUMNS // size * ROWS + y * ROWS // size
    tags += 2.0 * area[..., None, None]
    maps = np.concatenate([heat, tags.reshape(size, size, 34)], axis=-1)[None]
    decode = BatchPredictor(Decoding(codec.decode, {"heatmaps": 17, "tags": 34}))

    def ours():
        return codec.finish(decode(maps))

    def plain():
        return plain_associative_embedding(maps[0, ..., :17], maps[0, ..., 17:], codec)

    found, (expected, scores) = ours(), plain()
    count = len(expected)
    np.testing.assert_allclose(found["keypoints"][0, :count], expected, atol=1e-3)
    np.testing.assert_allclose(found["scores"][0, :count], scores, atol=1e-5)
    decoded = decode(maps)
    host = best_times({"host": lambda: codec.finish(decoded)}, repeats)["host_ms"]
    megabytes = sum(value.nbytes for value in decoded.values()) / 2**20
    facts = {"people": count, "of_which_host_ms": round(host, 2), "moved_mb": round(megabytes, 1)}
    return [row("associative embedding", ours, plain, repeats, **facts)]


def plain_associative_embedding(heatmaps, tags, codec) -> tuple[np.ndarray, np.ndarray]:
    """Grouping step by step as the reference does it, on maps enlarged as a whole.

    Args:
        heatmaps: `(h, w, K)`.
        tags: `(h, w, L * K)`.
        codec: whose settings count.

    Returns:
        Keypoints `(P, K, 2)` in input pixels and scores `(P, K)`.
    """
    from scipy.optimize import linear_sum_assignment

    count = heatmaps.shape[-1]
    enlarged = [
        cv2.resize(maps, (INPUT, INPUT), interpolation=cv2.INTER_LINEAR)
        for maps in np.concatenate([heatmaps, tags], axis=-1).transpose(2, 0, 1)
    ]
    heat = np.stack(enlarged[:count])
    tags = np.stack(enlarged[count:]).reshape(-1, count, INPUT, INPUT).transpose(1, 0, 2, 3)
    kernel = np.ones((codec.nms_kernel,) * 2)
    groups: dict[float, tuple[np.ndarray, list]] = {}
    for k in codec.keypoint_order:
        peaks = np.where(cv2.dilate(heat[k], kernel) == heat[k], heat[k], 0).reshape(-1)
        best = np.argpartition(-peaks, codec.topk)[: codec.topk]
        best = best[np.argsort(-peaks[best], kind="stable")]
        best = best[peaks[best] > codec.keypoint_threshold]
        y, x = np.divmod(best, INPUT)
        own, joined = tags[k][:, y, x].T, {}
        known = list(groups.values())
        if known and len(best):
            means = np.array([np.mean(members, axis=0) for _, members in known])
            distance = np.linalg.norm(own[:, None] - means, axis=-1)
            cost = np.rint(distance) * 100 - peaks[best, None]
            extra = np.full((len(best), max(len(best) - len(known), 0)), 1e10)
            pairs = zip(*linear_sum_assignment(np.hstack([cost, extra])), strict=True)
            joined = {
                i: known[j]
                for i, j in pairs
                if j < len(known) and distance[i, j] < codec.tag_threshold
            }
        for i, tag in enumerate(own):
            pose, members = joined.get(i) or groups.setdefault(
                float(tag[0]), (np.zeros((count, 3)), [])
            )
            pose[k] = x[i], y[i], peaks[best[i]]
            members.append(tag)
    poses = np.array([pose for pose, _ in list(groups.values())[: codec.max_people]])
    for pose in poses:
        for k, (x, y, value) in enumerate(pose):
            if value <= 0:
                continue
            x, y, last = int(x), int(y), INPUT - 1
            if 1 < x < last and 0 < y < INPUT:
                pose[k, 0] += 0.25 * np.sign(heat[k, y, x + 1] - heat[k, y, x - 1])
            if 1 < y < last and 0 < x < INPUT:
                pose[k, 1] += 0.25 * np.sign(heat[k, y + 1, x] - heat[k, y - 1, x])
            pose[k, :2] += codec.center_shift
        found = np.flatnonzero(pose[:, 2] > 0)
        cells = np.clip(pose[found, :2].astype(int), 0, INPUT - 1)
        mean = np.mean([tags[k][:, y, x] for k, (x, y) in zip(found, cells, strict=True)], axis=0)
        for k in np.flatnonzero(pose[:, 2] <= 0):
            distance = np.linalg.norm(tags[k] - mean[:, None, None], axis=0)
            y, x = divmod(int(np.argmin(np.rint(distance) * 100 - heat[k])), INPUT)
            pose[k] = x, y, heat[k, y, x]
    return poses[..., :2], poses[..., 2]


def dekr(repeats: int) -> list[dict]:
    """DEKR of 17 keypoints, without the network that judges poses."""
    codec = SPR(sigma=(4, 2))
    points, _ = crowd(17)
    size = INPUT // codec.stride
    labels = {
        "keypoints": points[None].astype("f4"),
        "visible": np.ones((1, PEOPLE, 17), "f4"),
        "masks": np.ones((1, size, size), "f4"),
    }
    targets = codec.encode({k: keras.ops.convert_to_tensor(v) for k, v in labels.items()})
    channels = {"heatmaps": 18, "displacements": 34}
    maps = [keras.ops.convert_to_numpy(targets[name]) for name in channels]
    random = np.random.default_rng(1)
    maps[0] = maps[0] * 0.9 + random.uniform(0, 0.05, maps[0].shape).astype("f4")
    # Flat, one after the other: as a network's outputs, they need not be copied to be read.
    together = np.concatenate([each.reshape(-1) for each in maps])
    shapes = {name: (-1, size, size, count) for name, count in channels.items()}

    def decoded(flat):
        return codec.decode({n: keras.ops.reshape(each, shapes[n]) for n, each in flat.items()})

    lengths = {name: size * size * count for name, count in channels.items()}
    decode = BatchPredictor(Decoding(decoded, lengths))

    def plain():
        return plain_dekr(maps[0][0], maps[1][0], codec)

    # A network leaves its outputs where the backend computes.
    together = keras.ops.convert_to_tensor(together)
    found, (expected, scores) = decode(together), plain()
    kept = found["box_scores"][0] > 0
    assert kept.sum() == len(expected)
    np.testing.assert_allclose(found["keypoints"][0][kept], expected, atol=1e-3)
    np.testing.assert_allclose(found["scores"][0][kept], scores, atol=1e-5)
    return [row("DEKR", lambda: decode(together), plain, repeats, people=len(expected))]


def plain_dekr(heatmaps, displacements, codec) -> tuple[np.ndarray, np.ndarray]:
    """Roots, the ways from them and suppression, step by step as the reference does it.

    Args:
        heatmaps: `(h, w, K + 1)`.
        displacements: `(h, w, 2K)`.
        codec: whose settings count.

    Returns:
        Keypoints `(P, K, 2)` in input pixels and scores `(P, K)`.
    """
    height, width, count = heatmaps.shape[0], heatmaps.shape[1], heatmaps.shape[2] - 1
    root = np.ascontiguousarray(heatmaps[..., count])
    highest = cv2.dilate(root, np.ones((codec.nms_kernel,) * 2))
    peaks = np.where(highest == root, root, 0).reshape(-1)
    best = np.argpartition(-peaks, codec.max_people)[: codec.max_people]
    best = best[np.argsort(-peaks[best], kind="stable")]
    best = best[peaks[best] > codec.root_threshold]
    y, x = np.divmod(best, width)
    points = displacements[y, x].reshape(-1, count, 2) + np.stack([x, y], axis=-1)[:, None]
    sizes = np.array([width, height])
    places = np.clip(points * (sizes / (sizes - 1)) - 0.5, 0, sizes - 1)
    left, top = np.moveaxis(np.floor(places).astype(int), -1, 0)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = places[..., 0] - left, places[..., 1] - top
    k = np.arange(count)
    upper = heatmaps[top, left, k] * (1 - across) + heatmaps[top, right, k] * across
    lower = heatmaps[bottom, left, k] * (1 - across) + heatmaps[bottom, right, k] * across
    scores = upper * (1 - down) + lower * down
    points = points * codec.stride
    kept = nearby_joints_nms(points, scores, codec.nms_distance, codec.nms_joints)
    return points[kept], scores[kept] * peaks[best[kept], None]


def rtmo(repeats: int) -> list[dict]:
    """RTMO-s with weights by chance; ten prior points see each person."""
    random = np.random.default_rng(0)
    head = RTMOHead(vector_channels=256, cls_filters=128, channels_per_group=18)
    shapes = [(INPUT // stride, INPUT // stride) for stride in head.strides]
    head.build([(None, *shape, 256) for shape in shapes])
    priors = keras.ops.convert_to_numpy(prior_points(shapes, head.strides, centred=True))
    count = len(priors)
    raw = {
        "classes": np.full((count, 1), -5.0),
        "boxes": random.normal((0, 0, 1.5, 2), 0.05, (count, 4)),
        "visibility": random.normal(0, 2, (count, head.num_keypoints)),
        "pose_vectors": random.normal(0, 1, (count, head.vector_channels)),
        "priors": priors,
    }
    for points in crowd(head.num_keypoints)[0]:
        centre = points.mean(axis=0)
        near = np.argsort(np.abs(priors[:, :2] - centre).max(axis=1))[:10]
        strides = priors[near, 2:]
        raw["classes"][near] = random.uniform(-1, 2, (10, 1))
        raw["boxes"][near, :2] = (centre - priors[near, :2]) / strides
        raw["boxes"][near, 2:] = np.log(np.ptp(points, axis=0) / strides)
    raw = {name: values.astype("f4") for name, values in raw.items()}
    packed = np.concatenate(list(raw.values()), axis=1)[None]
    channels = {name: values.shape[1] for name, values in raw.items()}
    model = Decoding(lambda maps: head.codec.decode(head.instances(maps)), channels)
    model.head = head  # its weights are the model's
    ours = BatchPredictor(model)
    weights = state_dict(head.dcc)
    found, expected = ours(packed), plain_rtmo(raw, weights, head.codec)[0]
    sure = found["box_scores"][0] > 0
    assert sure.sum() == len(expected) == PEOPLE, (sure.sum(), len(expected))
    np.testing.assert_allclose(found["keypoints"][0][sure], expected, atol=0.05)
    return [
        row(
            "RTMO",
            lambda: ours(packed),
            lambda: plain_rtmo(raw, weights, head.codec),
            repeats,
            people=PEOPLE,
        )
    ]


def plain_rtmo(raw: dict, weights: dict, codec) -> tuple[np.ndarray, np.ndarray]:
    """Threshold, suppression one by one, then the bins of those who are left.

    Args:
        raw: outputs `(P, C)` of `RTMOHead` for one photo.
        weights: of the coordinate classifier, as a checkpoint holds them.
        codec: whose settings count.

    Returns:
        Keypoints `(N, 17, 2)` in input pixels and scores `(N,)`.
    """
    scores = _sigmoid(raw["classes"][:, 0])
    index = np.flatnonzero(scores > codec.score_threshold)
    strides = raw["priors"][index, 2:]
    centres = raw["priors"][index, :2] + raw["boxes"][index, :2] * strides
    half = np.exp(raw["boxes"][index, 2:]) * strides / 2
    boxes = np.hstack([centres - half, centres + half])
    kept = box_nms(boxes, scores[index], codec.iou_threshold)
    index, boxes = index[kept], boxes[kept]
    tokens = _plain_tokens(raw["pose_vectors"][index], weights)
    lengths = (300.0 ** (np.arange(64) / 64)).astype("f4")
    keypoints = []
    for axis, name, bins in ((0, "x_fc", 192), (1, "y_fc", 256)):
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]
        steps = 1.25 * np.linspace(-0.5, 0.5, bins).astype("f4")
        places = (low + high) / 2 + (high - low) * steps
        phase = (places - raw["priors"][index, axis, None])[..., None] / lengths
        codes = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
        codes = codes @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        logits = tokens @ codes.transpose(0, 2, 1)
        chances = np.exp(logits - logits.max(axis=-1, keepdims=True))
        chances /= chances.sum(axis=-1, keepdims=True)
        keypoints.append((chances * places[:, None]).sum(axis=-1))
    return np.stack(keypoints, axis=-1), scores[index]


def _plain_tokens(vectors: np.ndarray, weights: dict) -> np.ndarray:
    """A token `(N, 17, 128)` a keypoint: a linear layer, then gated attention."""
    x = vectors @ weights["pose_to_kpts.0.weight"].T + weights["pose_to_kpts.0.bias"]
    norm = {name.rpartition(".")[2]: v for name, v in weights.items() if "pose_to_kpts.1." in name}
    x = (x - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
    x = (x * norm["weight"] + norm["bias"]).reshape(-1, 17, 128)
    size = np.maximum(np.linalg.norm(x, axis=-1, keepdims=True) / np.sqrt(128), 1e-5)
    y = (x / size * weights["gau.ln.g"]) @ weights["gau.uv.weight"].T
    y = y * _sigmoid(y)
    gate, values, base = y[..., :256], y[..., 256:512], y[..., 512:]
    query, key = (
        base * weights["gau.gamma"][i] + weights["gau.beta"][i] + weights["pos_enc"] for i in (0, 1)
    )
    attention = np.maximum(query @ key.transpose(0, 2, 1) / np.sqrt(128), 0) ** 2
    branch = (gate * (attention @ values)) @ weights["gau.o.weight"].T
    return weights["gau.res_scale.scale"] * x + branch


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


METHODS = {"ae": associative_embedding, "dekr": dekr, "rtmo": rtmo}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", choices=[*METHODS, []], help="default: all")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--one-thread", action="store_true", help="default: one a processor")
    arguments = parser.parse_args()
    if arguments.one_thread:
        cv2.setNumThreads(1)
    for name in arguments.methods or METHODS:
        for line in METHODS[name](arguments.repeats):
            print(json.dumps(line))


if __name__ == "__main__":
    main()
