"""Train the streaming model.
 teach:   causal flow matching, clean context beside noisy chunks (teacher forcing), from the bidirectional weights
 distill: four-step generator on its own roll-outs: distribution matching (DMD) + regression to the true render
python train_live.py teach|distill --demo DIR --init FILE.safetensors --out DIR --seconds S [--resume DIR]"""

import argparse
import copy
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import causal
import data
import live
import model
import tokenizer
import train_dit
import world
from causal import CHUNK, RECENT, Causal
from common import Log, load_pieces, save_pieces, tail_decay
from export_dit import load_weights

CHUNKS = 8  # of a training window, the sink among them


def load_demo(demo, device):
    vae = model.WanVAE(16)
    vae.load_state_dict(torch.load(os.path.join(demo, "Wan2.1_VAE.pth"), map_location="cpu"))
    return (train_dit.frozen(vae, device), *train_dit.statistics(os.path.join(demo, "vae_config.json"), device))


def load_t5(demo, device):
    s = torch.load(os.path.join(demo, "models_t5_umt5-xxl-enc-bf16.pth"), map_location="cpu")
    t5 = model.T5Encoder(s["token_embedding.weight"].shape[0], **train_dit.TEXT)
    t5.load_state_dict(s)
    return t5.float().to(device).eval().requires_grad_(False)


def new_dit(state, device):
    dit = Causal(**train_dit.SIZE, text_dim=train_dit.TEXT["dim"])
    dit.load_state_dict({k: v.float() for k, v in state.items()})
    return dit.float().to(device)


class Muon(train_dit.Muon):
    """The DiT's optimiser, which bounds its gradients and clears them."""

    def __init__(self, dit, device, betas=(.9, .98)):
        super().__init__(dit, [], device, betas)
        self.params = list(dit.parameters())

    @torch.no_grad()
    def step(self, muon_lr, adam_lr, clip=1.0):
        torch.nn.utils.clip_grad_norm_(self.params, clip)
        super().step(muon_lr, adam_lr)
        for p in self.params:
            p.grad = None


class Windows:
    """Cuts training windows out of long clips: the sink chunk and CHUNKS - 1 consecutive later ones; the last ones in
    a share `late` of the clips."""

    def __init__(self, dev, late):
        self.dev, self.late = dev, late
        self.index, self.own = causal.windows(CHUNKS, dev)

    def cut(self, total, b):
        """Frame numbers [b, 2*CHUNKS], rotary positions, kbias and the weight of each chunk [b, CHUNKS]."""
        dev = self.dev
        last = total // CHUNK - (CHUNKS - 1)
        # the clip's beginning and its end, which random windows seldom reach, count more
        where = torch.rand(b, device=dev)
        start = torch.where(where < .4, 1, torch.where(where < .4 + self.late, last, torch.randint(1, last + 1, (b,), device=dev)))
        chunk = torch.cat([torch.zeros(b, 1, dtype=torch.long, device=dev), start[:, None] + torch.arange(CHUNKS - 1, device=dev)], 1)
        frame = (chunk[..., None] * CHUNK + torch.arange(CHUNK, device=dev)).flatten(1)
        # the distance to the sink tells nothing: live sessions are long
        far = torch.exp(torch.rand(b, device=dev) * 6.6).long().clamp(max=700) * (torch.rand(b, device=dev) < .5)
        pos = frame + far[:, None] * (frame >= CHUNK)
        recent = torch.tensor([RECENT, RECENT, RECENT, 3, 2], device=dev)[torch.randint(5, (b,), device=dev)]
        kbias = causal.window_bias(self.own, recent, b)
        weight = torch.ones(b, CHUNKS, device=dev)
        cut = start > 1  # what was before is missing: nothing to continue from
        weight[:, 1] = torch.where(cut, 0.0, 1.0)
        weight[:, 2] = torch.where(cut, 0.5, 1.0)
        return frame, pos, kbias, weight

    def take(self, z, frame):
        b, c, _, h, w = z.shape
        return z.gather(2, frame[:, None, :, None, None].expand(b, c, frame.shape[1], h, w))


