"""A run by an artefact: the same steps, in the same order, with the same history as `anabranch run`."""

import csv
import json
import shutil
import struct

import jax
import numpy as np

from .artefact import Artefact
from .loader import load
from .order import order

CLOCK = ("step", "epoch", "epoch_end", "epochs", "steps_per_epoch", "total_steps", "seed")


class Trainer:
    """Params and states, and the programs that move them."""

    def __init__(self, folder):
        self.artefact = folder if isinstance(folder, Artefact) else Artefact(folder)
        self.manifest = self.artefact.manifest
        if self.artefact.float == np.float64:
            jax.config.update("jax_enable_x64", True)
        self.carried = self.artefact.params()
        self.step, self.epoch = 0, 0
        self.functions = {}

    def function(self, name, rows):
        """A program for batches of so many rows, with its form."""
        key = name, rows
        if key not in self.functions:
            form = self.artefact.modules(name).get(rows)
            if form is None:
                raise ValueError(f"the artefact has no module `{name}` for {rows} rows")
            arguments, results = self.artefact.typed(form["arguments"]), self.artefact.typed(form["results"])
            self.functions[key] = load(self.artefact.text(form), arguments, results), form
        return self.functions[key]

    def call(self, name, rows, fields, epoch_end=False):
        """The results of a program, by kind and name."""
        function, form = self.function(name, rows)
        manifest = self.manifest
        clock = {
            "step": self.step,
            "epoch": self.epoch,
            "epoch_end": int(epoch_end),
            "epochs": manifest["epochs"],
            "steps_per_epoch": manifest["steps_per_epoch"],
            "total_steps": manifest["epochs"] * manifest["steps_per_epoch"],
            "seed": manifest["seed"],
        }
        arguments = []
        for slot, (shape, dtype) in zip(form["arguments"], self.artefact.typed(form["arguments"])):
            kind, label = slot["kind"], slot["name"]
            if kind in CLOCK:
                value = np.int32(clock[kind])
            elif kind in ("param", "state"):
                value = self.carried[f"{kind}/{label}"]
            else:
                value = fields.get(label)
                value = np.zeros(shape, dtype) if value is None else value
            if not isinstance(value, jax.Array):
                value = np.asarray(value).astype(dtype).reshape(shape)
            arguments.append(value)
        found = function(*arguments)
        return {(slot["kind"], slot["name"]): value for slot, value in zip(form["results"], found)}

    def rows_of(self, data, rows):
        """The fields of some rows; those with one value for all of them whole."""
        whole = self.manifest["without_rows"]
        return {name: value if name in whole else value[rows] for name, value in data.items()}

    def train_epoch(self, data):
        """One pass over the rows; gives the means of losses and metrics."""
        manifest = self.manifest
        n_rows, size = manifest["parts"]["train"], manifest["batch_size"]
        rows = order(n_rows, manifest["shuffle"], self.epoch)
        batches = [rows[at : at + size] for at in range(0, n_rows, size)]
        if manifest["drop_last"]:
            batches = [batch for batch in batches if len(batch) == size]
        means = Means(manifest["train_products"])
        for at, batch in enumerate(batches):
            is_last = at + 1 == len(batches)
            results = self.call("train", len(batch), self.rows_of(data, batch), epoch_end=is_last)
            for (kind, name), value in results.items():
                if kind in ("param", "state"):
                    self.carried[f"{kind}/{name}"] = value
            means.add(results, len(batch))
            self.step += 1
        # The programs of metrics see the clock of the epoch's last step.
        self.step -= 1
        values = means.values(self, "train_metrics")
        self.step += 1
        self.epoch += 1
        return values

    def evaluate(self, data):
        size = self.manifest["batch_size"]
        n_rows = max((len(value) for name, value in data.items() if name not in self.manifest["without_rows"]), default=0)
        means = Means(self.manifest["evaluate_products"])
        for at in range(0, n_rows, size):
            rows = np.arange(at, min(at + size, n_rows))
            means.add(self.call("evaluate", len(rows), self.rows_of(data, rows)), len(rows))
        return means.values(self, "evaluate_metrics")

    def save(self, folder):
        """A folder from which `anabranch predict` and `evaluate` work: programs, params, states."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("predict.json", "evaluate.json"):
            shutil.copyfile(self.artefact.folder / file, folder / file)
        metadata = {"anabranch": self.manifest["anabranch"], "steps": str(self.step), "epochs": str(self.epoch)}
        arrays = {name: np.asarray(value) for name, value in self.carried.items()}
        write_safetensors(folder / "params.safetensors", arrays, metadata)


class Means:
    """Means over the rows of batches, each over those rows that have the value, and sums."""

    def __init__(self, products):
        self.products, self.totals, self.weights, self.sums = products, {}, {}, {}

    def add(self, results, n_rows):
        for (kind, name), value in results.items():
            is_named = kind == "objective" and ("loss", name) in results
            if kind in ("loss", "metric", "objective", "term", "observed") and not is_named:
                # A term, `term/TOTAL/LOSS`, counts as its total does.
                counted = name.split("/")[1] if kind == "term" else name
                weight = float(results.get(("weight", counted), n_rows))
                if weight:
                    self.totals[name] = self.totals.get(name, 0.0) + float(value) * weight
                    self.weights[name] = self.weights.get(name, 0.0) + weight
        new = {name: np.asarray(value, float) for (kind, name), value in results.items() if kind == "sum"}
        for product in self.products:
            left, right, count = (new[product[key]] for key in ("left", "right", "count"))
            missing = np.divide(left * right, count, out=np.zeros(np.broadcast(left * right, count).shape), where=count > 0)
            new[product["sum"]] = new[product["sum"]] + missing
        for name, value in new.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def values(self, trainer, finals):
        values = {name: self.totals[name] / self.weights[name] for name in self.totals}
        if trainer.artefact.modules(finals):
            sums = dict(self.sums)
            found = trainer.call(finals, None, sums, epoch_end=True)
            values.update({name: float(value) for (kind, name), value in found.items() if kind == "metric"})
        return values


def write_safetensors(path, arrays, metadata):
    """The format is a length, a JSON header and the bytes (github.com/huggingface/safetensors)."""
    names = {"float32": "F32", "float64": "F64", "int32": "I32", "bool": "BOOL"}
    header, place = {"__metadata__": metadata}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": names[array.dtype.name], "shape": list(array.shape), "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).tobytes())


def run(folder, output, epochs=None, show=print):
    """Trains all epochs and writes a folder: params, history, programs."""
    trainer = Trainer(folder)
    manifest = trainer.manifest
    data = {part: trainer.artefact.data(part) for part in manifest["parts"]}
    n_epochs = manifest["epochs"] if epochs is None else epochs
    lines = []
    for epoch in range(n_epochs):
        line = {"epoch": epoch + 1, "step": 0}
        line.update({f"train/{name}": value for name, value in trainer.train_epoch(data["train"]).items()})
        line["step"] = trainer.step
        if (epoch + 1) % manifest["evaluate_every"] == 0 or epoch + 1 == n_epochs:
            for part in data.keys() - {"train"}:
                line.update({f"{part}/{name}": value for name, value in trainer.evaluate(data[part]).items()})
        lines.append(line)
        shown = "  ".join(f"{name} {value:.6g}" for name, value in line.items() if name not in ("epoch", "step"))
        show(f"epoch {epoch + 1}/{n_epochs}  {shown}")
    trainer.save(output)
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with open(output / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(lines)
    return trainer
