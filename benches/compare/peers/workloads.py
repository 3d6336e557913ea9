"""Reference workloads: the same maths, data and initial weights for every engine.

`python workloads.py OUT_DIR` writes one .npz per workload: arrays `data/NAME` (full data set, cycled in order, no
shuffling) and `param/NAME` (initial values), all float32 unless integer. Images are NHWC, dense kernels [in, out],
conv kernels [kh, kw, in, out]. Each docstring is enough to write the workload in any system.
"""
import sys, pathlib
import numpy as np


def glorot(rng, *shape):
    rec = int(np.prod(shape[:-2])) if len(shape) > 2 else 1
    lim = np.sqrt(6.0 / (shape[-2] * rec + shape[-1] * rec))
    return rng.uniform(-lim, lim, shape).astype(np.float32)


def zeros(*s):
    return np.zeros(s, np.float32)


def w1():
    """W1 localizer (the seed): x[7,5,5,2] -> conv 3x3 valid, 1 filter, bias, sigmoid -> box[7,3,3,1];
    flatten(x) -> dense 2 sigmoid -> cls[7,2]. Per-sample losses: box_loss = mean over all 9 of BCE, cls_loss = mean
    over 2 of BCE; BCE clips p to [1e-7, 1-1e-7]. Combiner: alpha (0.5, clipped to [0,1] after each update):
    (alpha*stop(b) - (1-alpha)*stop(c))^2 + stop(alpha)*b + stop(1-alpha)*c per sample, then mean over the batch.
    SGD lr 0.01 on everything, batch 7 (the whole set)."""
    r = np.random.default_rng(1)
    return dict(batch=7, data=dict(x=r.normal(size=(7, 5, 5, 2)).astype(np.float32),
                                   box=r.integers(0, 2, (7, 3, 3, 1)).astype(np.float32),
                                   cls=r.integers(0, 2, (7, 2)).astype(np.float32)),
                param=dict(ck=glorot(r, 3, 3, 2, 1), cb=zeros(1), dk=glorot(r, 50, 2), db=zeros(2),
                           alpha=np.float32(0.5)))


def w2():
    """W2 two heads: x[128,784] -> dense 512 relu -> dense 512 relu; head A dense 10 -> softmax cross-entropy with integer
    labels; head B dense 1 -> squared error against y[128,1] (mean). Both losses are batch means La, Lb. Combiner:
    uncertainty, exp(-s0)*La + s0 + exp(-s1)*Lb + s1, s = 0 at start. Adam lr 1e-3, b1 .9, b2 .999, eps 1e-8. 1024 rows."""
    r = np.random.default_rng(2)
    n = 1024
    return dict(batch=128, data=dict(x=r.normal(size=(n, 784)).astype(np.float32), a=r.integers(0, 10, n).astype(np.int32),
                                     b=r.normal(size=(n, 1)).astype(np.float32)),
                param=dict(k1=glorot(r, 784, 512), b1=zeros(512), k2=glorot(r, 512, 512), b2=zeros(512),
                           ka=glorot(r, 512, 10), ba=zeros(10), kb=glorot(r, 512, 1), bb=zeros(1), s=zeros(2)))


def w3():
    """W3 CNN: x[64,28,28,1] -> conv 3x3 valid 32 relu -> conv 3x3 valid 64 relu -> maxpool 2 -> flatten (NHWC order)
    -> dense 128 relu; head class dense 10 -> softmax CE (mean); head box dense 4 sigmoid -> Huber delta 1, mean over all.
    Total = 1.0*class + 0.5*box. SGD momentum 0.9 (v = .9 v + g; p -= lr v), lr 0.01. 512 rows."""
    r = np.random.default_rng(3)
    n = 512
    return dict(batch=64, data=dict(x=r.uniform(size=(n, 28, 28, 1)).astype(np.float32), a=r.integers(0, 10, n).astype(np.int32),
                                    b=r.uniform(size=(n, 4)).astype(np.float32)),
                param=dict(c1=glorot(r, 3, 3, 1, 32), e1=zeros(32), c2=glorot(r, 3, 3, 32, 64), e2=zeros(64),
                           k1=glorot(r, 9216, 128), b1=zeros(128), ka=glorot(r, 128, 10), ba=zeros(10),
                           kb=glorot(r, 128, 4), bb=zeros(4)))


