"""Tables, pictures and JSON of the rows that proof.sh brought back.

    python3 report.py FOLDER ROWS.jsonl...     writes gpu-proof.md, .json and .png to FOLDER

Of rows of one case, the fastest counts for times and the last for everything else."""

import json
import os
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def read(paths):
    rows = []
    for path in paths:
        with open(path) as f:
            rows += [json.loads(line) for line in f if line.strip()]
    merged = {}
    for row in rows:
        # PyTorch has two kinds of rows of a case: errors, and times.
        key = tuple(row.get(k) for k in ("stage", "who", "case", "weights", "compute", "frames")) + ("error" in row,)
        old = merged.get(key)
        if old and old.get("seconds") and row.get("seconds") and old["seconds"] < row["seconds"]:
            row = {**row, "seconds": old["seconds"], "tflops": old.get("tflops", 0)}
        merged[key] = row
    return list(merged.values())


class Report:
    def __init__(self, rows):
        self.rows, self.text, self.verdicts = rows, [], []

    def of(self, stage, who="gimbal"):
        return [r for r in self.rows if r["stage"] == stage and r["who"] == who]

    def twin(self, row, **other):
        """PyTorch's row of the same case, or {}."""
        want = {k: row.get(k) for k in ("stage", "case", "compute")} | other
        found = [r for r in self.rows if r["who"] == "torch" and all(r.get(k) == v for k, v in want.items())]
        return found[-1] if found else {}

    def verdict(self, what, ok):
        self.verdicts.append((what, bool(ok)))
        return "yes" if ok else "**no**"

    def table(self, title, header, rows, note=""):
        if rows:
            self.text += ["", f"## {title}", ""] + ([note, ""] if note else [])
            self.text += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
            self.text += ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]

    # -------------------------------------------------------------- tables

    def tests(self):
        rows = []
        for stage in ("conformance", "references"):
            for r in self.of(stage):
                v = r["values"]
                ok = self.verdict(f"{stage}: {r['case']}", v["exit"] == 0 and v["failed"] == 0 and v["passed"] > 0)
                rows.append([stage, r["case"], v["passed"], v["failed"], v["skipped"], r["seconds"], ok])
        self.table("Tests over the GPU", ["", "tests", "passed", "failed", "skipped", "s", "all"], rows)

    def errors(self):
        rows = []
        for stage, what in (("block", "one block"), ("chunk", "one block of a chunk"), ("attention", "attention"), ("vae", "VAE decode")):
            for r in self.of(stage, "torch"):
                if "error" in r:
                    name = f"{what}, {r['case']}" + (f", {r['frames']} frames" if stage == "vae" else "")
                    ok = self.verdict(f"{name}, {r.get('weights') or ''} {r['compute']}: error", r["error"] <= r["bound"])
                    others = ", ".join(f"{k.replace('_', ' ')} {v:.2g}" for k, v in r.get("values", {}).items())
                    rows.append([name, r.get("weights", ""), r["compute"], f"{r['error']:.2e}", f"{r['bound']:.0e}", ok, others])
        self.table("Against PyTorch in fp32", ["what", "weights", "products in", "error", "bound", "within", "also"], rows,
                   "Relative L2 errors, TF32 off, on the same weights and inputs.")

    def forwards(self):
        rows = []
        for stage in ("block", "expert"):
            for r in self.of(stage):
                v, off = r["values"], r["peak"] / r["planned"] - 1
                ok = self.verdict(f"{stage}, {r['case']}, {r['weights']} {r['compute']}: bytes", abs(off) <= 0.05)
                torch = next((t for t in self.of(stage, "torch") if t.get("seconds") and t["case"] == r["case"]), {})
                rows.append([stage, r["finished"][:10], r["case"], r["tokens"], r["weights"], r["compute"], f"{r['seconds']:.3f}", f"{r['tflops']:.1f}",
                             f"{torch['seconds']:.3f}" if torch else "", f"{v['prepare_seconds']:.2f}", gb(v["weight_bytes"]),
                             gb(r["peak"]), f"{100 * off:+.2f} %", ok, " ".join(f"{s:.3g}" for s in r["sizes"])])
        self.table("Forwards", ["", "on", "clip", "tokens", "weights", "products in", "s", "TFLOP/s", "PyTorch fp32, s", "prepare, s", "weights, GB",
                                "peak, GB", "of the plan", "within 5 %", "RMS of the residual stream"], rows,
                   "Peak: buffers, without weights. No forward gave a NaN or an infinity, or its stage would have failed.")

    def rate(self, operation, compute):
        """The rate of the largest product or attention that was measured alone, TFLOP/s; 0 for none."""
        return max((r["tflops"] for r in self.of("speed") if r["case"].startswith(operation) and r["weights"] == r["compute"] == compute), default=0)

    def chunk(self):
        rows = []
        for r in self.of("chunk"):
            v, off = r["values"], r["peak"] / r["planned"] - 1
            ok = self.verdict(f"chunk, {r['case']}, {r['weights']} {r['compute']}: bytes", off == 0)
            rates = self.rate("product", r["compute"]), self.rate("attention", r["compute"])
            alone = v["linear_tflop"] / rates[0] + v["attention_tflop"] / rates[1] if all(rates) else 0
            # One block is run for its result: its time holds the choice of variants.
            times = [""] * 9 if " 1 blocks," in r["case"] else [
                f"{r['seconds']:.3f}", f"{v['steps_seconds']:.3f}", f"{v['clean_seconds']:.3f}", f"{v['camera_seconds']:.3f}", f"{v['decode_seconds']:.3f}",
                f"{r['tflops']:.1f}", f"{v['linear_tflop']:.1f}", f"{v['attention_tflop']:.1f}", f"{100 * alone / r['seconds']:.0f} %" if alone else ""]
            rows.append([r["case"], r["weights"], r["compute"], *times, gb(v["weight_bytes"]), gb(r["peak"]), ok])
        self.table("A chunk of a causal model", ["", "weights", "products in", "s", "4 steps, s", "clean forward, s", "camera, s", "decode, s", "TFLOP/s",
                                                 "TFLOP of products", "of attention", "of the rates alone", "weights, GB", "peak, GB", "to the byte"], rows,
                   "Four latent frames of 480x832 in a full window: four steps and the clean forward; camera branch and decoding (fp32) come on top. "
                   "Of the rates alone: the time that its products and attention take at the rates of the largest ones measured alone, as a share of its time.")

    def reuse(self):
        rows = []
        for r in self.of("reuse"):
            v = r["values"]
            saved, predicted, parts = v["saved_seconds"], v["predicted_seconds"], v["parts_seconds"]
            ok = self.verdict(f"reuse, {r['case']}: saving", abs(saved / predicted - 1) <= 0.1 if predicted else False)
            rows.append([r["case"], r["frames"], r["weights"], r["compute"], f"{r['seconds']:.3f}", f"{v['without_seconds']:.3f}", f"{saved:.4f}",
                         f"{predicted:.4f}", f"{parts:.4f}", ok, f"{100 * v['other_share']:.1f} %", f"{r['error']:.1e}"])
        self.table("What is computed once", ["what", "frames", "weights", "products in", "with, s", "without, s", "saved, s", "predicted, s",
                                             "parts, s", "within 10 %", "outside products and attention", "difference"], rows,
                   "Predicted: the plan's work less, at the rates of the forward's own operations. Parts: those operations timed one by one.")
        for r in self.of("reuse"):
            if r["case"] == "camera":
                self.verdict(f"{r['frames']} frames: at most 12 % outside of products and attention", r["values"]["other_share"] <= 0.12)

    def pipeline(self):
        rows = []
        for r in self.of("pipeline"):
            v, off = r["values"], r["peak"] / r["planned"] - 1
            ok = self.verdict(f"pipeline, {r['frames']} frames, {r['case']}: bytes", abs(off) <= 0.05)
            rows.append([r["case"], r["frames"], r["weights"], r["compute"], f"{v.get('high_noise_model_seconds', 0):.2f}", f"{v.get('low_noise_model_seconds', 0):.2f}",
                         f"{v.get('total_seconds', 0):.2f}", gb(r["peak"]), f"{100 * off:+.2f} %", ok, f"{r['error']:.1e}"])
        self.table("Two guided steps, through the pipeline", ["", "frames", "weights", "products in", "high noise, s", "low noise, s", "all, s",
                                                              "peak, GB", "of the plan", "within 5 %", "latent, against the first"], rows,
                   "Each expert does one step of two passes; with the camera kept, a step begins with computing it.")

    def vae(self):
        rows = []
        for r in self.of("vae"):
            off = r["peak"] / r["planned"] - 1
            ok = self.verdict(f"VAE, {r['frames']} frames, {r['case']}: bytes", abs(off) <= 0.05)
            same = self.verdict(f"VAE, {r['frames']} frames, {r['case']}: same pixels", r["values"]["same_bits"])
            torch = next((t for t in self.of("vae", "torch") if t["frames"] == r["frames"]), {})
            rows.append([r["frames"], r["case"], f"{r['seconds']:.2f}", f"{torch.get('seconds', 0):.2f}", f"{r['tflops']:.2f}", gb(r["peak"]),
                         f"{100 * off:+.2f} %", ok, same])
        self.table("VAE decode", ["frames", "", "s", "PyTorch fp32, whole, s", "TFLOP/s", "peak, GB", "of the plan", "within 5 %", "same bits"], rows)

    def speed(self):
        rows = []
        least = {("product", "f32"): 0.35, ("product", "bf16"): 0.25, ("attention", "f32"): 0.25, ("attention", "bf16"): 0.25, ("convolution", "f32"): 0.5}
        for r in self.of("speed"):
            torch = self.twin(r)
            if not torch:
                continue
            ratio, kind = torch["seconds"] / r["seconds"], r["case"].split()[0]
            bound = least.get((kind, r["compute"])) if r["weights"] == r["compute"] else None
            ok = self.verdict(f"{r['case']}, {r['compute']}: speed", ratio >= bound) if bound else ""
            dense = [d["seconds"] / r["seconds"] for d in self.of("speed") if d["case"] == r["case"] and d["weights"] == d["compute"] == r["compute"]]
            rows.append([r["case"], r["weights"], r["compute"], f"{1e3 * r['seconds']:.2f}", f"{r['tflops']:.1f}", f"{1e3 * torch['seconds']:.2f}",
                         f"{torch['tflops']:.1f}", f"{ratio:.3f}", bound or "", ok, f"{dense[0]:.2f}" if dense and r["weights"] != r["compute"] else "", f"{r['values']['clock_mhz']:.0f} / {torch['values']['clock_mhz']:.0f}"])
        self.table("Speed beside PyTorch", ["operation", "weights", "products in", "ms", "TFLOP/s", "PyTorch, ms", "TFLOP/s", "ratio", "wanted", "met", "of dense weights'", "MHz"], rows,
                   f"PyTorch's of {', '.join(sorted({r['finished'][:10] for r in self.of('speed', 'torch')}))}. "
                   "Products and attention in the same type, convolutions against cuDNN in fp32 without TF32.")
        self.table("Variants of a product", ["variant", "in", "ms", "TFLOP/s"],
                   [[r["case"], r["compute"], f"{1e3 * r['seconds']:.2f}", f"{r['tflops']:.1f}"] for r in self.of("variants")])

    def leak(self):
        rows = []
        for r in self.of("leak"):
            left = r["values"].get("left_bytes", 0)
            rows.append([r["case"], f"{left:.0f}", self.verdict("no byte left over", left == 0), " ".join(f"{s:.0f}" for s in r.get("sizes", []))])
        self.table("Memory left over", ["", "bytes at most", "none", "GPU memory in use after each, MiB"], rows)

    # -------------------------------------------------------------- pictures

    def picture(self, path):
        panels = [p for p in (self.ratios, self.error_bars, self.sizes) if p(None)]
        if not panels:
            return False
        figure, axes = plt.subplots(len(panels), 1, figsize=(9, 3.6 * len(panels)), squeeze=False)
        for panel, axis in zip(panels, axes[:, 0]):
            panel(axis)
        figure.tight_layout()
        figure.savefig(path, dpi=90)
        return True

    def ratios(self, axis):
        bars = [(f"{r['case']}, {r['weights']}-{r['compute']}", self.twin(r)["seconds"] / r["seconds"]) for r in self.of("speed")
                if self.twin(r) and r["weights"] == r["compute"]]
        if axis and bars:
            axis.barh([b[0] for b in bars][::-1], [b[1] for b in bars][::-1], color="#4269a5")
            axis.set_title("speed as a share of PyTorch's")
            axis.tick_params(labelsize=7)
            axis.grid(axis="x", alpha=.3)
        return bars

    def error_bars(self, axis):
        bars = [(f"{s} {r['case']} {r.get('weights', '')} {r['compute']}", r["error"], r["bound"])
                for s in ("block", "chunk", "attention", "vae") for r in self.of(s, "torch") if "error" in r]
        if axis and bars:
            names = [b[0] for b in bars][::-1]
            axis.barh(names, [b[1] for b in bars][::-1], color="#5b9a68")
            axis.plot([b[2] for b in bars][::-1], names, "k|", markersize=10, label="bound")
            axis.set_xscale("log")
            axis.set_title("relative error against PyTorch in fp32")
            axis.tick_params(labelsize=7)
            axis.legend(fontsize=7)
        return bars

    def sizes(self, axis):
        rows = [r for r in self.of("expert") if r.get("sizes")]
        if axis and rows:
            for r in rows:
                axis.plot(r["sizes"], marker="o", markersize=3, label=f"{r['case']}, {r['weights']}-{r['compute']}")
            axis.set_title("RMS of the residual stream, through the blocks that were looked at")
            axis.legend(fontsize=7)
            axis.grid(alpha=.3)
        return rows


