"""Compact PyTorch models with the checkpoint's tensor names: the causal 3D VAE,
the UMT5 encoder and the camera-controlled DiT, and the sampler. Whole clips go
through the VAE at once; that equals the chunked causal cache of inference."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

# ---------------------------------------------------------------- VAE


class CausalConv3d(nn.Conv3d):
    """Convolution over [b, c, t, h, w] that sees no later frame."""

    def forward(self, x):
        pt = self.kernel_size[0] - 1
        if pt:
            x = F.pad(x, (0, 0, 0, 0, pt, 0))
        return F.conv3d(x, self.weight, self.bias, self.stride, (0, self.kernel_size[1] // 2, self.kernel_size[2] // 2))


class TimeConv3d(nn.Conv3d):
    """Convolution along time alone, without padding."""


class RMS_norm(nn.Module):
    def __init__(self, dim, images=False):
        super().__init__()
        self.scale = dim ** .5
        self.gamma = nn.Parameter(torch.ones(dim, 1, 1) if images else torch.ones(dim, 1, 1, 1))

    def forward(self, x):
        return F.normalize(x, dim=1) * self.scale * self.gamma


def _norm_silu(x, gamma, scale):
    n = torch.linalg.vector_norm(x.float(), dim=1, keepdim=True).clamp_min(1e-12)
    return F.silu(x.float() / n * (gamma * scale)).to(x.dtype)


_norm_silu_impl = _norm_silu


def compile_norms():
    """Fuse norm and SiLU (CUDA only)."""
    global _norm_silu_impl
    _norm_silu_impl = torch.compile(_norm_silu, dynamic=True)


class Residual(nn.Sequential):
    def forward(self, x):
        x = self[2](_norm_silu_impl(x, self[0].gamma, self[0].scale))
        return self[6](_norm_silu_impl(x, self[3].gamma, self[3].scale))


class ResidualBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.residual = Residual(RMS_norm(cin), nn.SiLU(), CausalConv3d(cin, cout, 3),
                                 RMS_norm(cout), nn.SiLU(), nn.Dropout(0), CausalConv3d(cout, cout, 3))
        self.shortcut = CausalConv3d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x):
        return self.residual(x) + self.shortcut(x)


class AttentionBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = RMS_norm(dim, images=True)
        self.to_qkv = nn.Conv2d(dim, dim * 3, 1)
        self.proj = nn.Conv2d(dim, dim, 1)
        nn.init.zeros_(self.proj.weight)

    def forward(self, x):
        b, c, t, h, w = x.shape
        y = x.transpose(1, 2).reshape(b * t, c, h, w)
        q, k, v = self.to_qkv(self.norm(y)).flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, -1)
        y = F.scaled_dot_product_attention(q.contiguous(), k.contiguous(), v.contiguous())
        y = self.proj(y.squeeze(1).transpose(1, 2).reshape(b * t, c, h, w))
        return x + y.view(b, t, c, h, w).transpose(1, 2)


def per_frame(x, f):
    """Apply a picture function to every frame of [b, c, t, h, w]; channels-last data stays a view."""
    b, c, t, h, w = x.shape
    y = f(x.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w))
    return y.view(b, t, *y.shape[1:]).permute(0, 2, 1, 3, 4)


class Resample(nn.Module):
    def __init__(self, dim, mode):
        super().__init__()
        self.mode = mode
        if mode.startswith("up"):
            self.resample = nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest-exact"), nn.Conv2d(dim, dim // 2, 3, padding=1))
        else:
            self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(dim, dim, 3, stride=2))
        if mode == "upsample3d":
            self.time_conv = TimeConv3d(dim, dim * 2, (3, 1, 1))
        elif mode == "downsample3d":
            self.time_conv = TimeConv3d(dim, dim, (3, 1, 1), stride=(2, 1, 1))

    def forward(self, x):
        if self.mode == "upsample3d" and x.shape[2] > 1:
            # the first frame passes by; the others never see it
            y = self.time_conv(F.pad(x[:, :, 1:], (0, 0, 0, 0, 2, 0)))
            b, c, t, h, w = y.shape
            y = y.permute(0, 2, 3, 4, 1).unflatten(-1, (2, c // 2)).permute(0, 1, 4, 2, 3, 5).reshape(b, 2 * t, h, w, c // 2)
            x = torch.cat([x[:, :, :1], y.permute(0, 4, 1, 2, 3)], 2)
        x = per_frame(x, self.resample)
        if self.mode == "downsample3d" and x.shape[2] > 1:
            x = torch.cat([x[:, :, :1], self.time_conv(x)], 2)
        return x


class Encoder3d(nn.Module):
    def __init__(self, dim, z):
        super().__init__()
        dims = [dim, dim, 2 * dim, 4 * dim, 4 * dim]
        self.conv1 = CausalConv3d(3, dim, 3)
        layers = []
        for i in range(4):
            layers += [ResidualBlock(dims[i], dims[i + 1]), ResidualBlock(dims[i + 1], dims[i + 1])]
            if i < 3:
                layers.append(Resample(dims[i + 1], ["downsample2d", "downsample3d", "downsample3d"][i]))
        self.downsamples = nn.Sequential(*layers)
        self.middle = nn.Sequential(ResidualBlock(dims[4], dims[4]), AttentionBlock(dims[4]), ResidualBlock(dims[4], dims[4]))
        self.head = nn.Sequential(RMS_norm(dims[4]), nn.SiLU(), CausalConv3d(dims[4], z, 3))

    def forward(self, x):
        return self.head(self.middle(self.downsamples(self.conv1(x))))


class Decoder3d(nn.Module):
    def __init__(self, dim, z):
        super().__init__()
        dims = [4 * dim, 4 * dim, 4 * dim, 2 * dim, dim]
        self.conv1 = CausalConv3d(z, dims[0], 3)
        self.middle = nn.Sequential(ResidualBlock(dims[0], dims[0]), AttentionBlock(dims[0]), ResidualBlock(dims[0], dims[0]))
        layers = []
        for i in range(4):
            cin = dims[i] if i == 0 else dims[i] // 2
            layers += [ResidualBlock(cin, dims[i + 1])] + [ResidualBlock(dims[i + 1], dims[i + 1]) for _ in range(2)]
            if i < 3:
                layers.append(Resample(dims[i + 1], ["upsample3d", "upsample3d", "upsample2d"][i]))
        self.upsamples = nn.Sequential(*layers)
        self.head = nn.Sequential(RMS_norm(dim), nn.SiLU(), CausalConv3d(dim, 3, 3))

    def forward(self, z):
        return self.head(self.upsamples(self.middle(self.conv1(z))))


class WanVAE(nn.Module):
    def __init__(self, dim=16, z=16):
        super().__init__()
        self.z = z
        self.encoder = Encoder3d(dim, 2 * z)
        self.conv1 = CausalConv3d(2 * z, 2 * z, 1)
        self.conv2 = CausalConv3d(z, z, 1)
        self.decoder = Decoder3d(dim, z)

    def encode(self, x):
        """Mean and log variance [b, z, f, h/8, w/8] of [b, 3, 4f-3, h, w]."""
        return self.conv1(self.encoder(x)).chunk(2, 1)

    def decode(self, z):
        return self.decoder(self.conv2(z))


# ---------------------------------------------------------------- UMT5 encoder


class T5LayerNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6))


class T5Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        for m, std in ((self.q, dim ** -1), (self.k, dim ** -.5), (self.v, dim ** -.5), (self.o, dim ** -.5)):
            nn.init.normal_(m.weight, std=std)

    def forward(self, x, bias):
        b, l, c = x.shape
        q, k, v = (m(x).view(b, l, self.heads, -1).transpose(1, 2) for m in (self.q, self.k, self.v))
        a = torch.softmax((q @ k.transpose(2, 3)).float() + bias, -1).to(v.dtype)
        return self.o((a @ v).transpose(1, 2).reshape(b, l, c))


class T5FeedForward(nn.Module):
    def __init__(self, dim, ffn):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(dim, ffn, bias=False), nn.GELU(approximate="tanh"))
        self.fc1 = nn.Linear(dim, ffn, bias=False)
        self.fc2 = nn.Linear(ffn, dim, bias=False)
        nn.init.normal_(self.gate[0].weight, std=dim ** -.5)
        nn.init.normal_(self.fc1.weight, std=dim ** -.5)
        nn.init.normal_(self.fc2.weight, std=ffn ** -.5)

    def forward(self, x):
        return self.fc2(self.fc1(x) * self.gate(x))


class T5RelativeEmbedding(nn.Module):
    def __init__(self, buckets, heads):
        super().__init__()
        self.embedding = nn.Embedding(buckets, heads)
        nn.init.normal_(self.embedding.weight, std=.1)

    def forward(self, length):
        n = self.embedding.num_embeddings // 2
        pos = torch.arange(length, device=self.embedding.weight.device)
        rel = pos[None] - pos[:, None]
        far = rel.abs().float().clamp(min=1)
        large = n // 2 + (torch.log(far / (n // 2)) / math.log(128 / (n // 2)) * (n - n // 2)).long()
        bucket = (rel > 0).long() * n + torch.where(rel.abs() < n // 2, rel.abs(), large.clamp(max=n - 1))
        return self.embedding(bucket).permute(2, 0, 1)


class T5Block(nn.Module):
    def __init__(self, dim, ffn, heads):
        super().__init__()
        self.norm1, self.attn = T5LayerNorm(dim), T5Attention(dim, heads)
        self.norm2, self.ffn = T5LayerNorm(dim), T5FeedForward(dim, ffn)
        self.pos_embedding = T5RelativeEmbedding(32, heads)

    def forward(self, x, mask):
        x = x + self.attn(self.norm1(x), self.pos_embedding(x.shape[1])[None] + mask)
        return x + self.ffn(self.norm2(x))


class T5Encoder(nn.Module):
    def __init__(self, vocab, dim=64, ffn=128, heads=4, layers=2):
        super().__init__()
        self.token_embedding = nn.Embedding(vocab, dim)
        self.blocks = nn.ModuleList(T5Block(dim, ffn, heads) for _ in range(layers))
        self.norm = T5LayerNorm(dim)

    def forward(self, ids, lengths):
        """Hidden states [b, l, dim] of ids [b, l], zero behind each length."""
        real = torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]
        mask = torch.where(real, 0.0, -1e30)[:, None, None]
        x = self.token_embedding(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) * real[..., None]


# ---------------------------------------------------------------- DiT


def rope_table(head_dim, f, h, w, device):
    """Angles [f*h*w, head_dim/2] of the three-axis rotary embedding."""
    c = head_dim // 2
    table = []
    for n, k, axis in ((c - 2 * (c // 3), f, 0), (c // 3, h, 1), (c // 3, w, 2)):
        freq = 1.0 / 10000 ** (torch.arange(n, dtype=torch.float64) * 2 / (2 * n))
        shape = [1, 1, 1, n]
        shape[axis] = k
        table.append((torch.arange(k)[:, None] * freq).view(shape).expand(f, h, w, n))
    return torch.cat(table, -1).reshape(f * h * w, c).float().to(device)


def rope(x, cos, sin):
    """Rotate pairs of [b, n, l, d] by the table."""
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)


class RMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(dim), RMSNorm(dim)

    def forward(self, x, context=None, angles=None, bias=None):
        b, l, c = x.shape
        y = x if context is None else context
        split = lambda u: u.view(b, -1, self.heads, c // self.heads).transpose(1, 2)
        q, k, v = split(self.norm_q(self.q(x))), split(self.norm_k(self.k(y))), split(self.v(y))
        if angles is not None:
            q, k = rope(q, *angles), rope(k, *angles)
        y = F.scaled_dot_product_attention(q, k, v, bias)
        return self.o(y.transpose(1, 2).reshape(b, l, c))


def layer_norm(x, m=None):
    if m is None:
        return F.layer_norm(x.float(), x.shape[-1:], eps=1e-6)
    return F.layer_norm(x.float(), x.shape[-1:], m.weight.float(), m.bias.float(), 1e-6)


class Block(nn.Module):
    def __init__(self, dim, ffn, heads):
        super().__init__()
        self.self_attn, self.cross_attn = Attention(dim, heads), Attention(dim, heads)
        self.norm3 = nn.LayerNorm(dim, eps=1e-6)
        self.ffn = nn.Sequential(nn.Linear(dim, ffn), nn.GELU(approximate="tanh"), nn.Linear(ffn, dim))
        self.modulation = nn.Parameter(torch.randn(1, 6, dim) / dim ** .5)
        self.cam_injector_layer1, self.cam_injector_layer2 = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.cam_scale_layer, self.cam_shift_layer = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x, e, angles, context, bias, cam, on):
        e = (self.modulation + e).unsqueeze(2).unbind(1)
        x = x + self.self_attn(layer_norm(x) * (1 + e[1]) + e[0], angles=angles).float() * e[2]
        if cam is not None:
            c = self.cam_injector_layer2(F.silu(self.cam_injector_layer1(cam))) + cam
            scale, shift = self.cam_scale_layer(c), self.cam_shift_layer(c)
            x = x + on * (scale.float() * x + shift.float())
        x = x + self.cross_attn(layer_norm(x, self.norm3), context, bias=bias).float()
        return x + self.ffn(layer_norm(x) * (1 + e[4]) + e[3]).float() * e[5]


class Head(nn.Module):
    def __init__(self, dim, out):
        super().__init__()
        self.head = nn.Linear(dim, out)
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) / dim ** .5)

    def forward(self, x, e):
        shift, scale = (self.modulation + e[:, None]).unsqueeze(2).unbind(1)
        return self.head((layer_norm(x) * (1 + scale) + shift)).float()


class WanModel(nn.Module):
    """The i2v DiT with camera control, patch 1x2x2, head_dim = dim / heads."""

    def __init__(self, dim, ffn_dim, num_heads, num_layers, text_dim, in_dim=36, out_dim=16, freq_dim=256, text_len=512):
        super().__init__()
        self.config = dict(model_type="i2v", dim=dim, ffn_dim=ffn_dim, freq_dim=freq_dim, in_dim=in_dim, out_dim=out_dim,
                           num_heads=num_heads, num_layers=num_layers, text_len=text_len, eps=1e-6)
        self.dim, self.heads, self.freq_dim, self.out_dim, self.text_len = dim, num_heads, freq_dim, out_dim, text_len
        self.patch_embedding = nn.Conv3d(in_dim, dim, (1, 2, 2), (1, 2, 2))
        self.patch_embedding_wancamctrl = nn.Linear(6 * 64 * 4, dim)
        self.c2ws_hidden_states_layer1, self.c2ws_hidden_states_layer2 = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.text_embedding = nn.Sequential(nn.Linear(text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim))
        self.time_embedding = nn.Sequential(nn.Linear(freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim * 6))
        self.blocks = nn.ModuleList(Block(dim, ffn_dim, num_heads) for _ in range(num_layers))
        self.head = Head(dim, out_dim * 4)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)
        for block in self.blocks:
            for m in (block.cam_scale_layer, block.cam_shift_layer):
                nn.init.normal_(m.weight, std=.01)
        nn.init.zeros_(self.head.head.weight)

    def forward(self, x, t, context, lengths, y, plucker=None, on=None):
        """Velocity [b, 16, f, h, w]. x: noisy latent; t [b] in 0..1000; context [b, l, text], zero
        behind lengths [b] (< l); y: mask and image latent [b, 20, f, h, w]; plucker
        [b, 384, f, h, w] or its patches [b, f*h*w/4, 1536]; on [b, 1, 1]: camera switched on."""
        b, _, f, h, w = x.shape
        x = torch.cat([x, y.to(x.dtype)], 1).view(b, -1, f, h // 2, 2, w // 2, 2).permute(0, 2, 3, 5, 1, 4, 6)
        x = F.linear(x.reshape(b, f * h * w // 4, -1), self.patch_embedding.weight.flatten(1), self.patch_embedding.bias).float()
        half = self.freq_dim // 2
        angle = t.double()[:, None] * 10000 ** (-torch.arange(half, device=t.device, dtype=torch.float64) / half)
        with torch.autocast(x.device.type, enabled=False):
            e = self.time_embedding(torch.cat([angle.cos(), angle.sin()], 1).float())
            e0 = self.time_projection(e).unflatten(1, (6, self.dim))
        # zero padding up to text_len: equal keys, kept as one with the log of their number
        context = self.text_embedding(context)
        at = torch.arange(context.shape[1], device=x.device)[None]
        pad = torch.log((self.text_len - lengths).float().clamp(min=1))[:, None]
        bias = torch.where(at < lengths[:, None], 0.0, torch.where((at == lengths[:, None]) & (lengths[:, None] < self.text_len), pad, -1e30))
        bias = bias[:, None, None].to(context.dtype)
        angles = rope_table(self.dim // self.heads, f, h // 2, w // 2, x.device)
        angles = (angles.cos(), angles.sin())
        cam = None
        if plucker is not None:
            if plucker.dim() == 5:
                plucker = fold(plucker)
            cam = self.patch_embedding_wancamctrl(plucker)
            cam = cam + self.c2ws_hidden_states_layer2(F.silu(self.c2ws_hidden_states_layer1(cam)))
            on = torch.ones(b, 1, 1, device=x.device) if on is None else on
        for block in self.blocks:
            x = block(x, e0, angles, context, bias, cam, on)
        x = self.head(x, e).view(b, f, h // 2, w // 2, 2, 2, self.out_dim)
        return x.permute(0, 6, 1, 2, 4, 3, 5).reshape(b, self.out_dim, f, h, w)


def fold(plucker):
    """[b, 384, f, h, w] -> patches [b, f*h*w/4, 1536]."""
    b, c, f, h, w = plucker.shape
    p = plucker.view(b, c, f, h // 2, 2, w // 2, 2).permute(0, 2, 3, 5, 1, 4, 6)
    return p.reshape(b, f * h * w // 4, c * 4)


# ---------------------------------------------------------------- conditioning


def relative_poses(poses):
    """Frame-to-frame poses [b, f, 4, 4] of latent-frame poses, translations divided by the largest."""
    inverse = torch.linalg.inv(poses[:, :-1].double())
    step = (inverse @ poses[:, 1:].double()).float()
    rel = torch.cat([torch.eye(4, device=poses.device).expand(len(poses), 1, 4, 4), step], 1)
    t = rel[:, :, :3, 3]
    big = t.norm(dim=2).amax(1)
    big = torch.where(big > 1e-6, big, 1)
    rel[:, :, :3, 3] = t / big[:, None, None]
    return rel


def plucker_patches(rel, intrinsics, height, width):
    """Camera conditioning, folded for the DiT: [b, f*h*w/256, 1536]; intrinsics for 480x832."""
    b, f = rel.shape[:2]
    dev = rel.device
    k = intrinsics * torch.tensor([width / 832, height / 480] * 2, device=dev)
    ys = torch.arange(height, device=dev) + .5
    xs = torch.arange(width, device=dev) + .5
    x = ((xs[None] - k[:, 2:3]) / k[:, 0:1])[:, None, :].expand(b, height, width)
    y = ((ys[None] - k[:, 3:4]) / k[:, 1:2])[:, :, None].expand(b, height, width)
    d = torch.stack([x, y, torch.ones_like(x)], -1)
    d = d / d.norm(dim=-1, keepdim=True)
    r = rel[:, :, None, None, :3, :3]
    rays = (r * d[:, None, :, :, None, :]).sum(-1)  # [b, f, h, w, 3]
    origin = rel[:, :, None, None, :3, 3].expand_as(rays)
    p = torch.cat([origin, rays], -1)
    # channels: (6, 8, 8) of a latent pixel, then (2, 2) of a patch
    p = p.view(b, f, height // 16, 2, 8, width // 16, 2, 8, 6).permute(0, 1, 2, 5, 8, 4, 7, 3, 6)
    return p.reshape(b, f * (height // 16) * (width // 16), 1536)


def image_condition(latent):
    """Mask and image latent [b, 20, f, h, w] from the normalised latent of picture + black."""
    mask = torch.zeros_like(latent[:, :4])
    mask[:, :, 0] = 1
    return torch.cat([mask, latent], 1)


# ---------------------------------------------------------------- sampling


def schedule(steps, shift):
    """Sigmas [steps+1] as the reference's flow schedulers space them for UniPC."""
    top = 1 - 1 / 1000
    s = torch.linspace(top, 0, steps + 1, dtype=torch.float64)[:-1]
    s = shift * s / (1 + (shift - 1) * s)
    return torch.cat([s, torch.zeros(1, dtype=torch.float64)]).float()


