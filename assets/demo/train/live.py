"""Worlds and camera paths as a live session makes them: keys and mouse held, released, reversed; objects all
around; and a ring of encoded long clips."""

import math

import numpy as np
import torch

import causal
import data
import tokenizer
import train_dit
import world

LATENTS = 32
FRAMES = 4 * LATENTS - 3  # 125
TURN = 41  # pictures in which the light turns at the slowest, as in the held-out worlds; at the fastest half of that
Y_FRAMES = 21  # picture and black frames that are encoded for the condition: 6 latent frames


def spread(rng, w, share=.5):
    """Move the objects of some worlds from the sector ahead to all around the first camera."""
    n = len(w["seed"])
    pick = rng.random(n) < share
    s = world.SLOTS

    def centre(i):
        b, p, c, e = w["box"][:, i], w["ball"][:, i], w["cone"][:, i], w["cone"][:, s + i]
        on = [b[:, 1] > -500, p[:, 1] > -500, c[:, 2] > -500, e[:, 2] > -500]
        x = np.select(on, [b[:, 0], p[:, 0], c[:, 0], e[:, 0]], 0.0)
        z = np.select(on, [b[:, 2], p[:, 2], c[:, 1], e[:, 1]], 1.0)
        return x, z

    def turn(table, ix, iz, a):
        x, z = table[:, ix].copy(), table[:, iz].copy()
        table[:, ix], table[:, iz] = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)

    for i in range(s):
        x, z = centre(i)
        if i < 2:  # an arch's box i is its left pillar: its middle is between the pillars
            arch = w["kind"][:, i] == 6
            j = s + 2 * i
            x = np.where(arch, (x + w["box"][:, j, 0]) / 2, x)
            z = np.where(arch, (z + w["box"][:, j, 2]) / 2, z)
        az = np.arctan2(x, z)
        a = np.where(pick, az * (math.pi / 1.27 - 1), 0).astype(np.float32)  # azimuth grows by a
        boxes = [i] + ([s + 2 * i, s + 2 * i + 1] if i < 2 else [])
        for k in boxes:
            turn(w["box"][:, k], 0, 2, a)
            w["box"][:, k, 6] += a
        turn(w["ball"][:, i], 0, 2, a)
        for k in (i, s + i):
            turn(w["cone"][:, k], 0, 1, a)
    return w


def clearance(w, xz):
    """Smallest distance of paths [n, k, t, 2] to the worlds' objects, less their radii: [n, k]."""
    big = lambda *v: np.concatenate(v, 1)
    x = big(w["box"][..., 0], w["ball"][..., 0], w["cone"][..., 0])
    z = big(w["box"][..., 2], w["ball"][..., 2], w["cone"][..., 1])
    low = big(w["box"][..., 1], w["ball"][..., 1], w["cone"][..., 2])
    r = big(np.hypot(w["box"][..., 3], w["box"][..., 5]), w["ball"][..., 3], w["cone"][..., 4])
    r = np.where(low > -500, r, -1e3)
    d = np.hypot(xz[:, :, ::4, None, 0] - x[:, None, None], xz[:, :, ::4, None, 1] - z[:, None, None]) - r[:, None, None]
    return d.min((2, 3))


