"""Plain PyTorch networks with the layers of four published models, to time ours beside them.

Functions of normalised images `(B, 3, H, W)` and a state dict; nothing is folded or rearranged,
and the layout is PyTorch's default. `tools/benchmark.py networks` runs them, and
`tools/benchmark.py training` a training step of the first.
"""

import itertools
import time

import torch
import torch.nn.functional as F
from torch import nn


class Weights:
    """A state dict below a prefix, with the layers that read it."""

    def __init__(self, state: dict, prefix: str = ""):
        self.state, self.prefix = state, prefix

    def __truediv__(self, name) -> "Weights":
        return Weights(self.state, f"{self.prefix}{name}.")

    def __getitem__(self, name):
        return self.state[self.prefix + name]

    def get(self, name):
        return self.state.get(self.prefix + name)

    def conv(self, x, strides=1, groups=1, padding=None):
        kernel = self["weight"]
        padding = kernel.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, kernel, self.get("bias"), strides, padding, groups=groups)

    def norm(self, x):
        statistics = self["running_mean"], self["running_var"]
        return F.batch_norm(x, *statistics, self["weight"], self["bias"], eps=1e-5)

    def linear(self, x):
        return F.linear(x, self["weight"], self.get("bias"))

    def layer_norm(self, x):
        return F.layer_norm(x, x.shape[-1:], self["weight"], self["bias"], 1e-6)

    def module(self, x, strides=1, groups=1):
        """Convolution, normalisation, SiLU."""
        return F.silu((self / "bn").norm((self / "conv").conv(x, strides, groups)))


def _bottleneck(w, x, strides):
    y = F.relu((w / "bn1").norm((w / "conv1").conv(x)))
    y = F.relu((w / "bn2").norm((w / "conv2").conv(y, strides)))
    y = (w / "bn3").norm((w / "conv3").conv(y))
    if w.get("downsample.0.weight") is not None:
        x = (w / "downsample" / 1).norm((w / "downsample" / 0).conv(x, strides))
    return F.relu(x + y)


def _basic(w, x):
    y = F.relu((w / "bn1").norm((w / "conv1").conv(x)))
    return F.relu(x + (w / "bn2").norm((w / "conv2").conv(y)))


def _heatmaps(w, x, deconvolutions):
    for i in range(0, 3 * deconvolutions, 3):
        x = F.conv_transpose2d(x, w[f"deconv_layers.{i}.weight"], stride=2, padding=1)
        x = F.relu((w / f"deconv_layers.{i + 1}").norm(x))
    return {"heatmaps": (w / "final_layer").conv(x)}


def resnet50(w, x):
    b = w / "backbone"
    x = F.max_pool2d(F.relu((b / "bn1").norm((b / "conv1").conv(x, 2))), 3, 2, 1)
    for stage, count in enumerate((3, 4, 6, 3), start=1):
        for i in range(count):
            strides = 2 if stage > 1 and i == 0 else 1
            x = _bottleneck(b / f"layer{stage}" / i, x, strides)
    return _heatmaps(w / "head", x, 3)


def hrnet_w32(w, x):
    b = w / "backbone"

    def step(weights, x, strides=1):
        return (weights / 1).norm((weights / 0).conv(x, strides))

    for i in (1, 2):
        x = F.relu((b / f"bn{i}").norm((b / f"conv{i}").conv(x, 2)))
    for i in range(4):
        x = _bottleneck(b / "layer1" / i, x, 1)
    maps = [x]
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        transition = b / f"transition{stage - 1}"
        new = F.relu(step(transition / (stage - 1) / 0, maps[-1], 2))
        maps = [F.relu(step(transition / 0, x))] if stage == 2 else maps
        maps = [*maps, new]
        for number in range(modules):
            module = b / f"stage{stage}" / number
            for branch in range(stage):
                for i in range(4):
                    maps[branch] = _basic(module / "branches" / branch / i, maps[branch])
            last = stage == 4 and number == modules - 1
            maps = [
                _fused(module / "fuse_layers" / i, maps, i) for i in range(1 if last else stage)
            ]
    return _heatmaps(w / "head", maps[0], 0)


