"""Writes library.json: specs that call the standard library, with what PyTorch, Keras and scikit-learn compute in float64.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python write_library.py

Each case has a spec, its feeds, params, wanted outputs, and the gradients of `total = sum(c y)` by inputs and params, by PyTorch's
reverse mode. Where PyTorch or scikit-learn has the function it is theirs; the rest is the published formula, written out.
"""
import json
import pathlib
import re

import keras
import torch
import torch.nn.functional as F
from sklearn import metrics

keras.config.set_floatx("float64")
torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent
CASES = []


def draw(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed + 1000 * len(CASES))
    return torch.round(scale * torch.randn(shape, generator=generator), decimals=3)


def shape_text(value):
    inner = ", ".join(str(extent) for extent in value.shape[1:])
    element = "f32" if value.dtype.is_floating_point else "bool" if value.dtype == torch.bool else "i32"
    return f"{element}[batch{', ' + inner if inner else ''}]"


def listed(value):
    """Numbers rounded to 12 digits: more than the test asks for, in a smaller file."""
    if isinstance(value, list):
        return [listed(item) for item in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def case(name, call, function, feeds, weights=None, fixed=()):
    """`call` is the text of y (or of several lets and outputs), `function(feeds, weights)` gives y, or a dict of outputs. No
    gradient is asked by what is `fixed`."""
    weights = weights or {}
    for key, value in [*feeds.items(), *weights.items()]:
        if value.dtype.is_floating_point and key not in fixed:
            value.requires_grad_(True)
    found = function(feeds, weights)
    outputs = found if isinstance(found, dict) else {"y": found}
    cotangents = {f"c_{key}": draw(*value.shape, seed=77 + i) for i, (key, value) in enumerate(outputs.items())}
    objective = sum((cotangents[f"c_{key}"] * value).sum() for key, value in outputs.items())
    wanted = {key: value for key, value in {**feeds, **weights}.items() if value.requires_grad}
    gradients = torch.autograd.grad(objective, list(wanted.values()), allow_unused=True) if wanted else []
    lines = [f"input {key}: {shape_text(value)}" for key, value in {**feeds, **cotangents}.items()]
    lines += [call if "output y" in call else f"output y = {call}"]
    lines += ["loss total = " + " + ".join(f"sum({key} * c_{key})" for key in outputs)]
    number = lambda values: {key: listed(value.detach().tolist()) for key, value in values.items()}
    CASES.append({
        "name": name,
        "spec": "\n".join(lines) + "\n",
        "feeds": number({**feeds, **cotangents}),
        "weights": number(weights),
        "outputs": number(outputs),
        "gradients": number({key: g for key, g in zip(wanted, gradients) if g is not None}),
    })


# ---- recurrence ------------------------------------------------------------------------------------------------------

BATCH, TIME, CHANNELS, UNITS = 3, 5, 2, 3
LENGTHS = torch.tensor([5, 2, 4])


def padding_mask():
    return torch.arange(TIME)[None, :] < LENGTHS[:, None]


def turned(weight, order):
    """Blocks of the last axis in another order, transposed as PyTorch has them."""
    blocks = weight.chunk(len(order), dim=-1)
    return torch.cat([blocks[i] for i in order], dim=-1).T


def torch_recurrence(kind, feeds, weights, masked=False, states=()):
    """All outputs and the last states, by PyTorch's own layers. Their gates: lstm i f g o, gru r z n."""
    module, order = {"lstm": (torch.nn.LSTM, [0, 1, 2, 3]), "gru": (torch.nn.GRU, [1, 0, 2]), "rnn": (torch.nn.RNN, [0])}[kind]
    get = lambda end: next(value for key, value in weights.items() if key.endswith("." + end))
    has_bias = any(key.endswith(".bias") for key in weights)
    named = {"weight_ih_l0": turned(get("kernel"), order), "weight_hh_l0": turned(get("recurrent_kernel"), order)}
    if has_bias:
        bias = get("bias") if kind == "gru" else torch.stack([get("bias"), torch.zeros_like(get("bias"))])
        rows = [turned(row[None], order)[:, 0] for row in bias]
        named |= {"bias_ih_l0": rows[0], "bias_hh_l0": rows[1]}
    layer = module(CHANNELS, UNITS, batch_first=True, bias=has_bias)
    x = feeds["x"]
    if masked:
        x = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    first = tuple(state[None] for state in states)
    first = (first if kind == "lstm" else first[0]) if states else None
    arguments = (x,) if first is None else (x, first)
    out, last = torch.func.functional_call(layer, named, arguments)
    if masked:
        out = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=TIME)[0]
        # Where a step is padding the output stays what it was; PyTorch has zeros.
        at = torch.minimum(torch.arange(TIME)[None, :], LENGTHS[:, None] - 1)
        out = out.gather(1, at[:, :, None].expand(-1, -1, UNITS))
    return out, [state[0] for state in (last if kind == "lstm" else (last,))]


def recurrent_weights(kind, owner, bias=True):
    gates = {"lstm": 4, "gru": 3, "simple_rnn": 1}[kind]
    weights = {f"{owner}.kernel": draw(CHANNELS, gates * UNITS, seed=1), f"{owner}.recurrent_kernel": draw(UNITS, gates * UNITS, seed=2)}
    if bias:
        weights[f"{owner}.bias"] = draw(*([2] if kind == "gru" else []), gates * UNITS, seed=3)
    return weights


