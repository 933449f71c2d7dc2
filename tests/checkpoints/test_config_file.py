"""A user's own MMPose config file, read without executing it."""

import gzip
import json
import textwrap

import numpy as np
import pytest

import keras_pose
from keras_pose.checkpoints.mmpose.config_file import read_config_file
from keras_pose.checkpoints.mmpose.python_config import PythonConfig
from keras_pose.cli import main
from keras_pose.preset import conversion


@pytest.fixture
def write(tmp_path):
    def write(text, name="config.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def values(write):
    """The variables of a text."""
    return lambda text: dict(PythonConfig(write(text)))


def test_what_configs_are_made_of_is_evaluated(values):
    found = values(
        """
        '''A docstring.'''
        input_size = (192, 256)
        w, h = input_size
        codec = dict(type='SimCCLabel', input_size=input_size, sigma=(4.9, 5.66))
        sizes = tuple([s // 32 for s in input_size])
        indices = [0, 1, 2, 3] + [1, 2, 3, 4]
        losses = ([dict(type='A')] * 3 + [dict(type='B')]) * 2
        codecs = [dict(k=k, **codec) for k in [15, 11] if k > 11]
        mapping = [(i, i) for i in range(3)] + [(17, 20)]
        targets = [target for _, target in mapping]
        last = codecs[-1]['k'] * 2 ** 2 / 4 - 1
        epochs = 700
        epochs -= 30
        name: str = f'e{epochs}-' 'end'
        part = input_size[::-1]
        both = {'a': 1, **dict(b=2)}
        table = {k: v for k, v in both.items()}
        many = len(mapping) if epochs >= 600 and not False else None
        codec['normalize'] = False
        codec.update(use_dark=False)
        flip = -1.0
        test = val = both
        """
    )
    assert found["sizes"] == (6, 8) and (found["w"], found["h"]) == (192, 256)
    assert found["indices"] == [0, 1, 2, 3, 1, 2, 3, 4]
    assert [loss["type"] for loss in found["losses"]] == ["A", "A", "A", "B"] * 2
    assert [codec["k"] for codec in found["codecs"]] == [15]
    assert found["targets"] == [0, 1, 2, 20] and found["last"] == 14
    assert found["name"] == "e670-end" and found["part"] == (256, 192)
    assert found["table"] == {"a": 1, "b": 2} == found["val"] and found["many"] == 4
    assert found["codec"]["normalize"] is False and found["codec"]["use_dark"] is False
    assert found["flip"] == -1


def test_bases_are_merged(write):
    write("a = dict(x=1, y=dict(z=[1, 2]))\nb = [1]\nc = 3\n", "base/one.py")
    write("_base_ = './one.py'\na = dict(x=2)\n", "base/two.py")
    path = write(
        """
        _base_ = ['base/two.py']
        a = dict(y=dict(z=[3], w=4))
        b = dict(_delete_=True, q=1)
        d = _base_.a.x + {{_base_.c}}
        e = {{ _base_.a.y.z }}
        """
    )
    found = PythonConfig(path)
    assert found["a"] == {"x": 2, "y": {"z": [3], "w": 4}}
    assert found["b"] == {"q": 1} and found["c"] == 3
    assert found["d"] == 5 and found["e"] == [1, 2]


UNREADABLE = {
    "an import": ("import os\nx = os.getcwd()", "line 1 imports os"),
    "a call": ("x = open('trace', 'w')", "line 1 calls open"),
    "evaluation": ("x = eval('1')", "line 1 calls eval"),
    "a hidden class": ("x = ().__class__", "line 1 has a Attribute"),
    "a method": ("x = 'a'.format(1)", r"line 1 calls 'a'\.format"),
    "a lambda": ("x = lambda: 1", "line 1 has a Lambda"),
    "a loop": ("for x in range(3):\n    pass", "line 1 has a For"),
    "a function": ("def f():\n    global x\n    x = 1\nx = f()", "line 4 calls f"),
    "an unknown name": ("x = y", "line 1 uses y, which is not defined"),
    "what is built on it": ("import os\ny = os\nx = [y]", "line 1 imports os"),
    "wrong arithmetic": ("x = 1 / 0", "ZeroDivisionError"),
    "a change": ("import os\nx = {}\nx['a'] = os.name", "line 1 imports os"),
    "a huge power": ("x = 9 ** 9 ** 9", "a power is very large"),
    "a huge list": ("x = [0] * 10 ** 9", "a repetition is very large"),
    "a huge text": ("x = '%999999999d' % 1", "a text is very long"),
    "an endless loop": ("x = [0 for a in range(99999) for b in range(99999)]", "very l"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_only_executing_would_give_is_an_error_when_it_is_asked_for(write, what):
    text, reason = UNREADABLE[what]
    (path := write("")).write_text(f"{text}\nz = 1\n")
    config = PythonConfig(path)
    assert config["z"] == 1
    with pytest.raises(ValueError, match=f"x cannot be read without executing .*{reason}"):
        config["x"]
    assert [file.name for file in path.parent.iterdir()] == ["config.py"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (", r"is not a Python file \(line 1\)"),
        ("from mmengine.config import read_base\nwith read_base():\n    pass", "newer style"),
        ("_base_ = 'config.py'", "its bases form a loop"),
        ("_base_ = [name]", "_base_ must be a text or a list of texts"),
    ],
)
def test_files_that_cannot_be_read_are_refused(write, text, message):
    with pytest.raises(ValueError, match=message) as error:
        PythonConfig(write(text))
    assert "\n" not in str(error.value)


CONFIG = """
    _base_ = ['../../_base_/default_runtime.py']
    import os
    codec = dict(type='UDPHeatmap', input_size=(32, 48), heatmap_size=(8, 12), sigma=2)
    model = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[1.0, 2, 3], std=[1.0, 2, 3]),
        backbone=dict(type='ResNet', depth=18, base_channels=4, out_indices=(1, )),
        head=dict(
            type='HeatmapHead',
            in_channels=8,
            out_channels=4,
            deconv_out_channels=(4, ),
            deconv_kernel_sizes=(4, ),
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=codec),
        test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
    val_pipeline = [
        dict(type='LoadImage', file_client_args={{_base_.file_client_args}}),
        dict(type='GetBBoxCenterScale', padding=1.1),
        dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    ]
    train_pipeline = [
        dict(type='mmpose.GetBBoxCenterScale', padding=1.1),
        dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
        dict(type='GenerateTarget', encoder=codec),
    ]
    train_dataloader = dict(
        batch_size=int(os.environ['BATCH']),
        dataset=dict(type='MouseDataset', pipeline=train_pipeline))
    val_dataloader = dict(
        dataset=dict(
            type='RepeatDataset',
            times=2,
            dataset=dict(
                type='MouseDataset',
                metainfo=dict(from_file='datasets/mouse.py'),
                pipeline=val_pipeline)))
"""
MOUSE = """
    dataset_info = dict(
        dataset_name='mouse',
        keypoint_info={
            0: dict(name='snout', id=0, color=[51, 153, 255], type='upper', swap=''),
            1: dict(name='left_ear', id=1, color=[0, 255, 0], type='upper', swap='right_ear'),
            2: dict(name='right_ear', id=2, color=[255, 0, 0], type='upper', swap='left_ear'),
            3: dict(name='tail', id=3, color=[0, 0, 0], type='', swap=''),
        },
        skeleton_info={0: dict(link=('snout', 'tail'), id=0, color=[1, 2, 3])},
        joint_weights=[1., 1., 1., 1.5],
        sigmas=[])
"""


def test_the_model_of_a_config_file(write):
    write("file_client_args = dict(backend='disk')\n", "_base_/default_runtime.py")
    write(MOUSE, "datasets/mouse.py")
    settings = read_config_file(write(CONFIG, "configs/mine/mouse.py"))
    assert settings["udp"] is True and settings["box_padding"] == 1.1
    assert settings["codec"] is None
    assert settings["skeleton"]["name"] == "mouse"
    estimator = conversion.build(state_dict=None, **settings)
    assert estimator.skeleton.keypoints == ("snout", "left_ear", "right_ear", "tail")
    assert estimator.skeleton.flip_indices.tolist() == [0, 2, 1, 3]
    assert estimator.skeleton.sigmas is None and estimator.udp is True
    assert estimator.input_size == (32, 48)


def test_a_base_without_the_model_may_be_missing(write):
    write(MOUSE, "datasets/mouse.py")
    path = write(CONFIG.replace("{{_base_.file_client_args}}", "None"), "mouse.py")
    assert read_config_file(path)["box_padding"] == 1.1
    assert PythonConfig(write("_base_ = ['mmpose::a.py']\nb = 1", "c.py"))["b"] == 1
    path = write("_base_ = ['../td-hm_res50.py']\nmodel = dict(head=dict(out_channels=4))", "b.py")
    with pytest.raises(ValueError, match=r"no backbone and head: its base \.\./td-hm_res50\.py is"):
        read_config_file(path)


@pytest.mark.parametrize(
    ("dataset", "skeleton"),
    [
        ("type='MpiiDataset'", "mpii"),
        ("type='RepeatDataset', dataset=dict(type='CrowdPoseDataset')", "crowdpose"),
        ("type='DeepFashionDataset', subset='lower'", "deepfashion_lower"),
        ("type='CombinedDataset', metainfo=dict(from_file='configs/halpe26.py')", "halpe26"),
        ("type='Own'", "coco"),
    ],
)
def test_the_skeleton_is_that_of_the_data(write, dataset, skeleton):
    model = "model = dict(backbone=dict(), head=dict())"
    path = write(f"{model}\ntrain_dataloader = dict(dataset=dict({dataset}))")
    assert read_config_file(path)["skeleton"] == skeleton


def test_a_known_description_of_keypoints_is_the_packages_own(write):
    text = """
    model = dict(backbone=dict(), head=dict())
    train_dataloader = dict(dataset=dict(type='A', metainfo=dict(from_file='zebra.py')))
    """
    points = keras_pose.Skeleton.load("zebra").keypoints
    infos = ", ".join(f"{i}: dict(name={name!r})" for i, name in enumerate(points))
    write(f"dataset_info = dict(dataset_name='z', keypoint_info={{{infos}}})", "zebra.py")
    assert read_config_file(write(text))["skeleton"] == "zebra"
    write("dataset_info = dict(keypoint_info={0: dict(name='nose')})", "zebra.py")
    assert read_config_file(write(text))["skeleton"]["keypoints"][0]["name"] == "nose"


def test_a_description_of_keypoints_that_is_nowhere_is_named(write):
    text = """
    model = dict(backbone=dict(), head=dict())
    train_dataloader = dict(dataset=dict(type='A', metainfo=dict(from_file='my/own.py')))
    """
    with pytest.raises(ValueError, match=r"the description of its keypoints, my/own\.py, is not"):
        read_config_file(write(text))


def test_levels_of_targets_are_the_codec(write):
    text = """
    codec = [dict(type='MegviiHeatmap', kernel_size=k) for k in (11, 9)]
    model = dict(backbone=dict(), head=dict(decoder=codec[-1]))
    train_pipeline = [dict(type='GenerateTarget', encoder=codec)]
    """
    assert [one["kernel_size"] for one in read_config_file(write(text))["codec"]] == [11, 9]


def test_a_model_of_the_users_own_is_converted(write, tmp_path, capsys):
    write("file_client_args = dict(backend='disk')\n", "_base_/default_runtime.py")
    write(MOUSE, "datasets/mouse.py")
    config = write(CONFIG, "configs/mine/mouse.py")
    estimator = conversion.build(state_dict=None, **read_config_file(config))
    from keras_pose.layers.naming import state_dict

    np.savez(tmp_path / "own.npz", **state_dict(estimator))
    assert main(["convert", str(config), str(tmp_path / "own.npz"), str(tmp_path / "out")]) == 0
    copy = keras_pose.TopdownEstimator.from_preset(tmp_path / "out")
    assert copy.skeleton == estimator.skeleton and copy.box_padding == 1.1
    for name, array in state_dict(copy).items():
        np.testing.assert_array_equal(array, state_dict(estimator)[name])


def test_a_model_as_json_is_converted(write, tmp_path, shared, capsys):
    rows = json.loads(gzip.decompress((shared / "zoo/zoo.json.gz").read_bytes()))["rows"]
    model = next(
        row["model"] for row in rows if row["config"].startswith("td-hm_mobilenetv2_8xb64")
    )
    path = write(json.dumps(model), "model.json")
    assert main(["convert", str(path), "nowhere.pth", str(tmp_path / "out")]) == 2
    assert "there is no checkpoint nowhere.pth" in capsys.readouterr().err
    path = write("[]", "model.json")
    assert main(["convert", str(path), "nowhere.pth", str(tmp_path / "out")]) == 2
    assert "must hold a JSON object" in capsys.readouterr().err


def test_whole_photos_are_resized_as_the_test_pipeline_says(write):
    text = """
        codec = dict(type='AssociativeEmbedding', input_size=(512, 512))
        model = dict(
            type='BottomupPoseEstimator', backbone=dict(type='HRNet'), head=dict(decoder=codec))
        val_pipeline = [dict(
            type='BottomupResize', input_size=codec['input_size'], size_factor=64, use_udp=True,
            resize_mode='expand', pad_val=(114, 114, 114))]
        test_dataloader = dict(dataset=dict(type='CrowdPoseDataset', pipeline=val_pipeline))
    """
    settings = read_config_file(write(text))
    assert settings["resize"] == {
        "input_size": [512, 512],
        "resize_mode": "expand",
        "size_factor": 64,
        "fill": 114,
    }
    assert settings["udp"] is True and settings["skeleton"] == "crowdpose"
