from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from camcli.models.classes.imagenet import (
    are_imagenets,
    imagenet_classes,
    imagenet_kinds,
    imagenet_synonyms,
    plain,
    wnid_index,
)
from camcli.models.classes.label_index import label_index
from camcli.models.classes.names_file import read_class_names

CLASSES = imagenet_classes()


def test_a_thousand_names_that_nobody_confuses():
    assert len(CLASSES) == 1000
    assert len({"".join(filter(str.isalnum, name.casefold())) for name in CLASSES}) == 1000
    assert all(name.isascii() and name == name.strip() and "/" not in name for name in CLASSES)


def test_names_and_wnids_stand_where_torchvision_and_timm_have_them():
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    theirs = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    differ = {i: CLASSES[i] for i, name in enumerate(theirs) if CLASSES[i] != name}
    assert differ == {263: "Pembroke Welsh corgi", 264: "Cardigan Welsh corgi"}
    wnids = ImageNetInfo().label_names()
    assert [wnid_index(wnid) for wnid in wnids] == list(range(1000))


def test_wnid_index():
    assert wnid_index("n02123045") == 281  # tabby
    assert wnid_index(" N02123045 ") == 281
    assert wnid_index("n00000001") is None
    assert wnid_index("tabby") is None


def lines(name):
    """Of a table that timm carries, which knows WordNet: synset -> words."""
    timm = Path(importlib.util.find_spec("timm").origin).parent
    text = (timm / "data" / "_info" / name).read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines())


def test_synonyms_are_wordnets():
    lemmas = lines("imagenet_synset_to_lemma.txt")
    for wnid, words in lemmas.items():
        index = wnid_index(wnid)
        if index is not None:
            ours = {plain(CLASSES[index]), *map(plain, imagenet_synonyms()[index])}
            assert {plain(word) for word in words.split(",")} <= ours


# A vessel floats or is poured from; an instrument is played or read.
TWO_SENSES = {"vessel", "instrument", "cap", "car", "bag"}


def test_what_wordnet_defines_as_a_kind_is_in_it():
    """ "a cat with a grey or tawny coat": so a tabby is a cat."""
    definitions = lines("imagenet_synset_to_definition.txt")
    kinds = imagenet_kinds()
    checked = 0
    for wnid, text in definitions.items():
        index = wnid_index(wnid)
        genus = re.match(r"(?:an?|any|a? ?breed of) ([a-z -]+?) (?:with|having|that|bred)\b", text)
        word = genus[1].split()[-1] if genus else ""
        if index is None or word not in kinds or word in TWO_SENSES:
            continue
        checked += 1
        assert index in kinds[word], (CLASSES[index], text)
    assert checked > 20


def test_kinds_are_classes():
    assert all(found and max(found) < 1000 for found in imagenet_kinds().values())
    assert [CLASSES[i] for i in imagenet_kinds()["cat"]] == [
        "tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat",
    ]  # fmt: skip


def test_other_lists_of_imagenet_are_known_as_such():
    """As the web has them: all synonyms in a row, or WordNet ids, or two cranes."""
    rows = zip(imagenet_classes(), imagenet_synonyms(), strict=True)
    assert are_imagenets(tuple(", ".join([name, *others]) for name, others in rows))
    usual = list(imagenet_classes())
    usual[134] = "crane"
    assert are_imagenets(read_class_names(usual))
    assert label_index("n02012849", read_class_names(usual)) == 134


def test_a_thousand_classes_of_ones_own_are_not_imagenets():
    assert not are_imagenets(tuple(map(str, range(1000))))
    # ImageNet's words in another order are another network's classes.
    assert not are_imagenets(tuple(sorted(imagenet_classes())))
    assert not are_imagenets(imagenet_classes()[:999])
