"""What command proof runs, in PyTorch: it reads the same weights and inputs, compares
outputs in fp32, and times the same operations. Adds its rows to rows.jsonl.

    python3 proof.py --work FOLDER [--device cuda] STAGE...     (block, chunk, vae, attention, speed)
"""

import argparse
import datetime
import glob
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../assets/demo/train"))
import model  # noqa: E402

TIMESTEP = 500.0
# The greatest relative error of a computation in a type.
BOUNDS = {"f32": 1e-4, "bf16": 5e-3, "f16": 5e-3}
NF4 = 64  # values that share a scale


class Proof:
    def __init__(self, work, device):
        self.work, self.device = work, torch.device(device)
        self.stage = ""
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.set_grad_enabled(False)

    def path(self, name):
        return os.path.join(self.work, name)

    def load(self, name):
        return load_file(self.path(name), device=str(self.device))

    def add(self, **row):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
        row = dict(stage=self.stage, who="torch", device=name, finished=now, **row)
        print(json.dumps(row), flush=True)
        with open(self.path("rows.jsonl"), "a") as f:
            f.write(json.dumps(row) + "\n")

    def rows(self):
        """Those of command proof for this stage, the last of each case."""
        last = {}
        with open(self.path("rows.jsonl")) as f:
            for row in map(json.loads, f):
                if row["stage"] == self.stage and row["who"] == "gimbal":
                    last[row["case"], row.get("weights"), row.get("compute"), row.get("frames")] = row
        return list(last.values())

    def sync(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def clock(self):
        """Megahertz of the GPU's processors; 0 where nobody knows."""
        ask = ["nvidia-smi", "--query-gpu=clocks.sm", "--format=csv,noheader,nounits", "--id=0"]
        return float(subprocess.run(ask, capture_output=True, check=True).stdout) if self.device.type == "cuda" else 0

    def timed(self, f, enough=0.5):
        """Fewest seconds of some runs after one that warms up."""
        times, total = [], 0.0
        for run in range(51):
            self.sync()
            start = time.perf_counter()
            f()
            self.sync()
            took = time.perf_counter() - start
            if run:
                times.append(took)
                total += took
            if run >= 2 and total > enough:
                break
        return min(times)


def error(got, want):
    """Relative L2, in fp64 by parts, for either may be large."""
    difference = size = 0.0
    for g, w in zip(got.flatten().split(1 << 26), want.flatten().split(1 << 26)):
        w = w.double()
        difference += (g.to(w.device).double() - w).square().sum().item()
        size += w.square().sum().item()
    return (difference / size) ** 0.5 if size else float("inf")


# ---------------------------------------------------------------- weights


def expert_file(p, weights):
    if weights in ("f32", "bf16"):
        return p.path(f"expert-{weights}.safetensors")
    return glob.glob(p.path(f"quantized/expert-{weights}-v*.safetensors"))[0]


def expert_weights(p, weights):
    """An expert's tensors in fp32, dequantised."""
    out = {}
    with safe_open(expert_file(p, weights), "pt", device=str(p.device)) as f:
        names = set(f.keys())
        for name in names:
            base = name.removesuffix("weight")
            if name + ".absmax" in names:
                out[name] = nf4(f, name)
            elif name.endswith(".weight") and base + "SCB" in names:
                out[name] = f.get_tensor(name).float() * (f.get_tensor(base + "SCB").float() / 127)[:, None]
            elif not re.search(r"\.(absmax|quant_map|SCB|weight_format|quant_state.*)$", name):
                out[name] = f.get_tensor(name).float()
    return out


def nf4(f, name):
    codes = f.get_tensor(name).flatten().int()
    state = json.loads(bytes(f.get_tensor(name + ".quant_state.bitsandbytes__nf4").cpu().numpy()).decode().strip("\0 "))
    codes = torch.stack([codes >> 4, codes & 15], 1).flatten()
    values = f.get_tensor(name + ".quant_map")[codes]
    n = int(np.prod(state["shape"]))
    scale = f.get_tensor(name + ".absmax").repeat_interleave(state.get("blocksize", NF4))[:n]
    return (values[:n] * scale).reshape(state["shape"])


# ---------------------------------------------------------------- stages


def expert_model(p, weights, heads):
    tensors = expert_weights(p, weights)
    dim, text = tensors["text_embedding.0.weight"].shape
    with torch.device("meta"):
        m = model.WanModel(dim, tensors["blocks.0.ffn.0.weight"].shape[0], heads, 1, text)
    m.load_state_dict(tensors, assign=True)
    return m.eval()


def block(p):
    """One block with what is before and after it, in fp32, against outputs in every form."""
    rows, timed = p.rows(), set()
    for weights in dict.fromkeys(r["weights"] for r in rows):
        m = expert_model(p, weights, int(rows[0]["values"]["heads"]))
        at = {}
        m.blocks[0].register_forward_hook(lambda _, args, out: at.update(before=args[0], after=out))
        for frames in dict.fromkeys(r["frames"] for r in rows):
            mine = [r for r in rows if r["weights"] == weights and r["frames"] == frames]
            if not mine:
                continue
            i = p.load(f"block-input-{frames}.safetensors")
            words = i["context"].shape[0]
            context = F.pad(i["context"], (0, 0, 0, 1 if words < m.text_len else 0))
            args = (i["x"][None], torch.tensor([TIMESTEP], device=p.device), context[None],
                    torch.tensor([words], device=p.device), i["y"][None], i["plucker"][None])
            velocity = m(*args)[0]
            if frames not in timed:
                timed.add(frames)
                p.add(case=f"{frames} frames", compute="f32", frames=frames, seconds=p.timed(lambda: m(*args), 0.2))
            for r in mine:
                out = p.load(f"block-output-{frames}-{weights}-{r['compute']}.safetensors")
                before, after = at["before"][0], at["after"][0]
                p.add(case=f"{frames} frames", weights=weights, compute=r["compute"], frames=frames,
                      error=error(out["hidden"], after), bound=BOUNDS[r["compute"]],
                      values=dict(increment_error=error(out["hidden"] - before, after - before),
                                  velocity_error=error(out["velocity"], velocity)))
                del out
        del m


def chunk(p):
    """One block of a causal model with a full window, in fp32: the queries of the last chunk
    against the keys and values of the frames that are remembered, made at timestep 0."""
    window, sink = 18, 6
    for r in p.rows():
        path = p.path(f"chunk-output-{r['weights']}-{r['compute']}.safetensors")
        if ", 1 blocks" not in r["case"] or not os.path.exists(path):
            continue
        m = expert_model(p, r["weights"], int(r["values"]["heads"]))
        i = p.load("chunk-input.safetensors")
        join = lambda u: u.transpose(0, 1).flatten(1, 2)[None]  # [chunks, c, f, h, w] -> [1, c, frames, h, w]
        x, y, plucker = join(i["x"]), join(i["y"]), join(i["plucker"])
        frames, per, words = x.shape[2], x.shape[3] * x.shape[4] // 4, i["context"].shape[0]
        own = i["x"].shape[2]
        angles = model.rope_table(m.dim // m.heads, frames, x.shape[3] // 2, x.shape[4] // 2, p.device)
        angles = (angles.cos(), angles.sin())
        attn, seen = m.blocks[0].self_attn, {}

        def remember(part):
            """Rotated keys, and values, of the frames of a part at a timestep."""
            def hook(_, args, kwargs):
                h = args[0]
                split = lambda u: u.view(1, -1, m.heads, m.dim // m.heads).transpose(1, 2)
                rows = slice(part[0] * per, part[1] * per)
                cut = tuple(a[rows] for a in angles)
                q, k = (model.rope(split(n(l(h))), *cut) for n, l in ((attn.norm_q, attn.q), (attn.norm_k, attn.k)))
                seen["qkv"] = q, k, split(attn.v(h))
            return hook

        keys, values = [], []
        for first in range(0, frames, own):
            part, last = (first, first + own), first + own == frames
            state = {}
            hook = attn.register_forward_pre_hook(remember(part), with_kwargs=True)

            def attend(_, args, kwargs, out):
                if not last:
                    return out
                keep = list(range(sink)) + list(range(frames - (window - sink), frames))
                rows = torch.cat([torch.arange(f * per, (f + 1) * per) for f in keep]).to(p.device)
                k, v = (torch.cat(u + [seen["qkv"][n]], 2)[:, :, rows] for n, u in ((1, keys), (2, values)))
                o = F.scaled_dot_product_attention(seen["qkv"][0], k, v)
                return attn.o(o.transpose(1, 2).reshape(1, own * per, m.dim))

            hooks = [hook, attn.register_forward_hook(attend, with_kwargs=True),
                     m.blocks[0].register_forward_hook(lambda _, args, out: state.update(before=args[0], after=out))]
            cut = slice(*part)
            context = F.pad(i["context"], (0, 0, 0, 1 if words < m.text_len else 0))
            velocity = m(x[:, :, cut], torch.tensor([TIMESTEP if last else 0.0], device=p.device), context[None],
                         torch.tensor([words], device=p.device), y[:, :, cut], plucker[:, :, cut])[0]
            keys.append(seen["qkv"][1])
            values.append(seen["qkv"][2])
            for h in hooks:
                h.remove()
        out = load_file(path, device=str(p.device))
        before, after = state["before"][0], state["after"][0]
        p.add(case=r["case"], weights=r["weights"], compute=r["compute"], frames=r["frames"],
              error=error(out["hidden"], after), bound=BOUNDS[r["compute"]],
              values=dict(increment_error=error(out["hidden"] - before, after - before),
                          velocity_error=error(out["velocity"], velocity)))


def in_parts():
    """Have the VAE convolve some frames at a time: cuDNN takes no more than 2^31 elements."""
    most = 16

    def causal(self, x):
        x = F.pad(x, (0, 0, 0, 0, self.kernel_size[0] - 1, 0))
        reach, n = self.kernel_size[0] - 1, x.shape[2] - self.kernel_size[0] + 1
        pad = (0, self.kernel_size[1] // 2, self.kernel_size[2] // 2)
        return torch.cat([F.conv3d(x[:, :, t:min(t + most, n) + reach], self.weight, self.bias, self.stride, pad)
                          for t in range(0, n, most)], 2)

    def per_frame(x, f):
        return torch.cat([f(x[:, :, t:t + most].transpose(1, 2).flatten(0, 1))[None].transpose(1, 2)
                          for t in range(0, x.shape[2], most)], 2)

    model.CausalConv3d.forward, model.per_frame = causal, per_frame


def vae(p):
    """The decoder over whole clips."""
    in_parts()
    tensors = p.load("vae.safetensors")
    with torch.device("meta"):
        m = model.WanVAE(tensors["encoder.conv1.weight"].shape[0])
    m.load_state_dict(tensors, assign=True)
    mean = torch.tensor(WAN_MEAN, device=p.device)[:, None, None, None]
    std = torch.tensor(WAN_STD, device=p.device)[:, None, None, None]
    rows = p.rows()
    for frames in dict.fromkeys(r["frames"] for r in rows):
        compute = next(r["compute"].lower() for r in rows if r["frames"] == frames)
        t = p.load(f"vae-{frames}.safetensors")
        latent = (t["latent"] * std + mean)[None]
        p.sync()
        start = time.perf_counter()
        want = m.decode(latent)[0].transpose(0, 1)
        p.sync()
        p.add(case="whole", compute=compute, frames=frames, seconds=time.perf_counter() - start,
              error=error(t["video"], want), bound=BOUNDS[compute],
              values={"last_frame_error": error(t["video"][-1], want[-1])})
        del t, want
        if p.device.type == "cuda":
            torch.cuda.empty_cache()


WAN_MEAN = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
            0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921]
WAN_STD = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
           3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160]


def attention(p):
    """A long self-attention in fp32, its sums by the library's own fp32 kernel."""
    i = p.load("attention-input.safetensors")
    q, k, v = (i[n].transpose(0, 1)[None] for n in "qkv")
    want = F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)
    # a few rows in fp64 tell how far fp32 itself is off
    some = slice(0, min(64, q.shape[2]))
    score = (q[0, :, some].double() @ k[0].double().transpose(1, 2)) / q.shape[-1] ** .5
    exact = (score.softmax(-1) @ v[0].double()).transpose(0, 1)
    own = error(want[some], exact)
    for r in p.rows():
        got = p.load(f"attention-output-{r['compute']}.safetensors")["o"]
        p.add(case=r["case"], compute=r["compute"], error=error(got, want), bound=BOUNDS[r["compute"]],
              values=dict(torch_fp64_error=own, fp64_error=error(got[some], exact)))


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def speed(p):
    """The operations of command proof's rows: products and SDPA in their type,
    convolutions in fp32."""
    torch.backends.cudnn.benchmark = True
    done = set()
    for r in p.rows():
        kind, sizes, dtype = r["case"].split()[0], [int(n) for n in re.findall(r"\d+", r["case"])], DTYPES[r["compute"]]
        if (r["case"], r["compute"]) in done:
            continue
        done.add((r["case"], r["compute"]))
        make = lambda *shape, dtype=dtype: torch.randn(*shape, device=p.device, dtype=dtype)
        if kind == "product":
            rows, cols, out = sizes
            x, w = make(rows, cols), make(out, cols)
            run, flops = lambda: F.linear(x, w), 2 * rows * cols * out
        elif kind == "attention":
            tokens, heads, head = sizes
            q, k, v = (make(1, heads, tokens, head) for _ in range(3))
            run, flops = lambda: F.scaled_dot_product_attention(q, k, v), 4 * tokens * tokens * heads * head
        else:
            cin, cout, h, wide = sizes
            x, w = make(1, cin, 6, h, wide, dtype=torch.float32), make(cout, cin, 3, 3, 3, dtype=torch.float32)
            run, flops = lambda: F.conv3d(x, w, padding=(0, 1, 1)), 2 * 4 * h * wide * cin * cout * 27
        seconds = p.timed(run)
        p.add(case=r["case"], compute=r["compute"], seconds=seconds, tflops=flops / seconds / 1e12, values=dict(clock_mhz=p.clock()))
        x = w = q = k = v = None


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--work", required=True)
    a.add_argument("--device", default="cuda")
    a.add_argument("stages", nargs="+", choices=["block", "chunk", "vae", "attention", "speed"])
    a = a.parse_args()
    p = Proof(a.work, a.device)
    for p.stage in a.stages:
        globals()[p.stage](p)


if __name__ == "__main__":
    main()
