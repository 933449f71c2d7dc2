"""What to do about images that turn out, in the middle of an epoch, not to decode."""

import threading
import warnings


class DamagedImagesError(ValueError):
    """So many images do not decode that something is wrong with the data as a whole."""


class DamagedImages:
    """Counts the images of an epoch that could not be read, and says so at its end.

    A few are skipped: their batches come without them, and a warning names them when the last
    batch of the epoch is made. More than the limit stop the run. Safe for threads.

    Args:
        name: str, what messages call the data set.
        images: int, how many images an epoch reads.
        batches: int, how many batches an epoch has.
        max_share: float in 0..1, share of the images that may be damaged. Default 0.01. Three
            always may, unless that is more than half of all, or `max_share` is 0.
    """

    FEW = 3

    def __init__(self, name: str, images: int, batches: int, max_share: float = 0.01):
        if not 0 <= max_share <= 1:
            raise ValueError(
                f"max_damaged is a share of the images between 0 and 1, got {max_share!r}"
            )
        self.name = name
        self.images = images
        self.batches = batches
        self.limit = int(max_share * images)
        if max_share:
            self.limit = max(self.limit, min(self.FEW, images // 2))
        self._lock = threading.Lock()
        self._errors: dict[int, dict[str, str]] = {}
        self._done: dict[int, int] = {}

    def add(self, epoch: int, path: str, error: Exception) -> None:
        """Counts an image, however often it is wanted in the epoch.

        Args:
            epoch: int.
            path: str, the image.
            error: what its reader raised; `OSError` and `ValueError` are meant.

        Raises:
            DamagedImagesError: if these are too many now.
        """
        with self._lock:
            errors = self._errors.setdefault(epoch, {})
            errors[path] = str(error)
            if len(errors) > self.limit:
                raise DamagedImagesError(
                    f"{self.name}: {len(errors)} of {self.images} images cannot be read, more than "
                    f"the {self.limit} that max_damaged allows, {_named(errors)}; repair or remove "
                    "them, or raise max_damaged"
                )

    def end_batch(self, epoch: int) -> None:
        """Counts a finished batch; the last one of an epoch warns of its damaged images."""
        with self._lock:
            self._done[epoch] = self._done.get(epoch, 0) + 1
            if self._done[epoch] < self.batches:
                return
            errors = self._errors.get(epoch)
            for counts in (self._errors, self._done):  # epochs that were left early go, too
                for old in [old for old in counts if old <= epoch]:
                    del counts[old]
        if errors:
            warnings.warn(
                f"{self.name}: {len(errors)} of {self.images} images could not be read in epoch "
                f"{epoch} and were skipped, {_named(errors)}",
                stacklevel=2,
            )


def _named(errors: dict[str, str], shown: int = 3) -> str:
    """The first few messages, which name their images."""
    rest = len(errors) - shown
    more = f", and {rest} more" if rest > 0 else ""
    return "for example " * (rest > 0) + "; ".join([*errors.values()][:shown]) + more
