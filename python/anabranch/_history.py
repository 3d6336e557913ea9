"""What a fitting did."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


class History(dict[str, list[float]]):
    """The epochs of a fitting: a dict of lists, one element an epoch, by the names that a run's `history.csv` has.

    `epoch` and `step` count from the model's first params; then `train/NAME`, `validation/NAME` for every loss and metric, and `weight/PATH` for the
    trained weights of losses. The first element is the state before training, which has no `train` values: what is not there is NaN.

    >>> history = History([(0, 0, [("validation/error", 2.0)]), (1, 4, [("train/error", 1.5), ("validation/error", 1.0)])])
    >>> history["train/error"]
    [nan, 1.5]
    >>> history["epoch"], history.last["validation/error"]
    ([0, 1], 1.0)
    """

    best_epoch: int | None
    """The best epoch by the value that was watched."""
    best_value: float | None
    """The watched value after it."""
    stopped_early: bool
    """Whether the watched value ended the fitting before its last epoch."""

    def __init__(
        self,
        rows: list[tuple[int, int, list[tuple[str, float]]]] = [],  # noqa: B006, it is only read
        best: tuple[int, float] | None = None,
        stopped_early: bool = False,
    ) -> None:
        super().__init__(epoch=[row[0] for row in rows], step=[row[1] for row in rows])
        for at, (_, _, values) in enumerate(rows):
            for name, value in values:
                self.setdefault(name, [math.nan] * len(rows))[at] = value
        self.best_epoch, self.best_value = best or (None, None)
        self.stopped_early = stopped_early

    @property
    def last(self) -> dict[str, float]:
        """The values of the last epoch."""
        return {name: values[-1] for name, values in self.items() if values}

    def to_pandas(self) -> pandas.DataFrame:
        """A frame with a row for each epoch."""
        import pandas

        return pandas.DataFrame(dict(self)).set_index("epoch")

    def __reduce__(self) -> tuple[Any, ...]:
        return History, (), {"_items": dict(self), **self.__dict__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state.pop("_items"))
        self.__dict__.update(state)

    def _repr_html_(self) -> str:
        cells = lambda tag, texts: "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)  # noqa: E731
        rows = zip(*self.values(), strict=True)
        shown = (
            "".join(f"<tr>{cells('td', ('' if value != value else f'{value:.6g}' for value in row))}</tr>")
            for row in rows
        )
        return f"<table><tr>{cells('th', self)}</tr>{''.join(shown)}</table>"
