"""Polish the four-step streaming model on its own roll-outs. Frames that the picture still determines: squared error
to the true render. Later ones, which are the model's own invention: a judge who sees the first chunk tells them from
true ones of the same age, for their contrast and sharpness; a regression holds them.
python train_polish.py --demo DIR --init WEIGHTS --out DIR --seconds S"""

import argparse
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import causal
import data
import live
import model
import tokenizer
import world
from causal import CHUNK
from common import Log, save_pieces, tail_decay
from export_dit import load_weights
from train_live import CHUNKS, Batch, Muon, Windows, load_demo, load_t5, new_dit

EARLY = 6  # latent frames that the picture determines: video frames 1 to 21


class Judge(nn.Module):
    """Patches of the latents of a chunk beside the first chunk's, both [n, 16 CHUNK, h, w]."""

    def __init__(self, c=96):
        super().__init__()
        sn = nn.utils.parametrizations.spectral_norm
        self.net = nn.Sequential(sn(nn.Conv2d(32 * CHUNK, c, 3, 1, 1)), nn.LeakyReLU(.2), sn(nn.Conv2d(c, c, 3, 1, 1)), nn.LeakyReLU(.2),
                                 sn(nn.Conv2d(c, 2 * c, 4, 2, 1)), nn.LeakyReLU(.2), sn(nn.Conv2d(2 * c, 2 * c, 3, 1, 1)), nn.LeakyReLU(.2),
                                 sn(nn.Conv2d(2 * c, 1, 3, 1, 1)))

    def forward(self, chunk, first):
        return self.net(torch.cat([chunk, first], 1)).mean((1, 2, 3))