def recurrent_cases():
    sequence = lambda: draw(BATCH, TIME, CHANNELS, seed=4)
    for kind, theirs in [("simple_rnn", "rnn"), ("lstm", "lstm"), ("gru", "gru")]:
        case(
            f"{kind} with a mask",
            f"{kind}(x, units={UNITS}, sequences=true, mask=mask)",
            lambda f, w: torch_recurrence(theirs, f, w, masked=True)[0],
            {"x": sequence(), "mask": padding_mask()},
            recurrent_weights(kind, f"y.{kind}"),
        )
        n_states = 2 if kind == "lstm" else 1
        states = {f"s{i}": draw(BATCH, UNITS, seed=10 + i) for i in range(n_states)}
        given = "[s0, s1]" if kind == "lstm" else "s0"
        lets = [f"let run = {kind}(x, units={UNITS}, mask=mask, initial_state={given}, return_state=true, bias=false)"]
        lets += [f"output y{i} = run[{i}]" for i in range(n_states + 1)]

        def with_states(f, w):
            out, last = torch_recurrence(theirs, f, w, masked=True, states=[f[f"s{i}"] for i in range(n_states)])
            return {"y0": out[:, -1], **{f"y{i + 1}": state for i, state in enumerate(last)}}

        weights = recurrent_weights(kind, f"run.{kind}", bias=False)
        case(f"{kind} from a state, to a state", "\n".join(lets), with_states, {"x": sequence(), "mask": padding_mask(), **states}, weights)

    def reset_before(f, w):
        kernel, recurrent, bias = w["y.gru.kernel"], w["y.gru.recurrent_kernel"], w["y.gru.bias"]
        h = torch.zeros(BATCH, UNITS)
        for t in reversed(range(TIME)):
            x = f["x"][:, t] @ kernel + bias
            gates = torch.sigmoid(x[:, : 2 * UNITS] + h @ recurrent[:, : 2 * UNITS])
            z, r = gates[:, :UNITS], gates[:, UNITS:]
            candidate = torch.tanh(x[:, 2 * UNITS :] + (r * h) @ recurrent[:, 2 * UNITS :])
            h = z * h + (1 - z) * candidate
        return h

    weights = recurrent_weights("gru", "y.gru")
    weights["y.gru.bias"] = draw(3 * UNITS, seed=3)
    case("gru with the reset before the product", f"gru(x, units={UNITS}, reset_after=false, reverse=true)", reset_before, {"x": sequence()}, weights)

    def both_ways(f, w):
        backwards = {key.replace("lstm_2", "lstm"): value for key, value in w.items() if "lstm_2" in key}
        there = torch_recurrence("lstm", f, {key: value for key, value in w.items() if "lstm_2" not in key}, masked=True)[0]
        at = torch.where(padding_mask(), LENGTHS[:, None] - 1 - torch.arange(TIME)[None, :], torch.arange(TIME)[None, :])
        turn = lambda x: x.gather(1, at[:, :, None].expand(-1, -1, x.shape[2]))
        back = turn(torch_recurrence("lstm", {"x": turn(f["x"])}, backwards, masked=True)[0])
        # Backwards the padding comes first, where the state is still 0.
        return torch.cat([there, torch.where(padding_mask()[:, :, None], back, 0)], dim=-1)

    weights = recurrent_weights("lstm", "y.bidirectional.lstm") | recurrent_weights("lstm", "y.bidirectional.lstm_2")
    weights["y.bidirectional.lstm_2.kernel"] = draw(CHANNELS, 4 * UNITS, seed=9)
    case("bidirectional with a mask", f"bidirectional(x, units={UNITS}, sequences=true, mask=mask)", both_ways, {"x": sequence(), "mask": padding_mask()}, weights)


# ---- losses ----------------------------------------------------------------------------------------------------------


def loss_cases():
    labels = torch.tensor([[0, 2, -1], [1, -1, 3]])
    case(
        "cross-entropy with labels to ignore",
        "sparse_categorical_crossentropy(k, x, ignore_class=-1)",
        lambda f, w: F.cross_entropy(f["x"].movedim(-1, 1), f["k"], ignore_index=-1, reduction="none"),
        {"x": draw(2, 3, 4), "k": labels},
    )
    case(
        "mean of the labels that count",
        "masked_mean(sparse_categorical_crossentropy(k, x, ignore_class=-1), k != -1, axes=1)",
        lambda f, w: torch.stack([F.cross_entropy(x, k, ignore_index=-1) for x, k in zip(f["x"], f["k"])]),
        {"x": draw(2, 3, 4), "k": labels},
    )
    heat = torch.round(torch.softmax(draw(3, 12, seed=1), dim=1), decimals=3).reshape(3, 4, 3)
    case(
        "softmax over two axes",
        "softmax_crossentropy(t, x, axes=[1, 2])",
        lambda f, w: -(f["t"] * torch.log_softmax(f["x"].flatten(1), dim=1).reshape(3, 4, 3)).sum(dim=(1, 2)),
        {"t": heat, "x": draw(3, 4, 3)},
    )
    mask = torch.tensor([[True, True, False, True], [True, False, False, True], [True, True, True, True]])

    def masked(f, w):
        logs = torch.log_softmax(f["x"].masked_fill(~mask, -torch.inf), dim=1)
        return -(f["t"] * logs.masked_fill(~mask, 0)).sum(dim=1)

    case("softmax with a mask", "softmax_crossentropy(t, x, mask=m)", masked, {"t": draw(3, 4, seed=1).abs(), "x": draw(3, 4), "m": mask})

    def focal(f, w):
        p = torch.softmax(f["x"], dim=1)
        return -(torch.tensor([0.2, 0.5, 1.0]) * (1 - p) ** 2 * f["t"] * torch.log(p)).sum(dim=1)

    case(
        "focal loss with an alpha for each class",
        "categorical_focal_crossentropy(t, x, alpha=[0.2, 0.5, 1.0], from_logits=true)",
        focal,
        {"t": F.one_hot(torch.tensor([0, 2, 1, 1]), 3).double(), "x": draw(4, 3)},
    )
    relevances = torch.tensor([[2.0, 0.0, 1.0, 1.0], [0.0, 0.0, 3.0, 1.0], [1.0, 1.0, 1.0, 1.0]])

    def pairs(penalty, keep):
        def function(f, w):
            rows = []
            for t, x, m in zip(relevances, f["x"], keep):
                of = [(x[i] - x[j]) for i in range(4) for j in range(4) if t[i] > t[j] and m[i] and m[j]]
                rows.append(penalty(torch.stack(of)).mean() if of else 0 * x.sum())
            return torch.stack(rows)

        return function

    everything = torch.ones(3, 4, dtype=torch.bool)
    feeds = lambda: {"x": draw(3, 4), "t": relevances.clone(), "m": mask.clone()}
    case("pairwise ranking", "pairwise_ranking(t, x)", pairs(lambda d: F.softplus(-d), everything), feeds(), fixed=("t",))
    case("pairwise ranking with a mask", "pairwise_ranking(t, x, mask=m)", pairs(lambda d: F.softplus(-d), mask), feeds(), fixed=("t",))
    case("pairwise ranking with a margin", "pairwise_ranking(t, x, margin=0.7)", pairs(lambda d: F.relu(0.7 - d), everything), feeds(), fixed=("t",))
    def listwise(f, w):
        hide = lambda x: x.masked_fill(~mask, -torch.inf)
        first = torch.softmax(hide(f["t"]), dim=1)
        return -(first * torch.log_softmax(hide(f["x"]), dim=1).masked_fill(~mask, 0)).sum(dim=1)

    case("listnet with a mask", "listnet(t, x, mask=m)", listwise, {"x": draw(3, 4), "t": relevances.clone(), "m": mask.clone()})
    case(
        "listnet",
        "listnet(t, x)",
        lambda f, w: -(torch.softmax(f["t"], dim=1) * torch.log_softmax(f["x"], dim=1)).sum(dim=1),
        {"x": draw(3, 4), "t": relevances.clone()},
    )


