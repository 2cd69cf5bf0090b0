"""A tiny vision transformer in float64, and its blocks by hand."""

import pytest
import torch
from torchvision.models import VisionTransformer

from camcli.cam.attention.seen import Attending
from camcli.cam.method_input import Evidence


class ByHand:
    """torchvision's ViT, written out: P of each block is a leaf of its own or part of the whole."""

    def __init__(self, net):
        self.net = net

    def tokens(self, images):
        z = self.net._process_input(images)
        z = torch.cat([self.net.class_token.expand(len(z), -1, -1), z], 1)
        return z + self.net.encoder.pos_embedding

    def attention(self, layer, z):
        """P and v (B, heads, N, .), before they are multiplied."""
        mha = layer.self_attention
        B, N, _ = z.shape
        qkv = layer.ln_1(z) @ mha.in_proj_weight.T + mha.in_proj_bias
        q, k, v = qkv.reshape(B, N, 3, mha.num_heads, -1).permute(2, 0, 3, 1, 4)
        return (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1), v

    def after(self, layer, z, P, v):
        """The block's tokens."""
        B, N, D = z.shape
        z = z + layer.self_attention.out_proj((P @ v).transpose(1, 2).reshape(B, N, D))
        return z + layer.mlp(layer.ln_2(z))

    def end(self, token):
        return self.net.heads(self.net.encoder.ln(token))


@pytest.fixture(scope="session")
def network():
    torch.manual_seed(0)
    net = VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5)
    torch.nn.init.normal_(net.heads.head.weight)
    return net.eval().requires_grad_(False).double()


@pytest.fixture(scope="session")
def by_hand(network):
    return ByHand(network)


@pytest.fixture(scope="session")
def evidence():
    """Makes one of a network and images (B, 3, 32, 32), whose tokens lie on 4 x 4 places."""

    def make(network, images, index, **more):
        def attend(some):
            with torch.enable_grad(), Attending() as watch:
                logits = network(some)
            watch.finish(logits)
            return watch

        A = torch.zeros(len(images), 1, 4, 4, dtype=images.dtype)
        return Evidence(
            A, network(images), index, lambda A: A, images=images, attend=attend, **more
        )

    return make


@pytest.fixture(scope="session")
def images():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture(scope="session")
def index():
    return torch.tensor([0, 3, 1])
