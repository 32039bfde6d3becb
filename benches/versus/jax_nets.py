"""The same networks in JAX: pictures with their channels last, one jitted step with its state donated."""
import jax
import jax.numpy as jnp
from jax import lax

import nets

def dense(p, n, x):
    out = x @ p[n + ".weight"].T
    return out + p[n + ".bias"] if n + ".bias" in p else out


def conv(p, n, x, stride=1, pad=0):
    sides = ("NHWC", "OIHW", "NHWC")
    out = lax.conv_general_dilated(x, p[n + ".weight"], (stride, stride), [(pad, pad)] * 2, dimension_numbers=sides)
    return out + p[n + ".bias"] if n + ".bias" in p else out


def pool(x, k, stride, pad=0):
    window, steps, pads = (1, k, k, 1), (1, stride, stride, 1), [(0, 0), (pad, pad), (pad, pad), (0, 0)]
    return lax.reduce_window(x, -jnp.inf, lax.max, window, steps, pads)


def flat(x):
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def batch_norm(p, n, x, c):
    if c.train:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        count = x.size // x.shape[-1]
        c.states[n + ".running_mean"] = 0.9 * p[n + ".running_mean"] + 0.1 * mean
        c.states[n + ".running_var"] = 0.9 * p[n + ".running_var"] + 0.1 * var * count / (count - 1)
    else:
        mean, var = p[n + ".running_mean"], p[n + ".running_var"]
    return (x - mean) * lax.rsqrt(var + 1e-5) * p[n + ".weight"] + p[n + ".bias"]


def layer_norm(p, n, x):
    mean = x.mean(-1, keepdims=True)
    var = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * p[n + ".weight"] + p[n + ".bias"]


def local_norm(x):
    near = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 5), (1, 1, 1, 1), [(0, 0)] * 3 + [(2, 2)])
    return x * (2.0 + 1e-4 / 5 * near) ** -0.75


class Call:
    """One call of a network: whether it trains, its random numbers, the states that it leaves."""

    def __init__(self, train, key):
        self.train, self.key, self.states = train, key, {}

    def draw(self):
        self.key, own = jax.random.split(self.key)
        return own

    def drop(self, x, rate=0.5):
        if not self.train or self.key is None:
            return x
        return jnp.where(jax.random.bernoulli(self.draw(), 1 - rate, x.shape), x / (1 - rate), 0.0)


def mlp(act, layers):
    def forward(p, x, c):
        for i in range(layers - 1):
            x = act(dense(p, f"l{i}", x))
        return dense(p, f"l{layers - 1}", x)

    return forward


def lenet(p, x, c):
    x = pool(jax.nn.relu(conv(p, "c0", x, pad=2)), 2, 2)
    x = flat(pool(jax.nn.relu(conv(p, "c1", x)), 2, 2))
    return mlp(jax.nn.relu, 3)(p, x, c)


def cnn3(p, x, c):
    for i in range(3):
        x = pool(jax.nn.relu(batch_norm(p, f"n{i}", conv(p, f"c{i}", x, pad=1), c)), 2, 2)
    return dense(p, "out", c.drop(flat(x)))


def alexnet(p, x, c):
    x = pool(local_norm(jax.nn.relu(conv(p, "c0", x, 4))), 3, 2)
    x = pool(local_norm(jax.nn.relu(conv(p, "c1", x, pad=2))), 3, 2)
    for n in ("c2", "c3", "c4"):
        x = jax.nn.relu(conv(p, n, x, pad=1))
    x = jax.nn.relu(dense(p, "l0", c.drop(flat(pool(x, 3, 2)))))
    return dense(p, "l2", jax.nn.relu(dense(p, "l1", c.drop(x))))


def inception(p, x, c):
    parts = [conv(p, "b1", x), conv(p, "b3", jax.nn.relu(conv(p, "b3r", x)), pad=1)]
    parts += [conv(p, "b5", jax.nn.relu(conv(p, "b5r", x)), pad=2), conv(p, "bp", pool(x, 3, 1, 1))]
    return dense(p, "out", jax.nn.relu(jnp.concatenate(parts, -1)).mean((1, 2)))


def resnet(p, x, c):
    for i in range(8):
        h = jax.nn.relu(batch_norm(p, f"n{i}a", conv(p, f"c{i}a", x, pad=1), c))
        x = jax.nn.relu(x + batch_norm(p, f"n{i}b", conv(p, f"c{i}b", h, pad=1), c))
    return dense(p, "out", x.mean((1, 2)))


def lstm_cell(gates, hidden, state):
    h, s = state
    i, f, g, o = jnp.split(gates + hidden, 4, -1)
    s = jax.nn.sigmoid(f) * s + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(s), s


def gru_cell(gates, hidden, state):
    h, s = state
    (r, z, n), (rh, zh, nh) = jnp.split(gates, 3, -1), jnp.split(hidden, 3, -1)
    z = jax.nn.sigmoid(z + zh)
    return (1 - z) * jnp.tanh(n + jax.nn.sigmoid(r + rh) * nh) + z * h, s


