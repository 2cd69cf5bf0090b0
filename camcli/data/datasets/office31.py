"""Office-31: the same 31 things on a shop's pages, through a webcam, and by a good camera."""

from __future__ import annotations

from camcli.data.datasets.folders import read_folders
from camcli.data.datasets.kind import ByHand, DatasetKind
from camcli.data.datasets.place import DataPlace
from camcli.data.sources.layout import Layout

_DOMAINS = {"amazon", "dslr", "webcam"}


def _looks_like(place: DataPlace) -> bool:
    layout = place.layout
    return isinstance(layout, Layout) and {name for name, _ in layout.trees} == _DOMAINS


OFFICE31 = DatasetKind(
    name="office31",
    title="Office-31",
    what="amazon/, dslr/ and webcam/, each with images/<class>/",
    looks_like=_looks_like,
    read=read_folders,
    folders=("office31", "office-31", "Office31", "Office-31", "domain_adaptation_images"),
    get=ByHand(
        "Office-31 has no licence and no stable address, so it is not fetched. Get "
        "domain_adaptation_images.tar.gz from its authors' page "
        "(https://faculty.cc.gatech.edu/~judy/domainadapt/, Saenko et al. 2010) and unpack it so "
        "that {folder}/amazon/images/back_pack/frame_0001.jpg exists, and likewise dslr and webcam."
    ),
)
