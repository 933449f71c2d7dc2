"""A pose model on the backbone of another library: keras.applications, KerasHub or keras-cv.

    python examples/any_backbone.py [--library applications|hub|cv] [--weights imagenet]

Builds the model and trains it for three steps on random images, to show how the parts are joined.
"""

import argparse

import keras_pose  # isort: skip  (settles the backend before Keras is imported)
import keras
import numpy as np

INPUT_SIZE = (192, 256)


def network(library: str, weights: str | None):
    """A network, the levels of it to read, and what turns uint8 pixels into its input."""
    width, height = INPUT_SIZE
    raw = keras_pose.layers.PixelNormalization(mean=0.0, std=1.0)
    if library == "applications":
        # It normalises pixels of 0..255 itself.
        model = keras.applications.MobileNetV3Small(
            (height, width, 3), include_top=False, weights=weights
        )
        return model, None, raw
    unit = keras_pose.layers.PixelNormalization(mean=0.0, std=255.0)
    if library == "hub":
        import keras_hub

        if weights:
            return keras_hub.models.ResNetBackbone.from_preset("resnet_18_imagenet"), ["P5"], unit
        model = keras_hub.models.ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[7],
            stackwise_num_filters=[64, 64, 160, 256],
            stackwise_num_blocks=[2, 2, 2, 2],
            stackwise_num_strides=[1, 2, 2, 2],
            block_type="bottleneck_block",
            image_shape=(height, width, 3),
        )
        return model, ["P5"], unit
    import keras_cv

    model = keras_cv.models.CSPDarkNetBackbone(
        stackwise_channels=[32, 64, 128, 256],
        stackwise_depth=[1, 1, 1, 1],
        include_rescaling=True,
        input_shape=(height, width, 3),
    )
    return model, ["P5"], raw


def build(library: str, weights: str | None = None) -> keras_pose.TopdownEstimator:
    """An estimator of COCO's 17 keypoints on the network of a library."""
    model, levels, preprocess = network(library, weights)
    codec = keras_pose.codecs.MSRAHeatmap(INPUT_SIZE, heatmap_size=(48, 64))
    return keras_pose.TopdownEstimator(
        backbone=keras_pose.backbones.KerasBackbone(model, levels),
        head=keras_pose.heads.HeatmapHead(17, codec),
        preprocess=preprocess,
        skeleton="coco",
        input_size=INPUT_SIZE,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", choices=["applications", "hub", "cv"], default="applications")
    parser.add_argument("--weights", choices=["imagenet"], help="download pretrained weights")
    arguments = parser.parse_args()
    estimator = build(arguments.library, arguments.weights)
    print(f"{estimator.count_params() / 1e6:.1f} M parameters")
    width, height = INPUT_SIZE
    images = np.random.default_rng(0).integers(0, 255, (4, height, width, 3), "uint8")
    labels = {
        "keypoints": np.full((4, 1, 17, 2), 96.0, "float32"),
        "visible": np.ones((4, 1, 17), "float32"),
    }
    estimator.compile(keras.optimizers.AdamW(1e-3))
    history = estimator.fit(images, labels, epochs=3, verbose=2)
    losses = history.history["loss"]
    print(f"loss {losses[0]:.5f} -> {losses[-1]:.5f}")


if __name__ == "__main__":
    main()
