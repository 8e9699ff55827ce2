"""Measure the streaming model on held-out live-like worlds (seeds that training never used):
python evaluate_live.py --demo DIR --out DIR [--base FILE] [--decoder DIR] NAME=WEIGHTS@4,8,e12 ...
After the @: numbers of steps with fresh noise between them (as in live use), or eN: N Euler steps."""

import argparse
import json
import os
import shutil
import tarfile
import time
import types

import numpy as np
import torch

import model

BLOCK = model.Block.forward  # the bidirectional block; importing causal replaces it
import causal
import data
import evaluate
import live
import tokenizer
import train_dit
import train_live
import world
from causal import CHUNK, RECENT
from common import load_pieces, psnr
from export_dit import load_weights

HELD_OUT = 20_261_129
EIGHT = [0, 90, 179, 268, 358, 518, 679, 840]
PARTS = {"5-17": slice(4, 17), "17-65": slice(17, 65), "65-129": slice(65, 129)}


class Bench:
    def __init__(self, demo, dev, decoder=None):
        self.dev = dev
        self.vae, self.mean, self.std = train_live.load_demo(demo, dev)
        self.dec = self.vae
        if decoder:
            self.dec = train_live.load_demo(demo, dev)[0]
            self.dec.load_state_dict(load_weights(decoder) if decoder.endswith(".safetensors") else load_pieces(decoder, "dec_ema"), strict=False)
        self.words = tokenizer.Words(os.path.join(demo, "google", "umt5-xxl"))
        self.t5 = train_live.load_t5(demo, dev)

    def amp(self):
        return torch.autocast(self.dev, torch.bfloat16, enabled=self.dev == "cuda")

    @torch.no_grad()
    def text(self, prompts):
        ids, lengths = self.words.batch(prompts)
        lengths = torch.as_tensor(lengths, device=self.dev)
        with self.amp():
            return self.t5(torch.as_tensor(ids, device=self.dev), lengths), lengths

    @torch.no_grad()
    def encode(self, x, split=16):
        with self.amp():
            return torch.cat([(self.vae.encode(u)[0].float() - self.mean) / self.std for u in x.split(split)])

    def condition(self, first, frames=live.Y_FRAMES):
        x = torch.zeros(len(first), 3, frames, *first.shape[2:], device=self.dev)
        x[:, :, 0] = ((first + 1) * 127.5).round() / 127.5 - 1
        return model.image_condition(self.encode(x))

    @torch.no_grad()
    def decode(self, z, dec=None, split=16):
        with self.amp():
            return torch.cat([(dec or self.dec).decode(u * self.std + self.mean).float().clamp(-1, 1) for u in z.split(split)])

    @torch.no_grad()
    def roll(self, dit, y, prompts, poses, k, how, seed=0, on=True, recent=RECENT, then=None, at=0, guide=1):
        """Latents of a session: poses [n, 8m-3 frames .., 4, 4] of which every fourth counts. then: other prompts, from
        chunk `at` on, where the steps are few; guide: how far three chunks go to them, as Gimbal's words_guide_scale."""
        dev, n = self.dev, len(y)
        euler = how.startswith("e")
        count = int(how.lstrip("e"))
        if euler:
            table = causal.step_table([int(i * 1000 / count) for i in range(count)])
        else:
            table = causal.step_table({4: causal.STEPS_AT, 8: EIGHT}.get(count) or [int(i * 1000 / count) for i in range(count)])
        rel = causal.live_relative(torch.as_tensor(poses[:, ::4], device=dev).float())
        k = torch.as_tensor(k, device=dev)
        g = torch.Generator(dev).manual_seed(seed)
        context, lengths = self.text(prompts)
        chunks, out = rel.shape[1] // CHUNK, []
        with self.amp():
            stream = causal.Stream(dit, context, lengths, recent, None if on else torch.zeros(n, 1, 1, device=dev))
            for j in range(chunks):
                pos = (torch.arange(CHUNK, device=dev) + j * CHUNK)[None]
                patches = model.plucker_patches(rel[:, j * CHUNK:(j + 1) * CHUNK], k, data.H, data.W)
                yy = causal.y_frames(y, j * CHUNK, CHUNK)
                if then and j == at:
                    stream.change = (stream.context, stream.cbias, guide)
                    stream.tell(*self.text(then))
                if j == at + 3:
                    stream.change = None
                if not euler:
                    x0, _ = stream.chunk(yy, patches, pos, g, table)
                else:
                    cam, pp = dit.camera(patches), dit.positions(pos, data.H // 16, data.W // 16)
                    x = torch.randn(n, 16, CHUNK, *y.shape[3:], device=dev, generator=g)
                    sig = table[0] + [0.0]
                    for i in range(count):
                        x = x + (sig[i + 1] - sig[i]) * stream.run(x, table[1][i], yy, cam, pp).float()
                    stream.run(x, 0, yy, cam, pp, write=True)
                    x0 = x
                out.append(x0)
        return torch.cat(out, 2)

    @torch.no_grad()
    def shipped(self, base, y, prompts, poses, k, seed=0):
        """The bidirectional model: 17 frames, 12 UniPC steps, guidance 1.5."""
        noise = torch.randn(y[:, :16].shape, generator=torch.Generator("cpu").manual_seed(seed)).to(self.dev)
        c, cl = self.text(prompts)
        u, ul = self.text([evaluate.NEGATIVE] * len(prompts))
        rel = model.relative_poses(torch.as_tensor(poses[:, :17:4], device=self.dev).float())
        patches = model.plucker_patches(rel, torch.as_tensor(k, device=self.dev), data.H, data.W)

        def velocity(x, t):
            tt = torch.full((len(x),), float(t), device=self.dev)
            with self.amp():
                a, b = base(x, tt, c, cl, y, patches).float(), base(x, tt, u, ul, y, patches).float()
            return b + evaluate.GUIDE * (a - b)
        return model.unipc(velocity, noise, evaluate.STEPS, evaluate.SHIFT)


def script_poses(n, script, eye, pitch0):
    """The same keys for n worlds. script: (frames, forward, side, yaw rate, pitch rate)."""
    rows = np.concatenate([np.tile([s[1:]], (s[0], 1)) for s in script]).astype(np.float64)
    v = world.STEP / 4
    yaw = np.concatenate([[0], np.cumsum(rows[:, 2])])
    pitch = pitch0[:, None] + np.concatenate([[0], np.cumsum(rows[:, 3])])[None]
    mid = (yaw[1:] + yaw[:-1]) / 2
    f, s = rows[:, 0] * v, rows[:, 1] * v
    step = np.stack([-s * np.cos(mid) - f * np.sin(mid), 0 * f, f * np.cos(mid) - s * np.sin(mid)], -1)
    position = np.concatenate([np.zeros((1, 3)), np.cumsum(step, 0)])[None].repeat(n, 0)
    position[..., 1] += eye[:, None]
    return world.look(np.broadcast_to(yaw, pitch.shape), pitch, position)


def keyed(rng, n, scripts, spare=4):
    """Worlds in which no script meets an object, and the poses of each script."""
    w = live.spread(rng, world.sample_worlds(rng, n * spare))
    m = n * spare
    eye, pitch0 = rng.uniform(1.2, 1.8, m), rng.uniform(-.08, .02, m)
    poses = [script_poses(m, s, eye, pitch0) for s in scripts]
    free = np.min([live.clearance(w, p[:, None, :, :, 3][..., [0, 2]])[:, 0] for p in poses], 0)
    pick = np.argsort(-free)[:n]
    k = np.tile(np.array([[520.0, 520.0, world.WIDTH / 2, world.HEIGHT / 2]], np.float32), (n, 1))
    w = {key: v[pick] for key, v in w.items()}
    return w, [p[pick] for p in poses], k


def noons(rng, n, frames):
    """Worlds whose light stays as at noon, without fog, and paths: still in every second, as keys lead in the others."""
    parts = []
    while sum(len(p["seed"]) for p in parts) < n:
        w = live.spread(rng, world.sample_worlds(rng, 4 * n, 0))
        pick = (w["start"] == world.TIMES.index("noon")) & (w["light"][:, :, 13] == 0).all(1)
        parts.append({key: v[pick] for key, v in w.items()})
    w = {key: np.concatenate([p[key] for p in parts])[:n] for key in parts[0]}
    poses, k = live.live_paths(rng, n, frames, w)
    poses[::2] = poses[::2, :1]
    return w, poses, k


def luma(v):
    return (v.float() * torch.tensor([.2126, .7152, .0722], device=v.device).view(1, 3, 1, 1, 1)).sum(1) / 2 + .5


def looks(v):
    """Mean, contrast, edge energy, means of red, green and blue of each frame: [6, n, f]."""
    g = luma(v)
    edge = (g[..., 1:] - g[..., :-1]).pow(2).mean((2, 3)) + (g[..., 1:, :] - g[..., :-1, :]).pow(2).mean((2, 3))
    return torch.stack([g.mean((2, 3)), g.std((2, 3)), edge, *(v.float().mean((3, 4)) / 2 + .5).unbind(1)])


def flow(v, a, b):
    """Mean horizontal flow, pixels a frame, between frames a and b of clips [n, 3, f, h, w]; and its mean size."""
    import cv2
    g = (luma(v[:, :, a:b]).clamp(0, 1) * 255).byte().cpu().numpy()
    at = [[cv2.calcOpticalFlowFarneback(c[i], c[i + 2], None, .5, 3, 21, 3, 7, 1.5, 0)[..., 0] / 2 for i in range(0, len(c) - 2, 4)] for c in g]
    return np.array([np.mean(c) for c in at]), np.array([np.abs(c).mean() for c in at])


def sheet(path, rows, frames, labels=None):
    from PIL import Image, ImageDraw
    strips = [torch.cat([v[:, f].cpu() for f in frames if f < v.shape[1]], 2) for v in rows]
    s = ((torch.cat(strips, 1).clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()
    im = Image.fromarray(s)
    d = ImageDraw.Draw(im)
    for i, t in enumerate(labels or [f"{f + 1}" for f in frames]):
        d.text((i * data.W + 3, 2), t, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    im.save(path)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--demo", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--base", nargs="*", default=[], help="NAME=FILE: safetensors of bidirectional DiTs")
    a.add_argument("--decoder", help="safetensors, or a folder with dec_ema pieces: decode with these")
    a.add_argument("--worlds", type=int, default=64)
    a.add_argument("--keyed", type=int, default=24)
    a.add_argument("--latents", type=int, default=34)
    a.add_argument("--smoke", action="store_true")
    a.add_argument("specs", nargs="+")
    a = a.parse_args()
    dev = "cuda" if torch.cuda.is_available() and not a.smoke else "cpu"
    if a.smoke:
        data.H, data.W = 32, 48
    os.makedirs(a.out, exist_ok=True)
    if dev == "cuda":
        world.compile_trace()
    t0, res = time.time(), {}

    def note(name, **r):
        r = {k: ([round(float(u), 4) for u in v] if isinstance(v, (list, tuple)) else round(float(v), 4)) for k, v in r.items()}
        res.setdefault(name, {}).update(r)
        print(round(time.time() - t0, 1), name, json.dumps(r), flush=True)
        with open(os.path.join(a.out, "numbers.json"), "w") as f:
            json.dump(res, f, indent=1)

    pics = os.path.join(a.out, "sheets")
    os.makedirs(pics, exist_ok=True)
    tmp = []

    def draw(name, *args, **kw):
        sheet(os.path.join(pics, name + ".png"), *args, **kw)
        tmp.append(name)

    B = Bench(a.demo, dev, a.decoder)
    rng = np.random.default_rng(HELD_OUT)
    n, frames = a.worlds, 4 * a.latents - 3
    w = live.spread(rng, world.sample_worlds(rng, n))
    poses, k = live.live_paths(rng, n, frames, w)
    prompts = [world.caption(rng, w, i) for i in range(n)]
    render = lambda w, p, k, total: torch.cat([live.render({q: v[i:i + 16] for q, v in w.items()}, p[i:i + 16], k[i:i + 16], total, dev) for i in range(0, len(p), 16)])
    x = render(w, poses, k, 41)
    z = B.encode(x)
    rec = B.decode(z)
    if a.decoder:
        note("vae", **{"old " + p: psnr(B.decode(z, B.vae)[:, :, s], x[:, :, s], (1, 2, 3, 4)).mean() for p, s in PARTS.items() if s.start < frames})
    repeat = x[:, :, :1].expand_as(x)
    same = torch.as_tensor(w["start"] == w["end"], device=dev)
    parts = {p: s for p, s in PARTS.items() if s.start < frames}
    db = lambda u, s: psnr(u[:, :, s], x[:, :, s], (1, 3, 4)).mean(1)
    moves = {p: db(repeat, s) < 40 for p, s in parts.items()}
    X, R = looks(x), looks(rec)

    def measure(name, v, ps=parts):
        L = looks(v)
        for p, s in ps.items():
            m = moves[p]
            note(name, **{p + " db": db(v, s)[m].mean(), p + " steady light db": db(v, s)[m & same].mean(),
                          p + " luma": L[0][:, s].mean(), p + " luma off": (L[0] - X[0])[:, s].mean(1).abs().mean(),
                          p + " colours of true": [L[c][:, s].mean() / X[c][:, s].mean() for c in (3, 4, 5)],
                          p + " contrast of true": L[1][:, s].mean() / X[1][:, s].mean(),
                          p + " edges of vae": L[2][:, s].mean() / R[2][:, s].mean(), p + " edges of true": L[2][:, s].mean() / X[2][:, s].mean()})

    note("worlds", moving=[float(moves[p].sum()) for p in parts], steady=float(same.sum()))
    measure("vae", rec)
    measure("first frame repeated", repeat)
    y = B.condition(x[:, :, 0])
    six = range(min(6, n))
    cols = [f for f in (0, 8, 16, 24, 32, 48, 64, 96, 128) if f < frames]

    turn, side = .025, 1.0
    kinds = {"turn+": (0, 0, turn, 0), "turn-": (0, 0, -turn, 0), "strafe+": (0, side, 0, 0), "strafe-": (0, -side, 0, 0), "still": (0, 0, 0, 0), "ahead": (1, 0, 0, 0)}
    early = [[(20, *c)] for c in kinds.values()]
    late = [[(36, 1, 0, 0, 0), (16, 0, 0, .02, 0), (16, 0, 0, 0, 0), (24, *c)] for c in kinds.values()]
    kn = a.keyed
    rk = np.random.default_rng(HELD_OUT + 1)
    ew, ep, ek = keyed(rk, kn, early)
    lw, lp, lk = keyed(rk, kn, late)
    tours = [(24, 1, 0, 0, 0), (12, 0, 0, 0, 0), (20, 0, 0, -.03, 0), (12, 0, 0, 0, 0), (20, 0, 1, 0, 0), (12, 0, 0, 0, 0), (32, .7, 0, .015, 0)]
    tw, tp, tk = keyed(rk, min(4, kn), [tours])
    tl = [f"{t}: {s}" for t, s in zip(range(0, 133, 8), ["start"] + ["W"] * 3 + ["-", "turn", "turn", "turn", "-", "side", "side", "-", "-", "W+turn", "W+turn", "W+turn", "W+turn"])]
    cap = lambda w, m: [world.caption(rk, w, i, None, False) for i in range(m)]
    ex = [render(ew, p, ek, 400) for p in ep]
    lx = [render(lw, p, lk, 400) for p in lp]
    tx = render(tw, tp[0], tk, 400)
    ey, ly, ty = (B.condition(u[:, :, 0]) for u in (ex[0], lx[0], tx))
    ec, lc, tc = cap(ew, kn), cap(lw, kn), cap(tw, len(tx))
    at, after = 8, 12  # words change at a chunk, and are watched for so many
    nw, npath, nk = noons(np.random.default_rng(HELD_OUT + 2), kn, 8 * (at + after) - 3)
    ny = B.condition(render(nw, npath[:, :1], nk, None)[:, :, 0])
    rest = [world.caption(rk, nw, i, None, False) for i in range(kn)]
    noon, night = ([f"{t}, {r}" for r in rest] for t in ("at noon", "at night"))

    def words(name, tag, dit, how):
        """How bright pictures are by night over by noon, chunk by chunk: said in flight, and from the beginning."""
        clip = lambda first, then=None, guide=1: B.decode(B.roll(dit, ny, first, npath, nk, how, 5, then=then, at=at, guide=guide))
        day, dusk, dark, guided = clip(noon), clip(noon, night), clip(night), clip(noon, night, 2)
        light = [u.mean((0, 2, 3)) for u in map(luma, (day, dusk, dark, guided))]
        over = lambda u, chunks: [(u[c].mean() / light[0][c].mean()).item() for c in (slice(max(0, 8 * j - 3), 8 * j + 5) for j in chunks)]
        edges = [looks(u)[2][:, 8 * at - 3:].mean().item() for u in (dusk, dark, guided)]
        note(tag, **{"words in flight, night over noon": over(light[1], range(at, at + after)),
                     "words in flight, guided by 2": over(light[3], range(at, at + after)),
                     "words from the start, night over noon": over(light[2], range(after)), "words in flight, edges of from the start": [edges[0] / edges[1], edges[2] / edges[1]]})
        draw(f"{name}-{how}-words", [u[i] for i in range(min(4, kn)) for u in (day, dusk, guided, dark)], range(8 * at - 4, 8 * (at + after) - 3, 12))

    fe, fl = [flow(u, 0, 21) for u in ex], [flow(u, 69, 93) for u in lx]
    note("true", **{f"early {q} flow": f[0].mean() for q, f in zip(kinds, fe)}, **{f"late {q} flow": f[0].mean() for q, f in zip(kinds, fl)},
         **{f"late {q} motion": f[1].mean() for q, f in zip(kinds, fl)})

    def keys(name, gen, true, when):
        right = {}
        for q, (f, m), (tf, tm) in zip(kinds, gen, true):
            if q[:4] in ("turn", "stra"):
                right.setdefault(q[:-1], []).append((np.sign(f) == np.sign(tf)).mean())
                note(name, **{f"{when} {q} flow of true": (f / tf).mean()})
            else:
                note(name, **{f"{when} {q} motion": m.mean()})
        note(name, **{f"{when} {q} sign right": np.mean(r) for q, r in right.items()})

    trues = {}
    for i, spec in enumerate(a.base):
        label, path = spec.split("=", 1)
        base = model.WanModel(**train_dit.SIZE, text_dim=train_dit.TEXT["dim"])
        base.load_state_dict(load_weights(path))
        base.to(dev).eval()
        for b in base.blocks:
            b.forward = types.MethodType(BLOCK, b)
        v17 = B.decode(B.shipped(base, B.condition(x[:, :, 0], 17), prompts, poses, k, 1))
        pad = torch.cat([v17, x[:, :, 17:]], 2)
        measure(f"{label}, 12 steps", pad, {"5-17": PARTS["5-17"]})
        del base
        if i:
            continue
        trues["shipped"] = v17
    first = True
    for spec in a.specs:
        name, rest = spec.split("=", 1)
        path, hows = rest.split("@")
        dit = train_live.new_dit(load_weights(path), dev).eval().requires_grad_(False)
        for how in hows.split(","):
            tag = f"{name}, {how} steps"
            t1 = time.time()
            v = B.decode(B.roll(dit, y, prompts, poses, k, how, 1))
            measure(tag, v)
            if first or how == hows.split(",")[0]:
                off = B.decode(B.roll(dit, y, prompts, poses, k, how, 1, on=False))
                for p, s in parts.items():
                    note(tag, **{p + " camera off db": db(off, s)[moves[p]].mean()})
                draw(f"{name}-{how}-held-out", [u for i in six for u in (x[i], v[i])], cols)
                g = [B.decode(B.roll(dit, ey, ec, p, ek, how, 2)) for p in ep]
                keys(tag, [flow(u, 0, 21) for u in g], fe, "early")
                h = [B.decode(B.roll(dit, ly, lc, p, lk, how, 3)) for p in lp]
                keys(tag, [flow(u, 69, 93) for u in h], fl, "late")
                tv = B.decode(B.roll(dit, ty, tc, tp[0], tk, how, 4))
                words(name, tag, dit, how)
                draw(f"{name}-{how}-keys", [u for i in range(len(tx)) for u in (tx[i], tv[i])], [f for f in range(0, 133, 8) if f < tx.shape[2]], labels=tl)
            draw(f"{name}-{how}-17", [u for i in range(min(3, n)) for u in [x[i], rec[i]] + ([trues["shipped"][i]] if a.base else []) + [v[i]]], (0, 4, 8, 12, 16))
            print(tag, "took", round(time.time() - t1, 1), flush=True)
        first = False
    note("took", seconds=time.time() - t0)
    with tarfile.open(os.path.join(a.out, "sheets.tar"), "w") as t:
        for q in tmp:
            t.add(os.path.join(pics, q + ".png"), q + ".png")
    shutil.rmtree(pics)


if __name__ == "__main__":
    main()
