"""Clips for training: rendered worlds, and moves over still pictures (photographs
that Python packages ship, and dead-leaves textures that stand in for more)."""

import os

import numpy as np
import torch
import torch.nn.functional as F

import world

H, W, T = 128, 208, 17
TRAIN_PHOTOS = ["astronaut.png", "motorcycle_left.png", "grass.png", "gravel.png", "brick.png", "camera.png",
                "hubble_deep_field.jpg", "flower.jpg", "grace_hopper.jpg", "retina.jpg"]
HELD_OUT_PHOTOS = ["coffee.png", "chelsea.png", "china.jpg", "rocket.jpg"]


def worlds_clip(rng, n, device, mode=None):
    """n rendered clips [n, 3, T, H, W] in [-1, 1], with the worlds and paths that made them."""
    w = world.sample_worlds(rng, n)
    poses, k, modes, sign = world.sample_paths(rng, n, T, mode)
    x = world.render(world.to_device(w, device), torch.as_tensor(poses, device=device), torch.as_tensor(k, device=device), H, W)
    return x, w, poses, k, modes, sign


def photo_files(names):
    import matplotlib
    import skimage
    import sklearn.datasets
    roots = [os.path.join(os.path.dirname(skimage.__file__), "data"),
             os.path.join(os.path.dirname(sklearn.datasets.__file__), "images"),
             os.path.join(os.path.dirname(matplotlib.__file__), "mpl-data", "sample_data")]
    return [p for p in (os.path.join(r, n) for n in names for r in roots) if os.path.exists(p)]


def load_rgb(path):
    from PIL import Image
    return np.asarray(Image.open(path).convert("RGB"))


def shrink(picture, h, w):
    from PIL import Image
    return np.asarray(Image.fromarray(picture).resize((w, h), Image.Resampling.BOX if picture.shape[0] > h else Image.Resampling.BICUBIC))


def photo_canvases(rng, n, h, w):
    """Random crops of the training photographs [n, 3, h, w] uint8."""
    photos = [load_rgb(p) for p in photo_files(TRAIN_PHOTOS)]
    out = []
    for i in range(n):
        p = photos[i % len(photos)]
        ph, pw = p.shape[:2]
        s = rng.uniform(.35, 1) * min(ph / h, pw / w)
        ch, cw = int(h * s), int(w * s)
        y, x = rng.integers(0, ph - ch + 1), rng.integers(0, pw - cw + 1)
        c = shrink(p[y:y + ch, x:x + cw], h, w)
        if rng.random() < .5:
            c = c[:, ::-1]
        out.append(c[..., rng.permutation(3)] if rng.random() < .2 else c)
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).contiguous()


def held_out_photos(device):
    """The held-out photographs, centre-cropped, [n, 3, H, W] in [-1, 1]."""
    out = []
    for f in photo_files(HELD_OUT_PHOTOS):
        p = load_rgb(f)
        s = min(p.shape[0] / H, p.shape[1] / W)
        ch, cw = int(H * s), int(W * s)
        y, x = (p.shape[0] - ch) // 2, (p.shape[1] - cw) // 2
        out.append(shrink(p[y:y + ch, x:x + cw], H, W))
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).to(device).float() / 127.5 - 1


def fractal(g, n, c, h, w, device):
    """Noise with a 1/f-like spectrum, [n, c, h, w], about unit size."""
    x = torch.zeros(n, c, h, w, device=device)
    amp = 1.0
    for k in (4, 8, 16, 32, 64, 128):
        y = torch.randn(n, c, max(2, k * h // w), k, device=device, generator=g)
        x += amp * F.interpolate(y, (h, w), mode="bicubic")
        amp *= .62
    return x / 1.6


def dead_leaves(g, n, h, w, device, leaves=90):
    """Overlapping textured ellipses and rectangles, [n, 3, h, w] uint8: the statistics of photographs."""
    rand = lambda *s: torch.rand(n, *s, 1, 1, device=device, generator=g)
    hue = rand(3)
    tint = lambda: (hue + (rand(3) - .5) * 1.4 * rand(1)).clamp(0, 1) * (.3 + .7 * rand(1))
    texture = fractal(g, n, 3, h, w, device)
    x = tint() + .15 * texture
    ys = torch.linspace(0, 1, h, device=device).view(1, 1, h, 1) * h / w
    xs = torch.linspace(0, 1, w, device=device).view(1, 1, 1, w)
    for _ in range(leaves):
        cx, cy, a = rand(1), rand(1) * h / w, rand(1) * 6.28
        r = .012 * (25 ** rand(1))
        dx, dy = xs - cx, ys - cy
        u, v = (dx * torch.cos(a) + dy * torch.sin(a)) / r, (dy * torch.cos(a) - dx * torch.sin(a)) / (r * (.3 + .7 * rand(1)))
        d = torch.where(rand(1) < .6, torch.sqrt(u * u + v * v), torch.maximum(u.abs(), v.abs()))
        cover = ((1 - d) * r * w).clamp(0, 1)
        shift = int(torch.randint(0, w, (1,), device="cpu").item())
        shade = tint() + (.02 + .25 * rand(1) ** 2) * texture.roll(shift, 3) + .15 * (u * rand(1) + v * (rand(1) - .5)).clamp(-1, 1)
        x = x + (shade - x) * cover
    return (x.clamp(0, 1) * 255).byte()


def moved(rng, canvases, device):
    """Pans and zooms of T frames over canvases [n, 3, h, w] uint8 -> [n, 3, T, H, W] in [-1, 1]."""
    n = len(canvases)
    ch, cw = canvases.shape[2:]
    t = np.linspace(0, 1, T)[None]
    z0, z1 = rng.uniform(.55, .95, (2, n, 1))
    zoom = z0 + (z1 - z0) * t * (rng.random((n, 1)) < .7)
    room = 1 - zoom
    c0, c1 = rng.uniform(-1, 1, (2, n, 2, 1))
    centre = (c0 + (c1 - c0) * .5 * t[:, None]) * room[:, None]
    angle = rng.uniform(-.15, .15, (n, 1)) * t * (rng.random((n, 1)) < .4)
    sx, sy = zoom, zoom * (cw / ch) * (H / W)
    theta = np.zeros((n, T, 2, 3), np.float32)
    theta[..., 0, 0], theta[..., 0, 1] = sx * np.cos(angle), -sx * np.sin(angle)
    theta[..., 1, 0], theta[..., 1, 1] = sy * np.sin(angle), sy * np.cos(angle)
    theta[..., 0, 2], theta[..., 1, 2] = centre[:, 0], centre[:, 1]
    grid = F.affine_grid(torch.as_tensor(theta, device=device).view(n * T, 2, 3), (n * T, 3, H, W), align_corners=False)
    src = (canvases.to(device).float() / 127.5 - 1)[:, None].expand(n, T, 3, ch, cw).reshape(n * T, 3, ch, cw)
    x = F.grid_sample(src, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return x.view(n, T, 3, H, W).transpose(1, 2)
