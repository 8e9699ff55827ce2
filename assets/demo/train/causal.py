"""The demo DiT as a block-causal, streaming model: chunks of two latent frames, a key/value window
with the first chunk as sink, absolute rotary positions. Tensor names are the base model's.

Two ways through the same weights: `Causal.parallel` trains every chunk of a window at once (clean
context and noisy chunks side by side), `Stream` rolls out chunk by chunk with a cache as inference does."""

import copy

import torch
import torch.nn.functional as F

import model

CHUNK = 2      # latent frames of a chunk
SINK = 2       # latent frames that stay in the cache: the first chunk
RECENT = 4     # chunks between the sink and the current one, at most (window: 2 + 8 + 2 latent frames)
LATENT_STEP = 0.45  # world units that a translation of length 1 in the conditioning stands for
STEPS_AT = [0, 179, 358, 679]


def step_table(index=STEPS_AT, shift=5.0, n=1000):
    """Sigmas and integer timesteps at indexes of the reference's shifted 1000-step schedule."""
    s = torch.linspace(1 - 1 / n, 0, n + 1, dtype=torch.float64)[:-1]
    s = (shift * s / (1 + (shift - 1) * s))[torch.tensor(index)]
    return s.tolist(), [int(v) for v in (s * n)]


def live_relative(poses):
    """Frame-to-frame poses of latent-frame poses [b, f, 4, 4], translations in units of LATENT_STEP: causal,
    where the offline pipeline divides by the path's largest step."""
    inverse = torch.linalg.inv(poses[:, :-1].double())
    step = (inverse @ poses[:, 1:].double()).float()
    rel = torch.cat([torch.eye(4, device=poses.device).expand(len(poses), 1, 4, 4), step], 1)
    rel[:, :, :3, 3] /= LATENT_STEP
    return rel


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1))


def spin(x, cos, sin):
    """Rotate pairs of [b, l, heads, d] by [b, l, 1, d/2]."""
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)