@torch.no_grad()
def unipc(velocity, noise, steps, shift, record=None):
    """UniPC of order 2 (B(h) = e^h - 1, corrector on, low order last), data prediction.
    velocity(x, t) takes integer timesteps. Zhao et al. 2023, arXiv 2302.04867."""
    sigma = schedule(steps, shift).double()
    lam = torch.log(1 - sigma) - torch.log(sigma)
    x, last, hist, order = noise, None, [], 0
    for i in range(steps):
        t = int((sigma[i] * 1000).item() + 1e-4)
        m = x - sigma[i].float() * velocity(x, t)
        if last is not None:
            x = _unipc_update(last, hist, m, sigma, lam, i - 1, order)
        hist = (hist + [m])[-2:]
        order = min(2, steps - i, len(hist))
        last = x
        x = _unipc_update(x, hist, None, sigma, lam, i, order)
        if record is not None:
            record.append(x)
    return x


def _unipc_update(x, hist, new, sigma, lam, i, order):
    s0, s1 = sigma[i], sigma[i + 1]
    if new is None and s1 == 0:
        return hist[-1].clone()
    h = lam[i + 1] - lam[i]
    e = torch.expm1(-h)
    m0 = hist[-1]
    out = (s1 / s0).float() * x - ((1 - s1) * e).float() * m0
    d1 = (hist[-2] - m0) / ((lam[i - 1] - lam[i]) / h).float() if order == 2 else None
    if new is None:
        if d1 is not None:
            out = out - ((1 - s1) * e * .5).float() * d1
        return out
    if order == 1:
        return out - ((1 - s1) * e * .5).float() * (new - m0)
    r = (lam[i - 1] - lam[i]) / h
    phi = e / (-h) - 1
    b1, phi2 = phi / e, phi / (-h) - .5
    b2 = phi2 * 2 / e
    a = torch.stack([torch.ones(2, dtype=torch.float64), torch.stack([r, torch.ones((), dtype=torch.float64)])])
    rho = torch.linalg.solve(a, torch.stack([b1, b2]))
    return out - ((1 - s1) * e).float() * (rho[0].float() * d1 + rho[1].float() * (new - m0))
