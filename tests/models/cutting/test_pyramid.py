"""Where refinecam looks: the last block of each of the last sizes, found for any network."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from camcli.batch.explain import make_explanation
from camcli.cam.explainer import fused, layer_of, maps_of
from camcli.cam.map_options import make_map_options
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.jobs.batch import BatchJob
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.explain import ExplainJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.models.classifier import cut_classifier
from camcli.models.cutting.pyramid import pyramid_layers
from camcli.models.loading.zoo import Provenance
from camcli.models.spec import layer_names


class Block(nn.Sequential):
    """A stage with steps inside of it."""

    def __init__(self, k: int, out: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(k, out, 3, stride, 1), nn.ReLU(), nn.Conv2d(out, out, 1), nn.ReLU()
        )


class Staged(nn.Module):
    """Four sizes, the last of them twice; an inner step of a block has the size before it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.one, self.two = Block(3, 4, 1), Block(4, 4, 2), Block(4, 6, 2)
        self.grow = nn.Sequential(nn.Conv2d(6, 9, 1), nn.ReLU(), nn.Conv2d(9, 6, 3, 2, 1))
        self.end, self.fc = Block(6, 6, 1), nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.end(self.grow(self.two(self.one(self.stem(x))))).mean((2, 3)))


class Pooled(nn.Module):
    """As VGG: each size ends in a max pooling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        steps: list[nn.Module] = []
        for k in (3, 4, 4, 4):
            steps += [nn.Conv2d(k, 4, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features, self.fc = nn.Sequential(*steps), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def classifier_of(module, layer="pyramid"):
    return cut_classifier(
        module.eval(),
        classes=("a", "b", "c"),
        preprocess=Preprocess(size=32),
        provenance=Provenance("tiny", None, None, "memory"),
        device=torch.device("cpu"),
        layers=layer_names(layer),
    )


def sides(classifier):
    return [place.shape[1] for place in classifier.cut.places]


def test_the_last_block_of_each_of_the_last_three_sizes():
    assert sides(classifier_of(Staged())) == [16, 8, 4]
    assert pyramid_layers(Staged().eval(), 32)[:2] == ("one", "two"), "and no inner step of grow"


def test_what_goes_into_a_max_pooling_is_passed_over():
    assert pyramid_layers(Pooled().eval(), 32) == ("features.5", "features.8", "last")
    assert sides(classifier_of(Pooled())) == [8, 4, 2]


def test_all_tokens_are_of_one_size():
    vit = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=24, num_heads=2,
        num_classes=3,
    )  # fmt: skip
    with pytest.raises(UsageError, match="several sizes"):
        pyramid_layers(vit.eval(), 32)


def test_refinecam_is_the_product_of_layercam_at_these():
    network = Staged()
    both, x = classifier_of(network), torch.randn(2, 3, 32, 32)
    index = torch.tensor([0, 2])
    how = make_explanation(both, "refinecam").how
    got = maps_of(both, both.see(x), index, how)
    parts = [
        maps_of(one, one.see(x), index, make_map_options("layercam"))
        for one in (classifier_of(network, layer) for layer in ("one", "two", "last"))
    ]
    torch.testing.assert_close(got, fused(parts, "product"), rtol=1e-4, atol=1e-5)
    assert got.shape == (2, 16, 16)
    assert layer_of(how, both) == both.layer


def test_beside_it_the_others_look_at_the_last_map():
    network = Staged()
    both, alone = classifier_of(network), classifier_of(network, "last")
    x, index = torch.randn(2, 3, 32, 32), torch.tensor([1, 2])
    what = MapJob(method="gradcam,refinecam").explanation(both)
    plain = maps_of(alone, alone.see(x), index, make_map_options("gradcam"))
    torch.testing.assert_close(maps_of(both, both.see(x), index, what.how), plain)
    assert layer_of(what.how, both) == alone.layer


def test_named_layers_are_joined_by_every_method():
    named = classifier_of(Staged(), "one,last")
    seen, index = named.see(torch.randn(1, 3, 32, 32)), torch.tensor([0])
    assert maps_of(named, seen, index, make_map_options("gradcam")).shape == (1, 16, 16)
    assert make_explanation(named, "refinecam").method.joins


def test_one_layer_is_no_product():
    with pytest.raises(UsageError, match="several layers"):
        make_explanation(classifier_of(Staged(), "last"), "refinecam")
    with pytest.raises(UsageError, match="name more"):
        BatchJob("x", ModelJob(layer="one"), MapJob(method="refinecam")).check()
    with pytest.raises(UsageError, match="a product"):
        make_map_options("refinecam", fuse="max")


@pytest.mark.parametrize("job", [BatchJob, ExplainJob])
def test_a_job_cuts_where_its_methods_look(job):
    def layer(method, layer="last"):
        return job("x", ModelJob(layer=layer), MapJob(method=method)).network.layer

    assert layer("gradcam") == layer("no such method") == "last"
    assert layer("refinecam") == layer("gradcam,refinecam") == "pyramid"
    assert layer("refinecam", "a,b") == "a,b"


def test_an_evaluation_too():
    def layer(methods):
        return EvaluateJob("x", methods=methods).networks()[0].layer

    assert (layer("cam,layercam"), layer("cam,refinecam")) == ("last", "pyramid")
