"""Every codec's decoding and flip in LiteRT, by its builtin operations."""

import keras
import numpy as np

from keras_pose import codecs
from keras_pose.artifacts import writers

SIZES = {"input_size": (64, 48), "heatmap_size": (16, 12)}
FLIPS = np.int32([0, 2, 1])
CODECS = {
    "msra_heatmap": codecs.MSRAHeatmap(**SIZES),
    "msra_heatmap_unbiased": codecs.MSRAHeatmap(**SIZES, unbiased=True),
    "udp_heatmap": codecs.UDPHeatmap(**SIZES),
    "udp_heatmap_combined": codecs.UDPHeatmap(**SIZES, heatmap_type="combined"),
    "megvii_heatmap": codecs.MegviiHeatmap(**SIZES, kernel_size=5),
    "skps_heatmap": codecs.SKPSHeatmap(**SIZES),
    "integral_regression_label": codecs.IntegralRegressionLabel(**SIZES),
}


class Decoding(keras.Model):
    """Outputs of every codec from the same maps, averaged with those that are flipped."""

    def call(self, maps):
        decoded = {}
        for name, codec in CODECS.items():
            count = 3 * codec.maps_per_keypoint
            outputs = {"heatmaps": maps[..., :count]}
            if name == "skps_heatmap":
                outputs = {"heatmaps": maps[..., :3], "offsets": maps[..., 3:]}
            elif name == "integral_regression_label":
                outputs = {"coordinates": maps[:, :3, 0, :2], "sigmas": maps[:, :3, 1, :2]}
            flipped = codec.flip(outputs, FLIPS)
            merged = {key: (outputs[key] + flipped[key]) / 2 for key in outputs}
            for key, value in codec.decode(merged).items():
                decoded[f"{name}_{key}"] = value
        return decoded


def test_decoding_in_litert(in_tensorflow, tmp_path):
    model, path = Decoding(), tmp_path / "decoding.tflite"
    maps = np.random.default_rng(0).random((2, 12, 16, 9), np.float32)
    expected = model.predict_on_batch(maps)
    signature = [keras.InputSpec(shape=(None, 12, 16, 9), dtype="float32", name="maps")]
    model.export(str(path), format="litert", input_signature=signature, verbose=False)
    writers._check_builtin(path)
    from ai_edge_litert.interpreter import Interpreter

    found = Interpreter(str(path)).get_signature_runner()(maps=maps)
    assert len(found) == 2 * len(CODECS)
    for name, value in found.items():
        tolerance = 1e-2 if name.endswith("keypoints") else 1e-5
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=tolerance, err_msg=name)
