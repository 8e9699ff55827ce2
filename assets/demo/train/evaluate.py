"""Measure the model on 64 held-out worlds (seeds that training never used):
python evaluate.py --vae DIR --dit DIR --out DIR [--settings] [--seconds S]."""

import argparse
import json
import os
import time

import numpy as np
import torch

import data
import model
import tokenizer
import train_dit
import world
from common import psnr

HELD_OUT = 20_260_001
STEPS, SHIFT, GUIDE = 12, 3.0, 1.5
NEGATIVE = "blurry, low quality"


class Demo:
    """The trained models, sampling as the pipeline does."""

    def __init__(self, vae_dir, dit_dir, device):
        self.dev = device
        self.vae, self.mean, self.std = train_dit.load_vae(vae_dir, device)
        self.words = tokenizer.Words(train_dit.WORDS)
        d, t = train_dit.load_models(dit_dir)
        self.dit = model.WanModel(**train_dit.SIZE, text_dim=train_dit.TEXT["dim"])
        self.t5 = model.T5Encoder(t["token_embedding.weight"].shape[0], **train_dit.TEXT)
        self.dit.load_state_dict(d)
        self.t5.load_state_dict(t)
        self.dit.to(device).eval()
        self.t5.to(device).eval()

    def amp(self):
        return torch.autocast(self.dev, torch.bfloat16, enabled=self.dev == "cuda")

    @torch.no_grad()
    def text(self, prompts):
        ids, lengths = self.words.batch(prompts)
        lengths = torch.as_tensor(lengths, device=self.dev)
        return self.t5(torch.as_tensor(ids, device=self.dev), lengths), lengths

    @torch.no_grad()
    def image(self, first, frames=data.T):
        """Condition [n, 20, f, h, w] of first frames [n, 3, H, W]."""
        x = torch.zeros(len(first), 3, frames, *first.shape[2:], device=self.dev)
        x[:, :, 0] = ((first + 1) * 127.5).round() / 127.5 - 1
        with self.amp():
            y = torch.cat([self.vae.encode(u)[0].float() for u in x.split(16)])
        return model.image_condition((y - self.mean) / self.std)

    @torch.no_grad()
    def latent(self, y, prompts, poses, k, seed=0, steps=STEPS, shift=SHIFT, guide=GUIDE, negative=NEGATIVE, chunk=64):
        """Sampled latents; poses None switches the camera off."""
        noise = torch.randn(y[:, :16].shape, generator=torch.Generator("cpu").manual_seed(seed)).to(self.dev)
        out = []
        for i in range(0, len(y), chunk):
            s = slice(i, i + chunk)
            context, lengths = self.text(prompts[s])
            null, null_len = self.text([negative] * len(prompts[s]))
            patches = None
            if poses is not None:
                rel = model.relative_poses(torch.as_tensor(poses[s][:, ::4], device=self.dev))
                patches = model.plucker_patches(rel, torch.as_tensor(k[s], device=self.dev), y.shape[3] * 8, y.shape[4] * 8)

            def velocity(x, t):
                tt = torch.full((len(x),), float(t), device=self.dev)
                with self.amp():
                    v = self.dit(x, tt, context, lengths, y[s], patches).float()
                    if guide == 1:
                        return v
                    u = self.dit(x, tt, null, null_len, y[s], patches).float()
                return u + guide * (v - u)

            out.append(model.unipc(velocity, noise[s], steps, shift))
        return torch.cat(out)

    @torch.no_grad()
    def decode(self, z):
        with self.amp():
            return torch.cat([self.vae.decode(u * self.std + self.mean).float().clamp(-1, 1) for u in z.split(16)])

    def video(self, y, *args, **kw):
        return self.decode(self.latent(y, *args, **kw))


