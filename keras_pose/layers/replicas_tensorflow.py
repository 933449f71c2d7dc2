"""What the copies of a model under `tf.distribute` tell each other; it adds up their gradients."""

from collections.abc import Sequence


def _context():
    import tensorflow as tf

    return tf.distribute.get_replica_context()


def copies_summed() -> int:
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def is_copy(processes: int, x) -> bool:
    context = _context()
    return context is not None and context.num_replicas_in_sync > 1


def rows_of_all(values: dict) -> dict:
    return {key: _rows_of_all(value) for key, value in values.items()}


def _rows_of_all(own):
    rows = _context().all_gather(own, axis=0)
    rows.set_shape([None, *own.shape[1:]])
    return rows


def gradients_of_all(gradients: list) -> list:
    import tensorflow as tf

    given = [i for i, gradient in enumerate(gradients) if gradient is not None]
    sums = _context().all_reduce(tf.distribute.ReduceOp.SUM, [gradients[i] for i in given])
    found = dict(zip(given, sums, strict=True))
    return [found.get(i) for i in range(len(gradients))]


def moments_of_all(x, axes: Sequence[int]):
    import tensorflow as tf

    def total(value):
        return _context().all_reduce(tf.distribute.ReduceOp.SUM, value)

    mean, variance = tf.nn.moments(x, axes)
    count = tf.cast(tf.size(x), x.dtype) / tf.cast(tf.size(mean), x.dtype)
    share = count / total(count)
    # A copy without rows has no mean.
    common = total(tf.math.multiply_no_nan(mean, share))
    spread = variance + tf.square(mean - common)
    return common, total(tf.math.multiply_no_nan(spread, share))
