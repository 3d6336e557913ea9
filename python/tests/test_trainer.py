"""Training, prediction, folders."""

import contextlib
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import anabranch

from .conftest import LABELS, LINE, ROOT

COMMAND = os.environ.get("ANABRANCH")
needs_command = pytest.mark.skipif(not COMMAND, reason="ANABRANCH does not name the command")


def command(*arguments, cwd):
    return subprocess.run([COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=True).stdout


def code(call):
    with pytest.raises(anabranch.SpecError) as caught:
        call()
    return caught.value.findings[0]["code"]


def test_a_line_is_learned(line):
    program, data = line
    for precision, dtype in (("f32", np.float32), ("f64", np.float64)):
        trainer = program.trainer(seed=3, precision=precision)
        history = trainer.fit(data, epochs=150, batch_size=8, validation=data)
        assert history["epoch"] == list(range(151)) and len(history["train/error"]) == 151
        assert (
            math.isnan(history["train/error"][0])
            and history["validation/error"][-1] < 1e-3 * history["validation/error"][0]
        )
        found = trainer.predict({"x": [[3.0], [4.0]]})["line"]
        assert found.dtype == dtype and found.shape == (2, 1) and np.allclose(found, [[7], [9]], atol=0.3)
        assert (trainer.n_steps, trainer.n_epochs, trainer.precision, trainer.seed) == (150, 150, precision, 3)
        assert trainer.history == history or math.isnan(trainer.history["train/error"][0])
        assert trainer.evaluate(data).keys() == {"error", "distance"}


def test_all_kinds_of_numbers_are_taken(line):
    program, data = line
    wanted = program.trainer().predict(data)["line"]
    x = data["x"] * 2
    wanted = program.trainer().predict({"x": x})["line"]
    for dtype in ("f2", "f4", "f8", ">f4", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        assert np.array_equal(program.trainer().predict({"x": x.astype(dtype)})["line"], wanted), dtype
    for view in (x.tolist(), np.asfortranarray(np.repeat(x, 2, 1))[:, ::2], x[::-1][::-1], np.ma.array(x)):
        assert np.array_equal(program.trainer().predict({"x": view})["line"], wanted)
    assert np.array_equal(program.trainer().predict({"x": x, "other": "text"})["line"], wanted)


def test_data_that_does_not_fit_is_refused(line):
    program, data = line
    trainer = program.trainer()
    bad = {
        "another shape": {**data, "x": data["x"][:, :0]},
        "other rows": {**data, "x": data["x"][:2]},
        "missing": {"x": data["x"]},
        "nan": {**data, "x": np.full_like(data["x"], np.nan)},
        "infinite": {**data, "y": np.full_like(data["y"], np.inf)},
    }
    for what, given in bad.items():
        for call in (lambda: trainer.fit(given), lambda: trainer.step(given), lambda: trainer.evaluate(given)):  # noqa: B023
            assert code(call) in ("E0603", "E0604"), what
    labels = anabranch.compile(LABELS).trainer()
    x = np.zeros((4, 3))
    for label in ([0.5] * 4, [2**40] * 4, [np.nan] * 4):
        assert code(lambda: labels.fit({"x": x, "label": label})) == "E0604", label  # noqa: B023
    for label in ([2] * 4, [-1] * 4):
        assert code(lambda: labels.fit({"x": x, "label": label})) == "E0610", label  # noqa: B023
    for wrong in (["a"] * 4, [object()] * 4, [1j] * 4, np.array(["2020-01-01"] * 4, "M8[D]")):
        with pytest.raises(TypeError, match="`label`"):
            labels.fit({"x": x, "label": wrong})
    with pytest.raises(TypeError, match="dict of arrays"):
        trainer.fit([1, 2])
    assert trainer.n_steps == 0


def test_settings_that_cannot_be_meant_are_refused(line):
    program, data = line
    trainer = program.trainer()
    for settings in (
        dict(epochs=0),
        dict(batch_size=0),
        dict(batch_size=5, drop_last=True),
        dict(monitor="train/no_such"),
        dict(monitor="validation/error"),
        dict(monitor="train/error", patience=0),
        dict(monitor="train/error", min_delta=-1),
    ):
        assert code(lambda: trainer.fit(data, **settings)) == "E0602", settings  # noqa: B023
    for settings in (dict(epochs=-1), dict(epochs=1.5), dict(batch_size=2**40)):
        with pytest.raises(ValueError):
            trainer.fit(data, **settings)
    with pytest.raises(ValueError, match="f16"):
        program.trainer(precision="f16")
    assert (
        code(lambda: anabranch.compile("input x: f32[batch, 2]\noutput y = 2 * x").trainer().fit({"x": [[1, 2]]}))
        == "E0406"
    )


def test_a_callback_sees_epochs_and_ends_the_fitting(line):
    program, data = line
    trainer, seen = program.trainer(), []

    def callback(epoch, values):
        seen.append((epoch, values["train/error"], values["validation/distance"]))
        return True if epoch == 3 else None

    history = trainer.fit(data, epochs=50, validation=data, callback=callback)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3] == history["epoch"][1:]
    assert [error for _, error, _ in seen] == history["train/error"][1:]
    assert trainer.n_epochs == 3
    trainer.fit(data, epochs=2, callback=lambda epoch, values: False)
    assert trainer.n_epochs == 5


def test_what_a_callback_raises_ends_the_fitting_and_is_raised(line):
    program, data = line
    trainer = program.trainer()
    with pytest.raises(ZeroDivisionError):
        trainer.fit(data, epochs=50, callback=lambda epoch, values: 1 / (3 - epoch))
    assert trainer.n_epochs == 3
    with pytest.raises(RuntimeError, match="at work"):
        trainer.fit(data, epochs=50, callback=lambda epoch, values: trainer.predict(data))
    assert trainer.n_epochs == 4
    trainer.fit(data, epochs=1)


def test_control_c_ends_a_fitting(line):
    program, data = line
    trainer = program.trainer()
    began = time.monotonic()
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data, epochs=2**31, batch_size=1)
    assert trainer.n_steps > 0 and time.monotonic() - began < 60
    trainer.fit(data, epochs=1)