def _fused(w, maps, target):
    total = 0
    for source, x in enumerate(maps):
        if source > target:
            x = (w / source / 1).norm((w / source / 0).conv(x))
            x = F.interpolate(x, scale_factor=2 ** (source - target), mode="nearest")
        for i in range(max(target - source, 0)):
            x = (w / source / i / 1).norm((w / source / i / 0).conv(x, 2))
            x = F.relu(x) if i < target - source - 1 else x
        total = total + x
    return F.relu(total)


def rtmpose_m(w, x):
    b = w / "backbone"
    x = (b / "stem" / 0).module(x, 2)
    x = (b / "stem" / 2).module((b / "stem" / 1).module(x))
    for stage, count in enumerate((2, 4, 4, 2), start=1):
        s = b / f"stage{stage}"
        x = (s / 0).module(x, 2)
        if stage == 4:
            x = (s / 1 / "conv1").module(x)
            x = torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))], 1)
            x = (s / 1 / "conv2").module(x)
        x = _csp(s / (2 if stage == 4 else 1), x, count, add=stage < 4)
    h = w / "head"
    x = (h / "final_layer").conv(x).flatten(2)
    x = (h / "mlp" / 1).linear(_scaled(x, h["mlp.0.g"]))
    g = h / "gau"
    uv = F.silu((g / "uv").linear(_scaled(x, g["ln.g"])))
    u, v, base = uv.split([512, 512, 128], -1)
    q, k = (base[:, :, None] * g["gamma"] + g["beta"]).unbind(2)
    attention = F.relu(q @ k.transpose(1, 2) / 128**0.5).square()
    x = x * g["res_scale.scale"] + (g / "o").linear(u * (attention @ v))
    return {"x": (h / "cls_x").linear(x), "y": (h / "cls_y").linear(x)}


def _scaled(x, g):
    norm = torch.linalg.norm(x, dim=-1, keepdim=True) * x.shape[-1] ** -0.5
    return x / norm.clamp(min=1e-5) * g


def _csp(w, x, count, add):
    short, x = (w / "short_conv").module(x), (w / "main_conv").module(x)
    for i in range(count):
        block = w / "blocks" / i
        y = (block / "conv1").module(x)
        y = (block / "conv2" / "depthwise_conv").module(y, groups=y.shape[1])
        y = (block / "conv2" / "pointwise_conv").module(y)
        x = x + y if add else y
    x = torch.cat([x, short], 1)
    x = x * F.hardsigmoid((w / "attention" / "fc").conv(x.mean((2, 3), keepdim=True)))
    return (w / "final_conv").module(x)


