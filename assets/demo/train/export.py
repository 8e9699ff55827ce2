"""Write the shipped checkpoint from trained weights: python export.py --vae DIR --dit DIR --to assets/demo"""

import argparse
import json
import os

import numpy as np
import torch
from safetensors.torch import save_file

import data
import evaluate
import model
import train_dit
import world
from common import load_pieces


def fit_rgb(demo, worlds=16, ridge=1e-3):
    """Ridge regression from normalised latents to the colour of their 8x8 blocks in [-1, 1]: of the
    first latent frame, which the VAE codes in its own way, and of those behind it."""
    rng = np.random.default_rng(77)
    w = world.sample_worlds(rng, worlds)
    poses, k, _, _ = world.sample_paths(rng, worlds, 9)
    x = world.render(world.to_device(w, demo.dev), torch.tensor(poses), torch.tensor(k), data.H, data.W, ss=1)
    z = torch.cat([train_dit.encode(demo.vae, u, demo.mean, demo.std)[0] for u in x.split(1)])
    want = torch.nn.functional.avg_pool3d(x[:, :, ::4], (1, 8, 8))
    return regress(z[:, :, :1], want[:, :, :1], ridge), regress(z[:, :, 1:], want[:, :, 1:], ridge)


def regress(z, want, ridge):
    a, b = (u.permute(0, 2, 3, 4, 1).flatten(0, 3).double() for u in (z, want))
    middle, mean = a.mean(0), b.mean(0)
    a, b = a - middle, b - mean
    gram = a.T @ a / len(a) + ridge * torch.eye(a.shape[1], dtype=a.dtype)
    factors = torch.linalg.solve(gram, a.T @ b / len(a))
    left = (b - a @ factors).pow(2).mean() / b.pow(2).mean()
    print(f"preview colours explain {100 * (1 - left):.1f} % of the variance, factors within {factors.abs().max():.2f}")
    return factors.tolist(), (mean - middle @ factors).tolist()


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--vae", required=True)
    a.add_argument("--dit", required=True)
    a.add_argument("--to", required=True)
    a = a.parse_args()
    dit, t5 = train_dit.load_models(a.dit)
    vae = load_pieces(a.vae, "vae_ema")
    half = lambda d: {k: v.to(torch.bfloat16).contiguous().clone() for k, v in d.items()}
    expert = os.path.join(a.to, "low_noise_model")
    os.makedirs(expert, exist_ok=True)
    save_file(half(dit), os.path.join(expert, "diffusion_pytorch_model.safetensors"), metadata={"format": "pt"})
    config = model.WanModel(**train_dit.SIZE, text_dim=train_dit.TEXT["dim"]).config
    with open(os.path.join(expert, "config.json"), "w") as f:
        json.dump({"_class_name": "WanModel", "_diffusers_version": "0.33.0", **config}, f, indent=2)
    torch.save(half(t5), os.path.join(a.to, "models_t5_umt5-xxl-enc-bf16.pth"))
    torch.save(half(vae), os.path.join(a.to, "Wan2.1_VAE.pth"))

    demo = evaluate.Demo(a.vae, a.dit, "cpu")
    (first, first_bias), (factors, bias) = fit_rgb(demo)
    r = lambda v: [round(u, 5) for u in v]
    stats = json.load(open(os.path.join(a.vae, "latents.json")))
    with open(os.path.join(a.to, "vae_config.json"), "w") as f:
        json.dump({"latents_mean": r(stats["latents_mean"]), "latents_std": r(stats["latents_std"]),
                   "latent_rgb_factors": [r(v) for v in factors], "latent_rgb_bias": r(bias),
                   "first_latent_rgb_factors": [r(v) for v in first], "first_latent_rgb_bias": r(first_bias)}, f, indent=1)
    with open(os.path.join(a.to, "demo.json"), "w") as f:
        json.dump({"size": [data.W, data.H], "max_area": 28672,  # makes 208x128 of an 832x480 picture by the size rule
                   "frames": data.T, "steps": evaluate.STEPS,
                   "solver": "unipc", "shift": evaluate.SHIFT, "guide_scale": evaluate.GUIDE, "negative_prompt": evaluate.NEGATIVE,
                   "boundary": 1.0, "experts": 1, "prompt": "a green meadow with columns at noon"}, f, indent=1)


if __name__ == "__main__":
    main()
