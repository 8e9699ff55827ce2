"""An endless procedural 3D world: sampled, captioned and ray-cast in closed form.

World axes: y up, ground at y = 0, z ahead of the first camera, -x to its right. Cameras follow OpenCV (x right, y down, z
forward); poses are camera-to-world. All ray arithmetic is fp32 (never TF32).
"""

import math

import numpy as np
import torch

STEP = 0.45  # world units of the largest move between two latent frames (4 frames)
WIDTH, HEIGHT = 832, 480  # the picture that intrinsics are given for
SLOTS = 6  # objects of a world
BOXES, SPHERES, CONES = SLOTS + 4, SLOTS, 2 * SLOTS

TIMES = ["noon", "sunset", "night", "morning", "overcast"]
# sun, ambient, horizon, zenith (RGB each), stars
LIGHT = np.array([
    [1.10, 1.05, 0.95, 0.42, 0.46, 0.52, 0.72, 0.84, 0.95, 0.25, 0.50, 0.88, 0],
    [1.15, 0.62, 0.30, 0.30, 0.24, 0.30, 0.98, 0.55, 0.25, 0.32, 0.28, 0.52, 0],
    [0.10, 0.13, 0.22, 0.06, 0.08, 0.15, 0.07, 0.10, 0.20, 0.01, 0.02, 0.07, 1],
    [0.85, 0.72, 0.60, 0.38, 0.36, 0.42, 0.96, 0.82, 0.76, 0.48, 0.62, 0.82, 0],
    [0.20, 0.20, 0.21, 0.52, 0.54, 0.58, 0.66, 0.69, 0.73, 0.52, 0.56, 0.62, 0],
], np.float32)

COLOURS = {
    "red": (0.80, 0.13, 0.10), "orange": (0.90, 0.45, 0.08), "yellow": (0.90, 0.78, 0.15),
    "green": (0.18, 0.60, 0.18), "teal": (0.08, 0.55, 0.55), "blue": (0.12, 0.28, 0.80),
    "purple": (0.48, 0.16, 0.66), "pink": (0.92, 0.45, 0.62), "white": (0.90, 0.90, 0.88),
    "grey": (0.48, 0.48, 0.50), "black": (0.10, 0.10, 0.11), "brown": (0.42, 0.25, 0.12),
}
COLOUR_NAMES = list(COLOURS)
COLOUR_RGB = np.array(list(COLOURS.values()), np.float32)

GROUNDS = ["grass", "desert", "snow", "stone", "checker", "water", "rock", "dirt"]
# two colours, then weights of: noise, tiles, checker, ripples, mirror
GROUND = np.array([
    [0.20, 0.44, 0.12, 0.38, 0.58, 0.20, 1, 0, 0, 0, 0],
    [0.80, 0.62, 0.36, 0.92, 0.76, 0.50, 0.7, 0, 0, 0.5, 0],
    [0.80, 0.84, 0.92, 0.96, 0.97, 0.99, 1, 0, 0, 0, 0],
    [0.36, 0.36, 0.38, 0.60, 0.59, 0.57, 0.3, 1, 0, 0, 0],
    [0.15, 0.15, 0.17, 0.82, 0.80, 0.76, 0, 0, 1, 0, 0],
    [0.06, 0.24, 0.40, 0.12, 0.40, 0.54, 0.5, 0, 0, 0.6, 0.5],
    [0.46, 0.20, 0.12, 0.68, 0.34, 0.20, 1, 0, 0, 0, 0],
    [0.30, 0.22, 0.14, 0.46, 0.35, 0.23, 1, 0, 0, 0, 0],
], np.float32)

KINDS = ["box", "tower", "column", "sphere", "tree", "pine", "arch", "none"]
PATTERNS = ["plain", "bands", "stripes", "checks", "blotches"]
MODES = ["forward", "backward", "strafe", "turn", "orbit", "rise", "look", "stop", "still", "mixed"]
MODE_P = [0.20, 0.05, 0.16, 0.16, 0.14, 0.06, 0.06, 0.03, 0.06, 0.08]


# ---------------------------------------------------------------- sampling