class Causal(model.WanModel):
    def positions(self, pos, h, w):
        """cos, sin [b, f*h*w, 1, d/2] for absolute latent frame numbers pos [b, f]."""
        c = self.dim // self.heads // 2
        n, m = c - 2 * (c // 3), c // 3
        freq = lambda k: 1.0 / 10000 ** (torch.arange(k, dtype=torch.float64, device=pos.device) * 2 / (2 * k))
        b, f = pos.shape
        at = (pos.double()[..., None] * freq(n))[:, :, None, None].expand(b, f, h, w, n)
        ah = (torch.arange(h, device=pos.device)[:, None] * freq(m))[None, None, :, None].expand(b, f, h, w, m)
        aw = (torch.arange(w, device=pos.device)[:, None] * freq(m))[None, None, None].expand(b, f, h, w, m)
        a = torch.cat([at, ah, aw], -1).reshape(b, f * h * w, 1, c)
        return a.cos().float(), a.sin().float()

    def embed(self, x, y):
        b, _, f, h, w = x.shape
        x = torch.cat([x, y.to(x.dtype)], 1).view(b, -1, f, h // 2, 2, w // 2, 2).permute(0, 2, 3, 5, 1, 4, 6)
        return F.linear(x.reshape(b, f * h * w // 4, -1), self.patch_embedding.weight.flatten(1), self.patch_embedding.bias).float()

    def times(self, t):
        half = self.freq_dim // 2
        angle = t.double()[..., None] * 10000 ** (-torch.arange(half, device=t.device, dtype=torch.float64) / half)
        with torch.autocast(t.device.type, enabled=False):
            e = self.time_embedding(torch.cat([angle.cos(), angle.sin()], -1).float())
            return e, self.time_projection(e).unflatten(-1, (6, self.dim))

    def text(self, context, lengths):
        context = self.text_embedding(context)
        at = torch.arange(context.shape[1], device=context.device)[None]
        pad = torch.log((self.text_len - lengths).float().clamp(min=1))[:, None]
        bias = torch.where(at < lengths[:, None], 0.0, torch.where((at == lengths[:, None]) & (lengths[:, None] < self.text_len), pad, -1e30))
        return context, bias[:, None, None].to(context.dtype)

    def camera(self, patches):
        cam = self.patch_embedding_wancamctrl(patches)
        return cam + self.c2ws_hidden_states_layer2(F.silu(self.c2ws_hidden_states_layer1(cam)))

    def unpatch(self, x, e, f, h, w):
        """Head over tokens [b, f*n, dim] with times e [b, f, dim]."""
        b = x.shape[0]
        shift, scale = (self.head.modulation[:, None] + e[:, :, None]).unsqueeze(3).unbind(2)
        x = model.layer_norm(x.view(b, f, -1, self.dim)) * (1 + scale) + shift
        x = self.head.head(x).float().view(b, f, h // 2, w // 2, 2, 2, self.out_dim)
        return x.permute(0, 6, 1, 2, 4, 3, 5).reshape(b, self.out_dim, f, h, w)

    def parallel(self, clean, tc, noisy, tn, y, pos, patches, context, lengths, kbias, index, on=None):
        """Velocity of the noisy chunks. clean [b, 16, fc, h, w] with times tc [b, fc]: chunks 0 .. n-2; noisy
        [b, 16, fn, h, w] with times tn [b, fn]: chunks 0 .. n-1; y, pos, patches for the fn frames; kbias
        [b, 2n-1, 2+RECENT] of keys of (sink, recent ..., own); index [2n-1, RECENT]: the recent chunks of each."""
        b, _, fn, h, w = noisy.shape
        fc = clean.shape[2]
        n = h * w // 4
        x = torch.cat([self.embed(clean, y[:, :, :fc]), self.embed(noisy, y)], 1)
        e, e0 = self.times(torch.cat([tc, tn], 1))
        context, cbias = self.text(context, lengths)
        cos, sin = self.positions(torch.cat([pos[:, :fc], pos], 1), h // 2, w // 2)
        cam = self.camera(patches)
        cam = torch.cat([cam[:, :fc * n], cam], 1)
        on = torch.ones(b, 1, 1, device=x.device) if on is None else on
        chunks = kbias.shape[1]
        bias = kbias.repeat_interleave(CHUNK * n, 2).reshape(b * chunks, 1, 1, -1).to(torch.bfloat16 if x.is_cuda else torch.float32)
        for block in self.blocks:
            x = block(x, e0, cos, sin, context, cbias, cam, on, bias, index)
        return self.unpatch(x[:, fc * n:], e[:, fc:], fn, h, w)


def block_parallel(self, x, e0, cos, sin, context, cbias, cam, on, bias, index):
    b, l, c = x.shape
    f = e0.shape[1]
    n = l // f
    e = (self.modulation[:, None] + e0).unsqueeze(3).unbind(2)  # six of [b, f, 1, c]
    at = lambda u, scale, shift: (model.layer_norm(u.view(b, f, n, c)) * (1 + scale) + shift).view(b, l, c)
    a = self.self_attn
    u = at(x, e[1], e[0])
    q = spin(split_heads(a.norm_q(a.q(u)), a.heads), cos, sin)
    k = spin(split_heads(a.norm_k(a.k(u)), a.heads), cos, sin)
    v = split_heads(a.v(u), a.heads)
    m = index.shape[0]  # chunks: clean ones, then noisy ones
    t = l // m

    def keys(s):
        s = s.view(b, m, t, a.heads, -1)
        s = torch.cat([s[:, :1, None].expand(b, m, 1, *s.shape[2:]), s[:, index], s[:, :, None]], 2)
        return s.reshape(b * m, -1, *s.shape[4:]).transpose(1, 2)

    q = q.view(b * m, t, a.heads, -1).transpose(1, 2)
    kk, vv = keys(k), keys(v)
    o = F.scaled_dot_product_attention(q, kk, vv, bias.expand(-1, a.heads, t, -1))
    o = a.o(o.transpose(1, 2).reshape(b, l, c))
    x = x + (o.view(b, f, n, c).float() * e[2]).view(b, l, c)
    return tail(self, x, e, context, cbias, cam, on, f, n)


def tail(self, x, e, context, cbias, cam, on, f, n, change=None):
    """The block behind self-attention: camera, words, feed-forward. change: context and bias of other words, and how far
    to go from what they give to what these do."""
    b, l, c = x.shape
    g = self.cam_injector_layer2(F.silu(self.cam_injector_layer1(cam))) + cam
    scale, shift = self.cam_scale_layer(g), self.cam_shift_layer(g)
    x = x + on * (scale.float() * x + shift.float())
    u = model.layer_norm(x, self.norm3)
    said = self.cross_attn(u, context, bias=cbias).float()
    if change:
        before = self.cross_attn(u, change[0], bias=change[1]).float()
        said = before + change[2] * (said - before)
    x = x + said
    u = (model.layer_norm(x.view(b, f, n, c)) * (1 + e[4]) + e[3]).view(b, l, c)
    return x + (self.ffn(u).view(b, f, n, c).float() * e[5]).view(b, l, c)


model.Block.forward = block_parallel  # this module's models only run so


def windows(chunks, device):
    """index [2*chunks-1, RECENT] for `parallel`, and the chunk number of each row."""
    own = torch.cat([torch.arange(chunks - 1), torch.arange(chunks)])
    index = own[:, None] - RECENT + torch.arange(RECENT)[None]
    return index.clamp(0, chunks - 2).to(device), own.to(device)


def window_bias(own, recent, b):
    """kbias [b, 2*chunks-1, 2+RECENT]: 0 where a key chunk may be seen; recent [b]: how many recent chunks."""
    dev = own.device
    number = own[:, None] - RECENT + torch.arange(RECENT, device=dev)[None]
    ok = (number >= 1)[None] & (number[None] >= own[None, :, None] - recent[:, None, None])
    sink = (own >= 1)[None, :, None].expand(b, -1, 1)
    seen = torch.cat([sink, ok.expand(b, -1, -1), torch.ones_like(sink)], 2)
    return torch.where(seen, 0.0, -1e30)


class Stream:
    """A roll-out with a cache of roped keys and values, chunk after chunk."""

    def __init__(self, dit, context, lengths, recent=RECENT, on=None):
        self.dit, self.recent = dit, recent
        self.context, self.cbias = dit.text(context, lengths)
        self.cache = [[] for _ in dit.blocks]  # per block: (k, v) of each chunk
        self.change = None  # see tail
        self.past = []  # of each chunk in the cache: latent, condition, camera, positions
        self.on = torch.ones(len(lengths), 1, 1, device=lengths.device) if on is None else on

    def run(self, x, t, y, cam, pos, write=False):
        """Velocity of chunk x [b, 16, CHUNK, h, w] at timestep t; write: keep its keys."""
        d = self.dit
        b, _, f, h, w = x.shape
        n = h * w // 4
        tokens = d.embed(x, y)
        e, e0 = d.times(torch.full((b, f), float(t), device=x.device))
        cos, sin = pos if isinstance(pos, tuple) else d.positions(pos, h // 2, w // 2)
        for block, cache in zip(d.blocks, self.cache):
            a = block.self_attn
            ee = (block.modulation[:, None] + e0).unsqueeze(3).unbind(2)
            u = (model.layer_norm(tokens.view(b, f, n, -1)) * (1 + ee[1]) + ee[0]).view(b, f * n, -1)
            q = spin(split_heads(a.norm_q(a.q(u)), a.heads), cos, sin)
            k = spin(split_heads(a.norm_k(a.k(u)), a.heads), cos, sin)
            v = split_heads(a.v(u), a.heads)
            past = cache[:1] + cache[1:][-self.recent:] if self.recent else cache[:1]
            kk, vv = (torch.cat([p[i] for p in past] + [s], 1).transpose(1, 2) for i, s in ((0, k), (1, v)))
            if write:
                cache.append((k, v))
                if len(cache) > 1 + self.recent:
                    del cache[1]
            o = F.scaled_dot_product_attention(q.transpose(1, 2), kk, vv)
            o = a.o(o.transpose(1, 2).reshape(b, f * n, -1))
            tokens = tokens + (o.view(b, f, n, -1).float() * ee[2]).view(b, f * n, -1)
            tokens = tail(block, tokens, ee, self.context, self.cbias, cam, self.on, f, n, None if write else self.change)
        return d.unpatch(tokens, e, f, h, w)

    def chunk(self, y, patches, pos, g=None, table=None, noise=None):
        """One chunk by few-step sampling and the clean pass. Returns x0 and the x0 of every step."""
        sigmas, ts = table or step_table()
        b, _, f, h, w = y.shape
        cam = self.dit.camera(patches)
        pos = self.dit.positions(pos, h // 2, w // 2)
        draw = lambda: torch.randn(b, 16, f, h, w, device=y.device, generator=g)
        x = draw() if noise is None else noise
        steps = []
        for i, (s, t) in enumerate(zip(sigmas, ts)):
            x0 = x - s * self.run(x, t, y, cam, pos).float()
            steps.append(x0)
            if i + 1 < len(sigmas):
                x = (1 - sigmas[i + 1]) * x0 + sigmas[i + 1] * draw()
        self.run(x0, 0, y, cam, pos, write=True)
        self.past.append((x0, y, cam, pos))
        if len(self.past) > 1 + self.recent:
            del self.past[1]
        return x0, steps

    def tell(self, context, lengths, rows=None):
        """Other words from the next chunk on, in all clips or in rows of them: the cache's chunks are run again under
        these, one after the other, as Gimbal does."""
        text, bias = self.dit.text(context, lengths)
        rows = torch.arange(len(self.on), device=self.on.device) if rows is None else rows
        self.context, self.cbias = self.context.index_copy(0, rows, text), self.cbias.index_copy(0, rows, bias)
        again = copy.copy(self)
        again.context, again.cbias, again.on, again.cache = text, bias, self.on[rows], [[] for _ in self.cache]
        for x0, y, cam, pos in self.past:
            again.run(x0[rows], 0, y[rows], cam[rows], pos, write=True)
        for mine, new in zip(self.cache, again.cache):
            mine[:] = [tuple(a.index_copy(0, rows, b) for a, b in zip(m, n)) for m, n in zip(mine, new)]


def y_frames(y, start, count):
    """Condition [b, 20, count, h, w] of latent frames from start: the encoded picture + black; behind its
    end its last frame is repeated (the black frames' latent has settled)."""
    index = torch.arange(start, start + count, device=y.device).clamp(max=y.shape[2] - 1)
    return y[:, :, index]
