"""Train the DiT and the text encoder on a frozen VAE:
python train_dit.py --out DIR --vae DIR --seconds S [--resume DIR] [--progress FROM TO]."""

import argparse
import json
import math
import os
import time

import numpy as np
import torch

import data
import model
import tokenizer
import world
from common import Log, load_pieces, save_pieces, tail_decay

SIZE = dict(dim=256, ffn_dim=768, num_heads=4, num_layers=8)
TEXT = dict(dim=64, ffn=128, heads=4, layers=2)
SHIFT = 3.0
HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = os.path.join(HERE, "..", "google", "umt5-xxl")


def load_vae(folder, device, dim=16):
    """The trained VAE and its latent statistics (mean, std [1, 16, 1, 1, 1])."""
    vae = model.WanVAE(dim)
    vae.load_state_dict(load_pieces(folder, "vae_ema"))
    return (frozen(vae, device), *statistics(os.path.join(folder, "latents.json"), device))


def frozen(vae, device):
    """A VAE for use alone, in the memory format that is fast on the device."""
    vae = vae.float().to(device).eval().requires_grad_(False)
    if device == "cuda":
        for m in vae.modules():
            if isinstance(m, torch.nn.Conv3d):
                m.to(memory_format=torch.channels_last_3d)
            elif isinstance(m, torch.nn.Conv2d):
                m.to(memory_format=torch.channels_last)
    return vae


def statistics(path, device):
    """Mean and std of latents, [1, 16, 1, 1, 1] each, from a file of JSON."""
    s = json.load(open(path))
    return [torch.tensor(s[k], device=device).view(1, -1, 1, 1, 1) for k in ("latents_mean", "latents_std")]


def save_models(folder, dit, t5):
    save_pieces(folder, "dit_ema", {**{"dit." + k: v for k, v in dit.items()}, **{"t5." + k: v for k, v in t5.items()}})


def load_models(folder, name="dit_ema"):
    state = load_pieces(folder, name)
    part = lambda p: {k[len(p):]: v for k, v in state.items() if k.startswith(p)}
    return part("dit."), part("t5.")