def recurrent(cell, attention=False):
    def forward(p, x, c):
        ih, hh = (p["rnn.weight_ih_l0"].T, p["rnn.bias_ih_l0"]), (p["rnn.weight_hh_l0"].T, p["rnn.bias_hh_l0"])
        inputs = (x @ ih[0] + ih[1]).transpose(1, 0, 2)
        zero = jnp.zeros((len(x), 128), x.dtype)

        def step(state, gates):
            state = cell(gates, state[0] @ hh[0] + hh[1], state)
            return state, state[0]

        (last, _), states = lax.scan(step, (zero, zero), inputs, unroll=4)
        if attention:
            states = states.transpose(1, 0, 2)
            likeness = jnp.tanh(dense(p, "att_k", states) + dense(p, "att_q", last)[:, None])
            share = jax.nn.softmax(dense(p, "att_v", likeness), 1)
            last = jnp.concatenate([(share * states).sum(1), last], 1)
        return dense(p, "out", last)

    return forward


def transformer(heads, causal):
    def forward(p, x, c):
        h = p["tok.weight"][x] + p["pos.weight"]
        rows, steps, width = h.shape
        for i in range(4):
            n = f"b{i}"
            qkv = dense(p, n + "qkv", layer_norm(p, n + "n0", h)).reshape(rows, steps, 3, heads, -1)
            a = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], is_causal=causal)
            h = h + dense(p, n + "proj", a.reshape(rows, steps, width))
            inner = jax.nn.gelu(dense(p, n + "ff0", layer_norm(p, n + "n1", h)), approximate=True)
            h = h + dense(p, n + "ff1", inner)
        h = layer_norm(p, "nf", h)
        return dense(p, "out", h if causal else h.mean(1))

    return forward


def vae(p, x, c):
    h = jax.nn.relu(dense(p, "enc", x))
    mu, logvar = dense(p, "mu", h), dense(p, "logvar", h)
    random = c.train and c.key is not None
    z = mu + jnp.exp(0.5 * logvar) * jax.random.normal(c.draw(), mu.shape) if random else mu
    return dense(p, "dec1", jax.nn.relu(dense(p, "dec0", z))), mu, logvar


FORWARD = {
    "mlp_tiny": mlp(jnp.tanh, 2), "mlp": mlp(jax.nn.relu, 3), "mlp_wide": mlp(jax.nn.relu, 3), "autoencoder_kl": vae,
    "lenet": lenet, "cnn3": cnn3, "alexnet": alexnet, "googlenet_block": inception, "resnet_stack": resnet,
    "lstm": recurrent(lstm_cell), "gru": recurrent(gru_cell), "lstm_attention": recurrent(lstm_cell, True),
    "transformer_enc": transformer(8, False), "transformer_dec": transformer(4, True),
}


def loss_of(name, out, x, y):
    if name == "autoencoder_kl":
        drawn, mu, logvar = out
        bits = jnp.maximum(drawn, 0) - drawn * x + jnp.log1p(jnp.exp(-abs(drawn)))
        return (bits.sum() - 0.5 * (1 + logvar - mu * mu - jnp.exp(logvar)).sum()) / len(x)
    logs = jax.nn.log_softmax(out)
    return -jnp.take_along_axis(logs, y[..., None], -1).mean()


def updated(kind, settings, p, g, m, v, t):
    lr = settings["lr"]
    if kind == "sgd":
        m = settings.get("momentum", 0.0) * m + g if "momentum" in settings else m
        return p - lr * (m if "momentum" in settings else g), m, v
    p = p * (1 - lr * settings.get("weight_decay", 0.0))
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return p - lr * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v


def step(name, mode, tensors, check):
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")
    batch = {k: jnp.asarray(v) for k, v in tensors.items() if k.startswith("batch.")}
    x, y = batch["batch.x"], batch.get("batch.y")
    x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
    params = {k: jnp.asarray(v) for k, v in tensors.items() if k not in batch}
    forward = FORWARD[name]
    if mode == "infer":
        call = jax.jit(lambda p, x: forward(p, x, Call(False, None)))

        def infer(state):
            out = call(params, x)
            return state, out[0] if isinstance(out, tuple) else out

        return infer, None
    trained = sorted(k for k in params if "running_" not in k)
    kind, settings = nets.NETS[name][5]
    zeros = lambda: {k: jnp.zeros_like(params[k]) for k in trained if kind != "sgd" or "momentum" in settings}
    state = (params, zeros(), zeros() if kind != "sgd" else {}, jnp.float32(1), jax.random.key(0))

    def train(state, x, y):
        params, m, v, t, key = state
        key, own = jax.random.split(key)

        def loss(weights):
            call = Call(True, None if check else own)
            out = forward({**params, **weights}, x, call)
            return loss_of(name, out, x, y), call.states

        (value, states), grads = jax.value_and_grad(loss, has_aux=True)({k: params[k] for k in trained})
        new = {k: updated(kind, settings, params[k], grads[k], m.get(k, 0), v.get(k, 0), t) for k in trained}
        params = {**params, **{k: n[0] for k, n in new.items()}, **states}
        m, v = {k: new[k][1] for k in m}, {k: new[k][2] for k in v}
        return (params, m, v, t + 1, key), value

    jitted = jax.jit(train, donate_argnums=0)
    return lambda state: jitted(state, x, y), state
