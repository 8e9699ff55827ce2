"""Render the starting pictures and write the camera folders: python make_assets.py --to assets"""

import argparse
import json
import math
import os

import numpy as np
import torch
from PIL import Image

import world

FRAMES = 81
# name: world seed, prompt, what has to be in the picture
PICTURES = {"meadow": (0, "grass", "noon"), "desert": (0, "desert", "sunset"), "plaza": (0, "stone", "morning")}


def cameras():
    """Poses of the five paths, [81, 4, 4] each; 0.1125 world units a frame at most."""
    t = np.arange(FRAMES)
    v, zero = world.STEP / 4, np.zeros(FRAMES)
    at = lambda x, y, z: np.stack([x, y, z], 1)
    radius = 5.0
    a = t * v / radius
    return {
        "forward": world.look(zero, zero, at(zero, zero, t * v)),
        # to the right on a circle round a point ahead, facing it
        "orbit": world.look(-a, zero, at(-radius * np.sin(a), zero, radius * (1 - np.cos(a)))),
        "look-around": world.look(.42 * np.sin(2 * math.pi * t / 64), .06 * np.sin(2 * math.pi * t / 32), at(zero, zero, zero)),
        "strafe": world.look(zero, zero, at(-t * v, zero, zero)),
        "still": world.look(zero, zero, at(zero, zero, zero)),
    }


def picture(ground, time, seeds):
    """The first seeded world with this ground and time that shows at least four different objects in clear air."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        w = world.sample_worlds(rng, 1)
        kinds = {world.KINDS[k] for k in w["kind"][0]} - {"none"}
        if (world.GROUNDS[w["ground"][0]] == ground and world.TIMES[w["start"][0]] == time and w["start"][0] == w["end"][0]
                and len(kinds) >= 4 and w["light"][0, 0, 13] == 0):
            return rng, w
    raise SystemExit("no such world")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--to", required=True)
    a.add_argument("--first", type=int, nargs=3, default=[900000, 900000, 900000], help="first seed to try for every picture")
    a = a.parse_args()
    intrinsics = np.array([[520, 520, 416, 240]] * FRAMES, np.float32)
    for name, poses in cameras().items():
        folder = os.path.join(a.to, "cameras", name)
        os.makedirs(folder, exist_ok=True)
        np.save(os.path.join(folder, "poses.npy"), poses.astype(np.float32))
        np.save(os.path.join(folder, "intrinsics.npy"), intrinsics)
    os.makedirs(os.path.join(a.to, "pictures"), exist_ok=True)
    for (name, (_, ground, time)), first in zip(PICTURES.items(), a.first):
        rng, w = picture(ground, time, range(first, first + 20000))
        pose = world.look(np.zeros((1, 1)), np.full((1, 1), -.04), np.array([[[0, 1.5, 0]]]))
        x = world.render(world.to_device(w, "cpu"), torch.tensor(pose), torch.tensor(intrinsics[:1]), 480, 832)
        Image.fromarray(((x[0, :, 0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(os.path.join(a.to, "pictures", name + ".png"), optimize=True)


if __name__ == "__main__":
    main()
