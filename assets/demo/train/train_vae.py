"""Train the VAE: python train_vae.py --out DIR --seconds S [--resume DIR]."""

import argparse
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import data
import model
import world
from common import Log, load_pieces, psnr, save_pieces, tail_decay

# clips, frames, height, width, share of iterations
SHAPES = [(48, 1, 96, 128, .15), (20, 5, 96, 96, .25), (12, 9, 96, 96, .25), (7, 17, 96, 96, .25), (3, 17, 128, 208, .10)]


def loss_fn(vae, x, kl_weight):
    with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
        mu, logvar = vae.encode(x)
        mu, logvar = mu.float(), logvar.float().clamp(-20, 10)
        z = mu + torch.exp(.5 * logvar) * torch.randn_like(mu)
        y = vae.decode(z).float()
    e = y - x
    loss = torch.sqrt(e * e + 1e-4).mean() + 3 * (e * e).mean()
    p = e.transpose(1, 2).flatten(0, 1)
    for weight in (.6, .4, .3):  # edges at three scales
        loss = loss + weight * ((p[..., 1:] - p[..., :-1]).abs().mean() + (p[..., 1:, :] - p[..., :-1, :]).abs().mean())
        p = F.avg_pool2d(p, 2)
    if x.shape[2] > 1:
        loss = loss + .3 * (e[:, :, 1:] - e[:, :, :-1]).abs().mean()
    kl = .5 * (mu * mu + logvar.exp() - 1 - logvar).mean()
    return loss + kl_weight * kl, e.detach().pow(2).mean()