def live_paths(rng, n, frames, w=None, tries=4, back=0.0):
    """Poses [n, frames, 4, 4], intrinsics [n, 4]: controls held for 8 to 48 frames, then changed; in a share
    `back` of the paths every second part undoes the one before, so that what left the view comes back."""
    m = n * tries
    u = lambda lo, hi, *s: rng.uniform(lo, hi, (m, *s))
    v = world.STEP / 4
    t = frames - 1
    parts = 32
    calm = u(0, 1) < .15  # paths that only look around
    length = rng.choice([4, 8, 8, 12, 16, 16, 24, 32, 48], (m, parts))
    part = (np.cumsum(length, 1)[:, :, None] <= np.arange(t)).sum(1).clip(max=parts - 1)  # [m, t]: which part it is
    held = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (.7071, .7071), (.7071, -.7071), (0, 0)])
    keys = held[rng.choice(7, (m, parts), p=[.38, .07, .11, .11, .07, .07, .19])]
    sign = lambda: rng.choice([-1.0, 1.0], (m, parts))
    some = lambda p: rng.random((m, parts)) < p
    control = np.stack([keys[..., 0], keys[..., 1], .5 * sign() * some(.05),
                        sign() * some(.5) * np.where(some(.5), u(.004, .02, parts), u(.02, .05, parts)),
                        sign() * some(.18) * u(.003, .018, parts)], -1)
    if back:
        undo = rng.random(m) < back
        length[undo, 1::2] = length[undo, ::2] = np.minimum(length[undo, ::2], 24)
        control[undo, 1::2] = -control[undo, ::2]
        part = (np.cumsum(length, 1)[:, :, None] <= np.arange(t)).sum(1).clip(max=parts - 1)
    forward, side, rise, yaw_rate, pitch_rate = np.take_along_axis(control, part[..., None], 1).transpose(2, 0, 1)
    speed = np.where(u(0, 1) < .5, 1.0, u(.4, 1.0))[:, None] * np.where(calm, 0, 1)[:, None]
    tau = np.where(u(0, 1) < .4, 0.0, u(.3, .85))
    smooth = np.stack([forward * speed, side * speed, rise * speed, yaw_rate, pitch_rate], -1)
    state = smooth[:, 0].copy()
    for i in range(t):  # keys have a little inertia
        state = state * tau[:, None] + smooth[:, i] * (1 - tau[:, None])
        smooth[:, i] = state
    yaw = np.zeros((m, frames))
    pitch = np.zeros((m, frames))
    yaw[:, 1:] = np.cumsum(smooth[..., 3], 1)
    pitch[:, 0] = u(-.10, .04)
    for i in range(t):
        pitch[:, i + 1] = np.clip(pitch[:, i] + smooth[:, i, 4], -.45, .35)
    mid = (yaw[:, 1:] + yaw[:, :-1]) / 2
    f, s = smooth[..., 0] * v, smooth[..., 1] * v
    step = np.stack([-s * np.cos(mid) - f * np.sin(mid), smooth[..., 2] * v, f * np.cos(mid) - s * np.sin(mid)], -1)
    position = np.concatenate([np.zeros((m, 1, 3)), np.cumsum(step, 1)], 1)
    position[..., 1] += u(1.1, 1.9)[:, None]
    position[..., 1] = np.clip(position[..., 1], .5, 4)
    poses = world.look(yaw, pitch, position).reshape(n, tries, frames, 4, 4)
    if w is None:
        best = np.zeros(n, int)
    else:
        free = clearance(w, position.reshape(n, tries, frames, 3)[..., [0, 2]])
        good = free > .35
        best = np.where(good.any(1), good.argmax(1), free.argmax(1))
    poses = poses[np.arange(n), best]
    focal = np.where(rng.random(n) < .5, 520.0, rng.uniform(430, 640, n))
    k = np.stack([focal, focal, np.full(n, world.WIDTH / 2), np.full(n, world.HEIGHT / 2)], 1)
    return poses, k.astype(np.float32)


def changes(rng, n, chunks, begin=.4, back=.3):
    """Chunks [n, 2] from which on other words hold, or `chunks` for none: in a share `begin` of the clips from the
    first, in the others from a later one; in a share `back` they change once more."""
    first = np.where(rng.random(n) < begin, 0, rng.integers(1, max(2, chunks - 3), n))
    second = np.where(rng.random(n) < back, first + rng.integers(3, 9, n), chunks)
    return np.minimum(np.stack([first, second], 1), chunks)


def turned(w, change, frames):
    """How far the light has turned at each picture, [n, frames]: towards the end's from the first change on, and back."""
    begin = np.maximum(0, 4 * causal.CHUNK * change - 3)  # the chunk's first picture
    s = (np.arange(frames) - begin[..., None]) / (w["light"][:, None, :1, 14] * (TURN - 1))
    s = world.smoothstep(np.clip(s, 0, 1))
    return (s[:, 0] * (1 - s[:, 1])).astype(np.float32)


def captions(rng, w, i, mode):
    """What is said of world i before the first change of its words, from it on, and from the second on."""
    still = {**w, "end": w["start"], "light": w["light"][:, [0, 0]]}
    back = {**w, "start": w["end"], "end": w["start"], "light": w["light"][:, ::-1]}
    return [world.caption(rng, u, i, mode) for u in (still, w, back)]