def flow(videos):
    """Mean horizontal optical flow of clips [n, 3, t, h, w], pixels a frame."""
    import cv2
    out = []
    for v in videos:
        g = ((v.float().mean(0) + 1) * 127.5).byte().cpu().numpy()
        dx = [cv2.calcOpticalFlowFarneback(g[i], g[i + 2], None, .5, 3, 21, 3, 7, 1.5, 0)[..., 0].mean() / 2 for i in range(0, len(g) - 2, 2)]
        dm = [np.abs(cv2.calcOpticalFlowFarneback(g[i], g[i + 2], None, .5, 3, 21, 3, 7, 1.5, 0)[..., 0]).mean() / 2 for i in range(0, len(g) - 2, 4)]
        out.append((np.mean(dx), np.mean(dm)))
    return np.array(out)


def luma(v):
    return ((v.float() + 1) / 2 * torch.tensor([.2126, .7152, .0722], device=v.device).view(1, 3, 1, 1, 1)).sum(1).mean((2, 3))


def held_out(rng, n, device, mode=None, steady=False):
    x, w, poses, k, modes, sign = data.worlds_clip(rng, n, device, mode)
    prompts = [world.caption(rng, w, i) for i in range(n)]
    return x, w, poses, k, modes, sign, prompts


def frames_psnr(a, b):
    """Mean over clips of the PSNR of frames 5 to 17 (counted from 1)."""
    return psnr(a[:, :, 4:], b[:, :, 4:], (1, 3, 4)).mean().item()


