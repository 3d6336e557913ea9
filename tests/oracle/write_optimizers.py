"""Writes optimizers.json: 20 steps of Keras's optimizers with decoupled weight decay and amsgrad, in float64, under the gradient
A x - b.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python write_optimizers.py
"""
import json
import pathlib

import keras
import numpy as np

keras.config.set_floatx("float64")
A = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.2], [-0.1, 0.2, 0.5]])
B = np.array([0.5, -0.4, 0.3])
START = np.array([1.0, -2.0, 0.7])
DECAY = 0.1
CASES = [
    ("SGD", {"learning_rate": 0.05, "weight_decay": DECAY}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": DECAY}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": DECAY}),
    ("RMSprop", {"learning_rate": 0.05, "weight_decay": DECAY}),
    ("RMSprop", {"learning_rate": 0.05, "momentum": 0.5, "weight_decay": DECAY}),
    ("Adagrad", {"learning_rate": 0.1, "weight_decay": DECAY}),
    ("Adadelta", {"learning_rate": 1.0, "weight_decay": DECAY}),
    ("Adam", {"learning_rate": 0.05, "weight_decay": DECAY}),
    ("Adam", {"learning_rate": 0.05, "amsgrad": True}),
    ("AdamW", {"learning_rate": 0.05, "amsgrad": True, "weight_decay": DECAY}),
    ("Adamax", {"learning_rate": 0.05, "weight_decay": DECAY}),
    ("Nadam", {"learning_rate": 0.05, "weight_decay": DECAY}),
    ("Ftrl", {"learning_rate": 0.05, "weight_decay": DECAY}),
    ("Lion", {"learning_rate": 0.05, "weight_decay": DECAY}),
]


def path(name, arguments):
    optimizer = getattr(keras.optimizers, name)(**arguments)
    x = keras.Variable(START, dtype="float64")
    steps = []
    for _ in range(20):
        optimizer.apply([keras.ops.convert_to_tensor(A @ np.array(x) - B)], [x])
        steps += np.array(x).tolist()
    return steps


cases = [
    {"kind": "optimizer", "name": name, "args": arguments, "A": A.tolist(), "b": B.tolist(), "start": START.tolist(), "path": path(name, arguments)}
    for name, arguments in CASES
]
text = json.dumps(cases, separators=(",", ":")).replace('{"kind"', '\n{"kind"')
(pathlib.Path(__file__).parent / "optimizers.json").write_text(text + "\n")
print(len(cases), "cases")
