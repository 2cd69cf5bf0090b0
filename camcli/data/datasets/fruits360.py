"""Fruits-360: each class is a fruit filmed while it turns, so its images are frames of videos.

``Apple Red 1/r_31_100.jpg``: the prefix names the video (none, ``r``, ``r2`` ...: another axis),
the number the frame, ``_100`` the size. In the 100x100 releases the Test folder is every frame
with an index of 3 modulo 4, so each test image has neighbours in Training that look the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random

from camcli.data.datasets.folders import read_folders
from camcli.data.datasets.kind import Archive, DatasetKind, Domains, Found, Videos
from camcli.data.datasets.place import DataPlace
from camcli.data.sources.layout import Layout
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.splits import Split

_LEAK = (
    "Fruits-360's Test images are frames of the videos in Training, so an accuracy near 100% "
    "proves little; `--split video` holds out whole videos."
)

_NAME = re.compile(r"(?:(?P<video>r\d*)_)?(?P<frame>\d+)(?P<size>_\d+)?\.\w+")
RUNS = 10
"""Into so many runs the only video of a class is cut, where some of it must be held out."""
_VARIETY = re.compile(r"[ _]+\d+$")


def looks_like(refs: Sequence[ImageRef]) -> bool:
    """Whether images carry the names of frames, in a folder called Training."""
    matches = [_NAME.fullmatch(_base(ref)) for ref in refs]
    return (
        bool(matches)
        and all(matches)
        and any(m and (m["video"] or m["size"]) for m in matches)
        and any(ref.rel.startswith("Training/") or "/Training/" in ref.rel for ref in refs)
    )


def merged(label: str) -> str:
    """The fruit without the number of its variety: "Apple Red 1" is an "Apple Red"."""
    return _VARIETY.sub("", label) or label


def video(ref: ImageRef) -> str:
    """What names the video of an image: the folder of its class and the prefix of its file."""
    folder = ref.rel.split("/")[-2] if "/" in ref.rel else ""
    match = _NAME.fullmatch(_base(ref))
    return f"{folder}/{(match['video'] or '') if match else _base(ref)}"


def frame(ref: ImageRef) -> int:
    """The number of the frame in its video; 0 for a name without one."""
    match = _NAME.fullmatch(_base(ref))
    return int(match["frame"]) if match else 0


def contiguous_runs(refs: Sequence[ImageRef], share: float, seed: int) -> set[str]:
    """Hold out one run of neighbouring frames of every video.

    Only the two ends of a run have a neighbour in training; frames drawn one by one all would.

    Args:
        refs: training images.
        share: share of each video; 0 holds out nothing.
        seed: moves the runs.

    Returns:
        Relative paths of the frames held out; every class keeps some for training.
    """
    held: set[str] = set()
    for name, frames in sorted(_by_video(refs).items()):
        length = min(len(frames) - 1, max(1, round(share * len(frames))))
        if share and length > 0:
            start = Random(f"{seed}/{name}".encode("utf-8", "surrogateescape")).randrange(
                len(frames) - length + 1
            )
            held.update(ref.rel for ref in frames[start : start + length])
    return held


def whole_videos(
    refs: Sequence[ImageRef], shares: Mapping[Split, float], seed: int
) -> tuple[dict[str, Split], list[str]]:
    """Hold out whole videos of every class that has several.

    Args:
        refs: images of all splits.
        shares: share of a class's videos for each split, in the order in which they are filled;
            at least one video where the class has enough.
        seed: of the draw.

    Returns:
        The split of each image that is held out, by relative path; and the classes that have one
        video only, of which nothing is held out.
    """
    classes: dict[str, dict[str, list[ImageRef]]] = defaultdict(dict)
    for ref in refs:
        classes[str(ref.label)].setdefault(video(ref), []).append(ref)
    held: dict[str, Split] = {}
    single = []
    for label, videos in sorted(classes.items()):
        order = sorted(videos)
        Random(f"{seed}/{label}".encode("utf-8", "surrogateescape")).shuffle(order)
        if len(order) == 1:
            single.append(label)
        left = order[1:]
        for split, share in shares.items():
            count = max(1, round(share * len(order))) if share else 0
            for name in left[:count]:
                held.update((ref.rel, split) for ref in videos[name])
            left = left[count:]
    return held, single


def groups(refs: Sequence[ImageRef]) -> list[str]:
    """What names the frames that each of these training images belongs with.

    That is its video, where its class has several. Of a single one it is one of `RUNS` runs of
    neighbouring frames: only the two ends of a run have a neighbour outside.
    """
    videos: dict[str, set[str]] = defaultdict(set)
    for ref in refs:
        videos[str(ref.label)].add(video(ref))
    keys: dict[str, str] = {}
    for name, frames in _by_video(refs).items():
        single = any(len(videos[str(ref.label)]) == 1 for ref in frames)
        for n, ref in enumerate(frames):
            keys[ref.rel] = f"{name} {n * RUNS // len(frames)}" if single else name
    return [keys[ref.rel] for ref in refs]


def _by_video(refs: Iterable[ImageRef]) -> dict[str, list[ImageRef]]:
    videos: dict[str, list[ImageRef]] = defaultdict(list)
    for ref in refs:
        videos[video(ref)].append(ref)
    return {name: sorted(frames, key=frame) for name, frames in videos.items()}


def _base(ref: ImageRef) -> str:
    return ref.rel.rsplit("/", 1)[-1]


def _is_at(place: DataPlace) -> bool:
    """Whether there are classes with their frames in splits that are called as here."""
    layout = place.layout
    if not isinstance(layout, Layout) or layout.kind != "splits":
        return False
    return looks_like([ref for ref in place.images() if layout(place.at(ref)) is not None])


def _read(place: DataPlace, domains: Domains) -> Found:
    return replace(read_folders(place, domains), layout="fruits360")


_COMMIT = "2f981c83e352a9d4c15fb8c886034c817052c80b"
FRUITS360 = DatasetKind(
    name="fruits360",
    title="Fruits-360",
    what="Training/<Class>/ and Test/<Class>/, with files called r_31_100.jpg",
    looks_like=_is_at,
    read=_read,
    folders=("fruits360", "fruits-360", "fruits-360-100x100", "fruits-360_100x100"),
    get=Archive(
        title="Fruits-360, 100x100 (Mihai Oltean)",
        url=f"https://codeload.github.com/fruits-360/fruits-360-100x100/zip/{_COMMIT}",
        licence="CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/)",
        size=1_000_000_000,
        version=_COMMIT,
        holds=("Training", "Test"),
    ),
    note=_LEAK,
    videos=Videos(
        example="Training/<Class>/r_31_100.jpg",
        hold_out=whole_videos,
        neighbours=contiguous_runs,
        groups=groups,
    ),
)
