"""What every loss is."""


class Loss:
    """Compares targets with outputs; a configurable object without state.

    `terms` names what `__call__` returns, so that an estimator can log each.
    """

    terms: tuple[str, ...] = ()

    def __call__(self, targets: dict, outputs: dict) -> dict:
        """Scalars by name, whose sum is minimised."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "Loss":
        return cls(**config)
