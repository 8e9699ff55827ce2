"""The shipped files of a DiT: python export_dit.py WEIGHTS OUT.safetensors
WEIGHTS: safetensors (a file or a folder of them), or a folder of live_ema pieces. Matrices of linear layers
become INT8 with one scale a row, in the layout of bitsandbytes; all else is bf16."""

import glob
import os
import sys

import torch
from safetensors.torch import load_file, save_file

from common import load_pieces

# linear layers outside the blocks that Gimbal quantises
OUTSIDE = ("c2ws_hidden_states_layer1", "c2ws_hidden_states_layer2", "patch_embedding_wancamctrl", "text_embedding.0", "text_embedding.2",
           "time_projection.1")


def quantised(name, tensor):
    module = name.removesuffix(".weight")
    return name.endswith(".weight") and tensor.ndim == 2 and (name.startswith("blocks.") or module in OUTSIDE)


def int8(state):
    out = {}
    for name, w in state.items():
        w = w.float()
        if not quantised(name, w):
            out[name] = w.to(torch.bfloat16)
            continue
        top = w.abs().amax(1)
        out[name] = (w * (127 / top.clamp_min(1e-30))[:, None]).round().to(torch.int8)
        out[name.removesuffix("weight") + "SCB"] = top
        out[name.removesuffix("weight") + "weight_format"] = torch.zeros((), dtype=torch.uint8)
    return {k: v.contiguous().clone() for k, v in out.items()}


def widened(state):
    """The F32 weights of a file, INT8 or not."""
    scale = {k.removesuffix("SCB") + "weight": v / 127 for k, v in state.items() if k.endswith(".SCB")}
    return {k: v.float() * scale[k][:, None] if k in scale else v.float() for k, v in state.items()
            if not k.endswith((".SCB", ".weight_format"))}


def load_weights(path):
    if path.endswith(".safetensors"):
        return widened(load_file(path))
    pieces = sorted(glob.glob(os.path.join(path, "*.safetensors")))
    if pieces:
        return widened({k: v for p in pieces for k, v in load_file(p).items()})
    return load_pieces(path, "live_ema")


if __name__ == "__main__":
    save_file(int8(load_weights(sys.argv[1])), sys.argv[2], metadata={"format": "pt"})