def w4():
    """W4 residual net: x[32,32,32,3] -> conv 3x3 same 16, BN, relu; three stages of one block (16 stride 1, 32 stride 2,
    64 stride 2): conv3x3(stride, same) BN relu conv3x3 same BN + shortcut (1x1 conv with the stride, no bias, no BN, where
    the shape changes; identity else), relu; global average pool; heads: dense 10 softmax CE, dense 1 BCE-with-logits.
    Convs have no bias. 'same' pads as TensorFlow does (stride 2 on even sizes: 0 before, 1 after for 3x3). BN: batch
    statistics (biased variance), eps 1e-5, gamma 1, beta 0; running mean/var updated r = .9 r + .1 batch (biased variance),
    they do not enter the training loss. Total = class + 0.5*binary. Adam 1e-3, eps 1e-8. 256 rows."""
    r = np.random.default_rng(4)
    n = 256
    p = dict(c0=glorot(r, 3, 3, 3, 16), g0=np.ones(16, np.float32), h0=zeros(16))
    cin = 16
    for i, c in enumerate((16, 32, 64), 1):
        p[f"c{i}a"] = glorot(r, 3, 3, cin, c); p[f"g{i}a"] = np.ones(c, np.float32); p[f"h{i}a"] = zeros(c)
        p[f"c{i}b"] = glorot(r, 3, 3, c, c); p[f"g{i}b"] = np.ones(c, np.float32); p[f"h{i}b"] = zeros(c)
        if cin != c:
            p[f"s{i}"] = glorot(r, 1, 1, cin, c)
        cin = c
    p.update(ka=glorot(r, 64, 10), ba=zeros(10), kb=glorot(r, 64, 1), bb=zeros(1))
    return dict(batch=32, data=dict(x=r.normal(size=(n, 32, 32, 3)).astype(np.float32), a=r.integers(0, 10, n).astype(np.int32),
                                    b=r.integers(0, 2, (n, 1)).astype(np.float32)), param=p)


def w5():
    """W5 encoder: tokens i32[16,64] in 0..1000 -> embedding 1000x128 + learned positions 64x128; two pre-LN layers:
    x += attn(LN(x)) (4 heads of 32, q/k/v/o dense 128 with bias, scale 1/sqrt(32), no mask), x += mlp(LN(x))
    (dense 512, gelu tanh approximation, dense 128); final LN (eps 1e-5). Heads: per-token dense 16 softmax CE (mean over all
    tokens), mean over seq -> dense 4 softmax CE (mean). Total = sum of both. AdamW lr 3e-4, eps 1e-8, decay 0.01 (decoupled,
    p -= lr*(adam + .01 p)), on every param. 256 rows."""
    r = np.random.default_rng(5)
    n, d = 256, 128
    e = lambda *s: (0.02 * r.normal(size=s)).astype(np.float32)
    p = dict(tok=e(1000, d), pos=e(64, d))
    for i in (1, 2):
        p.update({f"g{i}a": np.ones(d, np.float32), f"h{i}a": zeros(d), f"g{i}b": np.ones(d, np.float32), f"h{i}b": zeros(d)})
        for m in "qkvo":
            p[f"{m}{i}"] = glorot(r, d, d); p[f"{m}b{i}"] = zeros(d)
        p.update({f"u{i}": glorot(r, d, 512), f"ub{i}": zeros(512), f"w{i}": glorot(r, 512, d), f"wb{i}": zeros(d)})
    p.update(gf=np.ones(d, np.float32), hf=zeros(d), ka=glorot(r, d, 16), ba=zeros(16), kb=glorot(r, d, 4), bb=zeros(4))
    return dict(batch=16, data=dict(x=r.integers(0, 1000, (n, 64)).astype(np.int32), a=r.integers(0, 16, (n, 64)).astype(np.int32),
                                    b=r.integers(0, 4, n).astype(np.int32)), param=p)


def w6():
    """W6 physics-informed: u(x,t) = dense 32 tanh x3, dense 1, on 2 inputs (x, t). Losses: mean (u_t + u u_x - (0.01/pi)
    u_xx)^2 over 2000 collocation points in [-1,1]x[0,1]; mean (u + sin(pi x))^2 over 100 points at t=0; mean u^2 over 100
    boundary points x=+-1. Total = sum of the three. Adam lr 1e-3, eps 1e-8. One fixed batch."""
    r = np.random.default_rng(6)
    f = lambda a: np.asarray(a, np.float32)
    col = f(np.stack([r.uniform(-1, 1, 2000), r.uniform(0, 1, 2000)], 1))
    ic = f(np.stack([r.uniform(-1, 1, 100), np.zeros(100)], 1))
    bc = f(np.stack([r.choice([-1.0, 1.0], 100), r.uniform(0, 1, 100)], 1))
    return dict(batch=0, data=dict(col=col, ic=ic, bc=bc),
                param=dict(k1=glorot(r, 2, 32), b1=zeros(32), k2=glorot(r, 32, 32), b2=zeros(32), k3=glorot(r, 32, 32),
                           b3=zeros(32), k4=glorot(r, 32, 1), b4=zeros(1)))


ALL = dict(w1=w1, w2=w2, w3=w3, w4=w4, w5=w5, w6=w6)


def batches(w):
    """The endless sequence of batches: consecutive rows, in order, wrapping at the end."""
    n, b = len(next(iter(w["data"].values()))), w["batch"]
    i = 0
    while True:
        yield w["data"] if not b or b == n else {k: v[i:i + b] for k, v in w["data"].items()}
        i = (i + b) % n if b else 0


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[1]); out.mkdir(parents=True, exist_ok=True)
    for name, make in ALL.items():
        w = make()
        np.savez(out / f"{name}.npz", **{f"data/{k}": v for k, v in w["data"].items()},
                            **{f"param/{k}": v for k, v in w["param"].items()})
        print(name, sum(v.size for v in w["param"].values()), "params")