def sheet(path, rows, frames=(0, 4, 8, 12, 16)):
    """A contact sheet: for every pair of rows, the true render above, the generated below."""
    from PIL import Image
    strips = [torch.cat([v[:, f] for f in frames if f < v.shape[1]], 2) for v in rows]
    s = torch.cat([v.cpu() for v in strips], 1)
    Image.fromarray(((s.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()).save(path, optimize=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--vae", required=True)
    a.add_argument("--dit", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--worlds", type=int, default=64)
    a.add_argument("--settings", action="store_true", help="also try other sampling settings")
    a.add_argument("--steps", type=int, default=STEPS)
    a.add_argument("--shift", type=float, default=SHIFT)
    a.add_argument("--guide", type=float, default=GUIDE)
    a = a.parse_args()
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    os.makedirs(a.out, exist_ok=True)
    if dev == "cuda":
        world.compile_trace()
    demo = Demo(a.vae, a.dit, dev)
    kw = dict(steps=a.steps, shift=a.shift, guide=a.guide)
    n, res, t0 = a.worlds, {}, time.time()
    rng = np.random.default_rng(HELD_OUT)

    def note(**r):
        res.update(r)
        print(round(time.time() - t0, 1), {k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()}, flush=True)

    x, w, poses, k, modes, sign, prompts = held_out(rng, n, dev)
    z, _ = train_dit.encode(demo.vae, x, demo.mean, demo.std)
    rec = demo.decode(z)
    photos = data.held_out_photos(dev)
    with torch.no_grad(), demo.amp():
        pic = demo.vae.decode(demo.vae.encode(photos[:, :, None])[0]).float()[:, :, 0]
    note(vae_worlds_db=psnr(rec, x, (1, 2, 3, 4)).mean().item(), vae_photos_db=psnr(pic, photos, (1, 2, 3)).mean().item())

    y = demo.image(x[:, :, 0])
    moving = torch.as_tensor(modes != world.MODES.index("still"), device=dev)
    v = demo.video(y, prompts, poses, k, seed=1, **kw)
    off = demo.video(y, prompts, None, None, seed=1, **kw)
    repeat = x[:, :, :1].expand_as(x)
    note(camera_db=frames_psnr(v, x), camera_off_db=frames_psnr(off, x), repeat_db=frames_psnr(repeat, x),
         first_frame_db=psnr(v[:, :, 0], x[:, :, 0], (1, 2, 3)).mean().item(), vae_5_17_db=frames_psnr(rec, x))
    same = torch.as_tensor(w["start"] == w["end"], device=dev)
    steady = same & moving  # where the camera stands still in steady light, the first frame repeated is the truth
    note(camera_moving_db=frames_psnr(v[moving], x[moving]), repeat_moving_db=frames_psnr(repeat[moving], x[moving]),
         camera_moving_steady_db=frames_psnr(v[steady], x[steady]), repeat_moving_steady_db=frames_psnr(repeat[steady], x[steady]))
    note(camera_steady_db=frames_psnr(v[same], x[same]), camera_off_steady_db=frames_psnr(off[same], x[same]),
         repeat_steady_db=frames_psnr(repeat[same], x[same]), moving=int(moving.sum()))
    sheet(os.path.join(a.out, "held_out.png"), [u for i in range(min(n, 10)) for u in (x[i], v[i])])
    if n > 10:
        sheet(os.path.join(a.out, "held_out_2.png"), [u for i in range(10, min(n, 20)) for u in (x[i], v[i])])

    # mirrored paths over worlds in steady light
    for name in ("turn", "strafe"):
        x2, w2, p2, k2, _, sign2, pr2 = held_out(rng, n // 2, dev, world.MODES.index(name))
        y2 = demo.image(x2[:, :, 0])
        va, vb = demo.video(y2, pr2, p2, k2, seed=2, **kw), demo.video(y2, pr2, world.mirror(p2), k2, seed=2, **kw)
        fa, fb = flow(va), flow(vb)
        right = np.concatenate([np.sign(fa[:, 0]) == -sign2, np.sign(fb[:, 0]) == sign2])
        note(**{name + "_sign_right": float(right.mean()), name + "_flow": float(np.abs(np.concatenate([fa, fb])[:, 0]).mean())})
        if name == "turn":
            sheet(os.path.join(a.out, "mirrored.png"), [u for i in range(min(6, n // 2)) for u in (va[i], vb[i])])
    x3, w3, p3, k3, _, _, pr3 = held_out(rng, n // 2, dev, world.MODES.index("still"))
    y3 = demo.image(x3[:, :, 0])
    fs = flow(demo.video(y3, pr3, p3, k3, seed=3, **kw))
    note(still_flow=float(np.abs(fs[:, 0]).mean()), still_motion=float(fs[:, 1].mean()))

    # words: the same picture, path and noise, other times of day
    base = [", ".join(world.GROUND_WORDS[world.GROUNDS[g]][:1]) for g in w["ground"]]
    noon = demo.video(y, [b + " at noon" for b in base], poses, k, seed=4, **kw)
    night = demo.video(y, [b + " at night" for b in base], poses, k, seed=4, **kw)
    gap = luma(noon)[:, 4:].mean(1) - luma(night)[:, 4:].mean(1)
    last = luma(noon)[:, -1] - luma(night)[:, -1]
    note(words_right=float((gap > 0).float().mean()), words_gap=float(gap.mean()), words_last_gap=float(last.mean()))
    bare_noon, bare_night = (demo.video(y, [t] * n, poses, k, seed=4, **kw) for t in ("noon", "night"))
    note(words_right_bare=float(((luma(bare_noon) - luma(bare_night))[:, 4:].mean(1) > 0).float().mean()))
    sheet(os.path.join(a.out, "words.png"), [u for i in range(min(6, n)) for u in (noon[i], night[i])])

    # photographs as starting pictures
    m = len(photos)
    pth = [world.sample_paths(np.random.default_rng(5 + i), 1, mode=i % 4 if i % 4 != 1 else 4) for i in range(m)]
    pv = demo.video(demo.image(photos), ["a photo"] * m, np.concatenate([p[0] for p in pth]), np.concatenate([p[1] for p in pth]), seed=5, **kw)
    sheet(os.path.join(a.out, "photos.png"), list(pv))

    if a.settings:
        for steps, shift, guide in ((12, 3, 1), (12, 3, 2), (12, 3, 3), (12, 5, 1.5), (12, 2, 1.5), (8, 3, 1.5), (20, 3, 1.5), (40, 3, 1.5)):
            u = demo.video(y, prompts, poses, k, seed=1, steps=steps, shift=shift, guide=guide)
            note(**{f"steps{steps}_shift{shift}_guide{guide}_db": frames_psnr(u, x)})
    with open(os.path.join(a.out, "numbers.json"), "w") as f:
        json.dump(res, f, indent=1)


if __name__ == "__main__":
    main()