class Rolls:
    """Roll-outs by the weights as they are: the x0 of every step, [P, 16, f, h, w] each."""

    def __init__(self, ring, t5, rng, dit, size, count, dev):
        self.ring, self.t5, self.rng, self.dit, self.n, self.dev = ring, t5, rng, dit, count, dev
        self.roller = new_dit(dit.state_dict(), dev).requires_grad_(False)
        frames = ring.z.shape[2]
        self.idx = torch.zeros(size, dtype=torch.long, device=dev)
        self.x0 = [torch.zeros(size, 16, frames, data.H // 8, data.W // 8, dtype=torch.bfloat16, device=dev) for _ in range(4)]
        self.at = self.count = 0

    @torch.no_grad()
    def refresh(self):
        """Latents' error, edges and deviation over the truth's, of latent frames 2-5, 6-15 and 16 on."""
        for p, q in zip(self.roller.parameters(), self.dit.parameters()):
            p.copy_(q)
        ring, to = self.ring, slice(self.at, self.at + self.n)
        idx = torch.randint(ring.count, (self.n,), device=self.dev)
        y = model.image_condition(ring.y[idx].float())
        rel, k = ring.rel[idx], ring.k[idx]
        with torch.autocast(self.dev, torch.bfloat16, enabled=self.dev == "cuda"):
            stream = causal.Stream(self.roller, self.t5(ring.ids[idx], ring.lengths[idx]), ring.lengths[idx])
            far = int(np.exp(self.rng.random() * 6.6)) if self.rng.random() < .5 else 0
            for j in range(0, ring.z.shape[2], CHUNK):
                pos = (torch.arange(CHUNK, device=self.dev) + j + (far if j else 0))[None]
                _, steps = stream.chunk(causal.y_frames(y, j, CHUNK), model.plucker_patches(rel[:, j:j + CHUNK], k, data.H, data.W), pos)
                for i in range(4):
                    self.x0[i][to, :, j:j + CHUNK] = steps[i].to(torch.bfloat16)
        self.idx[to] = idx
        self.at = (self.at + self.n) % len(self.idx)
        self.count = min(len(self.idx), max(self.count, self.at or len(self.idx)))
        z, r = ring.z[idx].float(), self.x0[3][to].float()
        edge = lambda u: (u[..., 1:] - u[..., :-1]).pow(2).mean((0, 1, 3, 4))
        spread = lambda u: u.std((3, 4)).mean((0, 1))
        of = [v for v in ((r - z).pow(2).mean((0, 1, 3, 4)), edge(r) / edge(z), spread(r) / spread(z))]
        return [round(v[s].mean().item(), 3) for v in of for s in (slice(2, 6), slice(6, 16), slice(16, None)) if s.start < len(v)]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--demo", required=True)
    a.add_argument("--init", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--seconds", type=float, required=True)
    a.add_argument("--batch", type=int, default=32)
    a.add_argument("--muon", type=float, default=.0006)
    a.add_argument("--adam", type=float, default=6e-5)
    a.add_argument("--near", type=float, default=3.0, help="weight of the squared error of early frames")
    a.add_argument("--judge", type=float, default=.25, help="weight of the judge of later ones")
    a.add_argument("--pool", type=int, default=768)
    a.add_argument("--roll", type=int, default=128)
    a.add_argument("--every", type=int, default=12)
    a.add_argument("--fill", type=float, default=30, help="seconds of clips before training starts")
    a.add_argument("--seed", type=int, default=31)
    a.add_argument("--smoke", action="store_true")
    a = a.parse_args()
    start = time.time()
    cuda = torch.cuda.is_available() and not a.smoke
    dev = "cuda" if cuda else "cpu"
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    os.makedirs(a.out, exist_ok=True)
    log = Log(os.path.join(a.out, "polish.jsonl"))
    if cuda:
        torch.backends.cudnn.benchmark = True
        torch._dynamo.config.cache_size_limit = 64
        world.compile_trace()
        model.compile_norms()
    else:
        data.H, data.W = 32, 48
        a.batch, a.pool, a.roll, a.every = 2, 4, 2, 2
    words = tokenizer.Words(os.path.join(a.demo, "google", "umt5-xxl"))
    vae, mean, std = load_demo(a.demo, dev)
    t5 = load_t5(a.demo, dev)
    dit = new_dit(load_weights(a.init), dev)
    names = [n for n, _ in dit.named_parameters()]
    ema = [p.detach().clone() for p in dit.parameters()]
    opt = Muon(dit, dev, betas=(.5, .98))
    judge = Judge().to(dev)
    jopt = torch.optim.AdamW(judge.parameters(), 3e-4, betas=(.5, .95), weight_decay=0)

    ring = live.Ring(rng, vae, mean, std, words, dev, 8000 if cuda else 6, 16 if cuda else 2)
    ring.add()
    log(event="first clips")
    t0 = time.time()
    while time.time() - t0 < (a.fill if cuda else .1):
        ring.add()
        if cuda:
            torch.cuda.synchronize()
    log(event="clips", count=ring.count)
    null = torch.zeros(tokenizer.LENGTH, dtype=torch.int64, device=dev)
    win = Windows(dev)
    win.patches = torch.compile(model.plucker_patches, dynamic=False) if cuda else model.plucker_patches
    sig, ts = causal.step_table()
    sig_t, ts_t = (torch.tensor(v, device=dev, dtype=torch.float32) for v in (sig, ts))
    rolls = Rolls(ring, t5, rng, dit, a.pool, a.roll, dev)
    for _ in range(max(1, a.pool // a.roll)):
        quality = rolls.refresh()
    log(event="roll", quality=quality)
    if cuda:
        for block in dit.blocks:
            block.compile(dynamic=False)
    b, fc = a.batch, CHUNK * (CHUNKS - 1)
    per_frame = lambda u: u.repeat_interleave(CHUNK, 1)[:, None, :, None, None]
    by_chunk = lambda u: u.mean((1, 3, 4)).view(b, CHUNKS, CHUNK).mean(2)
    chunks = lambda u: u.view(b, 16, CHUNKS, CHUNK, *u.shape[3:]).transpose(1, 2).flatten(2, 3)  # [b, CHUNKS, 16 CHUNK, h, w]

    def generate():
        """A batch, the model's x0 of a step of every chunk on its own context, and which step."""
        at = torch.randint(rolls.count, (b,), device=dev)
        B = Batch(ring, win, rolls.idx[at], t5, null, rand_text=False)
        own = [win.take(p[at].float(), B.frame) for p in rolls.x0]
        step = torch.where(torch.rand(b, CHUNKS, device=dev) < .4, 3, torch.randint(3, (b, CHUNKS), device=dev))
        s = per_frame(sig_t[step])
        before = torch.where(per_frame(step) == 1, own[0], torch.where(per_frame(step) == 2, own[1], own[2]))
        x = torch.where(per_frame(step) == 0, torch.randn_like(B.z), (1 - s) * before + s * torch.randn_like(B.z))
        times = torch.zeros(b, fc, device=dev)
        with torch.autocast(dev, torch.bfloat16, enabled=cuda):
            v = dit.parallel(own[3][:, :, :fc], times, x, ts_t[step].repeat_interleave(CHUNK, 1), B.y, B.pos, B.patches, B.context, B.lengths,
                             B.kbias, win.index).float()
        return B, own[3], x - s * v, step

    it, spent, rows, began, end, began_training = 0, 0.0, [], time.time(), start + a.seconds, None
    while time.time() < end and not a.smoke or a.smoke and it < 3:
        part = (time.time() - began) / (end - began)
        if it % a.every == 0:
            quality = rolls.refresh()
        B, own, x0, step = generate()
        early = (B.frame[:, ::CHUNK] < EARLY).float() * B.weight
        late = B.weight - early
        off = x0 - B.z
        near = (own - B.z).pow(2).mean((1, 3, 4)).view(b, CHUNKS, CHUNK).mean(2)
        trust = 1 / (1 + (near / .15) ** 2)
        held = (by_chunk(torch.sqrt(off.pow(2) + 1e-3)) * trust * B.weight).sum() / B.weight.sum()
        close = (by_chunk(off.pow(2)) * early).sum() / B.weight.sum()
        # the judge sees last steps of later chunks
        seen = ((step == 3) & (late > 0)).flatten()
        first = chunks(B.z)[:, :1].expand(b, CHUNKS, *chunks(B.z).shape[2:]).flatten(0, 1)
        true, made = chunks(B.z).flatten(0, 1), chunks(x0).flatten(0, 1)
        weight = late.flatten()[seen]
        jl = (F.relu(1 - judge(true[seen], first[seen])) + F.relu(1 + judge(made[seen].detach(), first[seen]))).mul(weight).mean()
        jl.backward()
        jopt.step()
        jopt.zero_grad(set_to_none=True)
        leaf = made[seen].detach().requires_grad_(True)
        g, = torch.autograd.grad(-(judge(leaf, first[seen]) * weight).sum(), leaf)
        g = g / g.abs().mean().clamp_min(1e-12)
        won = (made[seen] * g).sum() / (B.z[0].numel() // CHUNKS * b * CHUNKS)
        total = held + a.near * close + a.judge * min(1.0, max(0, it - 60) / 100) * won
        total.backward()
        rate = tail_decay(part, (it + 1) / 60, .5)
        opt.step(a.muon * rate, a.adam * rate, 10.0)
        jopt.zero_grad(set_to_none=True)
        torch._foreach_lerp_(ema, [p.detach() for p in dit.parameters()], .004 if it > 250 else .02)
        it += 1
        if it == 10:
            began_training = time.time()
            log(event="compiled")
        if it % 10 == 0 or a.smoke:
            rows.append([v.item() for v in (held, close, jl)])
        if it % 20 == 0 and it > 10 and spent < .15 * (time.time() - began_training):
            t0 = time.time()
            ring.add()
            if cuda:
                torch.cuda.synchronize()
            spent += time.time() - t0
        if it % 100 == 0 or a.smoke:
            log(it=it, part=part, loss=[round(float(v), 4) for v in np.mean(rows, 0)], clips=ring.made, quality=quality)
            rows = []
    save_pieces(a.out, "live_ema", dict(zip(names, ema)))
    log(event="end", it=it, clips=ring.made, quality=quality)


if __name__ == "__main__":
    main()
