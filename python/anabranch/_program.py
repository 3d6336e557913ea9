"""Compiled specs."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from . import _engine

if TYPE_CHECKING:
    from ._trainer import Trainer

Setting = float | bool | str


def compile(
    spec: str | PathLike[str],
    *,
    set: Mapping[str, Setting] | None = None,
    deny: Sequence[str] = (),
    name: str = "spec.anb",
    files: Mapping[str, str] | None = None,
) -> Program:
    """Compiles a spec: its text, or the path of an `.anb` file.

    `set` gives constants of the spec other values; `deny` makes lints errors. `files` are texts that a spec given as text may `use`, and
    `name` is what messages call it.

    >>> import anabranch
    >>> program = anabranch.compile("const width = 4\\ninput x: f32[batch, 2]\\noutput y = x |> dense(units=width)", set={"width": 8})
    >>> program.outputs
    {'y': 'f32[batch, 8]'}

    Raises `SpecError` for what is wrong with it.
    """
    settings = dict(set or {})
    if _is_path(spec):
        return Program(_engine.Program.open(fspath(spec), settings, list(deny)))
    given = list((files or {}).items())
    return Program(_engine.Program.compile(str(spec), name, settings, list(deny), given))


def _is_path(spec: str | PathLike[str]) -> bool:
    """A text has several lines, or words; a path ends in the name of a file."""
    if not isinstance(spec, str):
        return True
    return "\n" not in spec and spec.rstrip().endswith(".anb")


class Program:
    """A compiled spec: which part predicts and which only trains, every shape, every derivative. It is never changed.

    In a notebook it shows the drawing of the model and what the compiler has to say of it.
    """

    def __init__(self, engine: _engine.Program) -> None:
        self._engine = engine

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Warnings and notes of the compiler, as `SpecError.findings`."""
        return [json.loads(finding) for _, finding in self._engine.findings()]

    @property
    def findings_text(self) -> str:
        """Warnings and notes as the command prints them."""
        return "\n".join(text for text, _ in self._engine.findings())

    @property
    def inputs(self) -> dict[str, str]:
        """What a prediction reads, with the types of the spec."""
        return dict(self._engine.inputs())

    @property
    def targets(self) -> dict[str, str]:
        """What training reads beside the inputs. Values of a type that ends in `?` may be missing: NaN."""
        return dict(self._engine.targets())

    @property
    def outputs(self) -> dict[str, str]:
        """What a prediction gives."""
        return dict(self._engine.outputs())

    @property
    def params(self) -> dict[str, str]:
        """The trained params by their paths."""
        return dict(self._engine.params())

    @property
    def losses(self) -> list[str]:
        """The names of the losses."""
        return self._engine.losses()

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics."""
        return self._engine.metrics()

    @property
    def spec(self) -> str:
        """The text of the spec."""
        return self._engine.texts()[0][1]

    @property
    def flow(self) -> Flow:
        """Which loss trains which param."""
        return Flow(*self._engine.flow())

    @property
    def summary(self) -> Summary:
        """What the spec declares, its layers, and what its losses train."""
        text, document = self._engine.summary()
        return Summary(text, json.loads(document))

    def svg(self) -> str:
        """The model as a drawing: layers, losses, the ways of gradients and where they stop."""
        return self._engine.svg()

    def text(self, stage: str = "train", **sizes: int) -> str:
        """A stage of the compilation: `ast`, `ir`, `predict`, `train`, `simplified`, `plan`, `yaml`, `dot` or `json`.

        A plan wants the sizes of run-time dims, such as `T=16`; `batch` is 32 unless given.

        >>> import anabranch
        >>> print(anabranch.compile("input x: f32[batch, 2]\\noutput y = 2 * x").text("predict"))
        predict {
          input x : f32[batch, 2]
          y.mul = mul(2.0, x) : f32[batch, 2]
          return output y = y.mul
        }
        <BLANKLINE>
        """
        return self._engine.stage(stage, list(sizes.items()))

    def trainer(self, seed: int = 0, precision: str = "f32", threads: int = 0) -> Trainer:
        """A model with first params by this seed, computed in `f32` or `f64`; `threads` 0 is as many as there are cores.

        The same seed gives the same bits as `anabranch run`, on any number of threads.
        """
        from ._trainer import Trainer

        return Trainer(self._engine.session(seed, precision, threads), self, threads)

    def _repr_html_(self) -> str:
        findings = self.findings_text
        return self.svg() + (f"<pre>{html.escape(findings)}</pre>" if findings else "")

    def __repr__(self) -> str:
        named = lambda fields: ", ".join(f"{name}: {ty}" for name, ty in fields.items())  # noqa: E731
        return f"<anabranch.Program ({named(self.inputs)}) -> ({named(self.outputs)}), {len(self.params)} params>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._engine.texts(), self._engine.settings())


def _again(texts: list[tuple[str, str]], settings: dict[str, Any]) -> Program:
    """A program from the texts that it was compiled from."""
    (name, text), *files = texts
    return Program(_engine.Program.compile(text, name, settings, [], files))


class Flow(Mapping[str, dict[str, str]]):
    """Which loss trains which param: for each loss a dict from the path of a param to `trains`, `stopped` or `-`.

    It prints as `anabranch flow` does.

    >>> import anabranch
    >>> flow = anabranch.compile('''
    ...     input x: f32[batch, 1]
    ...     target y: f32[batch, 1]
    ...     output line = x |> dense(units=1)
    ...     loss error = mean_squared_error(y, line)
    ...     loss copy = mean_squared_error(y, stop(line))
    ...     loss total = error / 2 + copy
    ...     train { minimize total  optimizer sgd(lr=0.5) }''').flow
    >>> flow["error"]["line.dense.bias"], flow["copy"]["line.dense.bias"]
    ('trains', 'stopped')
    >>> flow.coefficients
    [('total', 'error', '0.5 / batch'), ('total', 'copy', '1 / batch')]
    """

    def __init__(
        self,
        losses: list[str],
        params: list[str],
        cells: list[list[str]],
        coefficients: list[tuple[str, str, str]],
        text: str,
    ) -> None:
        self.params = params
        """The paths of the params."""
        self.coefficients = coefficients
        """By how much each loss counts in the gradient of each objective: (objective, loss, coefficient in the spec's names)."""
        self._rows = {loss: dict(zip(params, row, strict=True)) for loss, row in zip(losses, cells, strict=True)}
        self._text = text

    def __getitem__(self, loss: str) -> dict[str, str]:
        return self._rows[loss]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


class Summary(Mapping[str, Any]):
    """A summary of a spec. It prints as `anabranch summary` does, and has what `--format json` gives."""

    def __init__(self, text: str, document: dict[str, Any]) -> None:
        self._text = text
        self._document = document

    def __getitem__(self, key: str) -> Any:
        return self._document[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__
