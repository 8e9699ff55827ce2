"""What both trainings share: resumable 16-bit state in pieces, moving averages, the schedule."""

import glob
import json
import os
import time

import torch

PIECE = 14 << 20  # bytes of one state file


def save_pieces(folder, name, tensors):
    """Write tensors as bf16 into files NAME-k.pt under PIECE bytes each."""
    os.makedirs(folder, exist_ok=True)
    for old in glob.glob(os.path.join(folder, name + "-*.pt")):
        os.remove(old)
    piece, size, k = {}, 0, 0
    for key, value in tensors.items():
        value = value.detach().to(torch.bfloat16).cpu().contiguous().clone()
        if piece and size + value.numel() * 2 > PIECE:
            torch.save(piece, os.path.join(folder, f"{name}-{k}.pt"))
            piece, size, k = {}, 0, k + 1
        piece[key] = value
        size += value.numel() * 2
    torch.save(piece, os.path.join(folder, f"{name}-{k}.pt"))


def load_pieces(folder, name):
    out = {}
    for f in sorted(glob.glob(os.path.join(folder, name + "-*.pt"))):
        out.update(torch.load(f, map_location="cpu", weights_only=True))
    return {k: v.float() for k, v in out.items()}


class Log:
    """Lines of JSON, to the screen and to a file that is appended across runs."""

    def __init__(self, path):
        self.path, self.start = path, time.time()

    def __call__(self, **row):
        row = {"s": round(time.time() - self.start, 1), **{k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}}
        line = json.dumps(row)
        print(line, flush=True)
        with open(self.path, "a") as f:
            f.write(line + "\n")


def tail_decay(progress, warm, flat):
    """Learning-rate factor: 1 until flat, then straight down to 0.02 at 1; warm in 0..1."""
    down = 1.0 if progress < flat else max(.02, (1 - progress) / (1 - flat))
    return min(1.0, warm) * down


def psnr(a, b, dim=None):
    """In dB, for pictures in [-1, 1]."""
    e = (a.clamp(-1, 1).float() - b.float()).pow(2)
    e = e.mean() if dim is None else e.mean(dim)
    return 10 * torch.log10(4 / e.clamp_min(1e-12))
