"""Section `data` of the benchmark: training input beside the classic one, on two cores.

    python tools/benchmark.py data

Needs the photos of `../shared/data/coco_people`; PyTorch for the classic loader. Both read the same
JPEG files (links to them under several names make an epoch long enough), each in a process of its
own on the same two cores, in turns.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

PEOPLE = Path(__file__).resolve().parent.parent.parent / "shared/data/coco_people"
CORES, BATCH, INPUT, SECONDS = 2, 64, (192, 256), 10.0
COPIES = 8


def people(folder: Path, copies: int):
    """All completely labelled photos, each under as many names as `copies`."""
    from keras_pose.datasets import KeypointDataset

    merged = {"images": [], "annotations": []}
    for split in ("train", "val"):
        data = json.loads((PEOPLE / f"annotations/person_keypoints_{split}.json").read_text())
        merged["categories"] = data["categories"]
        for copy in range(copies):
            shift = copy * 10**10
            for image in data["images"]:
                name = f"{copy}_{image['file_name']}"
                merged["images"].append({**image, "id": image["id"] + shift, "file_name": name})
                (folder / name).symlink_to(PEOPLE / "images" / image["file_name"])
            for annotation in data["annotations"]:
                ids = {key: annotation[key] + shift for key in ("id", "image_id")}
                merged["annotations"].append({**annotation, **ids})
    return KeypointDataset.from_coco(merged, folder, "coco", name="coco_people")


def use_two_cores() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def cpu_seconds() -> float:
    """Time on processors of this process and those it started (Linux; elsewhere its own)."""
    mine, ticks = os.getpid(), os.sysconf("SC_CLK_TCK")
    seconds = time.process_time()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == mine:
            seconds += (int(fields[11]) + int(fields[12])) / ticks
    return seconds


def rates(batches, warm: int = 8) -> dict:
    """How fast an endless iterator gives batches, and what a sample costs the processors."""
    for _ in range(warm):
        next(batches)
    count, start, cpu = 0, time.perf_counter(), cpu_seconds()
    while time.perf_counter() - start < SECONDS:
        next(batches)
        count += BATCH
    seconds = time.perf_counter() - start
    return {"samples/s": count / seconds, "cpu ms": (cpu_seconds() - cpu) / count * 1e3}


def worker_data_classic(normalize: str) -> dict:
    import classic_topdown

    def endless(loader):
        while True:
            yield from loader

    use_two_cores()
    with tempfile.TemporaryDirectory() as folder:
        dataset = people(Path(folder), COPIES)
        loader = classic_topdown.batches(dataset, BATCH, CORES, normalize == "yes")
        batches = endless(loader)
        found = rates(batches)
        batches.close()
        del loader._iterator  # ends the workers before their photos go
        return found


def worker_data_ours(copies: str) -> dict:
    """The pipeline as it is by default; one copy of the photos fits into its cache."""
    from keras_pose.datasets import topdown_crops, topdown_dataset

    caches = []

    class Cache(topdown_crops.ImageCache):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            caches.append(self)

    topdown_crops.ImageCache = Cache
    use_two_cores()
    with tempfile.TemporaryDirectory() as folder:
        dataset = people(Path(folder), int(copies))
        batches = topdown_dataset(
            dataset, batch_size=BATCH, input_size=INPUT, training=True, repeat=True
        )
        batches = iter(batches)
        found = rates(batches, warm=max(8, len(dataset) // BATCH + 1))
        # once around: how often an image of an epoch was decoded, and how much memory that takes
        epoch, images = len(dataset) // BATCH, len(set(dataset.image_paths))
        decoded, memory = [], []
        for _ in range(4):
            before = caches[0].decoded
            for _ in range(epoch):
                next(batches)
            decoded.append((caches[0].decoded - before) / images)
            memory.append(_megabytes())
        return {
            **found,
            "objects": len(dataset),
            "images": images,
            "decoded": sum(decoded) / len(decoded),
            "cache MB": caches[0].max_bytes / 2**20,
            "memory MB": memory,
        }


def worker_data_prepared() -> dict:
    """Prepared shards as they are by default, and where one thread's time goes."""
    import cv2

    from keras_pose.datasets import prepare_shards, prepared_dataset
    from keras_pose.datasets.shards import crops

    use_two_cores()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "photos").mkdir()
        dataset = people(Path(folder) / "photos", COPIES)
        shards = prepare_shards(dataset, f"{folder}/shards", objects_per_shard=256)
        found = rates(
            iter(
                prepared_dataset(
                    shards,
                    input_size=INPUT,
                    batch_size=BATCH,
                    training=True,
                    repeat=True,
                    shuffle_buffer=512,
                )
            )
        )
        spent = {"decode": 0.0, "warp": 0.0}
        for module, name, share in (
            (crops, "decode_region", "decode"),
            (cv2, "warpAffine", "warp"),
        ):
            setattr(module, name, _timed(spent, share, getattr(module, name)))
        batches = iter(
            prepared_dataset(
                shards,
                input_size=INPUT,
                batch_size=BATCH,
                training=True,
                repeat=True,
                shuffle_buffer=512,
                workers=1,
            )
        )
        next(batches)
        spent.update(decode=0.0, warp=0.0)
        start, cpu = time.perf_counter(), cpu_seconds()
        while time.perf_counter() - start < SECONDS / 2:
            next(batches)
        total = cpu_seconds() - cpu
        kilobytes = sum(shard["bytes"] for shard in shards.shards) / len(shards) / 1e3
    return {
        **found,
        "kB": kilobytes,
        **{name: seconds / total for name, seconds in spent.items()},
        "rest": 1 - sum(spent.values()) / total,
    }