def sample(rng, n, frames=FRAMES, plain=.2, back=.3):
    """Worlds, poses, intrinsics, base mode (or -1) and the chunks at which the words change, and the light with them."""
    w = spread(rng, world.sample_worlds(rng, n, .5))
    change = changes(rng, n, (frames + 3) // 4 // causal.CHUNK)
    w["turned"] = turned(w, change, frames)
    poses, k = live_paths(rng, n, frames, w, back=back)
    base, bk, modes, _ = world.sample_paths(rng, n, frames)
    use = rng.random(n) < plain
    poses[use], k[use] = base[use], bk[use]
    return w, poses, k, np.where(use, modes, -1), change


def render(w, poses, k, total, device, h=None, wd=None):
    """[n, 3, f, h, w] in [-1, 1], rounded to 8 bits."""
    x = world.render(world.to_device(w, device), torch.as_tensor(poses, device=device), torch.as_tensor(k, device=device),
                     h or data.H, wd or data.W, total=total)
    return ((x + 1) * 127.5).round() / 127.5 - 1


@torch.no_grad()
def encode(vae, x, mean, std):
    """Normalised latents of clips, and of picture + Y_FRAMES - 1 black frames."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
        black = torch.zeros_like(x[:, :, :Y_FRAMES])
        black[:, :, :1] = x[:, :, :1]
        form = (lambda u: u.contiguous(memory_format=torch.channels_last_3d)) if x.is_cuda else (lambda u: u)
        z, y = (vae.encode(form(u))[0].float() for u in (x, black))
    return (z - mean) / std, (y - mean) / std


class Ring:
    """Encoded clips on the device, refreshed while training."""

    def __init__(self, rng, vae, mean, std, words, device, size, n, frames=FRAMES):
        self.rng, self.vae, self.mean, self.std, self.words, self.dev = rng, vae, mean, std, words, device
        self.n, self.size, self.at, self.count, self.made, self.frames = n, size, 0, 0, 0, frames
        f, h, w = (frames + 3) // 4, data.H // 8, data.W // 8
        self.z = torch.zeros(size, 16, f, h, w, dtype=torch.bfloat16, device=device)
        self.y = torch.zeros(size, 16, (Y_FRAMES + 3) // 4, h, w, dtype=torch.bfloat16, device=device)
        self.rel = torch.zeros(size, f, 4, 4, device=device)
        self.k = torch.zeros(size, 4, device=device)
        self.ids = torch.zeros(size, 3, tokenizer.LENGTH, dtype=torch.int64, device=device)  # as `captions`
        self.lengths = torch.zeros(size, 3, dtype=torch.int64, device=device)
        self.change = torch.zeros(size, 2, dtype=torch.int64, device=device)

    def add(self):
        w, poses, k, modes, change = sample(self.rng, self.n, self.frames)
        x = render(w, poses, k, None, self.dev)
        z, y = encode(self.vae, x, self.mean, self.std)
        said = [captions(self.rng, w, i, int(modes[i]) if modes[i] >= 0 else None) for i in range(self.n)]
        ids, lengths = (v.reshape(self.n, 3, *v.shape[1:]) for v in self.words.batch(sum(said, [])))
        to = slice(self.at, self.at + self.n)
        self.z[to], self.y[to] = z.to(self.z.dtype), y.to(self.y.dtype)
        self.rel[to] = causal.live_relative(torch.as_tensor(poses[:, ::4], device=self.dev))
        self.k[to] = torch.as_tensor(k, device=self.dev)
        for mine, new in ((self.ids, ids), (self.lengths, lengths), (self.change, change)):
            mine[to] = torch.as_tensor(new, device=self.dev)
        self.at = (self.at + self.n) % self.size
        self.count, self.made = min(self.size, self.made + self.n), self.made + self.n

    def names(self):
        return ("z", "y", "rel", "k", "ids", "lengths", "change")

    def told(self, idx, chunk):
        """Ids, lengths of what holds in a chunk [b] of clips idx [b]."""
        part = (chunk[:, None] >= self.change[idx]).sum(1)
        return self.ids[idx, part], self.lengths[idx, part]

    def save(self, path):
        torch.save({"count": self.count, **{n: getattr(self, n)[:self.count] for n in self.names()}}, path)

    def load(self, path):
        s = torch.load(path, map_location=self.dev)
        c = min(s["count"], self.size)
        for n in self.names():
            getattr(self, n)[:c] = s[n][:c]
        self.count = self.made = c
        self.at = c % self.size
