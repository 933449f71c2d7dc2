"""Decoded images that are kept for the next object in the same picture."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from keras_pose.images import read_image


class ImageCache:
    """Reads images and keeps the last ones, up to an amount of memory. Safe for threads.

    Args:
        max_bytes: int, memory for decoded images. Default 256 MiB, about 300 COCO photos.
        read_image: function from a path to an image, uint8 `(H, W, C)`. Default:
            `keras_pose.images.read_image`.

    Attributes:
        decoded: int, how many images were read from their files so far.
    """

    def __init__(
        self,
        max_bytes: int = 256 * 2**20,
        read_image: Callable[[str], np.ndarray] = read_image,
    ):
        self.max_bytes = max_bytes
        self.decoded = 0
        self._read_image = read_image
        self._bytes = 0
        self._images: OrderedDict[str, Future] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: str) -> np.ndarray:
        """The image that `read_image` gives, or its error; do not write into it."""
        with self._lock:
            future = self._images.get(path)
            missing = future is None
            if missing:  # others who want it meanwhile wait for this one
                future = self._images[path] = Future()
            self._images.move_to_end(path)
        if missing:
            self._fill(path, future)
        return future.result()

    def _fill(self, path: str, future: Future) -> None:
        try:
            image = self._read_image(path)
        except BaseException as error:
            with self._lock:
                del self._images[path]
            future.set_exception(error)
            return
        future.set_result(image)
        with self._lock:
            self._bytes += image.nbytes
            self.decoded += 1
            for oldest in list(self._images):
                if self._bytes <= self.max_bytes:
                    break
                if oldest != path and self._images[oldest].done():
                    self._bytes -= self._images.pop(oldest).result().nbytes
