"""Train the small decoder for the demo's latents, in TAEHV's layout (github.com/madebyollin/taehv, taew2_1): frames
one after the other, each block sees its own input of the frame before; no attention, no norms.
python train_tiny.py --demo DIR --out DIR --seconds S [--widths 64,48,32,32] [--sharp 0.3: share of the time with an
adversarial loss]. Writes OUT/taew2_1.pth (F16) and OUT/tiny.jsonl."""

import argparse
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import data
import live
import model
import train_live
import world
from common import Log, psnr, tail_decay
from train_dec import Judge, losses

WARM = 3  # latent frames at the start of a piece of a clip, which the loss leaves out
PIECE = 8  # latent frames


class Memory(nn.Module):
    """relu(x + convs(x beside x of the frame before)), frames of [b, t, c, h, w] one after the other."""

    def __init__(self, n):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(2 * n, n, 3, padding=1), nn.ReLU(), nn.Conv2d(n, n, 3, padding=1), nn.ReLU(), nn.Conv2d(n, n, 3, padding=1))

    def forward(self, x):
        past = F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:, :-1]
        return F.relu(x + each(self.conv, torch.cat([x, past], 2)))


class Grow(nn.Module):
    """stride frames of every frame."""

    def __init__(self, n, stride):
        super().__init__()
        self.stride, self.conv = stride, nn.Conv2d(n, n * stride, 1, bias=False)

    def forward(self, x):
        b, t, c, h, w = x.shape
        return each(self.conv, x).reshape(b, t * self.stride, c, h, w)