# ---- metrics ---------------------------------------------------------------------------------------------------------


def metric_cases():
    rows, labels = 20, 3
    t = (draw(rows, labels) > 0.3).double()
    p = torch.round(torch.sigmoid(draw(rows, labels, seed=1) + t), decimals=3)
    w = torch.round(torch.rand(rows, generator=torch.Generator().manual_seed(5)), decimals=2)
    truth = torch.arange(rows) * 7 % 11 % labels
    one_hot = F.one_hot(truth, labels).double()
    scores = draw(rows, labels, seed=2) + one_hot
    said = scores.argmax(dim=1)
    known = {"t": t, "p": p, "w": w, "k": truth, "o": one_hot, "s": scores}

    def metric(name, call, value):
        feeds = {key: value for key, value in known.items() if re.search(rf"\b{key}\b", call)}
        case(name, f"broadcast({call}, [batch])", lambda f, _: torch.full((rows,), float(value)), feeds, fixed=known)

    flat_t, flat_p = t.flatten().numpy(), p.flatten().numpy()
    yes, flat_w = (p > 0.5).double(), w[:, None].expand(rows, labels).flatten().numpy()
    weights = {"sample_weight": flat_w}
    tn, fp, fn, tp = metrics.confusion_matrix(flat_t, yes.flatten(), **weights).ravel()
    for key, value in {"true_positives": tp, "false_positives": fp, "true_negatives": tn, "false_negatives": fn}.items():
        metric(key, f"{key}(t, p, weights=w)", value)
    metric("precision with weights", "precision(t, p, weights=w)", metrics.precision_score(flat_t, yes.flatten(), **weights))
    metric("recall with weights", "recall(t, p, weights=w)", metrics.recall_score(flat_t, yes.flatten(), **weights))
    metric("specificity", "specificity(t, p, weights=w)", metrics.recall_score(1 - flat_t, 1 - yes.flatten(), **weights))
    metric("precision of a class", "precision(t, p, class=1)", metrics.precision_score(t[:, 1], yes[:, 1]))
    metric("recall at the second threshold", "recall(t, p, threshold=[0.3, 0.7])[1]", metrics.recall_score(flat_t, flat_p > 0.7))
    metric("precision at the first threshold", "precision(t, p, threshold=[0.3, 0.7], weights=w)[0]", metrics.precision_score(flat_t, flat_p > 0.3, **weights))
    best = F.one_hot(scores.topk(2, dim=1).indices, labels).sum(dim=1)
    metric("precision among the two largest", "precision(o, s, top_k=2)", metrics.precision_score(one_hot.flatten(), best.flatten()))
    metric("recall of a class among the two largest", "recall(o, s, top_k=2, class=2)", metrics.recall_score(one_hot[:, 2], best[:, 2]))
    for average in ["macro", "micro", "weighted"]:
        value = metrics.fbeta_score(truth, said, beta=2, average=average, sample_weight=w)
        metric(f"f_beta, {average}", f'f_beta(o, s, beta=2, average="{average}", weights=w)', value)
        value = metrics.fbeta_score(t, yes, beta=0.5, average=average)
        metric(f"f_beta of several labels, {average}", f'f_beta(t, p, beta=0.5, average="{average}", threshold=0.5)', value)
    metric("f_beta of a class", 'f_beta(o, s, average="none")[1]', metrics.f1_score(truth, said, average=None)[1])
    metric("accuracy with weights", "weighted_mean(accuracy(k, s), w)", metrics.accuracy_score(truth, said, sample_weight=w))
    metric("error with weights", "root_mean_squared_error(t, p, weights=w)", metrics.mean_squared_error(t, p, sample_weight=w) ** 0.5)
    metric("r2 weighed by spread", 'r2_score(t, p, average="weighted")', metrics.r2_score(t, p, multioutput="variance_weighted"))
    metric("r2 of columns", "r2_score(t, p)", metrics.r2_score(t, p))
    metric("overlap of a class", "class_iou(k, s)[2]", metrics.jaccard_score(truth, said, average=None)[2])
    counts = metrics.confusion_matrix(truth, said, sample_weight=w)
    metric("confusion with weights", "confusion_matrix(k, s, weights=w)[1, 2]", counts[1, 2])
    metric("overlap of a class with weights", "class_iou(k, s, weights=w)[2]", metrics.jaccard_score(truth, said, average=None, sample_weight=w)[2])
    metric("mean overlap with weights", "mean_iou(k, s, weights=w)", metrics.jaccard_score(truth, said, average="macro", sample_weight=w))
    metric("overlap of yes and no with weights", "binary_iou(t, p, weights=w)", metrics.jaccard_score(flat_t, yes.flatten(), average=None, **weights).mean())
    for average, theirs in [("uniform", "uniform_average"), ("weighted", "variance_weighted")]:
        metric(f"r2 with weights, {average}", f'r2_score(t, p, average="{average}", weights=w)', metrics.r2_score(t, p, multioutput=theirs, sample_weight=w))
    metric("r2 of a column", 'r2_score(t, p, average="none")[1]', metrics.r2_score(t, p, multioutput="raw_values")[1])
    both = torch.cov(torch.stack([t.flatten(), p.flatten()]), correction=0, aweights=torch.tensor(flat_w))
    metric("correlation with weights", "pearson_correlation(t, p, weights=w)", both[0, 1] / both.diagonal().prod().sqrt())
    metric("mean overlap", "mean_iou(k, s)", metrics.jaccard_score(truth, said, average="macro"))

    def theirs(metric, *arguments, **more):
        metric.update_state(*(a.numpy() for a in arguments), **{key: a.numpy() for key, a in more.items()})
        return float(metric.result())

    # Keras has 200 thresholds too. Its own form of several labels rounds to seven digits, so their mean is taken here.
    columns = lambda values: [values[:, i] for i in range(labels)]
    mean = lambda values: sum(values) / labels
    auc = keras.metrics.AUC
    metric("area under precision and recall", 'auc(t, p, curve_of="precision")', theirs(auc(curve="PR"), t, p))
    metric("area of several labels", "auc(t, p, labels=true)", mean(theirs(auc(), *pair) for pair in zip(columns(t), columns(p))))
    metric("area of several labels by precision", 'auc(t, p, curve_of="precision", labels=true)', mean(theirs(auc(curve="PR"), *pair) for pair in zip(columns(t), columns(p))))
    metric("area with weights", "auc(t[:, 0], p[:, 0], weights=w)", theirs(auc(), t[:, 0], p[:, 0], sample_weight=w))
    metric("area of several labels with weights", "auc(t, p, labels=true, weights=w)", mean(theirs(auc(), *pair, sample_weight=w) for pair in zip(columns(t), columns(p))))
    for ours, name in [
        ("sensitivity_at_specificity", "SensitivityAtSpecificity"),
        ("specificity_at_sensitivity", "SpecificityAtSensitivity"),
        ("precision_at_recall", "PrecisionAtRecall"),
        ("recall_at_precision", "RecallAtPrecision"),
    ]:
        metric(ours, f"{ours}(t, p, 0.7)", theirs(getattr(keras.metrics, name)(0.7), t, p))


