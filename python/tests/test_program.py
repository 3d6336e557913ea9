"""Compiled specs and what is told of them."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import anabranch

from .conftest import LABELS, LINE, ROOT


def test_a_text_and_a_file_are_compiled(tmp_path):
    (tmp_path / "model.anb").write_text(LINE)
    for spec in (LINE, tmp_path / "model.anb", str(tmp_path / "model.anb")):
        program = anabranch.compile(spec)
        assert program.inputs == {"x": "f32[batch, 1]"} and program.targets == {"y": "f32[batch, 1]"}
        assert (
            program.outputs == {"line": "f32[batch, 1]"}
            and program.losses == ["error"]
            and program.metrics == ["distance"]
        )
        assert program.spec == LINE
    with pytest.raises(anabranch.SpecError, match="E0601"):
        anabranch.compile("no/such/file.anb")


def test_constants_are_set():
    for width in (5, 5.0, np.int64(5), np.float32(5)):
        program = anabranch.compile(LABELS, set={"width": width})
        assert program.params["hidden.dense.kernel"] == "f32[3, 5]", width
    with pytest.raises(anabranch.SpecError):
        anabranch.compile(LABELS, set={"widht": 5})
    with pytest.raises(TypeError, match="width"):
        anabranch.compile(LABELS, set={"width": [5]})


def test_files_of_a_text_are_given():
    spec = 'use "blocks.anb"\ninput x: f32[batch, 2]\noutput y = x |> block(units=3)\n'
    files = {"blocks.anb": "layer block(x, units) {\n    return x |> dense(units=units) |> tanh\n}\n"}
    program = anabranch.compile(spec, files=files)
    assert program.outputs == {"y": "f32[batch, 3]"}
    assert pickle.loads(pickle.dumps(program)).outputs == program.outputs


def test_a_mistake_is_told_as_the_command_tells_it():
    with pytest.raises(anabranch.SpecError) as caught:
        anabranch.compile("input x: f32[batch, 3]\noutput y = dens(x)\n", name="net.anb")
    error = caught.value
    assert str(error).startswith("error[E0201]") and "net.anb:2:12" in str(error) and "output y = dens(x)" in str(error)
    (finding,) = error.findings
    assert (
        finding["code"] == "E0201"
        and finding["severity"] == "error"
        and (finding["line"], finding["column"]) == (2, 12)
    )
    assert finding["helps"] == ["did you mean `dense`?"]
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.findings == error.findings


def test_warnings_are_findings_and_may_be_denied():
    spec = (ROOT / "tests/errors/L0001.anb").read_text()
    program = anabranch.compile(spec)
    assert [finding["code"] for finding in program.findings] == ["L0001"]
    assert program.findings[0]["severity"] == "warning" and "L0001" in program.findings_text
    with pytest.raises(anabranch.SpecError, match="L0001"):
        anabranch.compile(spec, deny=["L0001"])
    assert "L0001" in program._repr_html_()


def test_a_program_is_shown():
    program = anabranch.compile(LABELS)
    assert program.svg().startswith("<svg") and program._repr_html_().startswith("<svg")
    assert "hidden" in str(program.summary) and program.summary["params"] == 3 * 8 + 8 + 8 * 2 + 2
    assert program.flow["error"]["hidden.dense.kernel"] == "trains" and "trains" in str(program.flow)
    for stage in ("ast", "ir", "predict", "train", "simplified", "plan", "yaml", "dot", "json"):
        assert len(program.text(stage)) > 50, stage
    assert program.text("plan", batch=3) != program.text("plan")
    with pytest.raises(anabranch.SpecError, match="did you mean `train`"):
        program.text("trian")
    assert "x: f32[batch, 3]" in repr(program)


def test_a_program_is_pickled_with_its_constants():
    program = pickle.loads(pickle.dumps(anabranch.compile(LABELS, set={"width": 5})))
    assert program.params["hidden.dense.kernel"] == "f32[3, 5]"


def test_the_import_needs_numpy_alone():
    code = "import sys, anabranch; print(sorted({'sklearn', 'pandas', 'polars', 'tqdm'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    )
