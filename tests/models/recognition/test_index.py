"""The shipped index: what the installed libraries build, and nothing that was made up."""

from __future__ import annotations

import gzip
from dataclasses import replace
from importlib import metadata

import pytest
import torch
import torchvision

from camcli.models.recognition import index as shipped_file
from camcli.models.recognition.blueprints import timm_blueprint, torchvision_blueprint
from camcli.models.recognition.described import describe
from camcli.models.recognition.forest import Forest
from camcli.models.recognition.index import Index, read, shipped, written
from camcli.models.recognition.unallocated import shapes_of, unallocated, without_memory

# Heads of each kind, what follows channels and sizes, and heads that only help training.
SAMPLE = (
    "resnet18", "googlenet", "vit_b_16", "squeezenet1_1", "vgg11", "regnet_y_400mf", "mnasnet0_5",
    "maxvit_t", "swin_t", "densenet121", "timm:vit_tiny_patch16_224", "timm:convnext_atto",
    "timm:swin_tiny_patch4_window7_224", "timm:tresnet_m", "timm:levit_128s", "timm:resnet18",
    "timm:deit_tiny_distilled_patch16_224", "timm:vit_tiny_r_s16_p8_224", "timm:efficientnet_b0",
    "timm:mobilenetv3_small_050", "timm:beit_base_patch16_224",
)  # fmt: skip


@pytest.fixture(scope="module")
def index():
    return shipped()


@pytest.mark.parametrize("name", SAMPLE)
def test_an_entry_is_what_the_installed_library_builds(index, name):
    library = "timm" if name.startswith("timm:") else "torchvision"
    there = metadata.version(library).partition("+")[0]
    if index.versions[library] != there:
        pytest.skip(f"the index was made of {library} {index.versions[library]}, not {there}")
    (each,) = (one for one in index.architectures if one.written == name)
    bare = name.removeprefix("timm:")
    blueprint = (
        timm_blueprint(bare, each.tags) if library == "timm" else torchvision_blueprint(bare)
    )
    forest = Forest()
    found = describe(blueprint, forest)
    assert dict(forest.leaves(found.root)) == dict(index.forest.leaves(each.root))
    # Modules describe themselves in words that are torch's, too; each torchvision is of one torch.
    same = index.versions["torchvision"] == metadata.version("torchvision").partition("+")[0]
    computing = found.computing if same else each.computing
    assert replace(found, root=0, computing=computing) == replace(each, root=0)


def test_all_of_torchvision_and_more_than_a_thousand_of_timm_are_there(index):
    names = {one.name for one in index.architectures if one.library == "torchvision"}
    if index.versions["torchvision"] == metadata.version("torchvision").partition("+")[0]:
        assert names == set(torchvision.models.list_models(module=torchvision.models))
    assert len([one for one in index.architectures if one.library == "timm"]) > 1100
    assert len({one.written for one in index.architectures}) == len(index.architectures)


def test_the_file_is_small_and_the_same_when_it_is_written_again(index):
    content = shipped_file.resources.files("camcli.models.recognition").joinpath(shipped_file.FILE)
    assert len(content.read_bytes()) < 1_000_000
    # The text: what compresses it differs between builds of Python.
    assert gzip.decompress(written(index)) == gzip.decompress(content.read_bytes())
    part = Index(index.versions, index.forest, index.architectures[10:13])
    again = read(written(part))
    for one, other in zip(part.architectures, again.architectures, strict=True):
        assert replace(one, root=0) == replace(other, root=0)
        assert dict(index.forest.leaves(one.root)) == dict(again.forest.leaves(other.root))


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="another format"):
        read(gzip.compress(b"camcli architectures 99; timm 1\n\n"))


def test_what_a_network_is_described_by(index):
    by_name = {one.written: one for one in index.architectures}
    googlenet = by_name["googlenet"]
    assert googlenet.heads == ("fc.",)
    assert set(googlenet.helping) == {"aux1.fc2.", "aux2.fc2."}
    vit = by_name["timm:vit_tiny_patch16_224"]
    assert (vit.sized, vit.size) == (("pos_embed",), 224)
    assert [(g.tensor, g.axis, g.each) for g in vit.growing] == [("patch_embed.proj.weight", 1, 1)]
    # Space to depth: sixteen channels of each.
    assert by_name["timm:tresnet_m"].growing[0].each == 16
    # The same tensors, and blur that has none of its own.
    assert by_name["timm:resnet50"].root == by_name["timm:resnetblur50"].root
    assert by_name["timm:resnet50"].computing != by_name["timm:resnetblur50"].computing


def test_networks_without_memory():
    with unallocated():
        net = torchvision.models.regnet_y_400mf(num_classes=7)
    assert all(tensor.is_meta for tensor in net.state_dict().values())
    assert shapes_of(net) == shapes_of(torchvision.models.regnet_y_400mf(num_classes=7))
    assert not torch.nn.Linear(2, 2).weight.is_meta  # afterwards, all is as it was

    def tries_itself_out():
        part = torch.nn.Conv2d(3, 4, 3)
        return torch.nn.Linear(part(torch.zeros(1, 3, 8, 8)).numel(), 2)

    assert without_memory(tries_itself_out).weight.shape == (2, 4 * 6 * 6)
    with pytest.raises(ValueError, match="mine"):
        without_memory(lambda: (_ for _ in ()).throw(ValueError("mine")))
