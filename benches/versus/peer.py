"""One peer in one process: `python peer.py PEER NAME train|infer THREADS START [--check]` prints one JSON object.

PEER is torch, torch.compile, jax or onnxruntime. Seconds are of steps on one batch that stays where it is: the first values are
taken, then samples of at least 10 ms each, for a second, as `nnc bench` does.
"""
import json
import os
import statistics
import sys
import time

import numpy as np
from safetensors.numpy import load_file


def torch_step(name, mode, threads, tensors, check, compiled):
    import torch
    import nets

    torch.set_num_threads(threads)
    net = nets.load(name, {k: torch.from_numpy(v) for k, v in tensors.items()}, check)
    x = torch.from_numpy(tensors["batch.x"])
    if x.dim() == 4 and x.shape[1] > 1:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if mode == "infer":
        net.eval()
        call = torch.compile(net) if compiled else net

        def infer():
            with torch.inference_mode():
                out = call(x)
            return out[0] if isinstance(out, tuple) else out

        return infer, lambda out: float(out.abs().mean()), lambda out: out
    y = torch.from_numpy(tensors["batch.y"]).long() if "batch.y" in tensors else None
    kind, settings = nets.NETS[name][5]
    make = dict(sgd=torch.optim.SGD, adam=torch.optim.Adam, adamw=torch.optim.AdamW)[kind]
    optimizer, loss_of = make(net.parameters(), fused=True, **settings), nets.loss_of(name)
    forward = lambda x, y: loss_of(net(x), x, y)
    forward = torch.compile(forward) if compiled else forward

    def train():
        loss = forward(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return train, lambda loss: float(loss.detach()), lambda out: out


def jax_step(name, mode, tensors, check):
    import jax
    import jax_nets

    step, state = jax_nets.step(name, mode, tensors, check)
    box = [state]

    def run():
        box[0], out = step(box[0])
        return out

    value = (lambda out: float(out)) if mode == "train" else (lambda out: float(abs(out).mean()))
    return run, value, jax.block_until_ready


def onnx_step(name, threads, tensors, folder):
    import onnxruntime
    import torch
    import nets

    net = nets.load(name, {k: torch.from_numpy(v) for k, v in tensors.items()}, True).eval()
    path = os.path.join(folder, f"{name}.onnx")
    torch.onnx.export(net, (torch.from_numpy(tensors["batch.x"]),), path, dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, tensors["batch.x"])
    binding.bind_output(session.get_outputs()[0].name)

    def run():
        session.run_with_iobinding(binding)
        return binding

    return run, lambda b: float(np.abs(b.copy_outputs_to_cpu()[0]).mean()), lambda b: b


def measured(step, value, done, mode, check):
    values = [value(step()) for _ in range(5 if mode == "train" else 2)]
    if check:
        return dict(values=values)
    samples, begun = [], time.perf_counter()
    while not samples or time.perf_counter() - begun < 1.0:
        start, steps = time.perf_counter(), 0
        while steps == 0 or time.perf_counter() - start < 0.01:
            out, steps = step(), steps + 1
        done(out)
        samples.append((time.perf_counter() - start) / steps)
    return dict(values=values, min_s=min(samples), median_s=statistics.median(samples), samples=len(samples))


def main():
    peer, name, mode, threads, path = sys.argv[1:6]
    check, threads, tensors = "--check" in sys.argv, int(threads), load_file(path)
    if peer.startswith("torch"):
        made = torch_step(name, mode, threads, tensors, check, peer == "torch.compile")
    elif peer == "jax":
        made = jax_step(name, mode, tensors, check)
    else:
        made = onnx_step(name, threads, tensors, os.path.dirname(path))
    print(json.dumps(measured(*made, mode, check)))


if __name__ == "__main__":
    main()
