"""Compiled models beside other systems on the processor: the table of the README.

  python benches/versus/versus.py                       every model, training and inference, two threads
  python benches/versus/versus.py --only mlp,lstm --mode train --peers torch,jax --threads 1
  python benches/versus/versus.py --check               only whether the losses agree; nothing is random, nothing timed

For each model, one file of weights and batch is written, which all sides read. Then every side runs in a process of its own,
one after the other, `--rounds` times in turn. A ratio is the time of the fastest peer by ours, once between the least times and
once between medians: above 1, nnc is faster. Losses (of training) or the mean absolute output must agree first.
"""
import argparse
import datetime
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = {"train": ["torch", "torch.compile", "jax"], "infer": ["torch", "torch.compile", "jax", "onnxruntime"]}
# A relative difference of float32 sums in another order, after five steps of training.
AGREE = 1e-3


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def last_object(command, threads):
    """What a process prints last, as JSON; its error as text where it has one."""
    pin = sorted(os.sched_getaffinity(0))[-1:] if threads == 1 else None
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), TF_CPP_MIN_LOG_LEVEL="3")
    before = (lambda: os.sched_setaffinity(0, pin)) if pin else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, preexec_fn=before, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        return dict(error=str(error))
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return dict(error=(done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return json.loads(lines[-1])


def ours(args, name, mode, start, check):
    model = os.path.join(ROOT, "models", "bench", name + ".nn")
    command = [args.nnc, "bench", model, "--mode", mode, "--threads", str(args.threads), "--start", start]
    return last_object(command + ["--message-format", "json"] + ["--check"] * check, args.threads)


def peer(args, which, name, mode, start, check):
    command = [sys.executable, os.path.join(HERE, "peer.py"), which, name, mode, str(args.threads), start]
    return last_object(command + ["--check"] * check, args.threads)


def difference(mine, theirs):
    pairs = list(zip(mine, theirs))
    if len(mine) != len(theirs) or not all(math.isfinite(a) and math.isfinite(b) for a, b in pairs):
        return math.inf
    return max(abs(a - b) / max(abs(b), 1e-6) for a, b in pairs)


def least(runs, key):
    values = [run[key] for run in runs if key in run]
    return min(values) if values else None


def row(args, name, mode, folder):
    import nets
    from safetensors.torch import save_file

    start = os.path.join(folder, f"{name}.safetensors")
    save_file(nets.start(name), start)
    peers = [p for p in PEERS[mode] if not args.peers or p in args.peers.split(",")]
    mine, theirs = ours(args, name, mode, start, True), {p: peer(args, p, name, mode, start, True) for p in peers}
    out = dict(model=name, mode=mode, threads=args.threads)
    out["errors"] = {k: v["error"] for k, v in dict(theirs, nnc=mine).items() if "error" in v}
    valid = {p: v for p, v in theirs.items() if "values" in v}
    apart = [difference(mine.get("values", []), v["values"]) for v in valid.values()]
    out["difference"] = max(apart, default=math.inf)
    if args.check or out["difference"] > AGREE:
        return out
    runs = {side: [] for side in ["nnc", *valid]}
    for _ in range(args.rounds):
        runs["nnc"].append(ours(args, name, mode, start, False))
        for p in valid:
            runs[p].append(peer(args, p, name, mode, start, False))
    out["seconds"] = {s: dict(min=least(r, "min_s"), median=least(r, "median_s")) for s, r in runs.items()}
    for key in ("min", "median"):
        best = {p: out["seconds"][p][key] for p in valid if out["seconds"][p][key]}
        if best and out["seconds"]["nnc"][key]:
            which = min(best, key=best.get)
            out[key] = dict(peer=which, ratio=best[which] / out["seconds"]["nnc"][key])
    return out


def milliseconds(seconds):
    return f"{seconds * 1e3:.3g}"


def markdown(args, rows):
    packages = [f"{p} {importlib.metadata.version(p)}" for p in ("torch", "jax", "onnxruntime")]
    version = subprocess.run([args.nnc, "--version"], capture_output=True, text=True).stdout.strip()
    head = f"{processor()}; {args.threads} thread{'s' * (args.threads > 1)}, float32; {version}, {', '.join(packages)}; "
    lines = [head + f"{datetime.date.today().isoformat()}.", ""]
    lines += ["| model | | nnc, ms | fastest peer, ms | | times faster, least | times faster, median |"]
    lines += ["| --- | --- | --: | --: | --- | --: | --: |"]
    for r in rows:
        if "min" not in r:
            why = "; ".join(f"{k}: {v}" for k, v in r["errors"].items()) or f"differs by {r['difference']:.1e}"
            lines.append(f"| {r['model']} | {r['mode']} | | | {why} | | |")
            continue
        best = r["min"]["peer"]
        times = milliseconds(r["seconds"]["nnc"]["min"]), milliseconds(r["seconds"][best]["min"])
        ratios = f"{r['min']['ratio']:.2f} | {r['median']['ratio']:.2f}"
        lines.append(f"| {r['model']} | {r['mode']} | {times[0]} | {times[1]} | {best} | {ratios} |")
    good = [r for r in rows if "min" in r]
    if good:
        mean = lambda key: math.exp(sum(math.log(r[key]["ratio"]) for r in good) / len(good))
        lines.append(f"| geometric mean | | | | | {mean('min'):.2f} | {mean('median'):.2f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnc", default=os.path.join(ROOT, "target", "release", "nnc"))
    parser.add_argument("--only", default="", help="models, with commas between them")
    parser.add_argument("--mode", default="train,infer")
    parser.add_argument("--peers", default="", help="torch, torch.compile, jax, onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--out", help="a JSON object for each model and mode")
    args = parser.parse_args()
    import nets

    names = args.only.split(",") if args.only else list(nets.NETS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for mode in args.mode.split(","):
                rows.append(row(args, name, mode, folder))
                print(f"{name} {mode}: apart {rows[-1]['difference']:.1e} {rows[-1]['errors'] or ''}", file=sys.stderr)
                if args.out:
                    with open(args.out, "a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
    if not args.check:
        print(markdown(args, rows), end="")
    sys.exit(any(r["difference"] > AGREE for r in rows))


if __name__ == "__main__":
    main()