class Bank:
    """A ring of uint8 clips that is refreshed while training."""

    def __init__(self, rng, device, size, scale):
        self.rng, self.dev, self.n, self.at, self.count = rng, device, scale, 0, 0
        self.clips = torch.zeros(size, 3, data.T, data.H, data.W, dtype=torch.uint8, device=device)
        self.g = torch.Generator(device).manual_seed(int(rng.integers(1 << 30)))
        ch, cw = 192, 312
        self.photos = data.photo_canvases(rng, max(8, scale * 20), ch, cw)
        self.leaves = torch.cat([data.dead_leaves(self.g, scale, ch, cw, device) for _ in range(3)])

    def add(self, kind):
        if kind == "world":
            x = data.worlds_clip(self.rng, self.n, self.dev)[0]
        elif kind == "photo":
            x = data.moved(self.rng, self.photos[self.rng.integers(0, len(self.photos), self.n)], self.dev)
        else:
            if self.rng.random() < .25:
                i = self.rng.integers(0, 3) * self.n
                self.leaves[i:i + self.n] = data.dead_leaves(self.g, self.n, *self.leaves.shape[2:], self.dev)
            x = data.moved(self.rng, self.leaves[self.rng.integers(0, len(self.leaves), self.n)], self.dev)
        x = ((x + 1) * 127.5 + .5).clamp(0, 255).byte()
        self.clips[self.at:self.at + self.n] = x[:len(self.clips) - self.at]
        self.at = (self.at + self.n) % len(self.clips)
        self.count = max(self.count, self.at or len(self.clips))

    def add_some(self):
        self.add(self.rng.choice(["world", "photo", "leaves"], p=[.56, .20, .24]))

    def sample(self, out):
        b, _, t, h, w = out.shape
        idx = self.rng.integers(0, self.count, b)
        t0 = self.rng.integers(0, data.T - t + 1, b)
        y, x = self.rng.integers(0, data.H - h + 1, b), self.rng.integers(0, data.W - w + 1, b)
        parts = [self.clips[idx[i], :, t0[i]:t0[i] + t, y[i]:y[i] + h, x[i]:x[i] + w] for i in range(b)]
        out.copy_(torch.stack(parts).float().div_(127.5).sub_(1))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a.add_argument("--seconds", type=float, required=True)
    a.add_argument("--resume")
    a.add_argument("--dim", type=int, default=16)
    a.add_argument("--lr", type=float, default=1.5e-3)
    a.add_argument("--progress", type=float, nargs=2, default=[0, 1], help="part of the schedule that this run covers")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--no-graph", action="store_true", help="do not capture CUDA graphs")
    a.add_argument("--smoke", action="store_true", help="tiny, on the CPU")
    a = a.parse_args()
    start = time.time()
    cuda = torch.cuda.is_available() and not a.smoke
    dev = "cuda" if cuda else "cpu"
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    os.makedirs(a.out, exist_ok=True)
    log = Log(os.path.join(a.out, "vae.jsonl"))
    shapes = SHAPES
    if cuda:
        torch.backends.cudnn.benchmark = True
        world.compile_trace()
        model.compile_norms()
    else:
        shapes = [(2, 1, 32, 32, .5), (1, 5, 32, 32, .5)]
    vae = model.WanVAE(a.dim).to(dev)
    if cuda:
        for m in vae.modules():
            if isinstance(m, torch.nn.Conv3d):
                m.to(memory_format=torch.channels_last_3d)
            elif isinstance(m, torch.nn.Conv2d):
                m.to(memory_format=torch.channels_last)
    params = dict(vae.named_parameters())
    lr = torch.tensor(a.lr, device=dev)
    opt = torch.optim.AdamW(list(params.values()), lr=lr, betas=(.9, .98), weight_decay=1e-4, fused=cuda, capturable=cuda)
    if a.resume:
        vae.load_state_dict(load_pieces(a.resume, "vae_raw"))
        m = load_pieces(a.resume, "vae_moments")
        for k, p in params.items():
            opt.state[p] = {"step": torch.tensor(1000.0, device=dev), "exp_avg": m[k + ".m"].to(dev), "exp_avg_sq": m[k + ".v"].to(dev).square()}
    for p in params.values():
        p.grad = torch.zeros_like(p)
    ema = [p.detach().clone() for p in params.values()]
    kl_weight = 3e-5

    def step(x):
        loss, mse = loss_fn(vae, x, kl_weight)
        opt.zero_grad(set_to_none=False)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        opt.step()
        torch._foreach_lerp_(ema, [p.detach() for p in params.values()], .002)
        return loss.detach(), mse

    bank = Bank(rng, dev, 1600 if cuda else 8, 8 if cuda else 2)
    for _ in range(50 if cuda else 2):
        bank.add_some()
    bank.add("photo")
    log(event="bank", clips=bank.count)
    val = data.worlds_clip(np.random.default_rng(999), 16 if cuda else 1, dev)[0]
    photos = data.held_out_photos(dev)

    runs = []
    for b, t, h, w, share in shapes:
        x = torch.zeros(b, 3, t, h, w, device=dev)
        x = x.contiguous(memory_format=torch.channels_last_3d) if cuda else x
        bank.sample(x)
        if not cuda or a.no_graph:
            runs.append((x, lambda x=x: step(x), share))
            continue
        lr.fill_(1e-5)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(x)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = step(x)
        t0 = time.time()
        graph.replay()
        torch.cuda.synchronize()
        log(event="graph", shape=[b, t, h, w], ms=(time.time() - t0) * 1000)
        runs.append((x, lambda graph=graph, out=out: (graph.replay(), out)[1], share))

    @torch.no_grad()
    def validate():
        keep = [p.detach().clone() for p in params.values()]
        for p, e in zip(params.values(), ema):
            p.copy_(e)
        with torch.autocast(dev, torch.bfloat16):
            rec = [vae.decode(vae.encode(v)[0]) for v in val.split(4)]
            pic = vae.decode(vae.encode(photos[:, :, None])[0])
        for p, k in zip(params.values(), keep):
            p.copy_(k)
        rec = torch.cat(rec)
        per = psnr(rec, val, (0, 1, 3, 4))
        return {"world": psnr(rec, val).item(), "first": per[0].item(), "last": per[-1].item(),
                "photo": psnr(pic[:, :, 0], photos, (1, 2, 3)).mean().item()}

    share = np.array([r[2] for r in runs])
    it, last, fill, end = 0, time.time(), 0.0, start + a.seconds
    began = time.time()
    while True:
        now = time.time()
        if now > end or (a.smoke and it > 3):
            break
        part = a.progress[0] + (a.progress[1] - a.progress[0]) * (now - began) / (end - began)
        lr.fill_(a.lr * tail_decay(part, (it + 1) / 200, .45))
        x, run, _ = runs[rng.choice(len(runs), p=share / share.sum())]
        bank.sample(x)
        loss, mse = run()
        it += 1
        if it % 8 == 0 or a.smoke:
            bank.add_some()
        if it % 50 == 0 and cuda:
            torch.cuda.synchronize()
        if it % 500 == 0 or a.smoke:
            log(it=it, part=part, loss=loss.item(), train=(10 * torch.log10(4 / mse)).item(), **validate())
    log(event="end", it=it, **validate())
    names = list(params)
    save_pieces(a.out, "vae_ema", dict(zip(names, ema)))
    save_pieces(a.out, "vae_raw", params)
    moments = {}
    for k, p in params.items():
        moments[k + ".m"], moments[k + ".v"] = opt.state[p]["exp_avg"], opt.state[p]["exp_avg_sq"].sqrt()
    save_pieces(a.out, "vae_moments", moments)
    for p, e in zip(params.values(), ema):
        p.data.copy_(e)
    with torch.no_grad(), torch.autocast(dev, torch.bfloat16):
        z = torch.cat([vae.encode(v)[0].float() for v in val.split(4)])
        pic = vae.decode(vae.encode(photos[:, :, None])[0]).float()[:, :, 0]
        rec = vae.decode(vae.encode(val[:4])[0]).float()
    log(event="latent", mean=z.mean((0, 2, 3, 4)).tolist(), std=z.std((0, 2, 3, 4)).tolist())
    sheet = torch.cat([torch.cat([val[:4, :, f].cpu() for f in (0, 8, 16)[:1 + val.shape[2] // 8]], 3),
                       torch.cat([rec[:, :, f].cpu() for f in (0, 8, 16)[:1 + val.shape[2] // 8]], 3)], 2).transpose(0, 1).flatten(1, 2)
    pics = torch.cat([photos.cpu(), pic.cpu()], 3).transpose(0, 1).flatten(1, 2)
    from PIL import Image
    for name, s in (("vae_worlds.png", sheet), ("vae_photos.png", pics)):
        Image.fromarray(((s.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()).save(os.path.join(a.out, name))


if __name__ == "__main__":
    main()