def test_other_threads_go_on_meanwhile(line):
    program, data = line
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.002)

    thread = threading.Thread(target=tick)
    thread.start()
    began = time.monotonic()
    # One long call of the engine, in which nothing calls back.
    trainer = program.trainer()
    rows = {name: np.tile(values, (200_000, 1)) for name, values in data.items()}
    before = time.monotonic()
    trainer.evaluate(rows)
    after = time.monotonic()
    done.set()
    thread.join()
    assert sum(before < tick < after for tick in ticks) >= min(3, (after - before) / 0.05), (
        before - began,
        after - before,
    )


def test_the_best_epoch_is_kept(line):
    program, data = line
    opposite = {"x": np.array([[0.0], [1.0]]), "y": np.array([[-20.0], [-30.0]])}
    trainer = program.trainer()
    history = trainer.fit(data, epochs=50, validation=opposite, monitor="validation/error", patience=3)
    assert history.stopped_early and history["epoch"][-1] == history.best_epoch + 3
    assert trainer.n_epochs == history.best_epoch and trainer.evaluate(opposite)["error"] == history.best_value


def test_divergence_is_told_and_leaves_the_model(line):
    _, data = line
    trainer = anabranch.compile(LINE.replace("lr=0.3", "lr=1e6")).trainer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anabranch.SpecWarning)
        assert code(lambda: trainer.fit(data, epochs=60)) == "E0607"
    assert np.isfinite(trainer.predict(data)["line"]).all()


def test_what_is_found_on_the_way_is_a_warning():
    spec = LINE.replace("lr=0.3", "lr=0.9")
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with contextlib.suppress(anabranch.SpecError):
            anabranch.compile(spec).trainer().fit({"x": x, "y": x}, epochs=40, batch_size=4, shuffle=False)
    assert all(issubclass(warning.category, anabranch.SpecWarning) for warning in found)
    assert any("error" in str(warning.message) for warning in found)


def test_params_are_read_and_set(line):
    program, data = line
    trainer = program.trainer(precision="f64")
    assert set(trainer.params) == {"line.dense.kernel", "line.dense.bias"} and len(trainer.params) == 2
    trainer.params["line.dense.kernel"] = [[2.0]]
    trainer.params.update({"line.dense.bias": np.array([1.0])})
    assert trainer.evaluate(data)["error"] == 0
    trainer.params["line.dense.kernel"][:] = 7
    assert trainer.params["line.dense.kernel"] == 2, "it was a copy"
    with pytest.raises(KeyError):
        trainer.params["no.such"]
    assert "no.such" not in trainer.params
    assert code(lambda: trainer.params.__setitem__("no.such", [1.0])) == "E0606"
    assert code(lambda: trainer.params.__setitem__("line.dense.bias", [1.0, 2.0])) == "E0606"
    with pytest.raises(TypeError):
        del trainer.params["line.dense.bias"]