def sample_worlds(rng, n, turning=.38):
    """Sample n worlds: a dict of arrays whose first axis is the world. Of a share the light turns."""
    u = lambda lo, hi, *s: rng.uniform(lo, hi, (n, *s)).astype(np.float32)
    w = {"ground": rng.integers(0, len(GROUNDS), n), "seed": u(0, 100)}
    kind = rng.choice(len(KINDS), (n, SLOTS), p=[.2, .1, .14, .15, .16, .1, .05, .1])
    kind[:, 2:][kind[:, 2:] == 6] = 0  # only the first two slots can be arches
    colour = rng.integers(0, len(COLOURS), (n, SLOTS))
    pattern = rng.choice(len(PATTERNS), (n, SLOTS), p=[.25, .2, .2, .2, .15])
    w.update(kind=kind, colour=colour, pattern=pattern)
    rgb = np.clip(COLOUR_RGB[colour] + u(-.06, .06, SLOTS, 3), 0.03, 1)
    other = np.clip(rgb * u(.35, .65, SLOTS, 1) + (u(0, 1, SLOTS, 1) > .5) * .35, 0.03, 1)

    # objects on a ring of sectors, so that they rarely overlap
    sector = (np.arange(SLOTS) + .5) / SLOTS
    order = np.argsort(u(0, 1, SLOTS), 1)
    azimuth = (sector[order] * 2 - 1) * 1.15 + u(-.12, .12, SLOTS)
    size = u(.45, 1.0, SLOTS)
    distance = 2.9 + size + 7.5 * u(0, 1, SLOTS) ** 1.4
    x, z = distance * np.sin(azimuth), distance * np.cos(azimuth)
    yaw = u(0, math.pi, SLOTS)
    tall = u(1.2, 3.2, SLOTS)

    far = -1000.0
    box = np.zeros((n, BOXES, 7), np.float32)  # centre, half sizes, yaw
    box[..., 1], box[..., 3:6] = far, .01
    ball = np.zeros((n, SPHERES, 5), np.float32)  # centre, radius, vertical stretch
    ball[..., 1], ball[..., 3:] = far, (.01, 1)
    cone = np.zeros((n, CONES, 6), np.float32)  # foot x, z, bottom, top, radius, taper to
    cone[..., 2:4], cone[..., 4:] = far, .01
    mat_box = np.zeros((n, BOXES, 8), np.float32)  # two colours, pattern, period
    mat_ball = np.zeros((n, SPHERES, 8), np.float32)
    mat_cone = np.zeros((n, CONES, 8), np.float32)
    material = np.concatenate([rgb, other, pattern[..., None].astype(np.float32), u(.35, .8, SLOTS, 1)], 2)
    bark = np.array([.36, .23, .13, .26, .16, .10, 1, .5], np.float32)
    leaf = np.array([[.13, .42, .12, .22, .56, .18, 4, .5], [.70, .34, .10, .84, .52, .16, 4, .5],
                     [.85, .50, .60, .95, .68, .75, 4, .5]], np.float32)
    season = rng.choice(3, n, p=[.7, .2, .1])
    w["season"] = season
    for s in range(SLOTS):
        k, r, h = kind[:, s], size[:, s], tall[:, s]
        sx, sz = x[:, s], z[:, s]
        wide = np.where(k == 1, r * .75, r)
        high = np.where(k == 1, h * 1.3, r * u(.7, 1.2))
        on = (k == 0) | (k == 1)
        box[on, s] = np.stack([sx, high, sz, wide, high, wide, yaw[:, s]], 1)[on]
        on = k == 6
        span, pillar, top = .9 + .5 * r, .22 + .1 * r, 1.1 + .45 * h
        c, d = np.cos(yaw[:, s]), np.sin(yaw[:, s])
        for i, side in ((s, -1), (min(SLOTS + 2 * s, BOXES - 1), 1)):
            box[on, i] = np.stack([sx + side * span * c, top, sz - side * span * d, pillar, top, pillar, yaw[:, s]], 1)[on]
        if s < 2:
            box[on, SLOTS + 2 * s + 1] = np.stack([sx, 2 * top + pillar, sz, span + pillar * 1.5, pillar, pillar * 1.1, yaw[:, s]], 1)[on]
            mat_box[:, SLOTS + 2 * s:SLOTS + 2 * s + 2] = material[:, s:s + 1]
        mat_box[:, s] = material[:, s]
        on = k == 3
        lift = r * (1 + .6 * (u(0, 1) > .75))
        ball[on, s] = np.stack([sx, lift, sz, r, np.ones(n, np.float32)], 1)[on]
        mat_ball[:, s] = material[:, s]
        on = k == 2
        cone[on, s] = np.stack([sx, sz, 0 * r, h * 1.2, r * .5, r * .45], 1)[on]
        mat_cone[:, s] = material[:, s]
        tree, pine = k == 4, k == 5
        on = tree | pine
        cone[on, s] = np.stack([sx, sz, 0 * r, h * .8, r * .18, r * .13], 1)[on]
        mat_cone[on, s] = bark
        ball[tree, s] = np.stack([sx, h * .8 + r * .5, sz, r * .95, u(.8, 1.2)], 1)[tree]
        mat_ball[tree, s] = leaf[season[tree]]
        cone[pine, SLOTS + s] = np.stack([sx, sz, h * .3, h * 1.35, r * .9, 0 * r + .02], 1)[pine]
        mat_cone[pine, SLOTS + s] = leaf[0] * np.array([.7, .7, .8, .7, .7, .8, 1, 1], np.float32)
    w.update(box=box, ball=ball, cone=cone, material=np.concatenate([mat_box, mat_ball, mat_cone], 1))

    ground = GROUND[w["ground"]].copy()
    ground[:, :6] = np.clip(ground[:, :6] + u(-.05, .05, 1) + u(-.03, .03, 6), .02, 1)
    w["floor"] = np.concatenate([ground, u(.8, 1.6, 1)], 1)  # + period
    bearing, height = u(-1.4, 1.4), u(.35, 1.0)
    w["sun"] = np.stack([np.sin(bearing) * np.cos(height), np.sin(height), np.cos(bearing) * np.cos(height)], 1)
    w["hills"] = np.stack([u(0, .16) * (u(0, 1) < .7), u(2, 4), u(5, 9), u(0, 6), u(0, 6), u(.2, .6), u(.2, .5), u(.2, .5)], 1)
    w["clouds"] = u(-.2, .9)

    # light: where it starts and where the words take it
    start = rng.choice(len(TIMES), n, p=[.3, .18, .24, .14, .14])
    drift = rng.random(n) < turning
    end = np.where(drift, rng.choice(len(TIMES), n, p=[.3, .18, .3, .12, .10]), start)
    w.update(start=start, end=end)
    jitter = u(.93, 1.07, 13)
    fog0 = np.where(u(0, 1) < .2, u(.05, .14), 0.0)
    fog1 = np.where(u(0, 1) < .1, np.where(fog0 > 0, 0.0, .12), fog0)
    pace = u(.5, 1.0)
    w["light"] = np.stack([np.concatenate([LIGHT[e] * jitter, f[:, None], pace[:, None]], 1)
                           for e, f in ((start, fog0), (end, fog1))], 1).astype(np.float32)
    return w


