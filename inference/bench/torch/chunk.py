"""A chunk of a causal model on the CPU, in Gimbal and in PyTorch, in turn.

    python3 inference/bench/torch/chunk.py [--rounds 3]     from the repository's root

Both make what BenchmarkChunk of inference/wan makes: two blocks of the 1.3B's width, a chunk of
four latent frames of 240x416 in a window of 18, four steps and the clean forward. PyTorch
computes in fp32, as the public code does it: the text's keys and values are kept, and the camera
branch is computed in every forward. Random weights; only times are compared: by the clock,
and, for a machine that others use too, of the processor, of which threads that wait take none."""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # before torch is there

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../assets/demo/train"))
import model  # noqa: E402

DIM, FFN, HEADS, LAYERS, TEXT = 1536, 8960, 12, 2, 4096
CHUNK, WINDOW, ROWS, COLUMNS = 4, 18, 15, 26  # latent frames, and tokens of each
TIMESTEPS = 999, 967, 908, 768, 0


class Chunk:
    def __init__(self):
        torch.manual_seed(1)
        self.m = model.WanModel(DIM, FFN, HEADS, LAYERS, TEXT).eval()
        tokens, seen = CHUNK * ROWS * COLUMNS, WINDOW * ROWS * COLUMNS
        self.own = slice(seen - tokens, seen)
        heads = lambda n: torch.randn(1, HEADS, n, DIM // HEADS)
        self.keys, self.values = [[heads(seen) for _ in range(LAYERS)] for _ in range(2)]
        self.text = [(heads(512), heads(512)) for _ in range(LAYERS)]
        self.x = torch.randn(1, 36, CHUNK, 2 * ROWS, 2 * COLUMNS)
        self.rays = torch.randn(1, tokens, 1536)
        angles = model.rope_table(DIM // HEADS, WINDOW, ROWS, COLUMNS, "cpu")[self.own]
        self.angles = angles.cos(), angles.sin()

    def forward(self, t):
        m, split = self.m, lambda u: u.view(1, -1, HEADS, DIM // HEADS).transpose(1, 2)
        join = lambda u: u.transpose(1, 2).reshape(1, -1, DIM)
        x = F.conv3d(self.x, m.patch_embedding.weight, m.patch_embedding.bias, (1, 2, 2)).flatten(2).transpose(1, 2)
        angle = t * 10000 ** (-torch.arange(128, dtype=torch.float64) / 128)
        e = m.time_embedding(torch.cat([angle.cos(), angle.sin()]).float()[None])
        e0 = m.time_projection(e).unflatten(1, (6, DIM))
        cam = m.patch_embedding_wancamctrl(self.rays)
        cam = cam + m.c2ws_hidden_states_layer2(F.silu(m.c2ws_hidden_states_layer1(cam)))
        for i, b in enumerate(m.blocks):
            mod = (b.modulation + e0).unsqueeze(2).unbind(1)
            y, a = model.layer_norm(x) * (1 + mod[1]) + mod[0], b.self_attn
            q, k = (model.rope(split(n(l(y))), *self.angles) for n, l in ((a.norm_q, a.q), (a.norm_k, a.k)))
            self.keys[i][:, :, self.own], self.values[i][:, :, self.own] = k, split(a.v(y))
            x = x + a.o(join(F.scaled_dot_product_attention(q, self.keys[i], self.values[i]))) * mod[2]
            c = b.cam_injector_layer2(F.silu(b.cam_injector_layer1(cam))) + cam
            x = (1 + b.cam_scale_layer(c)) * x + b.cam_shift_layer(c)
            a = b.cross_attn
            q = split(a.norm_q(a.q(model.layer_norm(x, b.norm3))))
            x = x + a.o(join(F.scaled_dot_product_attention(q, *self.text[i])))
            x = x + b.ffn(model.layer_norm(x) * (1 + mod[4]) + mod[3]) * mod[5]
        return m.head(x, e)

    @torch.inference_mode()
    def run(self):
        began = time.perf_counter(), time.process_time()
        for t in TIMESTEPS:
            if not torch.isfinite(self.forward(t)).all():
                raise ValueError("not finite")
        return time.perf_counter() - began[0], time.process_time() - began[1]


def gimbal(binary):
    """Seconds of a chunk in Gimbal, by the clock and of the processor."""
    text = subprocess.run([binary, "-test.run", "^$", "-test.bench", "^BenchmarkChunk$", "-test.benchtime", "1x"],
                          cwd="inference/wan", capture_output=True, text=True, check=True).stdout
    return float(re.search(r"([\d.]+) ns/op", text)[1]) / 1e9, float(re.search(r"([\d.]+) cpu-s/op", text)[1])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--rounds", type=int, default=3)
    rounds = a.parse_args().rounds
    torch.set_num_threads(os.cpu_count())
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, "wan.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./inference/wan"], check=True)
        chunk, ours, theirs = Chunk(), [], []
        for _ in range(rounds):
            ours.append(gimbal(binary))
            theirs.append(chunk.run())
            (a, b), (c, d) = ours[-1], theirs[-1]
            print(f"Gimbal {a:.2f} s ({b:.2f} of the processor), PyTorch {torch.__version__} {c:.2f} s ({d:.2f}), "
                  f"ratio {c / a:.2f} ({d / b:.2f}), load {os.getloadavg()[0]:.1f}", flush=True)
    for what, i in ("clock", 0), ("processor", 1):
        print(f"{what}: median ratio {statistics.median(t[i] / o[i] for t, o in zip(theirs, ours)):.2f}, "
              f"of the fastest {min(t[i] for t in theirs) / min(o[i] for o in ours):.2f}")


if __name__ == "__main__":
    main()
