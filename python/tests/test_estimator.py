"""scikit-learn: clone, searches, pipelines, and its own checks."""

import pickle

import numpy as np
import pytest

import anabranch
from anabranch import Estimator

from .conftest import LABELS

sklearn = pytest.importorskip("sklearn")

VECTOR = """
const n = 1
const width = 8
input  x: f32[batch, n]
target y: f32[batch]
output guess = x |> dense(units=width, activation=tanh) |> dense(units=1) |> reshape([batch])
loss error = mean_squared_error(y, guess)
train { minimize error  optimizer adam(lr=0.02) }
"""


def classifier(**settings):
    return Estimator(LABELS, **{"features": "n", "classes": "k", "epochs": 40, **settings})


def regressor(**settings):
    return Estimator(VECTOR, **{"features": "n", "epochs": 60, **settings})


@pytest.fixture
def blobs():
    from sklearn.datasets import make_blobs

    X, y = make_blobs(120, n_features=4, centers=3, random_state=0)
    return X, np.array(["ash", "birch", "cedar"])[y]


def test_labels_are_learned(blobs):
    X, y = blobs
    model = classifier().fit(X, y)
    assert list(model.classes_) == ["ash", "birch", "cedar"] and model.n_features_in_ == 4
    assert model.score(X, y) > 0.9 and set(model.predict(X)) <= set(model.classes_)
    proba = model.predict_proba(X)
    assert proba.shape == (120, 3) and np.allclose(proba.sum(1), 1)
    assert np.array_equal(model.classes_[proba.argmax(1)], model.predict(X))
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), proba)


def test_clones_searches_and_pipelines(blobs):
    from sklearn.base import clone, is_classifier, is_regressor
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = blobs
    model = classifier(set={"width": 5})
    copy = clone(model)
    assert copy is not model and copy.get_params() == model.get_params() and copy.get_params()["set__width"] == 5
    assert is_classifier(model) and is_regressor(regressor()) and not is_classifier(regressor())
    search = GridSearchCV(model, {"set__width": [2, 8], "batch_size": [16]}, cv=2).fit(X, y)
    assert search.best_params_["set__width"] in (2, 8) and search.best_estimator_.batch_size == 16
    assert (
        search.best_estimator_.program_.params["hidden.dense.kernel"] == f"f32[4, {search.best_params_['set__width']}]"
    )
    assert model.set == {"width": 5}, "a search does not change what it was given"
    assert make_pipeline(StandardScaler(), model).fit(X, y).score(X, y) > 0.9
    assert cross_val_score(model, X, y, cv=3).mean() > 0.8
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(epoch=3)
    assert "classes='k'" in repr(model)


def test_a_line_is_learned_and_watched():
    X = np.random.default_rng(0).normal(size=(80, 2))
    y = X @ [1.0, -2.0]
    model = regressor(epochs=400, validation_fraction=0.25, monitor="validation/error", patience=20).fit(X, y)
    assert model.score(X, y) > 0.98 and "validation/error" in model.history_ and model.n_iter_ <= 400
    assert not hasattr(model, "classes_")
    assert np.array_equal(regressor().fit(X, y).predict(X), regressor().fit(X, y).predict(X))


def test_inputs_are_columns():
    pandas = pytest.importorskip("pandas")
    spec = VECTOR.replace("input  x: f32[batch, n]", "input x: f32[batch, 2]\ninput z: f32[batch]").replace(
        "x |> dense(units=width", "concat([x, reshape(z, [batch, 1])], axis=1) |> dense(units=width"
    )
    X = np.random.default_rng(0).normal(size=(40, 3))
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    by_place = Estimator(spec, inputs={"x": slice(0, 2), "z": 2}).fit(X, X[:, 0]).predict(X)
    by_name = Estimator(spec, inputs={"x": ["a", "b"], "z": "c"}).fit(frame, X[:, 0])
    assert np.array_equal(by_name.predict(frame), by_place)
    assert list(by_name.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        by_name.predict(frame[["c", "b", "a"]])
    with pytest.raises(ValueError, match="inputs"):
        Estimator(spec).fit(X, X[:, 0])


def test_mistakes_are_told():
    X, y = np.zeros((4, 3)), [0, 1, 0, 1]
    with pytest.raises(anabranch.SpecError, match="E0603"):
        Estimator(LABELS).fit(np.zeros((4, 2)), y)
    with pytest.raises(ValueError, match="samples"):
        classifier().fit(X, y[:3])
    with pytest.raises(ValueError, match="no target"):
        Estimator(LABELS, target="lable").fit(X, y)
    with pytest.raises(ValueError, match="no output"):
        Estimator(LABELS, output="score", epochs=1).fit(X, y).predict(X)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        classifier().predict(X)


def test_the_checks_of_sklearn_pass():
    from sklearn.utils.estimator_checks import check_estimator

    for model in (classifier(epochs=60, batch_size=8), regressor(epochs=60, batch_size=8)):
        results = check_estimator(model, on_fail=None)
        failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
        passed = sum(result["status"] == "passed" for result in results)
        assert not failed, failed
        assert passed > 30