@torch.no_grad()
def encode(vae, x, mean, std):
    """Normalised latents of clips and of picture + black frames."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
        black = torch.zeros_like(x)
        black[:, :, :1] = x[:, :, :1]
        z, y = (vae.encode(u.contiguous(memory_format=torch.channels_last_3d))[0].float() for u in (x, black))
    return (z - mean) / std, (y - mean) / std


class Clips:
    """A ring of encoded clips on the device, refreshed while training."""

    def __init__(self, rng, vae, mean, std, words, device, size, scale):
        self.rng, self.vae, self.mean, self.std, self.words, self.dev = rng, vae, mean, std, words, device
        self.n, self.size, self.at, self.count, self.made = scale, size, 0, 0, 0
        f, h, w = (data.T + 3) // 4, data.H // 8, data.W // 8
        kind = torch.bfloat16
        self.z = torch.zeros(size, 16, f, h, w, dtype=kind, device=device)
        self.y = torch.zeros_like(self.z)
        self.rel = torch.zeros(size, f, 4, 4, device=device)
        self.k = torch.zeros(size, 4, device=device)
        self.ids = torch.zeros(size, tokenizer.LENGTH, dtype=torch.int64, device=device)
        self.lengths = torch.zeros(size, dtype=torch.int64, device=device)

    def add(self):
        x, w, poses, k, modes, _ = data.worlds_clip(self.rng, self.n, self.dev)
        x = ((x + 1) * 127.5).round() / 127.5 - 1
        z, y = encode(self.vae, x, self.mean, self.std)
        ids, lengths = self.words.batch([world.caption(self.rng, w, i, modes[i]) for i in range(self.n)])
        to = slice(self.at, self.at + self.n)
        self.z[to], self.y[to] = z.to(self.z.dtype), y.to(self.y.dtype)
        self.rel[to] = model.relative_poses(torch.as_tensor(poses[:, ::4], device=self.dev))
        self.k[to] = torch.as_tensor(k, device=self.dev)
        self.ids[to], self.lengths[to] = torch.as_tensor(ids, device=self.dev), torch.as_tensor(lengths, device=self.dev)
        self.at = (self.at + self.n) % self.size
        self.count, self.made = min(self.size, self.made + self.n), self.made + self.n


class Muon:
    """Momentum orthogonalised by Newton-Schulz, for stacks of equal matrices (Jordan 2024), AdamW for the rest."""

    def __init__(self, dit, others, device, betas=(.9, .98)):
        """others: parameters of other models, for AdamW."""
        matrix = lambda n, p: p.ndim == 2 and (n.startswith("blocks.") or n.startswith("c2ws"))
        named = list(dit.named_parameters())
        self.groups = {}
        for n, p in named:
            if matrix(n, p):
                self.groups.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {s: torch.zeros(len(ps), *s, device=device) for s, ps in self.groups.items()}
        rest = [p for n, p in named if not matrix(n, p)] + list(others)
        self.lr = torch.tensor(1e-3, device=device)
        self.adam = torch.optim.AdamW(rest, lr=self.lr, betas=betas, weight_decay=0, fused=device == "cuda", capturable=device == "cuda")

    @torch.no_grad()
    def step(self, muon_lr, adam_lr):
        self.lr.fill_(adam_lr)
        self.adam.step()
        for shape, ps in self.groups.items():
            g = torch.stack([p.grad for p in ps])
            m = self.momentum[shape]
            m.lerp_(g, .05)
            u = g.lerp(m, .95).to(torch.bfloat16)
            tall = shape[0] > shape[1]
            u = u.mT if tall else u
            u = u / (u.norm(dim=(1, 2), keepdim=True) + 1e-7)
            for _ in range(5):
                a = u @ u.mT
                u = 3.4445 * u + (-4.7750 * a + 2.0315 * a @ a) @ u
            u = (u.mT if tall else u).float()
            torch._foreach_add_(ps, list(u.unbind(0)), alpha=-muon_lr * max(1, shape[0] / shape[1]) ** .5)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a.add_argument("--vae", required=True)
    a.add_argument("--seconds", type=float, required=True)
    a.add_argument("--resume")
    a.add_argument("--progress", type=float, nargs=2, default=[0, 1], help="part of the schedule that this run covers")
    a.add_argument("--batch", type=int, default=192)
    a.add_argument("--muon", type=float, default=.01)
    a.add_argument("--adam", type=float, default=1e-3)
    a.add_argument("--flat", type=float, default=.5)
    a.add_argument("--data-share", type=float, default=.22, help="part of the time spent on new clips")
    a.add_argument("--seed", type=int, default=2)
    a.add_argument("--smoke", action="store_true")
    a = a.parse_args()
    start = time.time()
    cuda = torch.cuda.is_available() and not a.smoke
    dev = "cuda" if cuda else "cpu"
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    os.makedirs(a.out, exist_ok=True)
    log = Log(os.path.join(a.out, "dit.jsonl"))
    if cuda:
        torch.backends.cudnn.benchmark = True
        world.compile_trace()
        model.compile_norms()
    if a.smoke:
        data.H, data.W = 32, 48
        a.batch = 2
    words = tokenizer.Words(WORDS)
    vae, mean, std = load_vae(a.vae, dev)
    dit = model.WanModel(**SIZE, text_dim=TEXT["dim"]).to(dev)
    t5 = model.T5Encoder((len(words) + 7) // 8 * 8, **TEXT).to(dev)
    if a.resume:
        d, t = load_models(a.resume, "dit_raw")
        dit.load_state_dict(d)
        t5.load_state_dict(t)
    opt = Muon(dit, t5.parameters(), dev)
    if a.resume:
        for s, m in load_pieces(a.resume, "dit_momentum").items():  # none kept: momentum warms up again
            opt.momentum[tuple(int(v) for v in s.split("x"))].copy_(m)
    params = [*dit.parameters(), *t5.parameters()]
    ema = [p.detach().clone() for p in params]
    log(event="size", dit=sum(p.numel() for p in dit.parameters()), t5=sum(p.numel() for p in t5.parameters()))

    clips = Clips(rng, vae, mean, std, words, dev, 60000 if cuda else 8, 64 if cuda else 4)
    t0 = time.time()
    clips.add()
    clips.add()
    log(event="first clips")
    t0 = time.time()
    before = clips.made
    while time.time() - t0 < (20 if cuda else .1):
        clips.add()
        if cuda:
            torch.cuda.synchronize()
    log(event="clips", count=clips.count, per_second=(clips.made - before) / (time.time() - t0))

    negative = words.ids(world.NEGATIVE)[:tokenizer.LENGTH - 1]
    null = torch.zeros(2, tokenizer.LENGTH, dtype=torch.int64, device=dev)
    null[0, 0] = 1
    null[1, :len(negative)] = torch.tensor(negative, device=dev)
    null_len = torch.tensor([1, len(negative)], device=dev)

    def loss_fn(z, y, rel, k, ids, lengths, noise, sigma, on):
        s = sigma[:, None, None, None, None]
        x = (1 - s) * z + s * noise
        plucker = patches(rel, k, data.H, data.W)
        with torch.autocast(dev, torch.bfloat16):
            context = t5(ids, lengths)
            v = dit(x, sigma * 1000, context, lengths, model.image_condition(y), plucker, on)
        return (v.float() - (noise - z)).pow(2).mean()

    patches = model.plucker_patches
    if cuda:  # block by block: a sixth of the whole graph's compile time
        patches = torch.compile(patches, dynamic=False)
        for block in dit.blocks:
            block.compile(dynamic=False)
    b, it, began, end = a.batch, 0, time.time(), start + a.seconds
    spent, losses, warm = 0.0, [], 300 if not a.resume else 60
    while True:
        now = time.time()
        if now > end or (a.smoke and it >= 3):
            break
        part = a.progress[0] + (a.progress[1] - a.progress[0]) * (now - began) / (end - began)
        idx = torch.randint(clips.count, (b,), device=dev)
        z, y = clips.z[idx].float(), clips.y[idx].float()
        u = torch.rand(b, device=dev)
        sigma = SHIFT * u / (1 + (SHIFT - 1) * u)
        drop = torch.rand(b, device=dev)
        which = (torch.rand(b, device=dev) < .4).long()
        dropped = drop < .12
        ids = torch.where(dropped[:, None], null[which], clips.ids[idx])
        lengths = torch.where(dropped, null_len[which], clips.lengths[idx])
        on = (torch.rand(b, 1, 1, device=dev) > .08).float()
        loss = loss_fn(z, y, clips.rel[idx], clips.k[idx], ids, lengths, torch.randn_like(z), sigma, on)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        rate = tail_decay(part, (it + 1) / warm, a.flat)
        opt.step(a.muon * rate, a.adam * rate)
        for p in params:
            p.grad = None
        torch._foreach_lerp_(ema, [p.detach() for p in params], .0015 if it > 500 else .01)
        it += 1
        if it % 20 == 0 or a.smoke:
            losses.append(loss.item())  # also keeps the host from running ahead
        if it == 10:
            began_training = time.time()
            log(event="compiled")
        if it % 20 == 0 and it > 10 and spent < a.data_share * (time.time() - began_training):
            t0 = time.time()
            while time.time() - t0 < .5:
                clips.add()
                if cuda:
                    torch.cuda.synchronize()
            spent += time.time() - t0
        if it % 200 == 0 or a.smoke:
            log(it=it, part=part, loss=float(np.mean(losses)), clips=clips.made)
            losses = []
    names = ["dit." + n for n, _ in dit.named_parameters()] + ["t5." + n for n, _ in t5.named_parameters()]
    save_pieces(a.out, "dit_ema", dict(zip(names, ema)))
    if a.progress[1] < 1:
        save_pieces(a.out, "dit_raw", dict(zip(names, params)))
        save_pieces(a.out, "dit_momentum", {"x".join(map(str, s)): m for s, m in opt.momentum.items()})
    log(event="end", it=it, clips=clips.made)


if __name__ == "__main__":
    main()