def test_gradients_are_differences(line):
    program, data = line
    trainer = program.trainer(precision="f64")
    for path, gradient in trainer.gradients(data).items():
        value = trainer.params[path]
        losses = []
        for by in (1e-5, -1e-5):
            trainer.params[path] = value + by
            losses.append(trainer.evaluate(data)["error"])
        trainer.params[path] = value
        assert gradient.shape == value.shape and abs(gradient.sum() - (losses[0] - losses[1]) / 2e-5) < 1e-8


def test_a_step_is_what_an_epoch_of_one_batch_is(line):
    program, data = line
    one, other = program.trainer(), program.trainer()
    before = one.step(data)
    other.fit(data, epochs=1, batch_size=4, shuffle=False)
    assert before == pytest.approx({name: other.history[f"train/{name}"][-1] for name in before})
    assert np.array_equal(one.params["line.dense.kernel"], other.params["line.dense.kernel"])


def test_frames_are_read():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    table = {
        "a": rng.normal(size=20),
        "b": rng.normal(size=20),
        "c": rng.normal(size=20),
        "label": rng.integers(0, 2, 20),
    }
    program = anabranch.compile(LABELS)
    wanted = program.trainer()
    wanted.fit({"x": np.stack([table[name] for name in "abc"], 1), "label": table["label"]}, epochs=2)
    for frame in (pandas.DataFrame(table), polars.DataFrame(table), pandas.DataFrame(table).convert_dtypes()):
        trainer = program.trainer()
        trainer.fit(frame, epochs=2, columns={"x": ["a", "b", "c"]})
        for path in wanted.params:
            assert np.array_equal(trainer.params[path], wanted.params[path])
        assert trainer.evaluate(frame, columns={"x": ["a", "b", "c"]}) == wanted.evaluate(
            {"x": np.stack([table[name] for name in "abc"], 1), "label": table["label"]}
        )
    for series in (pandas.Series(table["a"]), polars.Series(table["a"])):
        assert anabranch.compile("input x: f32[batch]\noutput y = 2 * x").trainer().predict({"x": series})[
            "y"
        ].shape == (20,)
    with pytest.raises(KeyError, match="`q`"):
        trainer.fit(polars.DataFrame(table), columns={"x": ["a", "q"]})
    with pytest.raises(ValueError, match="does not declare"):
        trainer.fit(polars.DataFrame(table), columns={"z": ["a"]})


def test_missing_labels_are_missing():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    program = anabranch.compile(LABELS.replace("label: i32[batch]", "label: i32[batch]?"))
    x = np.ones((4, 3))
    wanted = program.trainer().evaluate({"x": x, "label": [0.0, np.nan, 1.0, np.nan]})
    for label in (
        [0, None, 1, None],
        pandas.array([0, None, 1, None], dtype="Int64"),
        polars.Series([0, None, 1, None]),
    ):
        assert program.trainer().evaluate({"x": x, "label": label}) == wanted
    frame = pandas.DataFrame(
        {"label": pandas.array([0, None, 1, None], dtype="Int64"), "p0": 1.0, "p1": 1.0, "p2": 1.0}
    )
    assert program.trainer().evaluate(frame, columns={"x": "p0..p2"}) == wanted


def test_a_folder_is_written_and_read(tmp_path, line):
    program, data = line
    trainer = program.trainer(seed=4)
    trainer.fit(data, epochs=3, validation=data)
    trainer.save(tmp_path / "run")
    again = anabranch.load(tmp_path / "run")
    assert np.array_equal(again.predict(data)["line"], trainer.predict(data)["line"])
    assert repr(again.history) == repr(trainer.history) and again.seed == 4
    assert again.fit(data, epochs=2)["train/error"][1:] == trainer.fit(data, epochs=2)["train/error"][1:]
    with pytest.raises(anabranch.SpecError, match="replaced"):
        again.save(tmp_path / "run")
    again.save(tmp_path / "run", replace=True)
    assert anabranch.load(tmp_path / "run").n_epochs == 5
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("kept")
    assert code(lambda: again.save(tmp_path / "mine", replace=True)) == "E0605"
    assert code(lambda: anabranch.load(tmp_path / "mine")) == "E0608"
    again.save(tmp_path / "state.safetensors")
    other = program.trainer()
    other.load(tmp_path / "state.safetensors")
    assert np.array_equal(other.predict(data)["line"], again.predict(data)["line"])


