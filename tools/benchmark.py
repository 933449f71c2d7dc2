"""Times the package beside its best alternatives, in one run, and prints ratios.

    python tools/benchmark.py [latency] [detector] [load] [import] [evaluation] [networks] [convert]
        [data] [data-read] [training [--device gpu]]

Every backend and runtime runs in a process of its own, one after the other, over several rounds, so
that a busy moment of the machine does not hit one of them alone; the least of the rounds' medians
counts. Runs on what is installed: missing backends and runtimes are named and left out.
"""

import argparse
import functools
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHOTO = ROOT / "presets/samples/astronaut.jpg"
BACKENDS = ("jax", "tensorflow", "torch")
RUNTIMES = {"litert": "ai_edge_litert", "onnx": "onnxruntime"}
SUFFIXES = {"litert": ".tflite", "onnx": ".onnx"}
MOVENET, CENTERNET = "movenet_lightning_coco", "centernet_mobilenet_v3_coco"
LARGE = "td-hm_ViTPose-base-simple_8xb64-210e_coco-256x192"
THREADS = os.cpu_count()
FORWARD_BATCHES = ("1", "8")


def milliseconds(function, repeats: int = 60, warm: int = 5) -> float:
    """Median time of a call after a few warm ones."""
    for _ in range(warm):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] * 1e3


# What a worker process measures; each returns {figure: number}.


def worker_latency() -> dict:
    import keras_pose
    from keras_pose.images import read_image

    estimator = keras_pose.TopdownEstimator.from_preset(MOVENET)
    photo = read_image(PHOTO)
    return {"ms": milliseconds(lambda: estimator.predict_poses(photo))}


def worker_runtime_latency(path: str) -> dict:
    """The same photo through an exported file: crop, network and decoding, map back."""
    import numpy as np

    from keras_pose.artifacts import load_artifact
    from keras_pose.geometry import apply_affine, crop_affine, warp
    from keras_pose.images import read_image

    photo, run = read_image(PHOTO), load_artifact(path, threads=THREADS)
    height, width = photo.shape[:2]

    def predict():
        affine = crop_affine(np.array([[0, 0, width, height]]), (192, 192), padding=1.0)
        decoded = run(warp(photo, affine[0], (192, 192))[None])
        apply_affine(affine, decoded["keypoints"][:, 0])

    return {"ms": milliseconds(predict)}


def worker_detector() -> dict:
    import keras_pose
    from keras_pose.images import read_image

    detector = keras_pose.PersonDetector.from_preset(CENTERNET)
    photo = read_image(PHOTO)
    return {"ms": milliseconds(lambda: detector.detect(photo), repeats=20)}


def worker_runtime_detector(path: str) -> dict:
    import cv2

    from keras_pose.artifacts import load_artifact
    from keras_pose.images import read_image

    photo, run = read_image(PHOTO), load_artifact(path, threads=THREADS)
    return {"ms": milliseconds(lambda: run(cv2.resize(photo, (512, 512))[None]), repeats=20)}


def worker_load() -> dict:
    import keras

    import keras_pose
    from keras_pose.layers import skip_initialization
    from keras_pose.layers.naming import state_dict

    figures = {}
    for cls, name in (
        (keras_pose.TopdownEstimator, MOVENET),
        (keras_pose.PersonDetector, CENTERNET),
    ):
        start = time.perf_counter()
        cls.from_preset(name)
        figures[f"{name} s"] = time.perf_counter() - start
    config = {
        "type": "TopdownPoseEstimator",
        "data_preprocessor": {"bgr_to_rgb": True},
        "backbone": {"type": "ResNet", "depth": 50},
        "head": {
            "type": "HeatmapHead",
            "in_channels": 2048,
            "out_channels": 17,
            "deconv_out_channels": [256, 256, 256],
            "deconv_kernel_sizes": [4, 4, 4],
            "loss": {"type": "KeypointMSELoss"},
            "decoder": {
                "type": "MSRAHeatmap",
                "input_size": [192, 256],
                "heatmap_size": [48, 64],
                "sigma": 2,
            },
        },
    }
    from keras_pose.checkpoints.mmpose import translate_model

    with skip_initialization():
        translated = translate_model(config, keras_pose.Skeleton.load("coco").to_dict())
        arrays = state_dict(keras.saving.deserialize_keras_object(translated))
    keras.backend.clear_session()
    start = time.perf_counter()
    keras_pose.from_mmpose(config, arrays)
    figures["ResNet-50 from a state dict s"] = time.perf_counter() - start
    return figures


