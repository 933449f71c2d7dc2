"""The example that predicts on Ray: every image once, also when a worker dies."""

import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/predict_with_ray.py"
COUNT = 240


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("predict_with_ray", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["predict_with_ray"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["predict_with_ray"]


@pytest.fixture
def ray(tmp_path, backend):
    ray = pytest.importorskip("ray", reason="needs keras-pose[scale]")
    if backend != "torch":
        pytest.skip("Ray is the same under every backend: tried under torch, which starts quickest")
    variables = {"KERAS_BACKEND": backend, "PYTHONPATH": str(EXAMPLE.parent)}
    variables["TEST_PIDS"] = str(tmp_path / "pids")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 * 2**20,
        runtime_env={"env_vars": variables},
    )
    yield ray
    ray.shutdown()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        picture = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    example, ray, photos, tmp_path, monkeypatch, small_preset
):
    import pyarrow.parquet as pq

    pids = tmp_path / "pids"
    pids.mkdir()

    class Watched(example.Poses):
        """Says which process it is, and takes long enough to be killed at work."""

        def __call__(self, files):
            found = super().__call__(files)
            (Path(os.environ["TEST_PIDS"]) / f"{os.getpid()}-{files['path'][0][-7:-4]}").touch()
            time.sleep(0.1)
            return found

    killed = []

    def kill():
        while len(list(pids.iterdir())) < 3:
            time.sleep(0.02)
        killed.append(int(next(pids.iterdir()).name.partition("-")[0]))
        os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(example, "Poses", Watched)
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    example.predict(
        str(photos), str(tmp_path / "out"), small_preset, None, workers=2, batch_images=8
    )
    killer.join(timeout=5)
    assert killed and len({path.name.partition("-")[0] for path in pids.iterdir()}) >= 2
    rows = pq.read_table(tmp_path / "out").to_pylist()
    names = [os.path.basename(row["path"]) for row in rows]
    assert sorted(names) == [*(f"{number:03d}.png" for number in range(COUNT)), "damaged.jpg"]
    errors = {name: row["error"] for name, row in zip(names, rows, strict=True) if row["error"]}
    assert list(errors) == ["damaged.jpg"] and "damaged.jpg" in errors["damaged.jpg"]
    person = next(row for row in rows if row["person"] == 0)
    assert (person["image_width"], person["image_height"]) == (32, 24)
    assert np.shape(person["keypoints"]) == (1, 3) and person["box_x2"] == 32


def test_results_are_never_mixed_with_older_ones(example, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old.parquet").touch()
    with pytest.raises(ValueError, match="is not empty: name a new folder"):
        example.predict(str(tmp_path), str(tmp_path / "out"))
