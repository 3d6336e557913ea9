"""Writes exact.json: the cases of layers.json and keras.json whose stored numbers carry only the digits of float32,
evaluated again in float64 by PyTorch, from the stored inputs.

    python write_exact.py

Where PyTorch has the function, it is PyTorch's (its recurrent layers, attention, normalisations, losses, Adafactor, and all
gradients); the rest is the published formula. Each result is first held against the stored number: to 1e-6 of the largest
magnitude (5e-6 for the second value that needs it, see LOOSE).
"""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent
AGREES = 1e-6
# Softmax does not see what is added to all scores of a query: the gradient by the key's bias is 0, and what is stored is
# rounding.
ZERO = "key/bias"


def tensor(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def channels_first(x):
    return x.movedim(-1, 1)


def affine(x, weights, scale, shift):
    return x * weights[scale] + weights[shift]


def recurrent(module, x, named, sequences):
    out = torch.func.functional_call(module, named, (x,))[0]
    return out if sequences else out[:, -1]


def lstm_weights(weights, prefix, suffix=""):
    """Keras's gates stand as PyTorch's: input, forget, cell, output."""
    bias = weights[f"{prefix}/bias"]
    return {
        f"weight_ih_l0{suffix}": weights[f"{prefix}/kernel"].T,
        f"weight_hh_l0{suffix}": weights[f"{prefix}/recurrent_kernel"].T,
        f"bias_ih_l0{suffix}": bias,
        f"bias_hh_l0{suffix}": torch.zeros_like(bias),
    }


def gru_weights(weights):
    """Keras's gates are update, reset, new; PyTorch's reset, update, new."""

    def turned(w):
        update, reset, new = w.chunk(3, dim=-1)
        return torch.cat([reset, update, new], dim=-1)

    bias = turned(weights["gru_cell/bias"])
    return {
        "weight_ih_l0": turned(weights["gru_cell/kernel"]).T,
        "weight_hh_l0": turned(weights["gru_cell/recurrent_kernel"]).T,
        "bias_ih_l0": bias[0],
        "bias_hh_l0": bias[1],
    }


def batch_norm(x, weights, config, training, state):
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    if training:
        axes = tuple(range(x.ndim - 1))
        m = config["momentum"]
        # Keras keeps the variance over n; PyTorch's own running variance is over n - 1.
        state["moving_mean"] = m * mean + (1 - m) * x.mean(axes)
        state["moving_variance"] = m * variance + (1 - m) * x.var(axes, correction=0)
    y = F.batch_norm(
        channels_first(x),
        mean.clone(),
        variance.clone(),
        weights["gamma"],
        weights["beta"],
        training=training,
        eps=config["epsilon"],
    )
    return y.movedim(1, -1)


def attention(x, weights):
    def heads(name):
        return torch.einsum("bti,ihd->bhtd", x, weights[f"{name}/kernel"]) + weights[f"{name}/bias"][:, None, :]

    mixed = F.scaled_dot_product_attention(heads("query"), heads("key"), heads("value"))
    out = torch.einsum("bhtd,hdo->bto", mixed, weights["attention_output/kernel"])
    return out + weights["attention_output/bias"]


def layer(case, x, weights, state):
    name, config = case["layer"], case["config"]
    match name:
        case "GlobalAveragePooling2D":
            return x.mean((1, 2))
        case "BatchNormalization":
            return batch_norm(x, weights, config, case["training"], state)
        case "LayerNormalization":
            return F.layer_norm(x, x.shape[-1:], weights["gamma"], weights["beta"], config["epsilon"])
        case "GroupNormalization":
            groups = config["groups"]
            y = F.group_norm(channels_first(x), groups, weights["gamma"], weights["beta"], config["epsilon"])
            return y.movedim(1, -1)
        case "RMSNormalization":
            return F.rms_norm(x, x.shape[-1:], weights["scale"], config["epsilon"])
        case "LSTM":
            module = torch.nn.LSTM(x.shape[-1], config["units"], batch_first=True)
            return recurrent(module, x, lstm_weights(weights, "lstm_cell"), config["return_sequences"])
        case "GRU":
            module = torch.nn.GRU(x.shape[-1], config["units"], batch_first=True)
            return recurrent(module, x, gru_weights(weights), config["return_sequences"])
        case "Bidirectional":
            module = torch.nn.LSTM(x.shape[-1], 2, batch_first=True, bidirectional=True)
            named = lstm_weights(weights, "forward_lstm_2/lstm_cell")
            named |= lstm_weights(weights, "backward_lstm_2/lstm_cell", "_reverse")
            return recurrent(module, x, named, True)
        case "MultiHeadAttention":
            return attention(x, weights)
        case "Activation" if config["activation"] == "tanh":
            return torch.tanh(x)
    return None


def clipped(p):
    return p.clamp(1e-7, 1 - 1e-7)


def focal(t, p, args):
    entropy = F.binary_cross_entropy(clipped(p), t, reduction="none")
    truth = t * p + (1 - t) * (1 - p)
    loss = (1 - truth) ** args["gamma"] * entropy
    if args.get("apply_class_balancing"):
        loss = loss * (t * args["alpha"] + (1 - t) * (1 - args["alpha"]))
    return loss.mean(-1)


def binary_crossentropy(t, p, args):
    smoothing = args.get("label_smoothing", 0.0)
    t = t * (1 - smoothing) + smoothing / 2
    if args.get("from_logits"):
        return F.binary_cross_entropy_with_logits(p, t, reduction="none").mean(-1)
    return F.binary_cross_entropy(clipped(p), t, reduction="none").mean(-1)


def binary_iou(t, p):
    predicted = (p >= 0.5).to(t.dtype)
    overlaps = [(a * b).sum() / torch.maximum(a, b).sum() for a, b in [(t, predicted), (1 - t, 1 - predicted)]]
    return (overlaps[0] + overlaps[1]) / 2


def function(case, t, p):
    """A loss per sample or a metric of all."""
    args, is_metric = case["args"], case["kind"] == "metric"
    mean = torch.mean if is_metric else (lambda x: x.mean(-1))
    log = torch.log
    match case["name"]:
        case "MeanSquaredError":
            return mean(F.mse_loss(p, t, reduction="none"))
        case "MeanAbsoluteError":
            return mean(F.l1_loss(p, t, reduction="none"))
        case "RootMeanSquaredError":
            return F.mse_loss(p, t).sqrt()
        case "LogCosh":
            return mean(log(torch.cosh(p - t)))
        case "MeanAbsolutePercentageError":
            return 100 * mean((t - p).abs() / t.abs().clamp(min=1e-7))
        case "MeanSquaredLogarithmicError":
            return mean((torch.log1p(p.clamp(min=1e-7)) - torch.log1p(t.clamp(min=1e-7))) ** 2)
        case "Huber":
            return mean(F.huber_loss(p, t, reduction="none", delta=args["delta"]))
        case "Poisson":
            return mean(F.poisson_nll_loss(p, t, log_input=False, eps=1e-7, reduction="none"))
        case "Hinge":
            return mean(F.relu(1 - t * p))
        case "SquaredHinge":
            return mean(F.relu(1 - t * p) ** 2)
        case "BinaryCrossentropy":
            return binary_crossentropy(t, p, args)
        case "BinaryFocalCrossentropy":
            return focal(t, p, args)
        case "R2Score":
            return (1 - ((t - p) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)).mean()
        case "BinaryIoU":
            return binary_iou(t, p)
    return None


def adafactor(case):
    x = tensor(case["start"]).requires_grad_()
    optimizer = torch.optim.Adafactor([x], lr=case["args"]["learning_rate"], eps=(1e-30, 1e-3))
    path = []
    for _ in range(20):
        x.grad = (tensor(case["A"]) @ x - tensor(case["b"])).detach()
        optimizer.step()
        path.append(x.tolist())
    return path


def agree(found, stored, what):
    found, stored = tensor(found).flatten(), tensor(stored).flatten()
    scale = max(stored.abs().max().item(), 1e-3)
    error = (found - stored).abs().max().item() / scale
    print(f"{what}: {error:.1e}")
    assert error < AGREES, what


def exact_layer(index, case):
    x = tensor(case["input"]).requires_grad_() if case["layer"] != "Embedding" else None
    if x is None:
        return None
    trained = case["grad_weights"]
    weights = {name: tensor(values).requires_grad_(name in trained) for name, values in case["weights"].items()}
    state = {}
    y = layer(case, x, weights, state)
    if y is None:
        return None
    names = list(trained)
    gradients = torch.autograd.grad((y * tensor(case["c"])).sum(), [x, *(weights[name] for name in names)])
    found = {"output": y.tolist(), "grad_input": gradients[0].tolist()}
    found["grad_weights"] = {name: g.tolist() for name, g in zip(names, gradients[1:])}
    found["state_after"] = {name: state.get(name, weights[name]).tolist() for name in case["state_after"]}
    for what in ["output", "grad_input"]:
        agree(found[what], case[what], f"{index} {case['layer']} {what}")
    for what in ["grad_weights", "state_after"]:
        for name, values in case[what].items():
            if name == ZERO:
                assert tensor(values).abs().max() < AGREES and tensor(found[what][name]).abs().max() < 1e-12
                continue
            agree(found[what][name], values, f"{index} {case['layer']} {what} {name}")
    return found


def exact_function(index, case):
    if case["name"] == "Adafactor":
        found = adafactor(case)
    elif case["kind"] == "optimizer":
        return None
    else:
        found = function(case, tensor(case["target"]), tensor(case["pred"]))
        found = None if found is None else found.tolist()
    if found is None:
        return None
    stored = case["path"] if case["kind"] == "optimizer" else case["value"]
    agree(found, stored, f"{index} {case['kind']} {case['name']}")
    return found


def exact(name, evaluate):
    cases = json.loads((HERE / name).read_text())
    found = {str(i): evaluate(i, case) for i, case in enumerate(cases)}
    return {i: values for i, values in found.items() if values is not None}


written = {
    "layers": exact("layers.json", exact_layer),
    "keras": exact("keras.json", exact_function),
}
print(len(written["layers"]), "layers,", len(written["keras"]), "losses, metrics and optimizers")
(HERE / "exact.json").write_text(json.dumps(written))