# ---- layers ----------------------------------------------------------------------------------------------------------


def first(x):
    """Channels first, as PyTorch has them."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def window_cases():
    image = lambda: {"x": draw(1, 5, 7, 2)}
    line = lambda: {"x": draw(1, 9, 3)}
    for size in [(3, 2), (5, 7), (8, 4), (1, 1)]:
        given = f"[{size[0]}, {size[1]}]"
        case(f"adaptive mean to {given}", f"adaptive_average_pool2d(x, {given})", lambda f, w: last(F.adaptive_avg_pool2d(first(f["x"]), size)), image())
        case(f"adaptive maximum to {given}", f"adaptive_max_pool2d(x, {given})", lambda f, w: last(F.adaptive_max_pool2d(first(f["x"]), size)), image())
    case("adaptive mean over time", "adaptive_average_pool1d(x, 4)", lambda f, w: last(F.adaptive_avg_pool1d(first(f["x"]), 4)), line())
    case("adaptive maximum over time", "adaptive_max_pool1d(x, 4)", lambda f, w: last(F.adaptive_max_pool1d(first(f["x"]), 4)), line())
    case("global mean that keeps axes", "global_average_pool2d(x, keep=true)", lambda f, w: f["x"].mean(dim=(1, 2), keepdim=True), image())
    case("global maximum that keeps axes", "global_max_pool1d(x, keep=true)", lambda f, w: f["x"].amax(dim=1, keepdim=True), line())

    for size in [(10, 3), (4, 9), (5, 7), (1, 13)]:
        given = f"[{size[0]}, {size[1]}]"
        for ours, theirs in [
            ('interpolation="nearest"', {"mode": "nearest"}),
            ('interpolation="nearest", rounding="centre"', {"mode": "nearest-exact"}),
            ('interpolation="bilinear"', {"mode": "bilinear", "align_corners": False}),
            ('interpolation="bilinear", align_corners=true', {"mode": "bilinear", "align_corners": True}),
            ('interpolation="bicubic"', {"mode": "bicubic", "align_corners": False}),
            ('interpolation="bicubic", align_corners=true', {"mode": "bicubic", "align_corners": True}),
        ]:
            case(f"resize to {given}, {ours}", f"resize2d(x, {given}, {ours})", lambda f, w: last(F.interpolate(first(f["x"]), size, **theirs)), image())
    case("resize over time", 'resize1d(x, 5, interpolation="bilinear")', lambda f, w: last(F.interpolate(first(f["x"]), 5, mode="linear")), line())

    for mode, theirs in [("zero", "constant"), ("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")]:
        case(f"pad by {mode}", f'pad2d(x, [[1, 3], [2, 0]], mode="{mode}")', lambda f, w: last(F.pad(first(f["x"]), (2, 0, 1, 3), mode=theirs)), image())
        case(f"pad time by {mode}", f'pad1d(x, [0, 4], mode="{mode}")', lambda f, w: last(F.pad(first(f["x"]), (0, 4), mode=theirs)), line())

    def depthwise(f, w, owner="y.depthwise_conv1d"):
        kernel = w[f"{owner}.kernel"].flatten(1).T[:, None]
        return last(F.conv1d(first(f["x"]), kernel, w.get(f"{owner}.bias"), stride=2, dilation=1, groups=3))

    weights = {"y.depthwise_conv1d.kernel": draw(3, 3, 2, seed=1), "y.depthwise_conv1d.bias": draw(6, seed=2)}
    case("depthwise over time", "depthwise_conv1d(x, kernel=3, multiplier=2, stride=2)", depthwise, line(), weights)
    owner = "y.separable_conv1d"
    weights = {f"{owner}.depthwise.kernel": draw(3, 3, 2, seed=1), f"{owner}.pointwise.kernel": draw(1, 6, 4, seed=2), f"{owner}.pointwise.bias": draw(4, seed=3)}
    case(
        "separable over time",
        "separable_conv1d(x, filters=4, kernel=3, multiplier=2, stride=2)",
        lambda f, w: depthwise(f, w, f"{owner}.depthwise") @ w[f"{owner}.pointwise.kernel"][0] + w[f"{owner}.pointwise.bias"],
        line(),
        weights,
    )


def norm_cases():
    for axes, shape in [([1, 2, 3], (1, 5, 7, 2)), ([2, 3], (1, 1, 7, 2)), ([1, 2], (1, 5, 7, 1)), (1, (1, 5, 1, 1)), ([-1], (1, 1, 1, 2)), ([1, 3], (1, 5, 1, 2))]:
        size = torch.Size(shape).numel()
        weights = {"y.layer_norm.gamma": draw(size, seed=1), "y.layer_norm.beta": draw(size, seed=2)}

        def norm(f, w):
            dims = tuple(axes) if isinstance(axes, list) else axes
            variance, mean = torch.var_mean(f["x"], dim=dims, correction=0, keepdim=True)
            gamma, beta = (w[f"y.layer_norm.{key}"].reshape(shape) for key in ("gamma", "beta"))
            return (f["x"] - mean) / torch.sqrt(variance + 0.01) * gamma + beta

        case(f"layer norm over {axes}", f"layer_norm(x, axes={axes}, epsilon=0.01)", norm, {"x": draw(2, 5, 7, 2)}, weights)


def turned_by_position(x):
    """x[b, t, h, c] as complex numbers of both halves, times e^(i t 10000^(-2j / c))."""
    half = x.shape[-1] // 2
    rate = 10_000.0 ** (-torch.arange(half) / half)
    angle = torch.arange(x.shape[1])[:, None] * rate
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat([turned.real, turned.imag], dim=-1)


def attention_cases():
    keys_there = torch.tensor([[True, True, False, True, True], [True, False, False, True, True]])
    qkv = lambda *shape: {"q": draw(2, 4, *shape, seed=1), "k": draw(2, 5, *shape, seed=2), "v": draw(2, 5, *shape, seed=3)}

    def shares(q, k, mask=None, scale=None):
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        return torch.softmax(scores if mask is None else scores.masked_fill(~mask, -torch.inf), dim=-1)

    def plain(f, w):
        mask = keys_there[:, None].expand(-1, 4, -1)
        return {"y": F.scaled_dot_product_attention(f["q"], f["k"], f["v"], attn_mask=mask), "s": shares(f["q"], f["k"], mask)}

    pair = "let run = {}\noutput y = run[0]\noutput s = run[1]"
    case("attention with a mask", pair.format("attention(q, k, v, mask=m)"), plain, {**qkv(6), "m": keys_there.clone()})

    def heads(f, w):
        q, k, v = (f[key].transpose(1, 2) for key in "qkv")
        return {"y": F.scaled_dot_product_attention(q, k, v, scale=0.3).transpose(1, 2), "s": shares(q, k, scale=0.3)}

    case("attention of heads", pair.format("attention(q, k, v, scale=0.3)"), heads, qkv(3, 6))

    def causal(f, w):
        return {"y": F.scaled_dot_product_attention(f["q"], f["q"], f["v"], is_causal=True), "s": shares(f["q"], f["q"], torch.ones(4, 4).tril().bool())}

    case("causal attention", pair.format("attention(q, q, v, causal=true)"), causal, {"q": draw(2, 4, 6), "v": draw(2, 4, 6, seed=3)})

    def additive(f, w):
        scores = (w["run.additive_attention.scale"] * torch.tanh(f["q"][:, :, None] + f["k"][:, None])).sum(dim=-1)
        share = torch.softmax(scores.masked_fill(~keys_there[:, None], -torch.inf), dim=-1)
        return {"y": share @ f["v"], "s": share}

    case("additive attention", pair.format("additive_attention(q, k, v, mask=m)"), additive, {**qkv(6), "m": keys_there.clone()}, {"run.additive_attention.scale": draw(6, seed=4)})
    case("rotary positions", "rotary_positions(x)", lambda f, w: turned_by_position(f["x"]), {"x": draw(2, 5, 3, 8)})
    case("rotary positions of one head", "rotary_positions(x)", lambda f, w: turned_by_position(f["x"][:, :, None])[:, :, 0], {"x": draw(2, 5, 8)})

    owner = "run.multi_head_attention"
    names = ["query", "key", "value", "projection"]
    weights = {f"{owner}.{name}.kernel": draw(8, 8, seed=i) for i, name in enumerate(names)}
    weights |= {f"{owner}.{name}.bias": draw(8, seed=10 + i) for i, name in enumerate(names)}

    def rotary(f, w):
        dense = lambda name, x: x @ w[f"{owner}.{name}.kernel"] + w[f"{owner}.{name}.bias"]
        q, k, v = (dense(name, f["x"]).reshape(2, 5, 2, 4) for name in names[:3])
        q, k = turned_by_position(q), turned_by_position(k)
        share = shares(q.transpose(1, 2), k.transpose(1, 2))
        read = (share @ v.transpose(1, 2)).transpose(1, 2).reshape(2, 5, 8)
        return {"y": dense("projection", read), "s": share}

    case("rotary attention with its scores", pair.format("multi_head_attention(x, heads=2, rotary=true, return_scores=true)"), rotary, {"x": draw(2, 5, 8)}, weights)


def trunk_cases():
    pair = "let run = {}\noutput y = run[0]\noutput z = run[1]"
    dense = lambda w, name, x, act=torch.relu: act(x @ w[name + ".kernel"] + w.get(name + ".bias", 0))
    plain = lambda x: x

    def mix(gate, outputs):
        return (torch.softmax(gate, dim=1)[:, :, None] * outputs).sum(dim=1)

    owner = "run.mmoe"
    weights = {f"{owner}.dense.kernel": draw(5, 12, seed=1), f"{owner}.dense.bias": draw(12, seed=2)}
    weights |= {f"{owner}.with_gated.dense.kernel": draw(5, 4, seed=3), f"{owner}.with_gated_2.dense.kernel": draw(5, 4, seed=4)}

    def mmoe(f, w):
        outputs = dense(w, f"{owner}.dense", f["x"]).reshape(-1, 4, 3)
        return {key: mix(dense(w, f"{owner}.{gate}.dense", f["x"], plain), outputs) for key, gate in [("y", "with_gated"), ("z", "with_gated_2")]}

    case("mixture of experts with gates", pair.format("mmoe(x, tasks=2, units=3)"), mmoe, {"x": draw(4, 5)}, weights)

    owner = "run.ple"
    levels = {f"{owner}.extraction": 5, f"{owner}.extraction_2": 3}
    weights = {}
    for level, n in levels.items():
        weights |= {f"{level}.common.kernel": draw(n, 6, seed=1), f"{level}.common.bias": draw(6, seed=2)}
        for task in ["with_extracted", "with_extracted_2"]:
            weights |= {f"{level}.{task}.dense.kernel": draw(n, 3, seed=len(weights)), f"{level}.{task}.dense.bias": draw(3, seed=len(weights) + 50)}
            weights |= {f"{level}.{task}.choice.kernel": draw(n, 3, seed=len(weights) + 90)}
    weights[f"{owner}.extraction.dense.kernel"] = draw(5, 4, seed=200)

    def ple(f, w):
        inputs, common = {"with_extracted": f["x"], "with_extracted_2": f["x"]}, f["x"]
        for level in levels:
            shared = dense(w, f"{level}.common", common).reshape(-1, 2, 3)
            own = {task: dense(w, f"{level}.{task}.dense", x).reshape(-1, 1, 3) for task, x in inputs.items()}
            if level.endswith("extraction"):
                common = mix(dense(w, f"{level}.dense", common, plain), torch.cat([shared, *own.values()], dim=1))
            inputs = {task: mix(dense(w, f"{level}.{task}.choice", x, plain), torch.cat([own[task], shared], dim=1)) for task, x in inputs.items()}
        return dict(zip("yz", inputs.values()))

    case("progressive layered extraction", pair.format("ple(x, tasks=2, units=3, own=1, levels=2)"), ple, {"x": draw(4, 5)}, weights)

    weights, calls = {}, {}
    for level, seen in [("low", 3), ("run", 6)]:
        for task in ["with_attended", "with_attended_2"]:
            name = f"{level}.mtan.{task}"
            weights |= {f"{name}.inner.kernel": draw(seen, 4, seed=len(weights)), f"{name}.inner.bias": draw(4, seed=len(weights) + 50)}
            weights |= {f"{name}.mask.kernel": draw(4, 3, seed=len(weights)), f"{name}.mask.bias": draw(3, seed=len(weights) + 50)}

    def mtan(f, w):
        def level(name, task, x, seen):
            return dense(w, f"{name}.mtan.{task}.mask", dense(w, f"{name}.mtan.{task}.inner", seen), torch.sigmoid) * x

        found = {}
        for key, task in [("y", "with_attended"), ("z", "with_attended_2")]:
            low = level("low", task, f["x"], f["x"])
            found[key] = level("run", task, f["u"], torch.cat([f["u"], low], dim=-1))
        return found

    text = "let low = mtan(x, tasks=2, hidden=4)\n" + pair.format("mtan(u, tasks=2, hidden=4, previous=low)")
    case("attention of tasks", text, mtan, {"x": draw(4, 5, 3), "u": draw(4, 5, 3, seed=1)}, weights)

    def stitch(f, w):
        a = w["run.cross_stitch.mixture"]
        return {key: a[i, 0] * f["x"] + a[i, 1] * f["u"] for i, key in enumerate("yz")}

    case("cross-stitch", pair.format("cross_stitch(listed(x, u))"), stitch, {"x": draw(4, 5, 3), "u": draw(4, 5, 3, seed=1)}, {"run.cross_stitch.mixture": draw(2, 2, seed=2)})


def rounded(cases):
    return {key: value.detach() for key, value in cases.items()}


def tensor_cases():
    both = {"x": draw(5, 4, seed=1), "v": draw(5, 3, seed=2)}
    columns = torch.tensor([[0, 2, 0], [3, 1, 1], [2, 2, 2], [1, 0, 3], [3, 3, 0]])
    for mode, reduce in [("add", "sum"), ("mul", "prod"), ("max", "amax"), ("min", "amin")]:
        case(
            f"scatter by {mode}",
            f'scatter(x, i, v, mode="{mode}", axis=1)',
            lambda f, w: f["x"].scatter_reduce(1, f["i"], f["v"], reduce=reduce, include_self=True),
            {**rounded(both), "i": columns.clone()},
        )
    apart = torch.tensor([[0, 2, 3], [3, 1, 0], [2, 1, 0], [1, 0, 3], [3, 2, 0]])
    case("scatter by set", "scatter(x, i, v, axis=1)", lambda f, w: f["x"].scatter(1, f["i"], f["v"]), {**rounded(both), "i": apart})
    rows = torch.tensor([4, 1, 1, 0, 4])
    case("scatter rows, the last of each", "scatter(x, i, v)", lambda f, w: torch.stack([f["v"][3], f["v"][2], f["x"][2], f["x"][3], f["v"][4]]), {"x": draw(5, 4, seed=1), "v": draw(5, 4, seed=2), "i": rows.clone()})
    case("scatter rows by the largest", 'scatter(x, i, v, mode="max")', lambda f, w: f["x"].scatter_reduce(0, f["i"][:, None].expand(-1, 4), f["v"], reduce="amax"), {"x": draw(5, 4, seed=1), "v": draw(5, 4, seed=2), "i": rows.clone()})
    zeros = torch.tensor([[1.5, 0.0, -2.0, 0.0, 3.0], [0.0, 2.0, 1.0, -1.0, 0.5]])
    case("cumulative product", "cumulative_product(x)", lambda f, w: f["x"].cumprod(dim=1), {"x": draw(4, 6)})
    case("cumulative product of zeros", "cumulative_product(x, axis=1)", lambda f, w: f["x"].cumprod(dim=1), {"x": zeros})
    case("cumulative product from the end", "cumulative_product(x, axis=1, reverse=true)", lambda f, w: f["x"].flip(1).cumprod(dim=1).flip(1), {"x": draw(4, 6, 2)})
    case(
        "order of ints",
        "output y = f32(sort(i, descending=true))\noutput a = f32(argmin(i))\noutput b = f32(argmax(i, axis=1))\noutput c = f32(cumulative_sum(i))\noutput d = f32(max(i, axes=1))\noutput e = f32(min(i, axes=1))\noutput f = f32(top_k(i, 2)[1])\noutput g = f32(argmin(x))",
        lambda f, w: {
            "y": f["i"].sort(dim=1, descending=True).values.double(), "a": f["i"].argmin(dim=1).double(), "b": f["i"].argmax(dim=1).double(), "c": f["i"].cumsum(dim=1).double(),
            "d": f["i"].amax(dim=1).double(), "e": f["i"].amin(dim=1).double(), "f": f["i"].topk(2, dim=1).indices.double(), "g": f["x"].argmin(dim=1).double(),
        },
        {"i": torch.tensor([[3, -7, 1_000_000_011, 1_000_000_010], [-2_147_483_648, 5, 6, 2_147_483_647]]), "x": draw(2, 4)},
        fixed=("x",),
    )
    case(
        "any and all",
        "output y = f32(any(m, axes=1))\noutput a = f32(all(m, axes=1, keep=true))\noutput b = broadcast(f32(all(x > -9)), [batch])",
        lambda f, w: {"y": f["m"].any(dim=1).double(), "a": f["m"].all(dim=1, keepdim=True).double(), "b": (f["x"] > -9).all().double().expand(3)},
        {"m": torch.tensor([[True, False], [True, True], [False, False]]), "x": draw(3, 2)},
        fixed=("x",),
    )


def product_cases():
    matrices = {"x": draw(3, 2, 4, seed=1), "z": draw(3, 4, 5, seed=2), "v": draw(3, 4, seed=3), "u": draw(3, 1, 4, 2, seed=4)}
    some = lambda keys: {key: matrices[key].clone() for key in keys}
    case("matrices by a vector", "x @ v[0]", lambda f, w: f["x"] @ f["v"][0], some("xv"))
    case("a vector by matrices", "v[1] @ z", lambda f, w: f["v"][1] @ f["z"], some("zv"))
    case("vectors", "broadcast(v[0] @ v[2], [batch])", lambda f, w: (f["v"][0] @ f["v"][2]).expand(3), some("v"))
    case("a matrix by a vector", "v @ v[1]", lambda f, w: f["v"] @ f["v"][1], some("v"))
    case("a matrix by matrices", "x[0] @ z", lambda f, w: f["x"][0] @ f["z"], some("xz"))
    case("products that align", "x[:, none] @ u", lambda f, w: f["x"][:, None] @ f["u"], some("xu"))
    for equation, keys in [
        ("bij,bjk,bj->bik", "xzv"), ("...ij,...jk->...ik", "xz"), ("...ij,...jk", "xz"), ("b...,b...->b", "vv"), ("...i->...", "x"), ("bij,bjk,bj,bk->bi", "xzvw"),
        ("bii->b", "s"), ("bii,bi->bi", "sv"), ("...ii", "s"), ("bij,cjk,bj->ck", "xzv"),
    ]:
        feeds = {**some(key for key in "xzv" if key in keys)}
        feeds |= {"w": draw(3, 5, seed=7)} if "w" in keys else {}
        feeds |= {"s": draw(3, 4, 4, seed=8)} if "s" in keys else {}
        case(f"einsum {equation}", f'einsum("{equation}", {", ".join(keys)})', lambda f, w: torch.einsum(equation, *[f[key] for key in keys]), feeds)


def transposed_cases():
    for n, name, theirs in [(1, "y.conv1d_transpose", F.conv_transpose1d), (2, "y.conv2d_transpose", F.conv_transpose2d), (3, "y.conv3d_transpose", F.conv_transpose3d)]:
        spatial = {1: (5,), 2: (4, 5), 3: (2, 3, 2)}[n]
        for text, options in [
            ("kernel=3, stride=2, padding=1, output_padding=1", dict(stride=2, padding=1, output_padding=1)),
            ("kernel=3, stride=3, output_padding=2, groups=2", dict(stride=3, output_padding=2, groups=2)),
            ("kernel=2, stride=2, padding=1, dilation=2, groups=2", dict(stride=2, padding=1, dilation=2, groups=2)),
        ]:
            groups, k = options.get("groups", 1), int(text[7])
            weights = {f"{name}.kernel": draw(*[k] * n, 6 // groups, 4, seed=1), f"{name}.bias": draw(6, seed=2)}

            def transposed(f, w):
                # Theirs is [channels, filters / groups, K...].
                kernel = w[f"{name}.kernel"].permute(n + 1, n, *range(n))
                return last(theirs(first(f["x"]), kernel, w[f"{name}.bias"], **options))

            case(f"{name[2:]} with {text}", f"conv{n}d_transpose(x, filters=6, {text})", transposed, {"x": draw(2, *spatial, 4)}, weights)


def pool_cases():
    for text, options in [("window=3, stride=2, ceil=true", dict(stride=2, ceil_mode=True)), ("window=2, stride=3, padding=1, ceil=true", dict(stride=3, padding=1, ceil_mode=True)), ("window=2, stride=2, ceil=true", dict(stride=2, ceil_mode=True))]:
        window = int(text[7])
        case(f"maximum with {text}", f"max_pool2d(x, {text})", lambda f, w: last(F.max_pool2d(first(f["x"]), window, **options)), {"x": draw(2, 6, 8, 3)})
        case(f"mean with {text}", f"average_pool2d(x, {text})", lambda f, w: last(F.avg_pool2d(first(f["x"]), window, count_include_pad=False, **options)), {"x": draw(2, 6, 8, 3)})
    case("maximum of dilated windows", "max_pool1d(x, window=3, stride=1, dilation=2, padding=1)", lambda f, w: last(F.max_pool1d(first(f["x"]), 3, stride=1, dilation=2, padding=1)), {"x": draw(2, 9, 3)})
    grid = {"x": draw(2, 5, 6, 3), "g": draw(2, 3, 4, 2, seed=3, scale=0.8)}
    for outside, padding in [("zero", "zeros"), ("edge", "border")]:
        for align in [False, True]:
            for way in ["bilinear", "nearest"]:
                case(
                    f"grid sample, {way}, {outside}, {align}",
                    f'grid_sample(x, g, interpolation="{way}", outside="{outside}", align_corners={str(align).lower()})',
                    lambda f, w: last(F.grid_sample(first(f["x"]), f["g"], mode=way, padding_mode=padding, align_corners=align)),
                    {key: value.clone() for key, value in grid.items()},
                    fixed=() if way == "bilinear" else ("g",),
                )


def matrix_cases():
    positive = torch.tensor([[0.1, 0.7, 1.0, 2.0], [3.3, 14.9, 60.0, 1.4616321449683622]])
    case("logarithm of gamma", "lgamma(x)", lambda f, w: torch.lgamma(f["x"]), {"x": positive.clone()})
    case("digamma", "digamma(x)", lambda f, w: torch.digamma(f["x"]), {"x": positive.clone()})
    case("digamma below 0", "digamma(x)", lambda f, w: torch.digamma(f["x"]), {"x": torch.tensor([[-0.3, -2.6], [-7.9, -1.5]])}, fixed=("x",))
    case("logarithm of gamma below 0", "lgamma(x)", lambda f, w: torch.lgamma(f["x"]), {"x": torch.tensor([[-0.3, -2.6], [-7.9, -1.5]])})
    case("inverse error function", "erfinv(x)", lambda f, w: torch.erfinv(f["x"]), {"x": torch.tensor([[0.0, 1e-9, -0.5], [0.999, -0.99999, 0.3]])})
    case("a gradient of a gradient of gamma", "x * grad(sum(digamma(x)), x)", lambda f, w: f["x"] * torch.polygamma(1, f["x"]), {"x": positive.clone()})
    case("cholesky", "cholesky(x @ transpose(x, axes=[0, 2, 1]))", lambda f, w: torch.linalg.cholesky(f["x"] @ f["x"].mT), {"x": draw(3, 4, 4)})
    for upper in ["false", "true"]:
        case(
            f"triangular solve, upper={upper}",
            f"triangular_solve(x, z, upper={upper})",
            lambda f, w: torch.linalg.solve_triangular(f["x"] if upper == "true" else f["x"], f["z"], upper=upper == "true"),
            {"x": draw(3, 4, 4) + 2 * torch.eye(4), "z": draw(3, 4, 2, seed=1)},
        )
    case("triangular solve by a vector", "triangular_solve(x, v, transpose=true)", lambda f, w: torch.linalg.solve_triangular(f["x"].tril().mT, f["v"][..., None], upper=True)[..., 0], {"x": draw(3, 4, 4) + 2 * torch.eye(4), "v": draw(3, 4, seed=1)})

    def qr(f, w):
        q, r = torch.linalg.qr(f["x"])
        signs = torch.sign(r.diagonal(dim1=-2, dim2=-1)).detach()
        return {"y": q * signs[:, None], "z": signs[:, :, None] * r}

    for shape in [(3, 4, 4), (3, 5, 2)]:
        case(f"qr of {shape[1]} x {shape[2]}", "let run = qr(x)\noutput y = run[0]\noutput z = run[1]", qr, {"x": draw(*shape)})


recurrent_cases()
loss_cases()
metric_cases()
window_cases()
norm_cases()
attention_cases()
trunk_cases()
tensor_cases()
product_cases()
matrix_cases()
transposed_cases()
pool_cases()

if __name__ == "__main__":
    (HERE / "library.json").write_text(json.dumps(CASES, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
    print(len(CASES), "cases")