def sample_paths(rng, n, frames=17, mode=None):
    """Sample n camera paths: poses [n, frames, 4, 4], intrinsics [n, 4], mode names, signs."""
    mode = rng.choice(len(MODES), n, p=MODE_P) if mode is None else np.broadcast_to(mode, n)
    u = lambda lo, hi: rng.uniform(lo, hi, n)
    is_ = lambda name: mode == MODES.index(name)
    sign = np.where(rng.random(n) < .5, -1.0, 1.0)
    t = np.linspace(0, 1, frames - 1)[None]
    # ease: mostly steady, sometimes speeding up or slowing down; stop ends still
    tilt = u(-.4, .4)[:, None]
    ease = 1 + tilt * (2 * t - 1)
    ease = np.where(is_("stop")[:, None], np.clip(1.6 - 2.2 * t, 0, 1), ease)
    v = STEP / 4
    wobble = lambda: np.sin(math.pi * t * u(.5, 2)[:, None] + u(0, 6)[:, None])
    mixed = is_("mixed")
    turn_rate = np.where(is_("turn"), u(.008, .030), 0) + np.where(is_("look"), u(.012, .03), 0) + np.where(mixed, u(-.02, .02), 0)
    orbit_radius = u(3.2, 7.0)
    turn_rate = turn_rate * sign + np.where(is_("orbit"), -sign * v / orbit_radius, 0)
    turn_rate = turn_rate + np.where(is_("forward") & (rng.random(n) < .35), u(-.012, .012), 0)
    yaw_rate = turn_rate[:, None] * ease
    yaw_rate = np.where(is_("look")[:, None], turn_rate[:, None] * np.cos(math.pi * t * u(.8, 2)[:, None]), yaw_rate)
    pitch_rate = np.where(is_("look"), u(-.014, .014), 0)[:, None] * np.cos(math.pi * t * 1.5)
    pitch_rate = pitch_rate + np.where(mixed, u(-.008, .008), 0)[:, None] * ease + np.where(is_("rise"), sign * u(0, .008), 0)[:, None]
    forward = np.where(is_("forward") | is_("stop"), 1, 0) - is_("backward") + np.where(mixed, u(-.4, 1), 0)
    side = sign * (is_("strafe") | is_("orbit")) + np.where(mixed, u(-1, 1), 0)
    rise = sign * is_("rise") * .7 + np.where(mixed, u(-.2, .4), 0)
    zeros = np.zeros((n, 1))
    yaw = np.concatenate([zeros, np.cumsum(yaw_rate, 1)], 1)
    pitch0 = u(-.10, .04)
    pitch = pitch0[:, None] + np.concatenate([zeros, np.cumsum(pitch_rate, 1)], 1)
    local = np.stack([side, rise, forward], 1)[:, None] * ease[..., None] * v
    local = local + np.where(mixed, 1, 0)[:, None, None] * v * .3 * np.stack([wobble(), 0 * wobble(), wobble()], 2)
    mid = (yaw[:, 1:] + yaw[:, :-1]) / 2
    world = np.stack([-local[..., 0] * np.cos(mid) - local[..., 2] * np.sin(mid), local[..., 1],
                      local[..., 2] * np.cos(mid) - local[..., 0] * np.sin(mid)], 2)
    position = np.concatenate([np.zeros((n, 1, 3)), np.cumsum(world, 1)], 1)
    # the conditioning keeps only relative speed: make the largest latent step exactly STEP
    if frames > 4:
        largest = np.linalg.norm(np.diff(position[:, ::4], axis=1), axis=2).max(1)
        position *= np.where(largest > 1e-6, STEP / np.maximum(largest, 1e-6), 0)[:, None, None]
    eye = u(1.1, 1.9)
    position[..., 1] += eye[:, None]
    low = position[..., 1].min(1)
    position[..., 1] += np.maximum(0, .5 - low)[:, None]
    poses = look(yaw, pitch, position)
    focal = np.where(rng.random(n) < .4, 520.0, u(430, 640))
    intrinsics = np.stack([focal, focal, np.full(n, WIDTH / 2), np.full(n, HEIGHT / 2)], 1)
    return poses, intrinsics.astype(np.float32), mode, sign


