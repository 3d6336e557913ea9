"""`python tensorflow_step.py w1|w2|w3`: the whole step as one tf.function."""
import os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf
from workloads import ALL, batches
from timing import report, since_start

name = sys.argv[1]
w = ALL[name]()
tf.config.threading.set_intra_op_parallelism_threads(2)
p = {k: tf.Variable(v) for k, v in w["param"].items()}
stop = tf.stop_gradient


def bce(y, q):
    q = tf.clip_by_value(q, 1e-7, 1 - 1e-7)
    return -(y * tf.math.log(q) + (1 - y) * tf.math.log(1 - q))


def w1(d):
    box = tf.sigmoid(tf.nn.conv2d(d["x"], p["ck"], 1, "VALID") + p["cb"])
    cls = tf.sigmoid(tf.reshape(d["x"], (7, 50)) @ p["dk"] + p["db"])
    b, c, al = tf.reduce_mean(bce(d["box"], box), (1, 2, 3)), tf.reduce_mean(bce(d["cls"], cls), 1), p["alpha"]
    return tf.reduce_mean((al * stop(b) - (1 - al) * stop(c)) ** 2 + stop(al) * b + stop(1 - al) * c)


def ce(y, z):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, z))


def w2(d):
    h = tf.nn.relu(tf.nn.relu(d["x"] @ p["k1"] + p["b1"]) @ p["k2"] + p["b2"])
    a, b, s = ce(d["a"], h @ p["ka"] + p["ba"]), tf.reduce_mean((h @ p["kb"] + p["bb"] - d["b"]) ** 2), p["s"]
    return tf.exp(-s[0]) * a + s[0] + tf.exp(-s[1]) * b + s[1]


def w3(d):
    h = tf.nn.relu(tf.nn.conv2d(d["x"], p["c1"], 1, "VALID") + p["e1"])
    h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(h, p["c2"], 1, "VALID") + p["e2"]), 2, 2, "VALID")
    h = tf.nn.relu(tf.reshape(h, (64, 9216)) @ p["k1"] + p["b1"])
    e = tf.abs(tf.sigmoid(h @ p["kb"] + p["bb"]) - d["b"])
    return ce(d["a"], h @ p["ka"] + p["ba"]) + 0.5 * tf.reduce_mean(tf.where(e <= 1, 0.5 * e * e, e - 0.5))


fn, t = dict(w1=w1, w2=w2, w3=w3)[name], tf.Variable(0.0)
m = {k: tf.Variable(tf.zeros_like(v)) for k, v in p.items()}
v = {k: tf.Variable(tf.zeros_like(v)) for k, v in p.items()}


@tf.function
def step(d):
    with tf.GradientTape() as tape:
        loss = fn(d)
    t.assign_add(1.0)
    for k, g in tape.gradient(loss, p).items():
        if name == "w1":
            p[k].assign_sub(0.01 * g)
        elif name == "w3":
            m[k].assign(0.9 * m[k] + g); p[k].assign_sub(0.01 * m[k])
        else:
            tf.raw_ops.ResourceApplyAdam(var=p[k].handle, m=m[k].handle, v=v[k].handle, beta1_power=0.9 ** t, beta2_power=0.999 ** t,
                                         lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, grad=g)
    if name == "w1":
        p["alpha"].assign(tf.clip_by_value(p["alpha"], 0.0, 1.0))
    return loss


it = batches(w)
one = lambda: step({k: tf.constant(v) for k, v in next(it).items()}).numpy()
losses, first = [], None
for _ in range(10):
    losses.append(float(one())); first = first or since_start()
report("tensorflow", name, one, (first, losses))