def spoiled(z, how):
    """Context as it looks after a while: noise, blur, gain and offset; not the sink. how [b]: strength in 0..1."""
    b = len(z)
    s = how.view(b, 1, 1, 1, 1)
    r = lambda *k: torch.rand(b, *k, device=z.device).view(b, *k, *[1] * (4 - len(k)))
    blur = F.avg_pool3d(F.pad(z, (1, 1, 1, 1, 0, 0), mode="replicate"), (1, 3, 3), 1)
    u = z + (blur - z) * (s * .6 * r())
    u = u * (1 + s * .2 * (r() - .5)) + s * .12 * torch.randn(b, z.shape[1], 1, 1, 1, device=z.device)
    u = u + s * .15 * r() * torch.randn_like(z)
    return torch.cat([z[:, :, :CHUNK], u[:, :, CHUNK:]], 2)


class Batch:
    """What every loss needs of a batch of windows. Where words change in flight, a stream computes its cache again under
    the new ones: so a window is told one text, of one of its chunks, and the loss is of the chunks made by it."""

    def __init__(self, ring, win, idx, t5, null, rand_text=True):
        dev = ring.dev
        b = len(idx)
        self.frame, self.pos, self.kbias, self.weight = win.cut(ring.z.shape[2], b)
        self.z = win.take(ring.z[idx].float(), self.frame)
        yy = ring.y[idx].float()
        yy = model.image_condition(yy)
        self.y = win.take(yy, self.frame.clamp(max=yy.shape[2] - 1))
        rel = ring.rel[idx].gather(1, self.frame[..., None, None].expand(-1, -1, 4, 4))
        self.patches = win.patches(rel, ring.k[idx], data.H, data.W).to(torch.bfloat16 if dev == "cuda" else torch.float32)
        chunk = self.frame[:, ::CHUNK] // CHUNK
        part = (chunk[..., None] >= ring.change[idx][:, None]).sum(2)  # by which of its clip's texts a chunk is made
        pick = torch.randint(1, CHUNKS, (b, 1), device=dev)
        self.weight = self.weight * (part == part.gather(1, pick))
        ids, lengths = ring.told(idx, chunk.gather(1, pick)[:, 0])
        if rand_text:
            drop = torch.rand(b, device=dev) < .08
            ids, lengths = torch.where(drop[:, None], null[None], ids), torch.where(drop, 1, lengths)
        self.lengths = lengths
        with torch.no_grad():
            self.context = t5(ids, lengths)

    def wordless(self, t5, null):
        """The same windows without words."""
        u = copy.copy(self)
        u.lengths = torch.ones_like(self.lengths)
        with torch.no_grad():
            u.context = t5(null[None].expand(len(self.lengths), -1), u.lengths)
        return u


