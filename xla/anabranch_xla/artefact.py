"""The files of an artefact, read."""

import json
from pathlib import Path

import numpy as np

VERSION = 1


class Artefact:
    """A folder that `anabranch export xla` wrote."""

    def __init__(self, folder):
        self.folder = Path(folder)
        try:
            self.manifest = json.loads((self.folder / "manifest.json").read_text())
        except OSError as error:
            raise SystemExit(f"error: `{folder}` holds no artefact: {error}") from None
        if self.manifest["version"] != VERSION:
            raise SystemExit(f"error: an artefact of version {self.manifest['version']}; this reads version {VERSION}")
        self.float = np.dtype(self.manifest["precision"].replace("f", "float"))
        self.dtypes = {"f32": self.float, "i32": np.dtype(np.int32), "bool": np.dtype(np.bool_)}

    def modules(self, name):
        """The modules of a program by their numbers of rows."""
        return {form["rows"]: form for form in self.manifest["modules"].get(name, [])}

    def text(self, form):
        return (self.folder / form["file"]).read_text()

    def typed(self, slots):
        return [(tuple(slot["shape"]), self.dtypes[slot["dtype"]]) for slot in slots]

    def params(self):
        """The first params and states by `param/NAME` and `state/NAME`."""
        with np.load(self.folder / "params.npz") as arrays:
            return {name: self.number(arrays[name]) for name in arrays}

    def number(self, array):
        return array.astype(self.float) if array.dtype.kind == "f" else array

    def data(self, part):
        """The fields of a part by name."""
        with np.load(self.folder / f"{part}.npz") as arrays:
            return {name: arrays[name] for name in arrays}
