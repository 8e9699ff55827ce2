"""Continue the VAE decoder on long live-like clips; the encoder (and so the latent space) stays as shipped.
python train_dec.py --demo DIR --out DIR --seconds S [--sharp 0.4: share of the time with an adversarial loss]
Writes dec_ema pieces (plain losses) to OUT and, behind the sharp part, to OUT-sharp."""

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
import train_vae
import world
from common import Log, psnr, save_pieces, tail_decay


def losses(y, x):
    e = y - x
    loss = torch.sqrt(e * e + 1e-4).mean() + 3 * (e * e).mean()
    p = e.transpose(1, 2).flatten(0, 1)
    for weight in (.6, .4, .3):
        loss = loss + weight * ((p[..., 1:] - p[..., :-1]).abs().mean() + (p[..., 1:, :] - p[..., :-1, :]).abs().mean())
        p = F.avg_pool2d(p, 2)
    return loss + .3 * (e[:, :, 1:] - e[:, :, :-1]).abs().mean()


class Judge(nn.Module):
    """Patches of two consecutive frames."""

    def __init__(self, c=48):
        super().__init__()
        sn = nn.utils.parametrizations.spectral_norm
        self.net = nn.Sequential(sn(nn.Conv2d(6, c, 4, 2, 1)), nn.LeakyReLU(.2), sn(nn.Conv2d(c, 2 * c, 4, 2, 1)), nn.LeakyReLU(.2),
                                 sn(nn.Conv2d(2 * c, 4 * c, 3, 1, 1)), nn.LeakyReLU(.2), sn(nn.Conv2d(4 * c, 1, 3, 1, 1)))

    def forward(self, v, idx):
        pair = torch.cat([v[:, :, idx], v[:, :, idx + 1]], 1)  # [b, 6, k, h, w]
        return self.net(pair.transpose(1, 2).flatten(0, 1))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--demo", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--seconds", type=float, required=True)
    a.add_argument("--sharp", type=float, default=.4)
    a.add_argument("--weight", type=float, default=.05)
    a.add_argument("--lr", type=float, default=8e-4)
    a.add_argument("--fill", type=float, default=20)
    a.add_argument("--smoke", action="store_true")
    a = a.parse_args()
    start = time.time()
    cuda = torch.cuda.is_available() and not a.smoke
    dev = "cuda" if cuda else "cpu"
    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    os.makedirs(a.out, exist_ok=True)
    log = Log(os.path.join(a.out, "dec.jsonl"))
    frames = live.FRAMES if cuda else 9
    if cuda:
        torch.backends.cudnn.benchmark = True
        world.compile_trace()
        model.compile_norms()
    else:
        data.H, data.W = 32, 48
    vae, mean, std = train_live.load_demo(a.demo, dev)
    names = [n for n, _ in vae.named_parameters() if n.startswith("conv2.") or n.startswith("decoder.")]
    params = dict(vae.named_parameters())
    params = [params[n].requires_grad_(True) for n in names]
    ema = [p.detach().clone() for p in params]
    lr = torch.tensor(1e-4, device=dev)
    opt = torch.optim.AdamW(params, lr=lr, betas=(.9, .98), weight_decay=1e-4, fused=cuda, capturable=cuda)
    amp = lambda: torch.autocast(dev, torch.bfloat16, cache_enabled=False, enabled=cuda)
    form = lambda u: u.contiguous(memory_format=torch.channels_last_3d) if cuda else u
    n, size = (8, 1600) if cuda else (2, 4)
    f, h, w_ = (frames + 3) // 4, data.H // 8, data.W // 8
    xs = torch.zeros(size, 3, frames, data.H, data.W, dtype=torch.uint8, device=dev)
    zs = torch.zeros(size, 16, f, h, w_, dtype=torch.bfloat16, device=dev)
    at = count = 0

    @torch.no_grad()
    def add():
        nonlocal at, count
        w, poses, k, _, _ = live.sample(rng, n, frames)
        x = live.render(w, poses, k, None, dev)
        with amp():
            z = vae.encode(form(x))[0].float()
        zs[at:at + n] = z.to(zs.dtype)  # in the VAE's own units
        xs[at:at + n] = ((x + 1) * 127.5 + .5).clamp(0, 255).byte()
        at = (at + n) % size
        count = min(size, max(count, at or size))

    add()
    log(event="first clips")
    t0 = time.time()
    while time.time() - t0 < (a.fill if cuda else .1):
        add()
        if cuda:
            torch.cuda.synchronize()
    log(event="clips", count=count)
    bank = None
    try:
        bank = train_vae.Bank(rng, dev, 240 if cuda else 4, 8 if cuda else 2)
        for i in range(30 if cuda else 2):
            bank.add("photo" if i % 2 else "leaves")
    except Exception as e:  # pictures that this machine lacks
        log(event="no photographs", why=repr(e)[:200])
        bank = None
    log(event="bank")
    short = torch.zeros(10 if cuda else 1, 3, 17, 96 if cuda else 32, 96 if cuda else 32, device=dev)
    vr = np.random.default_rng(4242)
    vw, vp, vk, _, _ = live.sample(vr, 8 if cuda else 1, frames, 0)
    val = live.render(vw, vp, vk, 41, dev)
    with torch.no_grad(), amp():
        vz = vae.encode(form(val))[0].float()
    photos = data.held_out_photos(dev) if bank is not None else None

    @torch.no_grad()
    def validate(weights):
        keep = [p.detach().clone() for p in params]
        for p, e in zip(params, weights):
            p.data.copy_(e)
        with amp():
            r = torch.cat([vae.decode(u).float() for u in vz.split(4)])
            out = {q: psnr(r[:, :, s], val[:, :, s], (1, 2, 3, 4)).mean().item() for q, s in (("5-17", slice(4, 17)), ("17-65", slice(17, 65)), ("65-", slice(65, 129))) if s.start < frames}
            if photos is not None:
                out["photo"] = psnr(vae.decode(vae.encode(photos[:, :, None])[0]).float()[:, :, 0], photos, (1, 2, 3)).mean().item()
        edge = lambda u: (u[..., 1:] - u[..., :-1]).pow(2).mean().item()
        out["edges"] = edge(r) / edge(val)
        for p, k in zip(params, keep):
            p.data.copy_(k)
        return {k: round(v, 3) for k, v in out.items()}

    log(event="before", **validate(ema))

    def batch(it):
        if bank is not None and it % 6 == 5:
            bank.sample(short)
            with torch.no_grad(), amp():
                z = vae.encode(form(short))[0].float()
            return short, z
        whole = it % 3 == 2
        b = (3 if whole else 8) if cuda else 1
        idx = torch.randint(count, (b,), device=dev)
        x, z = xs[idx], zs[idx].float()
        if not whole and cuda:
            i, j = int(rng.integers(0, h - 12 + 1)), int(rng.integers(0, w_ - 12 + 1))
            z, x = z[..., i:i + 12, j:j + 12], x[..., 8 * i:8 * i + 96, 8 * j:8 * j + 96]
        return x.float() / 127.5 - 1, z

    scale = std.mean()
    end = start + a.seconds
    began = time.time()
    turn = began + (end - began) * (1 - a.sharp)
    judge = jopt = None
    it = spent = 0
    rows = []
    while True:
        now = time.time()
        if (now > end and (not a.smoke)) or (a.smoke and it >= 4):
            break
        if judge is None and a.sharp and ((now > turn and not a.smoke) or (a.smoke and it == 2)):
            log(event="plain part ends", it=it, **validate(ema))
            save_pieces(a.out, "dec_ema", dict(zip(names, ema)))
            judge = Judge().to(dev)
            jopt = torch.optim.AdamW(judge.parameters(), 4e-4, betas=(.5, .95), weight_decay=0)
            first = it
        if judge is None:
            rate = tail_decay((now - began) / (turn - began), (it + 1) / 60, .5)
        else:
            rate = .4 * tail_decay((now - turn) / (end - turn), 1, .6)
        lr.fill_(a.lr * max(rate, .02))
        x, z = batch(it)
        z = z + scale * (.08 * torch.rand(len(z), 1, 1, 1, 1, device=dev)) * torch.randn_like(z)
        with amp():
            y = vae.decode(z).float()
        loss = losses(y, x)
        total = loss
        if judge is not None:
            t = x.shape[2]
            idx = torch.randint(0, t - 1, (min(12, t - 1),), device=dev)
            with amp():
                real, fake = judge(x, idx).float(), judge(y.detach(), idx).float()
            lj = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
            lj.backward()
            jopt.step()
            jopt.zero_grad(set_to_none=True)
            with amp():
                adv = -judge(y, idx).float().mean()
            total = loss + a.weight * min(1, (it - first) / 80) * adv
        total.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        if jopt is not None:
            jopt.zero_grad(set_to_none=True)
        torch._foreach_lerp_(ema, [p.detach() for p in params], .01)
        it += 1
        if it % 10 == 0 or a.smoke:
            rows.append(loss.item())
        if it % 12 == 0 and spent < .1 * (time.time() - began):
            t1 = time.time()
            add()
            if cuda:
                torch.cuda.synchronize()
            spent += time.time() - t1
        if it % 150 == 0 or a.smoke:
            log(it=it, loss=float(np.mean(rows)), **validate(ema))
            rows = []
    log(event="end", it=it, **validate(ema))
    save_pieces(a.out + ("-sharp" if judge is not None else ""), "dec_ema", dict(zip(names, ema)))


if __name__ == "__main__":
    main()