def main():
    a = argparse.ArgumentParser()
    a.add_argument("stage", choices=["teach", "distill"])
    a.add_argument("--demo", required=True)
    a.add_argument("--init", required=True, help="safetensors, or a folder with live_ema pieces")
    a.add_argument("--teacher", help="distill: the causal teacher (default: init)")
    a.add_argument("--out", required=True)
    a.add_argument("--seconds", type=float, required=True)
    a.add_argument("--resume", help="folder with live_raw pieces")
    a.add_argument("--progress", type=float, nargs=2, default=[0, 1])
    a.add_argument("--batch", type=int, default=40)
    a.add_argument("--muon", type=float, default=.006)
    a.add_argument("--adam", type=float, default=6e-4)
    a.add_argument("--flat", type=float, default=.5)
    a.add_argument("--data-share", type=float, default=.2)
    a.add_argument("--fill", type=float, default=35, help="seconds of clips before training starts")
    a.add_argument("--ring", help="file of clips kept between runs on one machine")
    a.add_argument("--few", type=float, default=.3, help="teach: share of chunks at the four inference times")
    a.add_argument("--critic", type=float, default=2.0, help="distill: the critic's rate over the generator's")
    a.add_argument("--dmd", type=float, default=1.0)
    a.add_argument("--reg", type=float, default=.5)
    a.add_argument("--guide", type=float, default=1, help="distill: the teacher's guidance by the words")
    a.add_argument("--late", type=float, default=.2, help="share of windows at the clips' end")
    a.add_argument("--pool", type=int, default=1024)
    a.add_argument("--roll", type=int, default=128)
    a.add_argument("--every", type=int, default=8)
    a.add_argument("--seed", type=int, default=11)
    a.add_argument("--smoke", action="store_true")
    a = a.parse_args()
    start = time.time()
    cuda = torch.cuda.is_available() and not a.smoke
    dev = "cuda" if cuda else "cpu"
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    os.makedirs(a.out, exist_ok=True)
    log = Log(os.path.join(a.out, a.stage + ".jsonl"))
    if cuda:
        torch.backends.cudnn.benchmark = True
        torch._dynamo.config.cache_size_limit = 64
        world.compile_trace()
        model.compile_norms()
    if a.smoke:
        data.H, data.W = 32, 48
        a.batch, a.pool, a.roll, a.every = 2, 4, 2, 2
    words = tokenizer.Words(os.path.join(a.demo, "google", "umt5-xxl"))
    vae, mean, std = load_demo(a.demo, dev)
    t5 = load_t5(a.demo, dev)

    dit = new_dit(load_pieces(a.resume, "live_raw") if a.resume else load_weights(a.init), dev)
    opt = Muon(dit, dev, betas=(.9, .98) if a.stage == "teach" else (.0, .98))
    ema = [p.detach().clone() for p in dit.parameters()]
    names = [n for n, _ in dit.named_parameters()]

    ring = live.Ring(rng, vae, mean, std, words, dev, 12000 if cuda else 6, 16 if cuda else 2)
    if a.ring and os.path.exists(a.ring):
        ring.load(a.ring)
        log(event="ring loaded", count=ring.count)
    t0 = time.time()
    ring.add()
    log(event="first clips", s1=time.time() - t0)
    t0, made = time.time(), ring.made
    while time.time() - t0 < (a.fill if cuda else .1):
        ring.add()
        if cuda:
            torch.cuda.synchronize()
    log(event="clips", count=ring.count, per_second=(ring.made - made) / max(1e-3, time.time() - t0))

    null = torch.zeros(tokenizer.LENGTH, dtype=torch.int64, device=dev)
    null[0] = 1
    win = Windows(dev, a.late)
    win.patches = torch.compile(model.plucker_patches, dynamic=False) if cuda else model.plucker_patches
    sig, ts = causal.step_table()
    sig_t = torch.tensor(sig, device=dev, dtype=torch.float32)
    ts_t = torch.tensor(ts, device=dev, dtype=torch.float32)
    if cuda:
        for block in dit.blocks:
            block.compile(dynamic=False)
    b = a.batch
    fc = CHUNK * (CHUNKS - 1)
    amp = lambda: torch.autocast(dev, torch.bfloat16, enabled=cuda)
    per_frame = lambda u: u.repeat_interleave(CHUNK, 1)[:, None, :, None, None]
    mean_over = lambda e, wt: (e.mean((1, 3, 4)).view(len(e), -1, CHUNK).mean(2) * wt).sum() / wt.sum()

    def shifted(shape, shift):
        u = torch.rand(shape, device=dev)
        return shift * u / (1 + (shift - 1) * u)

    def run(net, clean, tc, noisy, t, B, on=None):
        """t [b, CHUNKS] of the noisy chunks, tc [b] of the context (the sink is always clean)."""
        tcf = tc[:, None].expand(-1, fc).clone()
        tcf[:, :CHUNK] = 0
        with amp():
            return net.parallel(clean, tcf, noisy, t.repeat_interleave(CHUNK, 1), B.y, B.pos, B.patches, B.context, B.lengths,
                                B.kbias, win.index, on).float()

    def noised_context(z, share, top):
        """Context with noise that the model is told of, in a share of the clips."""
        s = torch.rand(len(z), device=dev) * top * (torch.rand(len(z), device=dev) < share)
        s5 = s.view(-1, 1, 1, 1, 1)
        u = (1 - s5) * z + s5 * torch.randn_like(z)
        return torch.cat([z[:, :, :CHUNK], u[:, :, CHUNK:]], 2), s * 1000

    def teach_loss(B):
        sigma = shifted((b, CHUNKS), 4.0)
        pick = torch.randint(4, (b, CHUNKS), device=dev)
        sigma = torch.where(torch.rand(b, CHUNKS, device=dev) < a.few, sig_t[pick], sigma)
        s = per_frame(sigma)
        noise = torch.randn_like(B.z)
        context = B.z[:, :, :fc]
        strength = torch.rand(b, device=dev) * (torch.rand(b, device=dev) < .45)
        context = spoiled(context, strength)
        context, tc = noised_context(context, .25, .6)
        on = (torch.rand(b, 1, 1, device=dev) > .04).float()
        v = run(dit, context, tc, (1 - s) * B.z + s * noise, sigma * 1000, B, on)
        return mean_over((v - (noise - B.z)).pow(2), B.weight)

    def save(final=False):
        save_pieces(a.out, "live_ema", dict(zip(names, ema)))
        if not final or a.progress[1] < 1:
            save_pieces(a.out, "live_raw", dict(zip(names, dit.parameters())))

    it, began, end = 0, time.time(), start + a.seconds
    spent, losses, began_training, saved = 0.0, [], None, time.time()

    if a.stage == "distill":
        real = new_dit(load_weights(a.teacher or a.init), dev).requires_grad_(False)
        fake = new_dit(load_weights(a.teacher or a.init), dev)
        fopt = Muon(fake, dev, betas=(.0, .98))
        roller = new_dit(dict(zip(names, ema)), dev).requires_grad_(False)  # eager, without a compiled forward
        if cuda:
            for net in (real, fake):
                for block in net.blocks:
                    block.compile(dynamic=False)
        total = ring.z.shape[2]
        P = a.pool
        shape = (P, 16, total, data.H // 8, data.W // 8)
        pool_idx = torch.zeros(P, dtype=torch.long, device=dev)
        pool = [torch.zeros(shape, dtype=torch.bfloat16, device=dev) for _ in range(4)]  # x0 of every step
        pool_at, pool_count = 0, 0

        def told(idx, j):
            ids, lengths = ring.told(idx, torch.full_like(idx, j))
            return t5(ids, lengths), lengths

        @torch.no_grad()
        def refresh():
            """Roll out on new clips with the weights as they are."""
            nonlocal pool_at, pool_count
            for p, q in zip(roller.parameters(), dit.parameters()):
                p.copy_(q)
            idx = torch.randint(ring.count, (a.roll,), device=dev)
            yy = model.image_condition(ring.y[idx].float())
            rel, k = ring.rel[idx], ring.k[idx]
            with amp():
                stream = causal.Stream(roller, *told(idx, 0))
                to = slice(pool_at, pool_at + a.roll)
                far = int(np.exp(rng.random() * 6.6)) if rng.random() < .5 else 0
                for j in range(total // CHUNK):
                    pos = (torch.arange(CHUNK, device=dev) + j * CHUNK + (far if j else 0))[None]
                    patches = model.plucker_patches(rel[:, j * CHUNK:(j + 1) * CHUNK], k, data.H, data.W)
                    rows = (ring.change[idx] == j).any(1).nonzero()[:, 0]
                    if j and len(rows):
                        stream.tell(*told(idx[rows], j), rows)
                    _, steps = stream.chunk(causal.y_frames(yy, j * CHUNK, CHUNK), patches, pos)
                    for i in range(4):
                        pool[i][to, :, j * CHUNK:(j + 1) * CHUNK] = steps[i].to(torch.bfloat16)
            pool_idx[to] = idx
            pool_at = (pool_at + a.roll) % P
            pool_count = min(P, max(pool_count, pool_at or P))
            # how far it is from the truth, and how sharp
            z = ring.z[idx].float()
            r = pool[3][to].float()
            edge = lambda u: (u[..., 1:] - u[..., :-1]).pow(2).mean((0, 1, 3, 4))
            err = (r - z).pow(2).mean((0, 1, 3, 4))
            ratio = (edge(r) / edge(z))
            return [err[s].mean().item() for s in (slice(2, 6), slice(6, 16), slice(16, 32))] + [ratio[s].mean().item() for s in (slice(2, 6), slice(6, 16), slice(16, 32))]

        t0 = time.time()
        for _ in range(max(1, P // a.roll)):
            q = refresh()
            log(event="roll", s1=time.time() - t0, quality=[round(v, 4) for v in q])

        def distill():
            at = torch.randint(pool_count, (b,), device=dev)
            B = Batch(ring, win, pool_idx[at], t5, null, rand_text=False)
            own = [win.take(p[at].float(), B.frame) for p in pool]
            step = torch.randint(4, (b, CHUNKS), device=dev)
            s = per_frame(sig_t[step])
            # what the step starts from: the x0 of the step before, with fresh noise
            before = torch.where(per_frame(step) == 1, own[0], torch.where(per_frame(step) == 2, own[1], own[2]))
            x = torch.where(per_frame(step) == 0, torch.randn_like(B.z), (1 - s) * before + s * torch.randn_like(B.z))
            context = own[3][:, :, :fc]
            zero = torch.zeros(b, device=dev)
            v = run(dit, context, zero, x, ts_t[step], B)
            x0 = x - s * v
            # regression: what is seen early on is known; later own inventions differ from the render
            age = (B.frame[:, ::CHUNK].float() / total)
            reg = (x0 - B.z).pow(2)
            near = (own[3] - B.z).pow(2).mean((1, 3, 4)).view(b, -1, CHUNK).mean(2)
            trust = B.weight / (1 + (near / .15) ** 2)
            loss_reg = (torch.sqrt(reg + 1e-3).mean((1, 3, 4)).view(b, -1, CHUNK).mean(2) * trust).sum() / B.weight.sum()
            # distribution matching
            with torch.no_grad():
                g = x0.detach()
                tau = shifted((b, CHUNKS), 3.0).clamp(.02, .98)
                ts_ = per_frame(tau)
                noise = torch.randn_like(g)
                xt = (1 - ts_) * g + ts_ * noise
                cx, tc = noised_context(context, .6, .5)
                vr = run(real, cx, tc, xt, tau * 1000, B)
                if a.guide != 1:
                    v0 = run(real, cx, tc, xt, tau * 1000, B.wordless(t5, null))
                    vr = v0 + a.guide * (vr - v0)
                vf = run(fake, cx, tc, xt, tau * 1000, B)
                pr, pf = xt - ts_ * vr, xt - ts_ * vf
                norm = (g - pr).abs().mean((1, 3, 4)).view(b, -1, CHUNK).mean(2).clamp_min(.02)
                grad = torch.nan_to_num((pf - pr) / per_frame(norm)).clamp(-10, 10)
            loss_dmd = mean_over(.5 * (x0 - (g - grad)).pow(2), B.weight)
            return B, context, g, loss_reg, loss_dmd, grad.abs().mean(), reg.detach().mean()

        def critic_loss(B, context, g):
            cx, tc = noised_context(context, .6, .5)
            tau = shifted((b, CHUNKS), 3.0).clamp(.01, .99)
            ts_ = per_frame(tau)
            noise = torch.randn_like(g)
            v = run(fake, cx, tc, (1 - ts_) * g + ts_ * noise, tau * 1000, B)
            return mean_over((v - (noise - g)).pow(2), B.weight)

    while True:
        now = time.time()
        if now > end or (a.smoke and it >= 3):
            break
        part = a.progress[0] + (a.progress[1] - a.progress[0]) * (now - began) / (end - began)
        if a.stage == "teach":
            idx = torch.randint(ring.count, (b,), device=dev)
            B = Batch(ring, win, idx, t5, null)
            loss = teach_loss(B)
            loss.backward()
            rate = tail_decay(part, (it + 1) / 100, a.flat)
            opt.step(a.muon * rate, a.adam * rate)
            row = [loss]
        else:
            if it % a.every == 0:
                quality = refresh()
            rate = tail_decay(part, (it + 1) / 60, a.flat)
            B, context, g, lr_, ld, gm, mse = distill()
            if it >= 40 or a.smoke:  # the critic first learns what the generator does
                (a.dmd * ld + a.reg * lr_).backward()
                opt.step(a.muon * rate, a.adam * rate, 10.0)
            lc = critic_loss(B, context, g)
            lc.backward()
            fopt.step(a.muon * a.critic * max(rate, .2), a.adam * a.critic * max(rate, .2), 10.0)
            row = [lc, lr_, gm, mse]
        torch._foreach_lerp_(ema, [p.detach() for p in dit.parameters()], .003 if it > 300 else .02)
        it += 1
        if it % 20 == 0 or a.smoke:
            losses.append([r.item() for r in row])
        if it == 10:
            began_training = time.time()
            log(event="compiled", memory=torch.cuda.max_memory_allocated() / 2 ** 30 if cuda else 0)
        if it % 20 == 0 and it > 10 and spent < a.data_share * (time.time() - began_training):
            t0 = time.time()
            while time.time() - t0 < .5:
                ring.add()
                if cuda:
                    torch.cuda.synchronize()
            spent += time.time() - t0
        if it % 200 == 0 or a.smoke:
            extra = {"quality": [round(v, 4) for v in quality]} if a.stage == "distill" else {}
            log(it=it, part=part, loss=[round(float(v), 5) for v in np.mean(losses, 0)], clips=ring.made, **extra)
            losses = []
        if now - saved > 150:
            save()
            saved = time.time()
    save(final=False)
    log(event="end", it=it, clips=ring.made)
    if a.ring and not os.path.exists(a.ring):
        ring.save(a.ring)


if __name__ == "__main__":
    main()
