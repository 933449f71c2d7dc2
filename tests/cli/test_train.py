"""`keras-pose train` with a tiny model."""

import json
import os
import socket
import subprocess
import sys
import warnings

import cv2
import keras
import numpy as np
import pytest

from keras_pose import Skeleton, TopdownEstimator
from keras_pose.cli import main
from keras_pose.codecs import MSRAHeatmap
from keras_pose.heads import HeatmapHead

pytest.importorskip("tensorflow", reason="the batches are a tf.data pipeline")
NAMES = ["left_dot", "right_dot"]


@pytest.fixture
def words(tmp_path, monkeypatch):
    """The words of a command that trains a tiny preset on four pictures."""
    monkeypatch.chdir(tmp_path)
    inputs = keras.Input((32, 32, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(4, 4, strides=4)(inputs))
    head = HeatmapHead(2, MSRAHeatmap((32, 32), (8, 8)), deconv_filters=(), deconv_kernels=())
    pair = Skeleton("pair", NAMES)
    TopdownEstimator(backbone, head, skeleton=pair, input_size=(32, 32)).save_to_preset("tiny")
    images, annotations = [], []
    for number in range(1, 5):
        cv2.imwrite(f"{number}.png", np.full((40, 40, 3), 20 * number, np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "width": 40, "height": 40})
        points = [10, 10, 2, 30, 30, 2]
        ids = {"id": number, "image_id": number, "category_id": 1}
        annotations.append({**ids, "bbox": [4, 4, 32, 32], "keypoints": points})
    categories = [{"id": 1, "name": "pair", "keypoints": NAMES}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "dots.json").write_text(json.dumps(content))
    (tmp_path / "empty.json").write_text(json.dumps({**content, "annotations": []}))
    gone = [{**images[0], "file_name": "gone.png"}, *images[1:]]
    (tmp_path / "gone.json").write_text(json.dumps({**content, "images": gone}))
    return ["--train", "dots.json", "--preset", "tiny", "--out", "out", "--quiet"]


def test_a_name_with_options_trains_and_resumes(words, tmp_path, capsys):
    options = ["--val", "dots.json", "--epochs", "2", "--batch-size", "2", "--patience", "9"]
    options += ["--set", "optimizer.learning_rate=0.01", "--set", "average=null"]
    assert main(["train", "movenet_finetune", *words, *options]) == 0
    said = capsys.readouterr()
    assert "last: " in said.out
    assert "Epoch" not in said.out
    assert "learns " in said.err
    job = json.loads((tmp_path / "out/job.json").read_text())
    assert job["overrides"] == {
        "epochs": 2,
        "batch_size": 2,
        "optimizer.learning_rate": 0.01,
        "average": None,
    }
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["recipe"]["optimizer"]["learning_rate"] == 0.01
    assert main(["train", "--resume", "--out", "out", "--quiet"]) == 0
    assert "goes on from out/checkpoint.npz (epoch 2, step 0)" in capsys.readouterr().err
    assert main(["train", "movenet_finetune", *words, "--resume"]) == 2
    assert "is of another job" in capsys.readouterr().err


def test_a_published_recipe_by_name_says_what_it_would_do(words, tmp_path, capsys):
    name = "td-hm_res50_8xb64-210e_coco-256x192"
    options = ["--val", "dots.json", "--dry-run", "--batch-size", "2"]
    assert main(["train", "--recipe", name, *words, *options]) == 0
    said = capsys.readouterr().err
    assert "learning rate 0.0005 of batch size 512 scaled to 1.953" in said
    assert "was judged by is not measured" in said
    assert '"milestones"' in said
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_ends_with_code_1(words, capsys):
    options = ["--set", 'optimizer={"type": "SGD", "learning_rate": 1e38}']
    options += ["--set", "schedule=[]", "--batch-size", "2", "--epochs", "9"]
    assert main(["train", "movenet_finetune", *words, *options]) == 1
    assert "of the loss is " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "optimizer.learning_rat=1"], "unknown argument 'learning_rat'; did you mean"),
        (["--set", "epochs"], "--set needs KEY=VALUE, got 'epochs'"),
        (["--set", "model.prset=x"], "unknown key 'prset'; did you mean preset"),
        (["--recipe", "movenet_finetun"], "unknown recipe 'movenet_finetun'; did you mean"),
        (["--skeleton", "coco"], "17"),
        (["--val", "none.json"], "none.json"),
        (["--val", "1.5"], "--val must be a file, or a share of the images above 0 and below 1"),
        (["--val", "0"], "--val must be a file, or a share of the images above 0 and below 1"),
        (["--train", "empty.json"], "empty.json has no object that can be learnt or judged"),
        (["--val", "empty.json"], "empty.json has no object that can be learnt or judged"),
        (["--val", "gone.json"], "gone.json: 1 of 4 images are missing, for example"),
        (["--set", "monitor_mode=up"], "monitor_mode must be"),
    ],
)
def test_what_is_wrong_is_one_sentence(words, more, message, tmp_path, capsys):
    assert main(["train", "movenet_finetune", *words, *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_damaged_images_are_told_in_a_line(words, tmp_path, capsys, monkeypatch):
    (tmp_path / "1.png").write_text("no image")

    def show(message, category, filename, lineno, file=None, line=None):
        print(warnings.formatwarning(message, category, filename, lineno), file=sys.stderr)

    monkeypatch.setattr(warnings, "showwarning", show)  # pytest records warnings
    assert main(["train", "movenet_finetune", *words, "--epochs", "1", "--val", "dots.json"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert any(
        line.startswith("keras-pose: dots.json: 1 of 4 images could not be read") for line in lines
    )
    assert not any("UserWarning" in line for line in lines)
    assert any(line.startswith("4 of the 4 images of dots.json are learnt, too") for line in lines)


def test_what_the_system_refuses_names_the_file(words, tmp_path, capsys):
    (tmp_path / "nofolder").write_text("")
    assert main(["train", "movenet_finetune", *words, "--out", "nofolder/out"]) == 2
    said = capsys.readouterr().err
    assert "cannot write into the folder nofolder/out: Not a directory" in said


def test_nothing_to_train_is_said(capsys, tmp_path):
    assert main(["train", "--out", str(tmp_path / "out")]) == 2
    assert "say what to train" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(tmp_path / "out")]) == 2
    assert "there is no" in capsys.readouterr().err


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="needs two GPUs")
def test_two_devices_share_the_batches(words, tmp_path):
    backend = keras.backend.backend()
    words = ["train", "movenet_finetune", *words, "--val", "dots.json", "--devices", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "keras_pose.cli", *words, "--epochs", "2", "--batch-size", "2"],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("last: ") == 1
    assert done.stderr.count("learns ") == 1
    assert len((tmp_path / "out/log.jsonl").read_text().splitlines()) == 2


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torchrun is PyTorch's")
def test_processes_of_torchrun_are_joined(words, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = ["--master-addr", "127.0.0.1", "--master-port", str(free.getsockname()[1])]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *address]
    words = ["train", "movenet_finetune", *words, "--epochs", "1", "--batch-size", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "keras_pose.cli", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("learns ") == 1
    (row,) = (tmp_path / "out/log.jsonl").read_text().splitlines()
    assert main([*words[:-2], "--batch-size", "2", "--out", "one"]) == 0
    (alone,) = (tmp_path / "one/log.jsonl").read_text().splitlines()
    assert json.loads(row)["loss"] == pytest.approx(json.loads(alone)["loss"], rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TF_CONFIG is TensorFlow's")
def test_workers_of_tensorflow_are_refused(words, capsys, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert main(["train", "movenet_finetune", *words, "--devices", "auto"]) == 2
    assert "TF_CONFIG is set: workers of TensorFlow cannot share" in capsys.readouterr().err


def test_devices_that_are_not_there_are_said(words, capsys):
    assert main(["train", "movenet_finetune", *words, "--devices", "none"]) == 2
    assert "--devices must be auto or a positive number, got 'none'" in capsys.readouterr().err
    if keras.backend.backend() != "torch":  # processes share the CPU
        assert main(["train", "movenet_finetune", *words, "--devices", "64"]) == 2
        assert "64 devices were asked for, there " in capsys.readouterr().err