def worker_import() -> dict:
    start = time.perf_counter()
    import keras  # noqa: F401

    middle = time.perf_counter()
    import keras_pose  # noqa: F401

    return {
        "import keras s": middle - start,
        "keras_pose beyond it s": time.perf_counter() - middle,
    }


def worker_network(name: str) -> dict:
    """Batches of a depthwise network, forward only."""
    import numpy as np

    import keras_pose

    estimator = keras_pose.TopdownEstimator.from_preset(MOVENET)
    images = np.zeros((int(name), 192, 192, 3), np.uint8)
    return {"ms": milliseconds(lambda: estimator.predict_on_batch(images), repeats=30)}


def worker_forward(name: str) -> dict:
    """Raw outputs of a published model, from uint8 pixels to NumPy; weights do not matter."""
    import keras_pose

    estimator = keras_pose.TopdownEstimator.from_preset(name, load_weights=False)
    inference = estimator.inference(decode=False)
    return _by_batch(lambda images: lambda: inference.predict_on_batch(images), estimator)


def _by_batch(function, estimator) -> dict:
    """Milliseconds of `function(images)()` by number of images."""
    found = {}
    for batch in FORWARD_BATCHES:
        found[batch] = milliseconds(function(_noise(estimator, batch)), repeats=15, warm=3)
    return found


def worker_plain_forward(name: str) -> dict:
    """The same layers as a plain PyTorch network, normalisation included."""
    import plain_torch
    import torch

    import keras_pose
    from keras_pose.layers.naming import state_dict

    estimator = keras_pose.TopdownEstimator.from_preset(name, load_weights=False)
    weights = {key: torch.tensor(value) for key, value in state_dict(estimator).items()}
    network = plain_torch.NETWORKS[name]
    mean, std = (
        torch.tensor(v).reshape(3, 1, 1)
        for v in (estimator.preprocess.mean, estimator.preprocess.std)
    )

    @torch.inference_mode()
    def run(images):
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        outputs = network(plain_torch.Weights(weights), ((x - mean) / std).contiguous())
        return {key: value.numpy() for key, value in outputs.items()}

    return _by_batch(lambda images: lambda: run(images), estimator)


