"""Arrays and frames as the engine reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Columns = Mapping[str, "str | Sequence[str]"]

_KINDS = "fiub"
_RANGE = re.compile(r"(.*?)(\d+)\.\.(.*?)(\d+)")


def row_shape(ty: str) -> list[int | None]:
    """The extents of a row by a type such as `f32[batch, 8, T]`; None for those that the data decides."""
    inside = ty[ty.index("[") + 1 : ty.rindex("]")] if "[" in ty else ""
    dims = [dim.strip() for dim in inside.split(",") if dim.strip()]
    shape = [int(dim) if dim.isdigit() else None for dim in dims]
    return shape[1:] if dims and dims[0] == "batch" else shape


def gather(data: Any, fields: Sequence[tuple[str, str]], columns: Columns | None = None) -> dict[str, np.ndarray]:
    """Those of the fields that the data has, as contiguous arrays of numbers.

    >>> gather({"x": [[1, 2], [3, 4]], "other": "text"}, [("x", "f32[batch, 2]")])
    {'x': array([[1, 2],
           [3, 4]])}
    """
    has, get = _source(data)
    found = {}
    for name in columns or {}:
        if name not in dict(fields):
            raise ValueError(
                f"`columns` maps `{name}`, which the spec does not declare: {[name for name, _ in fields]}"
            )
    for name, ty in fields:
        if columns and name in columns:
            found[name] = _stacked(name, _names(columns[name]), row_shape(ty), has, get)
        elif has(name):
            found[name] = array(name, get(name))
    return found


def array(name: str, value: Any) -> np.ndarray:
    """A contiguous array of numbers or truth values. What a frame lacks is NaN."""
    if not isinstance(value, np.ndarray):
        if hasattr(value, "to_numpy"):
            value = _of_column(value)
        elif hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
    # A masked array has a value below its mask.
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.filled(value.astype(float), np.nan) if np.any(value.mask) else value.data
    found = np.asarray(value)
    if found.dtype == object:
        found = _of_objects(name, found)
    if found.dtype.kind not in _KINDS:
        raise TypeError(f"`{name}` holds {found.dtype}, not numbers or truth values")
    if found.dtype.kind == "f" and found.dtype.itemsize not in (4, 8):
        found = found.astype(np.float32 if found.dtype.itemsize < 4 else np.float64)
    if not found.dtype.isnative:
        found = found.astype(found.dtype.newbyteorder("="))
    return np.ascontiguousarray(found) if found.ndim else found


def _of_objects(name: str, values: np.ndarray) -> np.ndarray:
    flat = [np.nan if value is None else value for value in values.ravel()]
    if any(isinstance(value, (str, bytes)) for value in flat):
        raise TypeError(f"`{name}` holds texts, not numbers or truth values")
    try:
        # Arrays of one shape each, as a column of embeddings has them.
        if flat and all(isinstance(value, (list, tuple, np.ndarray)) for value in flat):
            return np.stack([np.asarray(value) for value in flat]).reshape(*values.shape, *np.shape(flat[0]))
        return np.asarray(flat, dtype=float).reshape(values.shape)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` holds objects that are no numbers: {error}") from None


def _of_column(value: Any) -> np.ndarray:
    """A column or frame of pandas or polars."""
    is_extension = type(getattr(value, "dtype", None)).__module__.startswith("pandas")
    if is_extension and getattr(value, "hasnans", False):
        return np.asarray(value.to_numpy(dtype=float, na_value=np.nan))
    return np.asarray(value.to_numpy())


def _source(data: Any) -> tuple[Any, Any]:
    """Whether data has something of a name, and what."""
    if isinstance(data, Mapping):
        return data.__contains__, data.__getitem__
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return set(map(str, data.columns)).__contains__, data.__getitem__
    if hasattr(data, "files") and hasattr(data, "__getitem__"):
        return set(data.files).__contains__, data.__getitem__
    raise TypeError(f"data is a dict of arrays or a frame of pandas or polars, not {type(data).__name__}")


def _names(columns: str | Sequence[str]) -> list[str]:
    """`label`, `p0..p63` or a list of names.

    >>> _names("p8..p10")
    ['p8', 'p9', 'p10']
    """
    if not isinstance(columns, str):
        return [str(name) for name in columns]
    match = _RANGE.fullmatch(columns)
    if not match or match[1] != match[3]:
        return [columns]
    width = len(match[2]) if match[2].startswith("0") and len(match[2]) > 1 else 1
    return [f"{match[1]}{number:0{width}d}" for number in range(int(match[2]), int(match[4]) + 1)]


def _stacked(name: str, names: list[str], shape: list[int | None], has: Any, get: Any) -> np.ndarray:
    missing = [column for column in names if not has(column)]
    if missing:
        raise KeyError(f"`{name}` is to be read from `{missing[0]}`, which the data does not have")
    parts = [array(column, get(column)) for column in names]
    if len(parts) == 1:
        return shaped(parts[0], shape)
    return shaped(np.stack(parts, axis=1), shape)


def shaped(values: np.ndarray, shape: list[int | None]) -> np.ndarray:
    """Rows that lie flat, in the shape that a row of the field has."""
    if values.ndim > 2 or list(values.shape[1:]) == shape or None in shape:
        return values
    length = int(np.prod([extent or 0 for extent in shape]))
    if int(np.prod(values.shape[1:])) == length:
        return values.reshape(len(values), *[extent or 0 for extent in shape])
    return values