class Each(nn.Module):
    """Marks what is done to every frame alone; without weights."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return each(self.f, x)


def each(f, x):
    return f(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Frames(nn.Conv2d):
    """A convolution of every frame of [b, t, c, h, w]."""

    def forward(self, x):
        return each(super().forward, x)


class Tiny(nn.Module):
    """[b, 4t, 3, 8h, 8w] in 0..1 of normalised latents [b, 16, t, h, w]."""

    def __init__(self, widths):
        super().__init__()
        layers = [Each(lambda x: torch.tanh(x / 3) * 3), Frames(16, widths[0], 3, padding=1), Each(F.relu)]
        for n, out, stride in zip(widths, widths[1:], (1, 2, 2)):
            layers += [Memory(n), Memory(n), Memory(n), Each(lambda x: F.interpolate(x, scale_factor=2)), Grow(n, stride), Frames(n, out, 3, padding=1, bias=False)]
        self.decoder = nn.Sequential(*layers, Each(F.relu), Frames(widths[3], 3, 3, padding=1))

    def forward(self, z):
        return self.decoder(z.transpose(1, 2))

    def video(self, z):
        """[b, 3, 4t-3, 8h, 8w] in -1..1: of a clip from its beginning."""
        return self(z)[:, 3:].transpose(1, 2) * 2 - 1


class Clips:
    """Pictures in 8 bits and their normalised latents, a ring of long clips."""

    def __init__(self, demo, rng, dev, size, n, frames):
        self.vae, self.mean, self.std = train_live.load_demo(demo, dev)
        self.rng, self.dev, self.n, self.size, self.frames = rng, dev, n, size, frames
        self.x = torch.zeros(size, 3, frames, data.H, data.W, dtype=torch.uint8, device=dev)
        self.z = torch.zeros(size, 16, (frames + 3) // 4, data.H // 8, data.W // 8, dtype=torch.bfloat16, device=dev)
        self.at = self.count = 0

    @torch.no_grad()
    def encode(self, x):
        with torch.autocast(self.dev, torch.bfloat16, enabled=self.dev == "cuda"):
            return (self.vae.encode(x)[0].float() - self.mean) / self.std

    @torch.no_grad()
    def add(self):
        w, poses, k, _, _ = live.sample(self.rng, self.n, self.frames)
        x = live.render(w, poses, k, None, self.dev)
        to = slice(self.at, self.at + self.n)
        self.z[to] = self.encode(x).to(self.z.dtype)
        self.x[to] = ((x + 1) * 127.5 + .5).clamp(0, 255).byte()
        self.at = (self.at + self.n) % self.size
        self.count = min(self.size, max(self.count, self.at or self.size))

    def take(self, b):
        """Latents [b, 16, PIECE, h, w] and pictures [b, 3, f, 8h, 8w] of their last frames, or all for the beginning of a clip."""
        piece = min(PIECE, self.z.shape[2])
        idx = torch.randint(self.count, (b,), device=self.dev)
        first = int(self.rng.integers(0, self.z.shape[2] - piece + 1)) if self.rng.random() < .75 else 0
        z = self.z[idx, :, first:first + piece].float()
        skip = min(WARM, piece - 1) if first else 0
        x = self.x[idx, :, max(0, 4 * (first + skip) - 3):4 * (first + piece) - 3].float() / 127.5 - 1
        return z, x


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--demo", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--seconds", type=float, required=True)
    a.add_argument("--widths", default="64,48,32,32")
    a.add_argument("--sharp", type=float, default=.3)
    a.add_argument("--weight", type=float, default=.05, help="of the adversarial loss")
    a.add_argument("--lr", type=float, default=1.5e-3)
    a.add_argument("--batch", type=int, default=12)
    a.add_argument("--fill", type=float, default=20, help="seconds of clips before training starts")
    a.add_argument("--smoke", action="store_true")
    a = a.parse_args()
    start = time.time()
    cuda = torch.cuda.is_available() and not a.smoke
    dev = "cuda" if cuda else "cpu"
    torch.manual_seed(5)
    rng = np.random.default_rng(5)
    os.makedirs(a.out, exist_ok=True)
    log = Log(os.path.join(a.out, "tiny.jsonl"))
    frames = live.FRAMES if cuda else 17
    if cuda:
        torch.backends.cudnn.benchmark = True
        world.compile_trace()
        model.compile_norms()
    else:
        data.H, data.W, a.batch = 32, 48, 2
    clips = Clips(a.demo, rng, dev, 1200 if cuda else 4, 8 if cuda else 2, frames)
    net = Tiny([int(v) for v in a.widths.split(",")]).to(dev)
    ema = Tiny([int(v) for v in a.widths.split(",")]).to(dev).requires_grad_(False)
    ema.load_state_dict(net.state_dict())
    params = list(net.parameters())
    opt = torch.optim.AdamW(params, a.lr, betas=(.9, .98), weight_decay=1e-4)
    amp = lambda: torch.autocast(dev, torch.bfloat16, cache_enabled=False, enabled=cuda)
    run = torch.compile(net, dynamic=False) if cuda else net
    clips.add()
    log(event="first clips")
    t0 = time.time()
    while time.time() - t0 < (a.fill if cuda else .1):
        clips.add()
        if cuda:
            torch.cuda.synchronize()
    log(event="clips", count=clips.count, weights=sum(p.numel() for p in params))
    vw, vp, vk, _, _ = live.sample(np.random.default_rng(4242), 8 if cuda else 1, frames, 0)
    val = live.render(vw, vp, vk, 41, dev)
    vz = clips.encode(val)

    @torch.no_grad()
    def validate():
        with amp():
            r = torch.cat([ema.video(u).float() for u in vz.split(2)])
        parts = {"5-17": slice(4, 17), "17-65": slice(17, 65), "65-": slice(65, 129)}
        out = {q: psnr(r[:, :, s], val[:, :, s], (1, 2, 3, 4)).mean().item() for q, s in parts.items() if s.start < frames}
        edge = lambda u: (u[..., 1:] - u[..., :-1]).pow(2).mean().item()
        return {k: round(v, 3) for k, v in {**out, "edges": edge(r) / edge(val)}.items()}

    judge = jopt = None
    it, spent, rows, began, end = 0, 0.0, [], time.time(), start + a.seconds
    turn = began + (end - began) * (1 - a.sharp)
    while time.time() < end and not a.smoke or a.smoke and it < 4:
        now = time.time()
        if judge is None and a.sharp and (now > turn or a.smoke and it == 2):
            log(event="plain part ends", it=it, **validate())
            judge = Judge().to(dev)
            jopt = torch.optim.AdamW(judge.parameters(), 4e-4, betas=(.5, .95), weight_decay=0)
            first = it
        part = (now - began) / (turn - began) if judge is None else (now - turn) / (end - turn)
        rate = tail_decay(part, (it + 1) / 100, .5) if judge is None else .3 * tail_decay(part, 1, .6)
        for g in opt.param_groups:
            g["lr"] = a.lr * rate
        z, x = clips.take(a.batch)
        z = z + .1 * torch.rand(len(z), 1, 1, 1, 1, device=dev) * torch.randn_like(z)
        with amp():
            y = run(z).transpose(1, 2).float()[:, :, -x.shape[2]:] * 2 - 1
        loss = losses(y, x)
        total = loss
        if judge is not None:
            at = torch.randint(0, x.shape[2] - 1, (min(10, x.shape[2] - 1),), device=dev)
            with amp():
                real, fake = judge(x, at).float(), judge(y.detach(), at).float()
            (F.relu(1 - real).mean() + F.relu(1 + fake).mean()).backward()
            jopt.step()
            jopt.zero_grad(set_to_none=True)
            with amp():
                total = loss - a.weight * min(1, (it - first) / 100) * judge(y, at).float().mean()
        total.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        if jopt is not None:
            jopt.zero_grad(set_to_none=True)
        torch._foreach_lerp_(list(ema.parameters()), [p.detach() for p in params], .01)
        it += 1
        if it % 10 == 0 or a.smoke:
            rows.append(loss.item())
        if it == 10:
            log(event="compiled")
        if it % 20 == 0 and spent < .1 * (time.time() - began):
            t1 = time.time()
            clips.add()
            if cuda:
                torch.cuda.synchronize()
            spent += time.time() - t1
        if it % 300 == 0 or a.smoke:
            log(it=it, loss=float(np.mean(rows)), **validate())
            rows = []
    log(event="end", it=it, **validate())
    torch.save({k: v.half().contiguous().clone().cpu() for k, v in ema.state_dict().items()}, os.path.join(a.out, "taew2_1.pth"))


if __name__ == "__main__":
    main()
