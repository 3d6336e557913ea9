"""Models in use."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from . import _engine
from ._data import Columns, array, gather
from ._errors import SpecWarning
from ._history import History
from ._program import Program

Callback = Callable[[int, dict[str, float]], "bool | None"]


def load(folder: str | PathLike[str], *, threads: int = 0) -> Trainer:
    """Goes on from the folder of a run, which `anabranch run` or `Trainer.save` wrote.

    The spec, its constants, the precision, the seed, params, states and history are those of the run. Its data is read only where the run
    encodes columns of it; inputs are then what the table holds, the texts of a category as their numbers.

    >>> import anabranch, tempfile
    >>> trainer = anabranch.compile("input x: f32[batch, 1]\\noutput y = x |> dense(units=1)").trainer(seed=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trainer.save(folder + "/run")
    ...     again = anabranch.load(folder + "/run")
    >>> bool(again.predict({"x": [[1.0]]})["y"] == trainer.predict({"x": [[1.0]]})["y"])
    True
    """
    session, program = _engine.Session.open(fspath(folder), threads)
    return Trainer(session, Program(program), threads)


class Trainer:
    """A model with its params and states: trained, evaluated, asked for predictions, saved.

    Data is a dict of arrays (or what numpy makes arrays of), or a frame of pandas or polars, with the inputs and targets of the spec; the first axis
    counts the samples. Others are left alone. `columns` says by which columns a field is read where it has not a column of its own name:
    `{"image": "p0..p63", "digit": "label"}`; they are put side by side in the field's shape.

    One call at a time: a callback cannot use the trainer that calls it.
    """

    def __init__(self, session: _engine.Session, program: Program, threads: int = 0) -> None:
        self._session = session
        self._threads = threads
        self.program = program
        """The compiled spec."""

    def fit(
        self,
        data: Any,
        *,
        batch_size: int = 32,
        epochs: int = 10,
        validation: Any = None,
        monitor: str | None = None,
        patience: int | None = None,
        higher_is_better: bool = False,
        min_delta: float = 0.0,
        keep_best: bool = True,
        shuffle: bool = True,
        seed: int | None = None,
        drop_last: bool = False,
        columns: Columns | None = None,
        callback: Callback | None = None,
        progress: bool | None = None,
    ) -> History:
        """Trains for so many more epochs.

        `validation` is data that the model is judged by after each epoch. `monitor` is the value that epochs are judged by, `train/NAME` or
        `validation/NAME`: after `patience` epochs without an improvement by more than `min_delta` the fitting ends, and the model is left with the
        params of the best epoch unless `keep_best` is false.

        `callback(epoch, values)` is called after each epoch with its number and what it came to, by the names of `History`. It ends the fitting by
        giving `True`; what it raises ends it too, and is raised from here. Ctrl-C ends it after the present step. In each case the model
        stays as it is then.

        `progress` shows a bar (by tqdm, where that is installed) or a line for each epoch; unless said it does so in notebooks.

        >>> import anabranch, numpy as np
        >>> trainer = anabranch.compile('''
        ...     input x: f32[batch, 1]
        ...     target y: f32[batch, 1]
        ...     output line = x |> dense(units=1)
        ...     loss error = mean_squared_error(y, line)
        ...     train { minimize error  optimizer sgd(lr=0.5) }''').trainer()
        >>> x = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
        >>> history = trainer.fit({"x": x, "y": 2 * x}, epochs=50, callback=lambda epoch, values: values["train/error"] < 1e-2)
        >>> history["train/error"][-1] < 1e-2, history.last["epoch"] < 50
        (True, True)

        Raises `SpecError` for data that does not fit the spec, for settings that cannot be meant, and where a loss is no finite number any more;
        the model is then as it was after the last epoch in which all were.
        """
        fields = self._fields()
        settings = dict(
            batch_size=_count("batch_size", batch_size),
            epochs=_count("epochs", epochs),
            shuffle=bool(shuffle),
            seed=seed,
            drop_last=bool(drop_last),
            monitor=monitor,
            higher=bool(higher_is_better),
            min_delta=float(min_delta),
            patience=None if patience is None else _count("patience", patience),
            keep_best=bool(keep_best),
        )
        shown = _progress(progress)

        def on_epoch(row: tuple[int, int, list[tuple[str, float]]], n_steps: int, n_all: int) -> bool:
            epoch, _, values = row
            if n_steps == 0:
                # The state before training is no epoch.
                return False
            if shown:
                shown.epoch(epoch, dict(values), n_steps, n_all)
            return callback is not None and callback(epoch, dict(values)) is True

        try:
            rows = self._session.fit(
                gather(data, fields, columns),
                None if validation is None else gather(validation, fields, columns),
                settings,
                on_epoch,
                shown.step if shown else None,
                lambda text: warnings.warn(text, SpecWarning, stacklevel=3),
            )
        finally:
            if shown:
                shown.close()
        return History(*rows)

    def step(self, batch: Any, *, columns: Columns | None = None) -> dict[str, float]:
        """One training step on a batch. Gives the losses and metrics as they are before the update."""
        return dict(self._session.step(gather(batch, self._fields(), columns)))

    def evaluate(self, data: Any, *, columns: Columns | None = None) -> dict[str, float]:
        """The losses and metrics over all samples, as the model is used for predictions. Nothing is trained."""
        return dict(self._session.evaluate(gather(data, self._fields(), columns)))

    def predict(self, data: Any, *, columns: Columns | None = None) -> dict[str, np.ndarray]:
        """The outputs for every sample, from data that holds the inputs."""
        return self._session.predict(gather(data, self.program._engine.inputs(), columns))

    def gradients(self, batch: Any, *, columns: Columns | None = None) -> dict[str, np.ndarray]:
        """The gradient of what is minimised by each trained param, over all samples as one batch, before any clipping."""
        return self._session.gradients(gather(batch, self._fields(), columns))

    @property
    def params(self) -> Params:
        """The params by their paths: `trainer.params["dense.kernel"]` reads a copy, and setting an item sets the param."""
        return Params(self)

    @property
    def loss_weights(self) -> dict[str, list[float]]:
        """The trained weights of losses and their present values."""
        return dict(self._session.loss_weights())

    @property
    def history(self) -> History:
        """All epochs that led to the params, those of a run that was loaded too."""
        return History(*self._session.history())

    @property
    def n_steps(self) -> int:
        """Training steps since the model's first params."""
        return self._session.n_steps()

    @property
    def n_epochs(self) -> int:
        """Epochs since the model's first params."""
        return self._session.n_epochs()

    @property
    def seed(self) -> int:
        """The seed of the first params and of all random draws."""
        return self._session.seed()

    @property
    def precision(self) -> str:
        """The type that floats are computed in, `f32` or `f64`."""
        return self._session.precision()

    def save(self, path: str | PathLike[str], *, replace: bool = False) -> None:
        """Writes the folder of a run, as `anabranch run` does, or, by a name that ends in `.safetensors`, params and states alone.

        `anabranch predict`, `evaluate` and `export` read the folder, and `load`. `run --resume` goes on from it once its `run.yaml` says where the data
        is. A run that is there already makes way only when `replace` is true; a file does so always.
        """
        if fspath(path).endswith(".safetensors"):
            self._session.save_state(path)
        else:
            self._session.save_run(path, replace)

    def load(self, path: str | PathLike[str]) -> None:
        """Goes on from a `.safetensors` file that `save` or `anabranch run` wrote: params, states, steps and epochs."""
        self._session.load_state(path)

    def __repr__(self) -> str:
        return f"<anabranch.Trainer of {self.program!r}, {self.n_epochs} epochs, {self.n_steps} steps>"

    def _fields(self) -> list[tuple[str, str]]:
        engine = self.program._engine
        return engine.inputs() + engine.targets()

    def __reduce__(self) -> tuple[Any, ...]:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            self._session.save_run(run, False)
            files = {str(file.relative_to(run)): file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()}
        return _again, (files, self._threads)


def _again(files: dict[str, bytes], threads: int) -> Trainer:
    """A trainer from the files of its folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            file = Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return load(folder, threads=threads)


class Params(MutableMapping[str, np.ndarray]):
    """The params of a trainer by their paths.

    >>> import anabranch
    >>> trainer = anabranch.compile("input x: f32[batch, 1]\\noutput y = x |> dense(units=1)").trainer()
    >>> sorted(trainer.params)
    ['y.dense.bias', 'y.dense.kernel']
    >>> trainer.params["y.dense.kernel"] = [[2.0]]
    >>> trainer.params["y.dense.bias"] += 1
    >>> trainer.predict({"x": [[3.0]]})["y"]
    array([[7.]], dtype=float32)
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def __getitem__(self, path: str) -> np.ndarray:
        return self._trainer._session.param(path)

    def __setitem__(self, path: str, values: Any) -> None:
        self._trainer._session.set_param(path, array(path, values))

    def __delitem__(self, path: str) -> None:
        raise TypeError("a param cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._trainer.program.params)

    def __len__(self) -> int:
        return len(self._trainer.program.params)

    def __repr__(self) -> str:
        return "\n".join(f"{path}: {ty}" for path, ty in self._trainer.program.params.items())


def _count(name: str, value: Any) -> int:
    number = int(value)
    if number != value or not 0 <= number < 2**32:
        raise ValueError(f"`{name}` is {value!r}, not a count")
    return number


class _Progress:
    """Shows how far a fitting is."""

    def __init__(self) -> None:
        self._bar: Any = None
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self._new = None
        else:
            self._new = tqdm

    def step(self, n_steps: int, n_all: int) -> None:
        if self._new is None:
            return
        if self._bar is None:
            self._bar = self._new(total=n_all, unit="step")
        self._bar.update(n_steps - self._bar.n)

    def epoch(self, epoch: int, values: Mapping[str, float], n_steps: int, n_all: int) -> None:
        self.step(n_steps, n_all)
        shown = {name: f"{value:.4g}" for name, value in values.items() if not name.startswith("weight/")}
        if self._bar is None:
            print(f"epoch {epoch}: " + ", ".join(f"{name} {value}" for name, value in shown.items()), file=sys.stderr)
        else:
            self._bar.set_postfix({"epoch": epoch, **dict(list(shown.items())[:4])})

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _progress(asked: bool | None) -> _Progress | None:
    is_notebook = "ipykernel" in sys.modules
    return _Progress() if (is_notebook if asked is None else asked) else None