def vitpose_base(w, x):
    b = w / "backbone"
    x = (b / "patch_embed" / "projection").conv(x, 16, padding=2)
    size = x.shape[2:]
    x = x.flatten(2).transpose(1, 2) + b["pos_embed"]
    for i in range(12):
        layer = b / "layers" / i
        qkv = (layer / "attn" / "qkv").linear((layer / "ln1").layer_norm(x))
        q, k, v = qkv.unflatten(-1, (3, 12, 64)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + (layer / "attn" / "proj").linear(y)
        ffn = layer / "ffn" / "layers"
        y = F.gelu((ffn / 0 / 0).linear((layer / "ln2").layer_norm(x)))
        x = x + (ffn / 1).linear(y)
    x = (b / "ln1").layer_norm(x).transpose(1, 2).unflatten(-1, size)
    return _heatmaps(w / "head", x, 2)


NETWORKS = {
    "td-hm_res50_8xb64-210e_coco-256x192": resnet50,
    "td-hm_hrnet-w32_8xb64-210e_coco-256x192": hrnet_w32,
    "rtmpose-m_8xb256-420e_coco-256x192": rtmpose_m,
    "td-hm_ViTPose-base_8xb64-210e_coco-256x192": vitpose_base,
}


class SimpleBaseline(nn.Module):
    """ResNet-50 with three transposed convolutions, of PyTorch's modules as one would train it."""

    def __init__(self):
        super().__init__()
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True)]
        layers, channels = [*stem, nn.MaxPool2d(3, 2, 1)], 64
        for stage, count in enumerate((3, 4, 6, 3)):
            for i in range(count):
                layers.append(Bottleneck(channels, 64 << stage, 2 if stage and i == 0 else 1))
                channels = 256 << stage
        for _ in range(3):
            layers += [
                nn.ConvTranspose2d(channels, 256, 4, 2, 1, bias=False),
                nn.BatchNorm2d(256),
                nn.ReLU(True),
            ]
            channels = 256
        self.layers = nn.Sequential(*layers, nn.Conv2d(256, 17, 1))

    def forward(self, x):
        return self.layers(x)


class Bottleneck(nn.Module):
    """A block of ResNet-50."""

    def __init__(self, channels, width, strides):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.Conv2d(width, width, 3, strides, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        self.shortcut = nn.Identity()
        if strides != 1 or channels != 4 * width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, strides, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        return F.relu(self.layers(x) + self.shortcut(x))


class TrainingStep:
    """Pixels to updated weights: normalise, encode heatmaps, weighted MSE, Adam.

    Args:
        images: uint8 `(B, 256, 192, 3)`.
        labels: dict of `keypoints` `(B, 1, 17, 2)` in input pixels and `visible` `(B, 1, 17)`.
        device: where it runs.
        half: bool, automatic mixed precision with a scaled loss.
    """

    names = ("forward", "loss", "backward", "update")

    def __init__(self, images, labels, device, half=False):
        self.network = SimpleBaseline().to(device).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), 5e-4)
        self.images = torch.from_numpy(images)
        self.points = torch.from_numpy(labels["keypoints"])
        self.visible = torch.from_numpy(labels["visible"])
        self.device, self.half = device, half
        self.scaler = torch.amp.GradScaler(device.type, enabled=half)
        self.mean, self.std = (
            torch.tensor(values, device=device).reshape(3, 1, 1)
            for values in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
        )

    def __call__(self, mark=lambda: None):
        """One step; `mark` is called before each part and at the end."""
        mark()
        x = self.images.to(self.device).permute(0, 3, 1, 2).float()
        with torch.autocast(self.device.type, torch.float16, enabled=self.half):
            output = self.network((x - self.mean) / self.std)
        mark()
        loss = self._loss(output.float())
        mark()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        mark()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        mark()
        return float(loss.detach())

    def _loss(self, output):
        points = self.points.to(self.device)[:, 0, :, :, None] / 4
        weights = self.visible.to(self.device)[:, 0, :, None, None]
        rows, columns = (torch.arange(n, device=self.device) for n in output.shape[2:])
        across = torch.exp(-((columns - points[:, :, 0]) ** 2) / 8)
        down = torch.exp(-((rows - points[:, :, 1]) ** 2) / 8)
        target = down[..., None] * across[..., None, :]
        return ((output - target) ** 2 * weights).mean()

    def parts(self, steps: int) -> dict:
        """Median milliseconds of each part."""
        runs = []
        for _ in range(steps):
            marks: list[float] = []

            def mark(marks=marks):
                if self.device.type == "cuda":
                    torch.cuda.synchronize()
                marks.append(time.perf_counter())

            self(mark)
            runs.append([(b - a) * 1e3 for a, b in itertools.pairwise(marks)])
        columns = zip(*runs, strict=True)
        medians = [sorted(column)[len(column) // 2] for column in columns]
        return dict(zip(self.names, medians, strict=True))