def _timed(spent: dict, name: str, function):
    def run(*arguments, **options):
        start = time.thread_time()
        result = function(*arguments, **options)
        spent[name] += time.thread_time() - start
        return result

    return run


def worker_data_shares() -> dict:
    """Where one thread's time goes, without tf.data."""
    import cv2

    from keras_pose.datasets import TopdownAugment, TopdownCrops

    cv2.setNumThreads(0)
    spent = {"decode": 0.0, "warp": 0.0}

    def timed(name, function):
        def run(*arguments, **options):
            start = time.perf_counter()
            result = function(*arguments, **options)
            spent[name] += time.perf_counter() - start
            return result

        return run

    with tempfile.TemporaryDirectory() as folder:
        dataset = people(Path(folder), 2)
        crops = TopdownCrops(dataset, INPUT, augment=TopdownAugment(), cache_bytes=64 * 2**20)
        crops.cache._read_image = timed("decode", crops.cache._read_image)
        cv2.warpAffine = timed("warp", cv2.warpAffine)
        crops.batch(crops.rows(0, shuffle=True)[:BATCH])
        spent.update(decode=0.0, warp=0.0)
        start, count = time.perf_counter(), 0
        for epoch in range(1, 4):
            rows = crops.rows(epoch, shuffle=True)
            for first in range(0, len(rows), BATCH):
                crops.batch(rows[first : first + BATCH], epoch, evaluation=False)
            count += len(rows)
        total = time.perf_counter() - start
    rest = total - sum(spent.values())
    shares = {name: seconds / total for name, seconds in {**spent, "rest": rest}.items()}
    return {**shares, "samples/s": count / total}


def _megabytes() -> float:
    """The process's memory: now, or where that is not told, its peak."""
    if Path("/proc/self/statm").is_file():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _best(runs: list[dict]) -> tuple[float, float]:
    return max(run["samples/s"] for run in runs), min(run["cpu ms"] for run in runs)


def section(measure, backend: str, rounds: int) -> None:
    if not PEOPLE.is_dir():
        print(f"\nTraining input: left out, {PEOPLE} is not there")
        return
    runs = {
        "classic": ("data_classic", "no"),
        "classic, normalised on the CPU": ("data_classic", "yes"),
        "ours": ("data_ours", str(COPIES)),
        "ours, images fit the cache": ("data_ours", "1"),
        "prepared shards": ("data_prepared",),
    }
    found = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (worker, *arguments) in runs.items():
            found[name].append(measure(worker, backend, *arguments))
    ours = found["ours"][0]
    print(
        f"\nTraining input, crops of {INPUT[0]}x{INPUT[1]} in batches of {BATCH}, {CORES} cores, "
        f"{ours['objects']} people in {ours['images']} JPEG photos, {rounds} rounds"
    )
    for name, many in found.items():
        rounds_of = [
            run["samples/s"] / base["samples/s"]
            for run, base in zip(many, found["classic"], strict=True)
        ]
        rate, cpu = _best(many)
        classic_rate, classic_cpu = _best(found["classic"])
        print(
            f"  {name:32s} {rate:6.0f} samples/s  {rate / classic_rate:5.2f} x classic (in the "
            f"rounds {min(rounds_of):.2f} to {max(rounds_of):.2f}), {cpu:.2f} ms of processor a "
            f"sample ({classic_cpu / cpu:.2f} x less)"
        )
    for name in ("ours", "ours, images fit the cache"):
        run = found[name][-1]
        memory = ", ".join(f"{value:.0f}" for value in run["memory MB"])
        print(
            f"  {name}: every image decoded {run['decoded']:.2f} times an epoch, cache of "
            f"{run['cache MB']:.0f} MB; memory after four more epochs {memory} MB"
        )
    prepared = found["prepared shards"][-1]
    print(
        f"  prepared shards: {prepared['kB']:.0f} kB a sample, "
        + ", ".join(f"{name} {prepared[name]:.0%}" for name in ("decode", "warp", "rest"))
    )
    shares = max(
        (measure("data_shares", backend) for _ in range(rounds)), key=lambda run: run["samples/s"]
    )
    print(
        f"  one thread alone: {shares['samples/s']:.0f} samples/s, "
        + ", ".join(f"{name} {shares[name]:.0%}" for name in ("decode", "warp", "rest"))
        + f"; on {CORES} cores {_best(found['ours'])[0] / shares['samples/s']:.2f} times as many"
    )