def test_a_trainer_is_pickled(line):
    program, data = line
    trainer = program.trainer(seed=4, precision="f64")
    trainer.fit(data, epochs=3)
    again = pickle.loads(pickle.dumps(trainer))
    assert again.precision == "f64" and repr(again.history) == repr(trainer.history)
    assert again.fit(data, epochs=2)["train/error"][1:] == trainer.fit(data, epochs=2)["train/error"][1:]


def test_progress_is_shown_where_it_is_asked_for(line, capsys, monkeypatch):
    program, data = line
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    program.trainer().fit(data, epochs=2)
    assert capsys.readouterr().err == ""
    program.trainer().fit(data, epochs=2, progress=True)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["epoch 1", "epoch 2"]


def test_a_history_is_a_table(line):
    pandas = pytest.importorskip("pandas")
    program, data = line
    history = program.trainer().fit(data, epochs=2)
    frame = history.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and list(frame.index) == [0, 1, 2]
    assert frame["train/error"].iloc[-1] == history.last["train/error"] and "<table>" in history._repr_html_()
    assert repr(pickle.loads(pickle.dumps(history))) == repr(history)


@needs_command
def test_the_digits_are_trained_to_the_same_bits_as_by_the_command(tmp_path, digits):
    config = (ROOT / "examples/digits/run.yaml").read_text().replace("epochs: 30", "epochs: 2")
    for name in ("digits.anb", "digits.csv"):
        shutil.copy(ROOT / "examples/digits" / name, tmp_path)
    (tmp_path / "run.yaml").write_text(config)
    command("run", "run.yaml", "--log", "quiet", cwd=tmp_path)
    image = np.stack([digits[f"p{at}"] for at in range(64)], 1).reshape(-1, 8, 8, 1)
    trainer = anabranch.compile(ROOT / "examples/digits/digits.anb").trainer(seed=0)
    history = trainer.fit({"image": image[:1437], "digit": digits["digit"][:1437]}, batch_size=32, epochs=2)
    by_frame = anabranch.compile(ROOT / "examples/digits/digits.anb").trainer(seed=0, threads=1)
    by_frame.fit({name: values[:1437] for name, values in digits.items()}, epochs=2, columns={"image": "p0..p63"})

    trainer.save(tmp_path / "by-python.safetensors")
    by_frame.save(tmp_path / "by-frame.safetensors")
    wanted = (tmp_path / "runs/digits/params.safetensors").read_bytes()
    assert (tmp_path / "by-python.safetensors").read_bytes() == wanted
    assert (tmp_path / "by-frame.safetensors").read_bytes() == wanted
    rows = [line.split(",") for line in (tmp_path / "runs/digits/history.csv").read_text().splitlines()]
    at = rows[0].index("train/total")
    assert [float(row[at]) for row in rows[2:]] == history["train/total"][1:]

    # Folders go both ways.
    loaded = anabranch.load(tmp_path / "runs/digits")
    assert np.array_equal(loaded.predict({"image": image})["scores"], trainer.predict({"image": image})["scores"])
    trainer.save(tmp_path / "by-python")
    np.savez(tmp_path / "data.npz", image=image[:100], digit=digits["digit"][:100].astype(np.int32))
    command("predict", "by-python", "--data", "data.npz", "-o", "predictions.npz", cwd=tmp_path)
    found = np.load(tmp_path / "predictions.npz")["scores"]
    assert np.array_equal(found, trainer.predict({"image": image[:100]})["scores"])
    assert "class_accuracy" in command("evaluate", "by-python", "--data", "data.npz", cwd=tmp_path)
    command("export", "onnx", "by-python", "-o", "model.onnx", cwd=tmp_path)
    assert Path(tmp_path / "model.onnx").stat().st_size > 1000
