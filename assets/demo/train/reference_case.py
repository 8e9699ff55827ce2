"""A small end-to-end case of the shipped checkpoint for other implementations to agree with, fp32 on
the CPU, with the tensor names of the reference cases: python reference_case.py --demo assets/demo"""

import argparse
import json
import os

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import model
import tokenizer
from export_dit import load_weights

CASE = dict(prompt="a green meadow at night", negative_prompt="blurry, low quality", action="orbit", picture="meadow", solver="unipc",
            steps=4, shift=3.0, guide_scale=1.5, seed=42, boundary=1.0, requested_frames=5, max_area=4096)


def interpolated(poses, count):
    """One pose per latent frame: linear positions and slerped rotations."""
    from scipy.spatial.transform import Rotation, Slerp
    at = np.linspace(0, len(poses) - 1, count)
    out = np.tile(np.eye(4), (count, 1, 1))
    out[:, :3, :3] = Slerp(np.arange(len(poses)), Rotation.from_matrix(poses[:, :3, :3]))(at).as_matrix()
    for i in range(3):
        out[:, i, 3] = np.interp(at, np.arange(len(poses)), poses[:, i, 3])
    return torch.from_numpy(out).float()


@torch.no_grad()
def main():
    a = argparse.ArgumentParser()
    a.add_argument("--demo", required=True)
    a = a.parse_args()
    c, torch_load = CASE, lambda n: {k: v.float() for k, v in torch.load(os.path.join(a.demo, n), weights_only=True).items()}
    config = json.load(open(os.path.join(a.demo, "low_noise_model", "config.json")))
    stats = json.load(open(os.path.join(a.demo, "vae_config.json")))
    t5_state, vae_state = torch_load("models_t5_umt5-xxl-enc-bf16.pth"), torch_load("Wan2.1_VAE.pth")
    dit_state = load_weights(os.path.join(a.demo, "low_noise_model"))
    vae = model.WanVAE(vae_state["encoder.conv1.weight"].shape[0])
    vae.load_state_dict(vae_state)
    vocab, width = t5_state["token_embedding.weight"].shape
    t5 = model.T5Encoder(vocab, width, t5_state["blocks.0.ffn.fc1.weight"].shape[0], t5_state["blocks.0.pos_embedding.embedding.weight"].shape[1],
                         sum(k.endswith("norm1.weight") for k in t5_state))
    t5.load_state_dict(t5_state)
    dit = model.WanModel(config["dim"], config["ffn_dim"], config["num_heads"], config["num_layers"], width)
    dit.load_state_dict(dit_state)
    mean, std = (torch.tensor(stats[k]).view(1, -1, 1, 1, 1) for k in ("latents_mean", "latents_std"))

    assets = os.path.join(a.demo, "..")
    picture = np.asarray(Image.open(os.path.join(assets, "pictures", c["picture"] + ".png")).convert("RGB"))
    img = (torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255 - .5) / .5
    aspect = img.shape[1] / img.shape[2]
    side = lambda v: int(round(np.sqrt(v) // 8 // 2 * 2)) * 8
    h, w = side(c["max_area"] * aspect), side(c["max_area"] / aspect)
    frames, f = c["requested_frames"], (c["requested_frames"] - 1) // 4 + 1
    folder = os.path.join(assets, "cameras", c["action"])
    poses = np.load(os.path.join(folder, "poses.npy"))[:frames]
    k = torch.from_numpy(np.load(os.path.join(folder, "intrinsics.npy"))[:1]).float()
    plucker = model.plucker_patches(model.relative_poses(interpolated(poses, f)[None]), k, h, w)

    small = torch.nn.functional.interpolate(img[None], size=(h, w), mode="bicubic")[0]
    vae_input = torch.cat([small[:, None], torch.zeros(3, frames - 1, h, w)], 1)
    image_latent = (vae.encode(vae_input[None])[0] - mean) / std
    y = model.image_condition(image_latent)
    words = tokenizer.Words(os.path.join(a.demo, "google", "umt5-xxl"))
    noise = torch.randn(16, f, h // 8, w // 8, generator=torch.Generator().manual_seed(c["seed"]))
    context = []
    for text in (c["prompt"], c["negative_prompt"]):
        ids, lengths = words.batch([text])
        lengths = torch.from_numpy(lengths)
        context.append((t5(torch.from_numpy(ids), lengths), lengths))

    def velocity(x, t):
        v, u = (dit(x, torch.tensor([float(t)]), *text, y, plucker) for text in context)
        return u + c["guide_scale"] * (v - u)

    latent = model.unipc(velocity, noise[None], c["steps"], c["shift"])
    video = vae.decode(latent * std + mean).clamp(-1, 1)[0]
    to = os.path.join(a.demo, "testdata")
    os.makedirs(to, exist_ok=True)
    tensors = {"noise": noise, "vae_input": vae_input, "image_latent": image_latent[0], "latent": latent[0], "video": video}
    save_file({n: t.contiguous() for n, t in tensors.items()}, os.path.join(to, "e2e_demo.safetensors"))
    with open(os.path.join(to, "cases.json"), "w") as out:
        calls = [["low", float(int(s * 1000 + 1e-4))] for s in model.schedule(c["steps"], c["shift"])[:-1].double().tolist() for _ in range(2)]
        json.dump({"e2e_demo": {**c, "expert_calls": calls}}, out, indent=1)
    print({n: tuple(t.shape) for n, t in tensors.items()}, "latent std", latent.std().item())


if __name__ == "__main__":
    main()
