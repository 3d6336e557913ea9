"""A declarative graph compiler from a model spec to an executable training program.

>>> import numpy as np
>>> import anabranch
>>> program = anabranch.compile('''
...     input  x: f32[batch, 1]
...     target y: f32[batch, 1]
...     output line = x |> dense(units=1)
...     loss error = mean_squared_error(y, line)
...     train { minimize error  optimizer sgd(lr=0.5) }''')
>>> trainer = program.trainer(seed=0)
>>> x = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
>>> history = trainer.fit({"x": x, "y": 2 * x + 1}, batch_size=8, epochs=200)
>>> trainer.predict({"x": [[2.0]]})["line"].round(1)
array([[5.]], dtype=float32)

`compile` gives a `Program`, its `trainer` a `Trainer`; `load` reads the folder of a run, which `anabranch run` or `Trainer.save` wrote. What is
wrong with a spec or with data is a `SpecError`. `Estimator` speaks to scikit-learn.
"""

from ._engine import version as __version__
from ._errors import SpecError, SpecWarning
from ._estimator import Estimator
from ._history import History
from ._program import Flow, Program, Summary, compile
from ._trainer import Params, Trainer, load

__all__ = [
    "Estimator",
    "Flow",
    "History",
    "Params",
    "Program",
    "SpecError",
    "SpecWarning",
    "Summary",
    "Trainer",
    "__version__",
    "compile",
    "load",
]