def gb(n):
    return f"{n / 1e9:.2f}"


def main(folder, paths):
    report = Report(read(paths))
    for part in ("tests", "errors", "forwards", "chunk", "vae", "pipeline", "reuse", "speed", "leak"):
        getattr(report, part)()
    met = sum(ok for _, ok in report.verdicts)
    devices = sorted({r["device"] for r in report.rows if r.get("device") and r["who"] == "gimbal"})
    head = ["# The Metal kernels on an NVIDIA GPU, at real sizes", "",
            "Made by metalkit/proof/torch/report.py from what metalkit/proof/proof.sh measured; not to be edited.", "",
            f"Device: {', '.join(devices)}. {met} of {len(report.verdicts)} checks are met."]
    days = {}  # of each stage, the weights measured on a day
    for r in report.rows:
        if r["who"] == "gimbal":
            days.setdefault(r["stage"], {}).setdefault(r.get("finished", "")[:10], set()).add(r.get("weights") or "all")
    for day in sorted({d for stage in days.values() for d in stage}):
        stages = [s if len(days[s]) == 1 else f"{s} ({', '.join(sorted(days[s][day]))})" for s in sorted(days) if day in days[s]]
        head += ["", f"Measured on {day}, with the kernels of that day: {', '.join(stages)}."]
    missed = [f"- {what}" for what, ok in report.verdicts if not ok]
    head += ["", "Not met:", ""] + missed if missed else []
    os.makedirs(folder, exist_ok=True)
    if report.picture(os.path.join(folder, "gpu-proof.png")):
        head += ["", "![speed, errors, sizes](gpu-proof.png)"]
    with open(os.path.join(folder, "gpu-proof.md"), "w") as f:
        f.write("\n".join(head + report.text) + "\n")
    with open(os.path.join(folder, "gpu-proof.json"), "w") as f:
        checks = ({"what": w, "met": ok} for w, ok in report.verdicts)
        lines = lambda of: ",\n".join(map(json.dumps, of))  # one to a line, and all of it JSON
        f.write(f'{{"checks": [\n{lines(checks)}\n], "rows": [\n{lines(report.rows)}\n]}}\n')


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
