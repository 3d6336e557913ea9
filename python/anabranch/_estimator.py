"""An estimator as scikit-learn knows them. It is plain Python: scikit-learn is not imported, unless it asks what kind of estimator it is."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np

from ._data import array, row_shape, shaped
from ._program import Program, compile
from ._trainer import Trainer

_SET = "set__"


class Estimator:
    """A spec as an estimator of scikit-learn: `fit`, `predict`, `score`, and what `clone`, `GridSearchCV` and `Pipeline` need.

    It wants a spec with one target, or `target` says which of them is `y`; `X` is the input, each sample in the shape that the spec has for it, flat
    ones too. Of a spec with several inputs, `inputs` maps each to columns of `X`: `{"x": slice(0, 3), "z": [3, 4]}`, or names in a frame.
    `output` is what `predict` gives, the first one unless said.

    `set` gives constants of the spec other values, and each is a parameter of its own: `set__width` in a grid. `features` and `classes` name
    constants that are set to the number of columns of `X` and of labels in `y`.

    Where the target is whole numbers it is a classifier: labels of any kind are numbered for the spec, `predict` gives the label of the largest
    score of the output, `predict_proba` its softmax or, where rows add up to 1, the output itself, and `score` is the accuracy. Else it is a
    regressor, and `score` is R².

    >>> import numpy as np
    >>> from anabranch import Estimator
    >>> line = Estimator('''
    ...     const n = 1
    ...     input x: f32[batch, n]
    ...     target y: f32[batch]
    ...     output line = x |> dense(units=1) |> reshape([batch])
    ...     loss error = mean_squared_error(y, line)
    ...     train { minimize error  optimizer adam(lr=0.1) }''', features="n", epochs=200)
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> line.fit(X, X @ [1.0, 2.0, 3.0]).score(X, X @ [1.0, 2.0, 3.0]) > 0.99
    True
    """

    def __init__(
        self,
        spec: str | PathLike[str],
        *,
        inputs: Mapping[str, Any] | None = None,
        target: str | None = None,
        output: str | None = None,
        set: Mapping[str, Any] | None = None,
        features: str | None = None,
        classes: str | None = None,
        epochs: int = 10,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        precision: str = "f32",
        threads: int = 0,
        validation_fraction: float = 0.0,
        monitor: str | None = None,
        patience: int | None = None,
        higher_is_better: bool = False,
    ) -> None:
        self.spec = spec
        self.inputs = inputs
        self.target = target
        self.output = output
        self.set = set
        self.features = features
        self.classes = classes
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.precision = precision
        self.threads = threads
        self.validation_fraction = validation_fraction
        self.monitor = monitor
        self.patience = patience
        self.higher_is_better = higher_is_better

    # What clone and searches ask for.

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters, and with `deep` each constant of `set` as one of its own."""
        params = {name: getattr(self, name) for name in self._names()}
        if deep:
            params |= {_SET + name: value for name, value in (self.set or {}).items()}
        return params

    def set_params(self, **params: Any) -> Estimator:
        """Sets parameters; `set__NAME` is a constant of the spec."""
        known = self._names()
        for name, value in params.items():
            if name.startswith(_SET):
                continue
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator Estimator. Valid parameters are: {known!r}."
                )
            setattr(self, name, value)
        constants = {name.removeprefix(_SET): value for name, value in params.items() if name.startswith(_SET)}
        if constants:
            self.set = {**(self.set or {}), **constants}
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        is_classifier = self._is_classifier()
        return Tags(
            estimator_type="classifier" if is_classifier else "regressor",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if is_classifier else None,
            regressor_tags=None if is_classifier else RegressorTags(),
            input_tags=InputTags(),
            non_deterministic=False,
        )

    @property
    def _estimator_type(self) -> str:
        return "classifier" if self._is_classifier() else "regressor"

    def _is_classifier(self) -> bool:
        program = getattr(self, "program_", None) or self._compile({})
        return program.targets[self._target(program)].startswith("i32")

    def _is_of_single_values(self) -> bool:
        program = self._compile({})
        return row_shape(program.targets[self._target(program)].rstrip("?")) == []

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "trainer_")

    # Specs.

    def _compile(self, constants: Mapping[str, Any]) -> Program:
        return compile(self.spec, set={**(self.set or {}), **constants})

    def _target(self, program: Program) -> str:
        if self.target is not None:
            if self.target not in program.targets:
                raise ValueError(f"the spec has no target `{self.target}`: {list(program.targets)}")
            return self.target
        if len(program.targets) != 1:
            raise ValueError(f"the spec has the targets {list(program.targets)}: say which one is `y`, `target=…`")
        return next(iter(program.targets))

    def _output(self, program: Program) -> str:
        if self.output is not None and self.output not in program.outputs:
            raise ValueError(f"the spec has no output `{self.output}`: {list(program.outputs)}")
        return self.output or next(iter(program.outputs))

    def _arrays(self, program: Program, X: Any) -> dict[str, np.ndarray]:
        types = program.inputs
        if self.inputs is None:
            if len(types) != 1:
                raise ValueError(f"the spec has the inputs {list(types)}: say which columns of X each is, `inputs=…`")
            name, ty = next(iter(types.items()))
            return {name: shaped(_samples(X), row_shape(ty))}
        return {name: shaped(_selected(X, columns), row_shape(types[name])) for name, columns in self.inputs.items()}

    # Fitting.

    def fit(self, X: Any, y: Any) -> Estimator:
        """Trains a new model on samples and their targets."""
        if y is None:
            raise ValueError("This Estimator estimator requires y to be passed, but the target y is None.")
        samples = _samples(X)
        labels = _target_of(y, len(samples), self._is_classifier())
        if labels.ndim == 2 and labels.shape[1] == 1 and self._is_of_single_values():
            text = "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples,)."
            warnings.warn(text, _conversion_warning(), stacklevel=2)
            labels = labels[:, 0]
        constants: dict[str, Any] = {}
        if self._is_classifier():
            self.classes_, labels = np.unique(labels, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError(f"y has one class, {self.classes_.tolist()}: a classifier needs at least 2 classes")
            if self.classes is not None:
                constants[self.classes] = len(self.classes_)
        if self.features is not None:
            constants[self.features] = samples.shape[1]
        self.n_features_in_ = samples.shape[1] if samples.ndim > 1 else 1
        names = _feature_names(X)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.program_ = self._compile(constants)
        self.trainer_: Trainer = self.program_.trainer(self.seed, self.precision, self.threads)
        data = self._arrays(self.program_, X)
        target = self._target(self.program_)
        data[target] = shaped(np.asarray(labels), row_shape(self.program_.targets[target]))
        train, validation = _parted(data, len(samples), self.validation_fraction, self.seed)
        self.history_ = self.trainer_.fit(
            train,
            batch_size=self.batch_size,
            epochs=self.epochs,
            shuffle=self.shuffle,
            validation=validation,
            monitor=self.monitor,
            patience=self.patience,
            higher_is_better=self.higher_is_better,
            progress=False,
        )
        self.n_iter_ = self.trainer_.n_epochs
        return self

    def _scores(self, X: Any) -> np.ndarray:
        if not hasattr(self, "trainer_"):
            raise _not_fitted()
        samples = _samples(X)
        _check_names(self, X)
        width = samples.shape[1] if samples.ndim > 1 else 1
        if width != self.n_features_in_:
            raise ValueError(
                f"X has {width} features, but Estimator is expecting {self.n_features_in_} features as input."
            )
        return self.trainer_.predict(self._arrays(self.program_, X))[self._output(self.program_)]

    def predict(self, X: Any) -> np.ndarray:
        """The output for each sample; of a classifier its label."""
        scores = self._scores(X)
        if not self._is_classifier():
            return scores
        if scores.ndim > 1 and scores.shape[-1] > 1:
            return self.classes_[np.argmax(scores, axis=-1)]
        if np.issubdtype(scores.dtype, np.integer):
            return self.classes_[scores.reshape(len(scores))]
        return self.classes_[self.predict_proba(X).argmax(axis=-1)]

    @property
    def predict_proba(self) -> Callable[[Any], np.ndarray]:
        """The probability of each class, for each sample. A regressor has no such method."""
        if not self._is_classifier():
            raise AttributeError("a regressor has no probabilities")
        return self._probabilities

    def _probabilities(self, X: Any) -> np.ndarray:
        scores = self._scores(X).astype(float)
        if scores.ndim == 1 or scores.shape[-1] == 1:
            ones = scores.reshape(len(scores))
            if ones.min(initial=0) < 0 or ones.max(initial=0) > 1:
                ones = 1 / (1 + np.exp(-ones))
            return np.stack([1 - ones, ones], axis=-1)
        if np.all(scores >= 0) and np.allclose(scores.sum(axis=-1), 1, atol=1e-4):
            return scores / scores.sum(axis=-1, keepdims=True)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of a classifier, R² of a regressor; `sample_weight` says by how much each sample counts."""
        found = self.predict(X)
        wanted = _target_of(y, len(found), self._is_classifier())
        wanted = wanted.reshape(found.shape) if wanted.size == found.size else wanted
        weights = np.ones(len(found)) if sample_weight is None else np.asarray(sample_weight, float)
        if self._is_classifier():
            return float(np.average(found == wanted, weights=weights))
        weights = weights.reshape(-1, *[1] * (wanted.ndim - 1))
        rest = (weights * (wanted - found) ** 2).sum(axis=0)
        mean = (weights * wanted).sum(axis=0) / weights.sum()
        whole = (weights * (wanted - mean) ** 2).sum(axis=0)
        parts = np.where(whole > 0, 1 - rest / np.where(whole > 0, whole, 1), np.where(rest > 0, 0.0, 1.0))
        return float(np.mean(parts))

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        spec = self.spec if not isinstance(self.spec, str) or "\n" not in self.spec else "…"
        others = (
            f", {name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if name != "spec" and value != defaults[name].default
        )
        return f"Estimator({str(spec)!r}{''.join(others)})"


def _samples(X: Any) -> np.ndarray:
    """Numbers, the first axis the samples, all finite."""
    if hasattr(X, "tocsr"):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required. Use `.toarray()` to convert it to a dense array."
        )
    try:
        samples = array("X", X)
    except TypeError as error:
        found = np.asarray(X)
        if found.dtype.kind == "c":
            raise ValueError("Complex data not supported") from None
        if found.dtype.kind in "US" or any(isinstance(value, (str, bytes)) for value in found.ravel()):
            raise ValueError(f"X holds no numbers: {error}") from None
        raise
    if samples.ndim < 2:
        raise ValueError(
            f"Expected 2D array, got {samples.ndim}D array instead. Reshape your data: X.reshape(-1, 1) or X.reshape(1, -1)."
        )
    if len(samples) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={samples.shape}) while a minimum of 1 is required by Estimator."
        )
    if samples.shape[1] == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={samples.shape}) while a minimum of 1 is required by Estimator."
        )
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise ValueError(f"Input X contains {'NaN' if np.isnan(samples).any() else 'infinity'}.")
    return samples


def _selected(X: Any, columns: Any) -> np.ndarray:
    is_named = hasattr(X, "columns") and not isinstance(columns, slice)
    if is_named:
        names = [columns] if isinstance(columns, (str, int)) else list(columns)
        if all(isinstance(name, str) for name in names):
            return np.stack([array(str(name), X[name]) for name in names], axis=1)
    return np.ascontiguousarray(_samples(X)[:, columns])


def _target_of(y: Any, n_samples: int, is_classifier: bool) -> np.ndarray:
    if hasattr(y, "tocsr"):
        raise TypeError("Sparse data was passed for y, but dense data is required.")
    labels = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if labels.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    if labels.ndim == 0 or len(labels) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {[n_samples, labels.size if labels.ndim == 0 else len(labels)]}"
        )
    if is_classifier:
        if labels.dtype.kind == "f":
            _finite(labels)
            if np.any(labels != np.floor(labels)):
                raise ValueError(
                    "Unknown label type: continuous. A classifier is trained on labels, and these are numbers with fractions."
                )
        return labels
    if labels.dtype.kind not in "fiub":
        labels = labels.astype(float)
    _finite(labels)
    return labels


def _finite(labels: np.ndarray) -> None:
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"Input y contains {'NaN' if np.isnan(labels).any() else 'infinity'}.")


def _feature_names(X: Any) -> np.ndarray | None:
    columns = getattr(X, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return np.asarray(list(columns), dtype=object)


def _check_names(estimator: Any, X: Any) -> None:
    seen, found = getattr(estimator, "feature_names_in_", None), _feature_names(X)
    if seen is not None and found is not None and list(seen) != list(found):
        raise ValueError(
            "The feature names should match those that were passed during fit.\n"
            f"Feature names seen at fit time: {list(seen)}; now: {list(found)}"
        )


def _parted(data: dict[str, np.ndarray], n_samples: int, fraction: float, seed: int) -> tuple[Any, Any]:
    """Training and validation rows, drawn by the seed."""
    n_validation = int(n_samples * fraction)
    if not 0 <= fraction < 1:
        raise ValueError(f"`validation_fraction` is {fraction}, not a part of the samples: from 0 to below 1")
    if n_validation == 0:
        return data, None
    order = np.random.default_rng(seed).permutation(n_samples)
    taken = lambda rows: {name: values[rows] for name, values in data.items()}  # noqa: E731
    return taken(order[n_validation:]), taken(order[:n_validation])


def _conversion_warning() -> type[Warning]:
    try:
        from sklearn.exceptions import DataConversionWarning
    except ImportError:
        return UserWarning
    return DataConversionWarning


def _not_fitted() -> Exception:
    text = (
        "This Estimator instance is not fitted yet. Call 'fit' with appropriate arguments before using this estimator."
    )
    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        return RuntimeError(text)
    return NotFittedError(text)