def worker_runtime_forward(folder: str) -> dict:
    """The exported graph in its runtime, as its own interface runs it."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    found = {}
    for batch in FORWARD_BATCHES:
        path = f"{folder}/{batch}.onnx"
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        entry = session.get_inputs()[0]
        images = np.random.default_rng(0).integers(0, 255, entry.shape, "uint8")
        run = functools.partial(session.run, None, {entry.name: images})
        found[batch] = milliseconds(run, repeats=15, warm=3)
    return found


def worker_write_checkpoint(path: str) -> dict:
    """A checkpoint of a published model, as training with MMPose leaves it."""
    import torch

    import keras_pose
    from keras_pose.layers.naming import state_dict

    estimator = keras_pose.TopdownEstimator.from_preset(LARGE, load_weights=False)
    weights = {name: torch.tensor(value) for name, value in state_dict(estimator).items()}
    torch.save({"state_dict": weights, "meta": {"epoch": 210}}, path)
    return {"parameters": sum(value.numel() for value in weights.values())}


def worker_convert(path: str, out: str) -> dict:
    """Reads a checkpoint and writes it as a preset."""
    import resource

    import keras_pose

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    keras_pose.from_mmpose(LARGE, path).save_to_preset(out)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    grown = (peak - before) * (1 if sys.platform == "darwin" else 1024)
    return {"s": seconds, "memory over file size": grown / Path(path).stat().st_size}


def _noise(estimator, batch: str):
    import numpy as np

    width, height = estimator.input_size
    return np.random.default_rng(0).integers(0, 255, (int(batch), height, width, 3), "uint8")


def worker_evaluation(seed: str) -> dict:
    """COCO AP of as many people as val2017 has, with the engine of the package and pycocotools."""
    from keras_pose.evaluation import coco_engine, coco_keypoint_ap

    ground_truth, results = _synthetic_coco(int(seed))
    figures = {}
    for engine in dict.fromkeys((coco_engine("auto"), "pycocotools")):
        start = time.perf_counter()
        figures[f"{engine} AP"] = coco_keypoint_ap(ground_truth, results, engine=engine)["AP"]
        figures[f"{engine} s"] = time.perf_counter() - start
    return figures


def _synthetic_coco(seed: int, images: int = 5000, people: int = 6352):
    import numpy as np

    random = np.random.default_rng(seed)
    annotations, results = [], []
    for number in range(1, people + 1):
        image = int(random.integers(1, images + 1))
        x, y, size = *random.uniform(0, 400, 2), random.uniform(30, 240)
        points = np.column_stack([random.uniform([x, y], [x + size, y + size], (17, 2))])
        visible = random.integers(0, 3, 17)
        annotations.append(
            {
                "id": number,
                "image_id": image,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [x, y, size, size],
                "area": size**2 / 2,
                "num_keypoints": int((visible > 0).sum()),
                "keypoints": np.column_stack([points, visible]).ravel().tolist(),
            }
        )
        noisy = points + random.normal(0, size / 30, (17, 2))
        results.append(
            {
                "image_id": image,
                "category_id": 1,
                "score": float(random.random()),
                "keypoints": np.column_stack([noisy, np.ones(17)]).ravel().tolist(),
            }
        )
    names = [f"k{i}" for i in range(17)]
    ground_truth = {
        "images": [{"id": i, "width": 640, "height": 640} for i in range(1, images + 1)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    return ground_truth, results


def worker_data_read() -> dict:
    """Seconds and memory of reading an annotation file of val2017's size into a data set."""
    import gzip
    import tracemalloc

    from keras_pose.datasets import KeypointDataset

    golden = ROOT.parent / "shared/golden/metrics/coco_eval/gt.json.gz"
    data = (
        json.loads(gzip.decompress(golden.read_bytes()))
        if golden.is_file()
        else _synthetic_coco(0)[0]
    )
    for image in data["images"]:
        image["file_name"] = f"{image['id']:012d}.jpg"
    for annotation in data["annotations"]:  # as long as COCO's outlines are on average
        annotation["segmentation"] = [[annotation["id"] % 500 + 0.25 * i for i in range(80)]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "annotations.json"
        file.write_text(json.dumps(data))
        data = None
        read = lambda: KeypointDataset.from_coco(file, folder)  # noqa: E731
        seconds = milliseconds(read, repeats=5, warm=1) / 1e3
        tracemalloc.start()
        dataset = read()
        kept, peak = tracemalloc.get_traced_memory()
        return {
            "s": seconds,
            "file MB": file.stat().st_size / 1e6,
            "peak MB": peak / 1e6,
            "kept MB": kept / 1e6,
            "objects": len(dataset),
        }


def measure(worker: str, backend: str, *arguments: str) -> dict:
    """Runs a worker in a process of its own."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, __file__, "--worker", worker, *arguments],
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{worker} under {backend} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def installed_backends() -> list[str]:
    return [name for name in BACKENDS if importlib.util.find_spec(name)]


def beside_runtimes(title: str, worker: str, preset: str, rounds: int) -> None:
    """A table of our backends and of the exported network in other runtimes."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _exported(preset, Path(folder))
        best = {}
        for _ in range(rounds):
            for backend in installed_backends():
                ms = measure(worker, backend)["ms"]
                best[backend] = min(ms, best.get(backend, ms))
            for name, path in paths.items():
                ms = measure(f"runtime_{worker}", installed_backends()[0], str(path))["ms"]
                best[name] = min(ms, best.get(name, ms))
    fastest = min((best[name] for name in paths), default=None)
    print(f"\n{title}, {THREADS} threads")
    for name, ms in best.items():
        ratio = f"{ms / fastest:6.2f} x the faster runtime" if fastest else ""
        print(f"  {name:12s} {ms:8.1f} ms {ratio}")


def _exported(preset: str, folder: Path) -> dict[str, Path]:
    wanted = [name for name, module in RUNTIMES.items() if importlib.util.find_spec(module)]
    paths = {name: folder / f"{preset}{SUFFIXES[name]}" for name in wanted}
    code = (
        "import sys, keras_pose\n"
        "from keras_pose.preset import load_preset\n"
        "model = load_preset(sys.argv[1])\n"
        "for item in sys.argv[2:]:\n"
        "    name, path = item.split('=', 1)\n"
        "    keras_pose.export(model, path, format=name, batch_size=1)\n"
    )
    items = [f"{name}={path}" for name, path in paths.items()]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(
        [sys.executable, "-c", code, preset, *items],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return paths


def section_latency(rounds: int) -> None:
    beside_runtimes("One person in a 512x512 photo, whole call", "latency", MOVENET, rounds)
    print("\nThe network and decoding alone, depthwise convolutions throughout")
    for batch in (1, 8):
        times = {
            name: min(measure("network", name, str(batch))["ms"] for _ in range(rounds))
            for name in installed_backends()
        }
        reference = times.get("tensorflow")
        for name, ms in times.items():
            ratio = f"{ms / reference:6.2f} x TensorFlow" if reference else ""
            print(f"  {name:12s} batch {batch}  {ms:8.1f} ms {ratio}")


def section_detector(rounds: int) -> None:
    beside_runtimes("Detector on a 512x512 photo", "detector", CENTERNET, rounds)


def section_load(rounds: int) -> None:
    print("\nLoading, warm disk, beyond imports")
    _print_least("load", rounds)


def section_import(rounds: int) -> None:
    print("\nImporting")
    _print_least("import", rounds)


def _print_least(worker: str, rounds: int) -> None:
    for backend in installed_backends():
        runs = [measure(worker, backend) for _ in range(rounds)]
        for name in runs[0]:
            print(f"  {backend:12s} {name:32s} {min(run[name] for run in runs):6.2f}")


def section_networks(rounds: int) -> None:
    from plain_torch import NETWORKS

    print(f"\nForward pass of published models at 256x192, {THREADS} threads")
    for name in NETWORKS:
        _print_forward(name, rounds)


def _print_forward(name: str, rounds: int) -> None:
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = {backend: ("forward", backend, name) for backend in installed_backends()}
        if importlib.util.find_spec("torch"):
            runs["plain torch"] = ("plain_forward", "torch", name)
        if _write_onnx(name, folder):
            runs["onnx"] = ("runtime_forward", installed_backends()[0], folder)
        for _ in range(rounds):
            for row, run in runs.items():
                for batch, ms in measure(*run).items():
                    known = best.setdefault(batch, {})
                    known[row] = min(ms, known.get(row, ms))
    for batch, rows in best.items():
        fastest = min(rows.values())
        print(f"  {name}, batch {batch}")
        for row, ms in rows.items():
            print(f"    {row:12s} {ms:8.1f} ms {ms / fastest:6.2f} x the fastest", flush=True)


def _write_onnx(name: str, folder: str) -> bool:
    """Writes a network's raw outputs for every number of images; says why where it cannot."""
    if not importlib.util.find_spec("onnxruntime"):
        return False
    # The converter of TensorFlow graphs needs more than 20 GB for 86 M parameters.
    torch = all(importlib.util.find_spec(name) for name in ("torch", "onnxscript"))
    code = (
        "import pathlib, sys, keras_pose\n"
        "from keras_pose.artifacts.writers import write_artifact\n"
        "name, folder, *batches = sys.argv[1:]\n"
        "model = keras_pose.TopdownEstimator.from_preset(name, load_weights=False)\n"
        "for batch in batches:\n"
        "    path = pathlib.Path(folder) / f'{batch}.onnx'\n"
        "    write_artifact(model, path, 'onnx', False, False, int(batch))\n"
    )
    environment = {
        **os.environ,
        "KERAS_BACKEND": "torch" if torch else "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-c", code, name, folder, *FORWARD_BATCHES]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"  {name}: not written as ONNX: {done.stderr.strip().splitlines()[-1:]}")
    return done.returncode == 0


def section_convert(rounds: int) -> None:
    if not importlib.util.find_spec("torch"):
        print("\nconverting a checkpoint: left out, PyTorch is not installed to write one")
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pth"
        count = measure("write_checkpoint", "torch", str(checkpoint))["parameters"]
        print(f"\nConverting a .pth of {count / 1e6:.0f} M parameters into a preset")
        for backend in installed_backends():
            out = str(Path(folder) / f"preset_{backend}")
            runs = [measure("convert", backend, str(checkpoint), out) for _ in range(rounds)]
            best = min(runs, key=lambda run: run["s"])
            memory = best["memory over file size"]
            print(f"  {backend:12s} {best['s']:6.1f} s, memory {memory:.1f} x the file's size")


def section_evaluation(rounds: int) -> None:
    runs = [measure("evaluation", installed_backends()[0], "0") for _ in range(rounds)]
    reference = min(run["pycocotools s"] for run in runs)
    print("\nCOCO AP of 6352 people in 5000 images, loading included")
    for name in (name for name in runs[0] if name.endswith(" s")):
        seconds = min(run[name] for run in runs)
        engine = name.removesuffix(" s")
        print(
            f"  {engine:12s} {seconds:6.2f} s {seconds / reference:6.2f} x pycocotools, "
            f"AP {runs[0][f'{engine} AP']:.7f}"
        )


def section_data_read(rounds: int) -> None:
    runs = [measure("data_read", installed_backends()[0]) for _ in range(rounds)]
    best = min(runs, key=lambda run: run["s"])
    read = f"{best['objects']} people of 5000 images ({best['file MB']:.1f} MB)"
    memory = f"peak {best['peak MB']:.0f} MB, of which {best['kept MB']:.0f} MB stay"
    print(f"\nReading {read}: {best['s']:.2f} s, {memory}")


def section_data(rounds: int) -> None:
    import benchmark_data

    benchmark_data.section(measure, installed_backends()[0], rounds)


def section_training(rounds: int, device: str = "cpu") -> None:
    import benchmark_training

    benchmark_training.section(measure, installed_backends(), rounds, device)


SECTIONS = {
    "latency": section_latency,
    "detector": section_detector,
    "load": section_load,
    "import": section_import,
    "evaluation": section_evaluation,
    "networks": section_networks,
    "convert": section_convert,
    "data": section_data,
    "data-read": section_data_read,
    "training": section_training,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each process is run")
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), default="cpu", help="for training; default cpu"
    )
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, *rest = arguments.worker
        if f"worker_{name}" not in globals():
            module = "benchmark_data" if name.startswith("data_") else "benchmark_training"
            globals().update(vars(importlib.import_module(module)))
        print(json.dumps(globals()[f"worker_{name}"](*rest)))
        return 0
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {unknown.pop()!r}; there are {', '.join(SECTIONS)}")
    for name in arguments.sections or SECTIONS:
        options = {"device": arguments.device} if name == "training" else {}
        SECTIONS[name](arguments.rounds, **options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
