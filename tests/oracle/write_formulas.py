"""Writes formulas.json: values at other params, after a step and on other data, by PyTorch in float64.

    python write_formulas.py

The spec is `formulas.anb`. Derivatives are taken by torch.func, which knows nothing of graph copies.
"""
import json
import pathlib

import torch
from torch.func import grad

torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent
generator = torch.Generator().manual_seed(3)
draw = lambda *shape: torch.round(torch.randn(*shape, generator=generator), decimals=3)

NAMES = ["trunk.dense.kernel", "trunk.dense.bias", "trunk.dense_2.kernel", "trunk.dense_2.bias"]
params = dict(zip(NAMES, [draw(3, 4), draw(4), draw(4, 2), draw(2)]))
feeds = {"x": draw(5, 3), "y": draw(5, 2), "validation.x": draw(5, 3), "validation.y": draw(5, 2)}
kernels = [name for name in NAMES if name.endswith("kernel")]
rate = torch.tensor(0.05)


def outputs(p, x):
    hidden = torch.tanh(x @ p[NAMES[0]] + p[NAMES[1]])
    return hidden @ p[NAMES[2]] + p[NAMES[3]]


def losses(p, part=""):
    return ((outputs(p, feeds[part + "x"]) - feeds[part + "y"]) ** 2).mean(0)


def fit(p, part=""):
    return losses(p, part).sum()


def total(p):
    return fit(p) + 0.01 * sum((p[name] ** 2).sum() for name in kernels)


def inner(p, rate, part=""):
    slope = grad(fit)(p)
    return fit({name: p[name] - rate * slope[name] for name in p}, part)


def first_order(p):
    slope = {name: value.detach() for name, value in grad(fit)(params).items()}
    return fit({name: p[name] - 0.05 * slope[name] for name in p})


def squared(tree):
    return sum((value**2).sum() for value in tree.values())


def inner_product(a, b, names):
    return sum((a[name] * b[name]).sum() for name in names)


def step(p):
    slope = grad(total)(p)
    return {name: p[name] - 0.1 * slope[name] for name in p}


everything = torch.cat([params[name].flatten() for name in NAMES])
by_loss = [grad(lambda p, k=k: losses(p)[k])(params) for k in range(2)]
wanted = {
    "kernels": sum((params[name] ** 2).sum() for name in kernels),
    "middle": everything.mean(),
    "largest": everything.max(),
    "smallest": everything.min(),
    "pull": squared(grad(total)(params)),
    "inner": inner(params, 0.05),
    "outer_pull": squared(grad(inner)(params, 0.05)),
    "first_order_pull": squared(grad(first_order)(params)),
    "validated": fit(params, "validation."),
    "hyper": grad(inner, argnums=1)(params, rate, "validation."),
    "next": fit(step(params)),
    "next_validated": fit(step(params), "validation."),
    "gram_01": inner_product(*by_loss, kernels),
    "gram_11": inner_product(by_loss[1], by_loss[1], kernels),
    "without_bias": fit({name: 0 * value if name.endswith("bias") else value for name, value in params.items()}),
}
moved, slow = params, dict(params)
for _ in range(3):
    slow = {name: 0.9 * slow[name] + 0.1 * moved[name] for name in slow}
    moved = step(moved)
text = {
    "params": {name: value.flatten().tolist() for name, value in params.items()},
    "feeds": {name: value.flatten().tolist() for name, value in feeds.items()},
    "metrics": {name: value.item() for name, value in wanted.items()},
    "slow": {name.replace("trunk", "slow"): value.flatten().tolist() for name, value in slow.items()},
    "slow_output": outputs(slow, feeds["x"]).mean().item(),
}
(HERE / "formulas.json").write_text(json.dumps(text, indent=1) + "\n")
