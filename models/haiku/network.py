"""The network of the demo model: a Llama of a few layers whose weights are those that llama.cpp expects."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The dimensions; the rotary pairs are adjacent, as llama.cpp expects of this architecture."""

    vocabulary: int = 1024
    layers: int = 4
    width: int = 96
    heads: int = 3
    feed_forward: int = 256
    context: int = 256
    norm_epsilon: float = 1e-5
    rope_base: float = 10_000.0

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        width, inner = shape.width, shape.feed_forward
        self.attention_norm = nn.RMSNorm(width, shape.norm_epsilon)
        self.query, self.key, self.value, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.forward_norm = nn.RMSNorm(width, shape.norm_epsilon)
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, stream: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        rows, length, width = stream.shape
        normed = self.attention_norm(stream)
        query, key, value = (
            linear(normed).view(rows, length, self.heads, -1).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(
            rotate(query, rotation), rotate(key, rotation), value, is_causal=True
        )
        stream = stream + self.output(mixed.transpose(1, 2).reshape(rows, length, width))
        normed = self.forward_norm(stream)
        return stream + self.down(functional.silu(self.gate(normed)) * self.up(normed))


class Network(nn.Module):
    """Token ids in, logits of the chosen places out; the embedding is the output matrix too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, shape.norm_epsilon)
        angles = torch.outer(
            torch.arange(shape.context),
            shape.rope_base ** (-torch.arange(0, shape.head_width, 2) / shape.head_width),
        )
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                ends = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=0.06 / ((2 * shape.layers) ** 0.5 if ends else 1))

    def forward(self, ids: Tensor, chosen: Tensor) -> Tensor:
        length = ids.shape[1]
        rotation = (self.cosine[:length], self.sine[:length])
        stream = self.embedding(ids)
        for layer in self.layers:
            stream = layer(stream, rotation)
        return functional.linear(self.norm(stream[chosen]), self.embedding.weight)


def rotate(heads: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotation
    even, odd = heads[..., 0::2], heads[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)
