"""Draw results/curves.png from the logs of the runs."""

import json
import os

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")


def rows(name):
    """The logged iterations, counted on across resumed runs."""
    out, base = [], 0
    for r in map(json.loads, open(os.path.join(here, name))):
        if r.get("event") == "end":
            base += r["it"]
        elif "it" in r and "event" not in r:
            out.append({**r, "it": base + r["it"]})
    return out


vae, fig, (left, right) = rows("vae.jsonl"), *plt.subplots(1, 2, figsize=(9, 3.2))
for key, label in (("world", "worlds, 17 frames"), ("first", "worlds, first frame"), ("photo", "photographs")):
    left.plot([r["it"] for r in vae], [r[key] for r in vae], label=label)
left.set(xlabel="iteration", ylabel="PSNR, dB", title="VAE, held out (moving average)")
left.legend()
dit = rows("dit.jsonl")
right.plot([r["it"] for r in dit[1:]], [r["loss"] for r in dit[1:]])
right.set(xlabel="iteration", ylabel="flow matching loss", title="DiT and text encoder")
fig.tight_layout()
fig.savefig(os.path.join(here, "curves.png"), dpi=90)
