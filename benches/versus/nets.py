"""The networks of models/bench as PyTorch modules: where the weights of every peer come from, and the first of the peers."""
import torch
import torch.nn.functional as F
from torch import nn

SGD, MOMENTUM = ("sgd", dict(lr=0.01)), ("sgd", dict(lr=0.01, momentum=0.9))
ADAM, ADAMW = ("adam", dict(lr=0.001)), ("adamw", dict(lr=3e-4, weight_decay=0.01))


class Mlp(nn.Module):
    def __init__(self, sizes, act):
        super().__init__()
        self.act, self.count = act, len(sizes) - 1
        for i in range(self.count):
            self.add_module(f"l{i}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        for i in range(self.count):
            x = getattr(self, f"l{i}")(x)
            x = self.act(x) if i + 1 < self.count else x
        return x


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c0, self.c1 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.l0, self.l1, self.l2 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        for conv in (self.c0, self.c1):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.l2(F.relu(self.l1(F.relu(self.l0(x.flatten(1))))))


class Cnn3(nn.Module):
    def __init__(self):
        super().__init__()
        for i, (a, b) in enumerate([(3, 32), (32, 64), (64, 128)]):
            self.add_module(f"c{i}", nn.Conv2d(a, b, 3, padding=1, bias=False))
            self.add_module(f"n{i}", nn.BatchNorm2d(b))
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(2048, 10)

    def forward(self, x):
        for i in range(3):
            x = F.max_pool2d(F.relu(getattr(self, f"n{i}")(getattr(self, f"c{i}")(x))), 2)
        return self.out(self.drop(x.flatten(1)))


class AlexNet(nn.Module):
    def __init__(self):
        super().__init__()
        shapes = [(3, 96, 11, 4, 0), (96, 256, 5, 1, 2), (256, 384, 3, 1, 1), (384, 384, 3, 1, 1), (384, 256, 3, 1, 1)]
        for i, (a, b, k, s, p) in enumerate(shapes):
            self.add_module(f"c{i}", nn.Conv2d(a, b, k, s, p))
        self.norm, self.drop = nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0), nn.Dropout(0.5)
        self.l0, self.l1, self.l2 = nn.Linear(9216, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000)

    def forward(self, x):
        x = F.max_pool2d(self.norm(F.relu(self.c0(x))), 3, 2)
        x = F.max_pool2d(self.norm(F.relu(self.c1(x))), 3, 2)
        x = F.max_pool2d(F.relu(self.c4(F.relu(self.c3(F.relu(self.c2(x)))))), 3, 2)
        x = F.relu(self.l0(self.drop(x.flatten(1))))
        return self.l2(F.relu(self.l1(self.drop(x))))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1, self.b3r, self.b3 = nn.Conv2d(192, 64, 1), nn.Conv2d(192, 96, 1), nn.Conv2d(96, 128, 3, padding=1)
        self.b5r, self.b5, self.bp = nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2), nn.Conv2d(192, 32, 1)
        self.out = nn.Linear(256, 10)

    def forward(self, x):
        parts = [self.b1(x), self.b3(F.relu(self.b3r(x))), self.b5(F.relu(self.b5r(x))), self.bp(F.max_pool2d(x, 3, 1, 1))]
        return self.out(F.relu(torch.cat(parts, 1)).mean((2, 3)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        for i in range(8):
            for half in "ab":
                self.add_module(f"c{i}{half}", nn.Conv2d(64, 64, 3, padding=1, bias=False))
                self.add_module(f"n{i}{half}", nn.BatchNorm2d(64))
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        for i in range(8):
            h = F.relu(getattr(self, f"n{i}a")(getattr(self, f"c{i}a")(x)))
            x = F.relu(x + getattr(self, f"n{i}b")(getattr(self, f"c{i}b")(h)))
        return self.out(x.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self, cell, attention=False):
        super().__init__()
        self.rnn, self.attention = cell(64, 128, batch_first=True), attention
        self.out = nn.Linear(256 if attention else 128, 10)
        if attention:
            self.att_k, self.att_q = nn.Linear(128, 128), nn.Linear(128, 128, bias=False)
            self.att_v = nn.Linear(128, 1, bias=False)

    def forward(self, x):
        states = self.rnn(x)[0]
        last = states[:, -1]
        if self.attention:
            share = torch.softmax(self.att_v(torch.tanh(self.att_k(states) + self.att_q(last)[:, None])), 1)
            last = torch.cat([(share * states).sum(1), last], 1)
        return self.out(last)


class Transformer(nn.Module):
    def __init__(self, width, heads, hidden, tokens, classes, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.tok, self.pos = nn.Embedding(tokens, width), nn.Embedding(128, width)
        for i in range(4):
            for name in ("n0", "n1"):
                self.add_module(f"b{i}{name}", nn.LayerNorm(width))
            sizes = dict(qkv=(width, 3 * width), proj=(width, width), ff0=(width, hidden), ff1=(hidden, width))
            for name, (a, b) in sizes.items():
                self.add_module(f"b{i}{name}", nn.Linear(a, b))
        self.nf, self.out = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        h = self.tok(x.long()) + self.pos.weight
        rows, steps, width = h.shape
        for i in range(4):
            part = lambda name: getattr(self, f"b{i}{name}")
            q, k, v = part("qkv")(part("n0")(h)).view(rows, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            a = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
            h = h + part("proj")(a.transpose(1, 2).reshape(rows, steps, width))
            h = h + part("ff1")(F.gelu(part("ff0")(part("n1")(h)), approximate="tanh"))
        h = self.nf(h)
        return self.out(h if self.causal else h.mean(1))


class Vae(nn.Module):
    sampling = True

    def __init__(self):
        super().__init__()
        self.enc, self.mu, self.logvar = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.dec0, self.dec1 = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu) if self.training and self.sampling else mu
        return self.dec1(F.relu(self.dec0(z))), mu, logvar


# name: module, batch, shape of a row, classes of the target (None: none), tokens of the input (None: numbers), optimizer
NETS = {
    "mlp_tiny": (lambda: Mlp([4, 16, 3], torch.tanh), 16, (4,), 3, None, SGD),
    "mlp": (lambda: Mlp([784, 512, 256, 10], F.relu), 64, (784,), 10, None, ADAM),
    "mlp_wide": (lambda: Mlp([1024, 4096, 4096, 1000], F.relu), 256, (1024,), 1000, None, MOMENTUM),
    "autoencoder_kl": (Vae, 128, (784,), None, None, ADAM),
    "lenet": (LeNet, 64, (1, 28, 28), 10, None, SGD),
    "cnn3": (Cnn3, 32, (3, 32, 32), 10, None, ADAM),
    "alexnet": (AlexNet, 8, (3, 227, 227), 1000, None, MOMENTUM),
    "googlenet_block": (Inception, 8, (192, 28, 28), 10, None, MOMENTUM),
    "resnet_stack": (ResNet, 16, (64, 32, 32), 10, None, MOMENTUM),
    "lstm": (lambda: Recurrent(nn.LSTM), 32, (64, 64), 10, None, ADAM),
    "gru": (lambda: Recurrent(nn.GRU), 32, (64, 64), 10, None, ADAM),
    "lstm_attention": (lambda: Recurrent(nn.LSTM, True), 32, (64, 64), 10, None, ADAM),
    "transformer_enc": (lambda: Transformer(256, 8, 1024, 1000, 10, False), 8, (128,), 10, 1000, ADAMW),
    "transformer_dec": (lambda: Transformer(128, 4, 512, 96, 96, True), 16, (128,), 96, 96, ADAMW),
}


def start(name, rows=None):
    """Weights, states and a batch as tensors by name: what `nnc bench --start` and every peer read."""
    torch.manual_seed(0)
    make, batch, shape, classes, tokens, _ = NETS[name]
    rows = rows or batch
    tensors = {k: v.float().contiguous() for k, v in make().state_dict().items() if "num_batches" not in k}
    numbers = torch.rand if classes is None else torch.randn
    x = torch.randint(tokens, (rows, *shape), dtype=torch.int32) if tokens else numbers(rows, *shape)
    tensors["batch.x"] = x
    if classes:
        target = (rows, 128) if name == "transformer_dec" else (rows,)
        tensors["batch.y"] = torch.randint(classes, target, dtype=torch.int32)
    return tensors


def load(name, tensors, check):
    """The module with these weights; with `check`, nothing in it is random."""
    net = NETS[name][0]()
    known = net.state_dict()
    net.load_state_dict({k: tensors.get(k, v) for k, v in known.items()})
    if check:
        net.sampling = False
        for part in net.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
    return net


def loss_of(name):
    def vae(out, x, _):
        drawn, mu, logvar = out
        bits = F.binary_cross_entropy_with_logits(drawn, x, reduction="sum")
        return (bits - 0.5 * (1 + logvar - mu * mu - logvar.exp()).sum()) / len(x)

    def classes(out, _, y):
        return F.cross_entropy(out.flatten(0, -2), y.long().flatten())

    return vae if NETS[name][3] is None else classes