def look(yaw, pitch, position):
    """Camera-to-world poses [..., 4, 4] from angles (right and up positive) and positions."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    pose = np.zeros((*np.shape(yaw), 4, 4))
    pose[..., :3, 0] = np.stack([-cy, 0 * cy, -sy], -1)
    pose[..., :3, 2] = np.stack([-sy * cp, sp, cy * cp], -1)
    pose[..., :3, 1] = np.cross(pose[..., :3, 2], pose[..., :3, 0])
    pose[..., :3, 3] = position
    pose[..., 3, 3] = 1
    return pose.astype(np.float32)


def mirror(poses):
    """The path mirrored left to right, about its own first camera."""
    flip = np.diag([-1.0, 1, 1, 1])
    return (poses[..., :1, :, :] @ flip @ np.linalg.inv(poses[..., :1, :, :]) @ poses @ flip).astype(np.float32)


def smoothstep(t):
    return t * t * (3 - 2 * t)


# ---------------------------------------------------------------- rendering

def rays(poses, intrinsics, height, width, ss, crop=None):
    """Origins [n, f, 1, 3] and directions [n, f, height*width*ss*ss, 3] of a picture
    of the given size; crop (x, y [n], full height, full width) renders a window of it."""
    dev = poses.device
    n = poses.shape[0]
    x0, y0, full_h, full_w = crop if crop else (torch.zeros(n, device=dev), torch.zeros(n, device=dev), height, width)
    sub = (torch.arange(ss, device=dev) + .5) / ss
    ys = (torch.arange(height, device=dev)[:, None] + sub).view(height, 1, ss, 1).expand(height, width, ss, ss)
    xs = (torch.arange(width, device=dev)[:, None] + sub).view(1, width, 1, ss).expand(height, width, ss, ss)
    xs, ys = xs.reshape(1, -1) + x0[:, None], ys.reshape(1, -1) + y0[:, None]
    k = intrinsics * torch.tensor([full_w / WIDTH, full_h / HEIGHT] * 2, device=dev)
    d = torch.stack([(xs - k[:, 2:3]) / k[:, 0:1], (ys - k[:, 3:4]) / k[:, 1:2], torch.ones_like(xs)], 2)
    d = d / d.norm(dim=2, keepdim=True)
    r = poses[:, :, None, :3, :3]
    d = (r * d[:, None, :, None, :]).sum(-1)
    return poses[:, :, None, :3, 3], d


def hash2(x, y):
    h = torch.sin(x * 12.9898 + y * 78.233) * 43758.5453
    return h - torch.floor(h)


def noise2(x, y):
    ix, iy = torch.floor(x), torch.floor(y)
    fx, fy = smoothstep(x - ix), smoothstep(y - iy)
    ix, iy = torch.remainder(ix, 512), torch.remainder(iy, 512)
    a, b = hash2(ix, iy), hash2(ix + 1, iy)
    c, d = hash2(ix, iy + 1), hash2(ix + 1, iy + 1)
    return a + (b - a) * fx + (c - a) * fy + (a - b - c + d) * fx * fy


def wave(x, footprint):
    """A soft square wave of period 1 in [0, 1], faded to its mean under the footprint."""
    fade = torch.clamp(1.6 - 3.2 * footprint, 0, 1)
    return .5 + .5 * fade * torch.clamp(torch.sin(x * (2 * math.pi)) * 4, -1, 1)


BIG = 1e9
EPS = 1e-3


def hit_boxes(o, d, box):
    """Nearest hit of rays with yawed boxes [n, K, 7]: distance [n, f, r] and index."""
    c, h, a = box[:, None, None, :, :3], box[:, None, None, :, 3:6], box[:, None, None, :, 6]
    ca, sa = torch.cos(a), torch.sin(a)
    o, d = o[..., None, :], d[..., None, :]
    px, py, pz = o[..., 0] - c[..., 0], o[..., 1] - c[..., 1], o[..., 2] - c[..., 2]
    lo, hi = -BIG, BIG
    for p, q, e in ((px * ca - pz * sa, d[..., 0] * ca - d[..., 2] * sa, h[..., 0]), (py, d[..., 1], h[..., 1]),
                    (px * sa + pz * ca, d[..., 0] * sa + d[..., 2] * ca, h[..., 2])):
        inv = 1 / torch.where(q.abs() < 1e-8, 1e-8, q)
        t0, t1 = (-e - p) * inv, (e - p) * inv
        lo = torch.clamp(torch.minimum(t0, t1), min=lo) if isinstance(lo, float) else torch.maximum(lo, torch.minimum(t0, t1))
        hi = torch.clamp(torch.maximum(t0, t1), max=hi) if isinstance(hi, float) else torch.minimum(hi, torch.maximum(t0, t1))
    return torch.where((hi >= lo) & (lo > EPS), lo, BIG).min(-1)


def hit_balls(o, d, ball):
    """As hit_boxes, with upright ellipsoids [n, K, 5]."""
    s = ball[:, None, None, :, 4]
    p = o[..., None, :] - ball[:, None, None, :, :3]
    px, py, pz = p[..., 0], p[..., 1] / s, p[..., 2]
    qx, qy, qz = d[..., None, 0], d[..., None, 1] / s, d[..., None, 2]
    a = qx * qx + qy * qy + qz * qz
    b = px * qx + py * qy + pz * qz
    # distance from the closest point, not b^2 - ac: no cancellation far away
    k = b / a
    mx, my, mz = px - k * qx, py - k * qy, pz - k * qz
    disc = ball[:, None, None, :, 3] ** 2 - (mx * mx + my * my + mz * mz)
    t = -k - torch.sqrt(torch.clamp(disc, min=0) / a)
    return torch.where((disc > 0) & (t > EPS), t, BIG).min(-1)


def hit_cones(o, d, cone):
    """As hit_boxes, with upright frusta [n, K, 6]: side, then lid."""
    fx, fz, y0, y1, r0, r1 = (cone[:, None, None, :, i] for i in range(6))
    px, py, pz = o[..., None, 0] - fx, o[..., None, 1], o[..., None, 2] - fz
    qx, qy, qz = d[..., None, 0], d[..., None, 1], d[..., None, 2]
    m = (r1 - r0) / torch.clamp(y1 - y0, min=1e-3)
    r = r0 + m * (py - y0)
    a = qx * qx + qz * qz - (m * qy) ** 2
    b = px * qx + pz * qz - r * m * qy
    c = px * px + pz * pz - r * r
    a = torch.where(a.abs() < 1e-7, 1e-7, a)
    disc = b * b - a * c
    root = torch.sqrt(torch.clamp(disc, min=0))
    t0, t1 = (-b - root) / a, (-b + root) / a
    near, far = torch.minimum(t0, t1), torch.maximum(t0, t1)
    inside = lambda t: (disc > 0) & (t > EPS) & (py + t * qy >= y0) & (py + t * qy <= y1)
    t = torch.where(inside(near), near, torch.where(inside(far), far, BIG))
    lid = (y1 - py) / torch.where(qy.abs() < 1e-8, 1e-8, qy)
    lx, lz = px + lid * qx, pz + lid * qz
    t = torch.minimum(t, torch.where((lid > EPS) & (lx * lx + lz * lz <= r1 * r1), lid, BIG))
    return t.min(-1)


def pick(table, index):
    """Rows of table [n, K, C] by index [n, f, r] -> [n, f, r, C]."""
    n, f, r = index.shape
    c = table.shape[2]
    return torch.gather(table, 1, index.reshape(n, f * r, 1).expand(n, f * r, c)).view(n, f, r, c)


def sky(d, w, light):
    """Sky colour [n, f, r, 3] in directions d."""
    e = d[..., 1]
    row = lambda i, j: light[:, :, None, i:j]
    up = torch.clamp(e, 0, 1)[..., None]
    colour = row(6, 9) + (row(9, 12) - row(6, 9)) * torch.sqrt(up + 1e-6)
    sun = w["sun"][:, None, None]
    cos = torch.clamp((d * sun).sum(-1), 0, 1)[..., None]
    glow = row(0, 3).clamp(max=1.0)
    colour = colour + glow * .30 * cos ** 24
    disc = torch.clamp((cos - .9978) * 900, 0, 1)
    star = row(12, 13)
    colour = colour + (torch.maximum(torch.maximum(glow * 1.1, star * .85), colour) - colour) * disc
    lift = 1 / torch.clamp(e, min=.05)
    cx, cz = d[..., 0] * lift * .8 + w["seed"][:, None, None], d[..., 2] * lift * .8
    cloud = .65 * noise2(cx, cz) + .35 * noise2(cx * 2.1 + 7, cz * 2.1)
    cover = torch.clamp((cloud - .62 + .3 * w["clouds"][:, None, None]) * 3, 0, .75) * torch.clamp((e - .06) * 5, 0, 1)
    lit = row(3, 6) * .9 + row(0, 3) * .45
    colour = colour + (lit - colour) * cover[..., None]
    az = torch.atan2(d[..., 0], d[..., 2]) * 14
    el = torch.asin(torch.clamp(e, -1, 1)) * 14
    ia, ie = torch.floor(az), torch.floor(el)
    cell = hash2(ia, ie + 31)
    dx, dy = az - ia - .2 - .6 * hash2(ia + 3, ie), el - ie - .2 - .6 * hash2(ia, ie + 7)
    spark = torch.exp(-(dx * dx + dy * dy) * 60) * (cell > .72) * torch.clamp(e * 6, 0, 1)
    colour = colour + star * .6 * (spark * (1 - torch.clamp(cover * 1.3, 0, 1)))[..., None]
    hl = w["hills"][:, None, None]
    angle = torch.atan2(d[..., 0], d[..., 2])
    ridge = hl[..., 0] * (1 + .5 * torch.sin(angle * hl[..., 1] + hl[..., 3]) + .35 * torch.sin(angle * hl[..., 2] + hl[..., 4]))
    rock = hl[..., 5:8] * (row(3, 6) + .35 * row(0, 3)) * .7 + row(6, 9) * .3
    cover = torch.clamp((ridge - e) * 120, 0, 1) * (hl[..., 0] > .01)
    return colour + (rock - colour) * cover[..., None]


def ground_colour(p, t, d, w):
    f = w["floor"][:, None, None]
    seed, period = w["seed"][:, None, None], f[..., 11]
    footprint = t * .006 / torch.clamp(d[..., 1].abs(), min=.03)
    x, z = p[..., 0] + seed, p[..., 2] + seed
    fade = torch.clamp(1.5 - footprint * 1.2, .15, 1)
    m = .5 + (.6 * (noise2(x * .7, z * .7) - .5) + .55 * fade * (noise2(x * 2.3, z * 2.3) - .5)) * f[..., 6]
    a, b = x / period, z / period
    fp = footprint / period
    line = lambda s: torch.clamp((torch.sin(s * math.pi).abs() - .10) * 6, 0, 1)
    lines = line(a) * line(b)
    steady = torch.clamp(1.6 - 2.5 * fp, 0, 1)
    m = m + f[..., 7] * ((.8 + (lines - .8) * steady) * .7 - .35)
    sq = lambda s: torch.clamp(torch.sin(s * math.pi) * 6, -1, 1)
    m = m + f[..., 8] * .5 * sq(a) * sq(b) * steady
    m = m + f[..., 9] * .4 * torch.sin(z * 2.2 + 2.5 * noise2(x * .6, z * .6)) * torch.clamp(1.5 - footprint, 0, 1)
    m = torch.clamp(m, 0, 1)[..., None]
    return f[..., 0:3] + (f[..., 3:6] - f[..., 0:3]) * m


def trace(o, d, w):
    """Linear-light colour [n, f, r, 3] along rays."""
    light = w["light_t"]
    tb, ib = hit_boxes(o, d, w["box"])
    ts, is_ = hit_balls(o, d, w["ball"])
    tc, ic = hit_cones(o, d, w["cone"])
    down = torch.where(d[..., 1] < -1e-4, d[..., 1], -1e-4)
    tg = torch.where(d[..., 1] < -1e-4, -o[..., 1] / down, BIG)
    t = torch.minimum(torch.minimum(tb, ts), torch.minimum(tc, tg))
    seen = t < BIG / 2
    t = torch.clamp(t, max=400)
    p = o + d * t[..., None]
    onbox, onball, oncone = tb <= t, ts <= t, tc <= t
    kb, ks, kc = pick(w["box"], ib), pick(w["ball"], is_), pick(w["cone"], ic)
    # boxes: the face whose scaled coordinate is largest
    ca, sa = torch.cos(kb[..., 6]), torch.sin(kb[..., 6])
    q = p - kb[..., :3]
    lx, ly, lz = q[..., 0] * ca - q[..., 2] * sa, q[..., 1], q[..., 0] * sa + q[..., 2] * ca
    ax, ay, az = (lx / kb[..., 3]).abs(), (ly / kb[..., 4]).abs(), (lz / kb[..., 5]).abs()
    ex, ey = (ax >= ay) & (ax >= az), (ay > ax) & (ay >= az)
    nx, ny = torch.where(ex, torch.sign(lx), 0), torch.where(ey, torch.sign(ly), 0)
    nz = torch.where(ex | ey, 0, torch.sign(lz))
    nbox = torch.stack([nx * ca + nz * sa, ny, -nx * sa + nz * ca], -1)
    ubox = torch.where(ex, lz, lx)
    vbox = torch.where(ey, lz, ly)
    # ellipsoids
    q = p - ks[..., :3]
    s = ks[..., 4]
    nball = torch.stack([q[..., 0], q[..., 1] / (s * s), q[..., 2]], -1)
    nball = nball / nball.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    uball, vball = torch.atan2(q[..., 0], q[..., 2]) * ks[..., 3], q[..., 1]
    # frusta
    rx, rz = p[..., 0] - kc[..., 0], p[..., 2] - kc[..., 1]
    rr = torch.sqrt(rx * rx + rz * rz).clamp(min=1e-6)
    m = (kc[..., 5] - kc[..., 4]) / torch.clamp(kc[..., 3] - kc[..., 2], min=1e-3)
    lid = (p[..., 1] > kc[..., 3] - 2e-3) & (rr < kc[..., 5] * .999)
    nside = torch.stack([rx / rr, -m, rz / rr], -1)
    nside = nside / nside.norm(dim=-1, keepdim=True)
    up = torch.zeros_like(nside)
    up[..., 1] = 1
    ncone = torch.where(lid[..., None], up, nside)
    ucone, vcone = torch.atan2(rx, rz) * kc[..., 4], p[..., 1]

    index = torch.where(onbox, ib, torch.where(onball, is_ + BOXES, ic + BOXES + SPHERES))
    mat = pick(w["material"], index)
    uu = torch.where(onbox, ubox, torch.where(onball, uball, ucone))
    vv = torch.where(onbox, vbox, torch.where(onball, vball, vcone))
    normal = torch.where(onbox[..., None], nbox, torch.where(onball[..., None], nball, ncone))
    solid = onbox | onball | oncone
    normal = torch.where(solid[..., None], normal, up)
    kind, period = mat[..., 6], mat[..., 7]
    fp = t * .006 / period
    a, b = wave(uu / period, fp), wave(vv / period, fp)
    blot = noise2(uu * 3 + 5, vv * 3 + 9)
    mix = torch.where(kind < .5, 0 * a, torch.where(kind < 1.5, b, torch.where(kind < 2.5, a, torch.where(
        kind < 3.5, a + b - 2 * a * b, blot))))
    albedo = mat[..., 0:3] + (mat[..., 3:6] - mat[..., 0:3]) * mix[..., None]
    albedo = torch.where(solid[..., None], albedo, ground_colour(p, t, d, w))

    # sun with one shadow ray, ambient from above, a little from the ground
    sun = w["sun"][:, None, None]
    origin = p + normal * 4e-3
    sd = sun.expand_as(d)
    dark = torch.minimum(torch.minimum(hit_boxes(origin, sd, w["box"])[0], hit_balls(origin, sd, w["ball"])[0]),
                         hit_cones(origin, sd, w["cone"])[0]) < BIG / 2
    diffuse = torch.clamp((normal * sun).sum(-1), 0, 1) * (~dark)
    ambient = .72 + .28 * normal[..., 1]
    row = lambda i, j: light[:, :, None, i:j]
    colour = albedo * (row(0, 3) * diffuse[..., None] * .72 + row(3, 6) * ambient[..., None])
    back = sky(d, w, light)
    wet = w["floor"][:, None, None, 10:11] * (~solid)[..., None]
    flip = d * torch.tensor([1.0, -1.0, 1.0], device=d.device)
    colour = colour + (sky(flip, w, light) * .9 - colour) * wet * (1 - torch.clamp(-d[..., 1:2], 0, 1)) ** 2
    haze = 1 - torch.exp(-t * (row(13, 14)[..., 0] + .006))
    mist = row(6, 9) * .85 + row(9, 12) * .15
    colour = colour + (mist - colour) * haze[..., None]
    thick = torch.clamp(row(13, 14) * 6, 0, .8) * torch.exp(-torch.clamp(d[..., 1:2], 0, 1) * 3)
    back = back + (mist - back) * thick
    return torch.where(seen[..., None], colour, back)


def turned(light, frames, total):
    """How far the light has turned at frames of a clip of total frames, from its first on: [n, len(frames)], 0 to 1."""
    s = frames / max(total - 1, 1)
    return smoothstep(torch.clamp(s[None, :] / light[:, 0, 14:15], 0, 1))


def light_at(light, turned):
    """Light parameters [n, frames, 14]."""
    s = turned[..., None]
    return light[:, 0:1, :14] * (1 - s) + light[:, 1:2, :14] * s


_trace = trace


def compile_trace():
    """Fuse the ray caster (CUDA only; takes half a minute)."""
    global _trace
    _trace = torch.compile(trace, dynamic=False)


@torch.no_grad()
def render(worlds, poses, intrinsics, height, width, ss=2, crop=None, total=None, budget=None):
    """Render to [n, 3, f, height, width] in [-1, 1], fp32. The light turns as worlds["turned"] [n, f] says, or, where
    there is none or a total is given, over that many frames."""
    n, f = poses.shape[:2]
    budget = budget or (14_500_000 if poses.is_cuda else 300_000)  # rays at a time
    if total or "turned" not in worlds:
        far = turned(worlds["light"], torch.arange(f, device=poses.device, dtype=torch.float32), total or f)
    else:
        far = worlds["turned"]
    light = light_at(worlds["light"], far)
    w = {k: worlds[k] for k in ("box", "ball", "cone", "material", "floor", "sun", "hills", "clouds", "seed")}
    per = height * width * ss * ss
    nb = max(1, min(n, budget // max(1, per * f)))
    fb = max(1, min(f, budget // per)) if nb == 1 else f
    out = []
    for i in range(0, n, nb):
        part = slice(i, min(i + nb, n))
        row = []
        for j in range(0, f, fb):
            c = (crop[0][part], crop[1][part], crop[2], crop[3]) if crop else None
            o, d = rays(poses[part, j:j + fb], intrinsics[part], height, width, ss, c)
            ww = {k: v[part] for k, v in w.items()}
            ww["light_t"] = light[part, j:j + fb]
            rgb = torch.clamp(_trace(o, d, ww), 0, 1)
            m, ff = rgb.shape[:2]
            row.append(rgb.view(m, ff, height, width, ss * ss, 3).mean(4).permute(0, 4, 1, 2, 3))
        out.append(torch.cat(row, 2))
    x = torch.cat(out, 0)
    return torch.clamp(x, 0, 1) ** (1 / 1.6) * 2 - 1


def to_device(worlds, device):
    return {k: torch.as_tensor(v, device=device) for k, v in worlds.items()
            if isinstance(v, np.ndarray) and v.dtype == np.float32}


# ---------------------------------------------------------------- words

TIME_WORDS = {
    "noon": ["at noon", "noon", "midday", "in bright daylight", "a sunny day", "daytime", "under the midday sun"],
    "sunset": ["at sunset", "sunset", "at dusk", "in the golden evening light", "evening"],
    "night": ["at night", "night", "in the dark night", "under the stars", "a starry night", "midnight", "by moonlight"],
    "morning": ["in the morning", "at dawn", "morning", "early morning light", "sunrise"],
    "overcast": ["under a grey sky", "overcast", "a cloudy day", "on a dull cloudy day"],
}
TURN_WORDS = {
    "noon": ["the sun comes out", "turning to bright day", "day breaks", "noon comes"],
    "sunset": ["the sun sets", "turning to sunset", "evening falls"],
    "night": ["night falls", "turning to night", "it gets dark", "darkness falls"],
    "morning": ["dawn breaks", "turning to morning", "the sun rises"],
    "overcast": ["clouds gather", "turning grey and cloudy"],
}
GROUND_WORDS = {
    "grass": ["a green meadow", "a grassy field", "grass", "a lawn"],
    "desert": ["a sandy desert", "desert", "sand dunes", "a beach of sand"],
    "snow": ["a snowy plain", "snow", "a field of snow", "a white winter landscape"],
    "stone": ["a stone plaza", "paving stones", "a tiled square", "a courtyard of stone"],
    "checker": ["a checkerboard floor", "a black and white checkered floor", "chess board ground"],
    "water": ["a calm lake", "water", "a blue sea", "shallow water"],
    "rock": ["red rock", "a red rocky plain", "mars", "a canyon of red rock"],
    "dirt": ["bare earth", "a dirt field", "brown soil", "mud"],
}
KIND_WORDS = {
    "box": ["box", "block", "crate", "house", "cube"], "tower": ["tower", "tall block", "building"],
    "column": ["column", "pillar", "cylinder"], "sphere": ["ball", "sphere", "globe"],
    "tree": ["tree", "round tree"], "pine": ["pine tree", "fir", "pine"], "arch": ["arch", "gate", "stone arch"],
}
PATTERN_WORDS = {"plain": ["", "plain"], "bands": ["", "banded"], "stripes": ["", "striped"],
                 "checks": ["", "checkered"], "blotches": ["", "spotted"]}
SEASON_WORDS = [["", "green"], ["autumn", "orange"], ["blossoming", "pink"]]
MOVE_WORDS = {
    "forward": ["the camera moves forward", "walking forward"], "backward": ["the camera moves back"],
    "strafe": ["the camera slides sideways"], "turn": ["the camera turns"], "orbit": ["the camera circles around"],
    "rise": ["the camera rises or sinks"], "look": ["looking around"], "stop": ["the camera comes to a stop"],
    "still": ["a still camera", "the camera stands still"], "mixed": ["a smooth camera move"],
}
FILLER = ("beautiful cinematic detailed calm quiet peaceful vivid smooth video world scene landscape view wide "
          "realistic photo footage high quality 4k sharp focus soft colours simple strange dreamy ancient modern "
          "lonely empty open vast distant near small large great old new clean clear slow gentle steady").split()
NEGATIVE = ("色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，"
            "残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，"
            "三条腿，背景人很多，倒着走")


def caption(rng, w, i, mode=None, time=True):
    """A caption of world i. Names of times and fog tell how the clip ends."""
    one = lambda options: options[rng.integers(len(options))]
    start, end = TIMES[w["start"][i]], TIMES[w["end"][i]]
    parts = []
    if time and (start != end or rng.random() < .85):
        words = TURN_WORDS if start != end and rng.random() < .4 else TIME_WORDS
        parts.append(one(words[end]))
    if rng.random() < .85:
        parts.append(one(GROUND_WORDS[GROUNDS[w["ground"][i]]]))
    things = []
    for s in rng.permutation(SLOTS):
        kind = KINDS[w["kind"][i][s]]
        if kind == "none" or len(things) >= 3 or rng.random() < .35:
            continue
        if kind in ("tree", "pine"):
            look = one(SEASON_WORDS[w["season"][i] if kind == "tree" else 0])
        else:
            look = (COLOUR_NAMES[w["colour"][i][s]] + " " + one(PATTERN_WORDS[PATTERNS[w["pattern"][i][s]]])).strip()
        things.append(" ".join(("a " + look + " " + one(KIND_WORDS[kind])).split()))
    if things:
        parts.append((one(["with ", ""]) + " and ".join(things)))
    fog0, fog1 = w["light"][i][0][13], w["light"][i][1][13]
    if fog0 != fog1 or (fog1 > 0 and rng.random() < .8):
        parts.append(one(["fog", "in thick fog", "misty"] if fog1 > 0 else ["the fog clears", "clear air"]))
    if mode is not None and rng.random() < .2:
        parts.append(one(MOVE_WORDS[MODES[mode]]))
    if rng.random() < .3:
        parts.append(" ".join(rng.choice(FILLER, rng.integers(1, 4))))
    if rng.random() < .5:
        order = rng.permutation(len(parts))
        parts = [parts[k] for k in order]
    text = ", ".join(parts) if rng.random() < .8 else " ".join(parts)
    if rng.random() < .5:
        text = text[:1].upper() + text[1:] + ("." if rng.random() < .5 else "")
    return text
