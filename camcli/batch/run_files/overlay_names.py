"""Names of overlays: from a reference and its Result to a path under the run directory."""

from __future__ import annotations

import re
import string
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from camcli.batch.run_files.disk_names import FORBIDDEN, DiskNames, folded, mark
from camcli.data.sources.finders import is_image_name
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.render.picture_files import JPEG

if TYPE_CHECKING:  # it brings NumPy, which a mistake in --name-template need not wait for
    from camcli.result import Result

FIELDS = ("rel", "parent", "stem", "name", "ext", "label", "pred", "prob", "target", "method")
_LONGEST = 240  # bytes in one name: file systems take 255, with the .jpg


class Namer:
    """Gives every overlay a name of its own.

    By default ``<relative path>``, with ``.jpg``, say, added unless it is there. This depends on
    nothing but the image, so shards and workers need not know each other's names. With a template
    such as ``{stem}_pred_{pred}`` two images may ask for one name: the second is refused.
    """

    def __init__(
        self,
        template: str | None = None,
        *,
        disk: DiskNames | None = None,
        alone: bool = True,
        suffix: str = JPEG.suffix,
    ) -> None:
        """Check the template.

        Args:
            template: of the names; None for the relative path.
            disk: what names are taken where the pictures go; None for all.
            alone: whether all names come from this one; shards and workers have one each.
            suffix: of the pictures' names.

        Raises:
            UsageError: unknown field, malformed braces, or nothing that tells images apart.
        """
        self.template, self._disk, self._alone = template, disk or DiskNames(), alone
        self._suffix = suffix
        # Hashes, not names: a million of them stay below 100 MB.
        self._taken: set[int] = set()
        if template is not None:
            _check(template)

    def take(self, name: str) -> bool:
        """Mark a name as used; False if it was used before. Case does not tell names apart."""
        key = hash(folded(name))
        if key in self._taken:
            return False
        self._taken.add(key)
        return True

    def name(self, result: Result) -> str:
        """The overlay's path relative to the overlays' folder, with forward slashes.

        Raises:
            ImageError: another image of this run has that name already.
        """
        rel = result.ref.rel
        if self.template is None:
            folder, slash, name = rel.rpartition("/")
            name, suffix = _split(name, result.ref, self._suffix)
            found = self._disk.name(folder + slash + _fit(name, suffix))
            free = not self._disk.folds or (
                self.take(found) if self._alone else found == folded(found)
            )
            if not free:
                found = self._disk.name(folder + slash + _fit(name, f"~{mark(rel)}{suffix}"))
            return found
        path = PurePosixPath(rel)
        values = {
            "rel": str(path.with_suffix("")),
            "parent": str(path.parent),
            "stem": path.stem,
            "name": path.name,
            "ext": path.suffix.lstrip("."),
            "label": _safe(result.ref.label or "unknown"),
            "pred": _safe(_predicted(result)),
            "prob": f"{result.prob or 0:.3f}" if result.value is None else f"{result.value:.4g}",
            "target": _safe(result.heats[0].target if result.heats else ""),
            "method": result.method or "",
        }
        parts = PurePosixPath(self.template.format(**values)).parts
        name = "/".join(_short(part) for part in parts if part not in {"/", ".", ".."})
        name += self._suffix
        name = self._disk.name(name)
        if not self.take(name):
            raise ImageError(
                f"The overlay name {name!r} is already taken by another image; {{rel}} and "
                "{ext} in --name-template tell them apart."
            )
        return name


def _predicted(result: Result) -> str:
    """The class, or the labels with ``+`` between; of a value what it is of."""
    if result.value is not None:
        return result.heats[0].target if result.heats else "value"
    if result.numbers:
        return "+".join(name for name, _ in result.positives) or "none"
    return result.pred or ""


def _check(template: str) -> None:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"--name-template {template!r} is malformed: {error}.") from None
    fields = {field for _, field, _, _ in parts} - {None}
    for _, field, how, _ in parts:
        # A width of millions is memory, and a field within one is whatever a file is called.
        if how and (re.search(r"\d{4}", how) or "{" in how):
            raise UsageError(
                f"--name-template formats {{{field}}} as {how!r}; names have fewer than 256 "
                "characters, and widths are written as numbers."
            )
    choices = ", ".join(f"{{{name}}}" for name in FIELDS)
    for field in sorted(fields - set(FIELDS), key=str):
        raise UsageError(f"--name-template has an unknown field {{{field}}}. Use {choices}.")
    if not fields & {"rel", "stem", "name"}:
        raise UsageError(
            f"--name-template {template!r} gives many images one name; add {{rel}}, {{stem}} or "
            "{name}."
        )
    if template.startswith("/") or ".." in PurePosixPath(template).parts:
        raise UsageError("--name-template must stay inside the run directory.")
    try:
        template.format(**dict.fromkeys(FIELDS, "x"))
    except (ValueError, KeyError, IndexError) as error:
        raise UsageError(f"--name-template {template!r} is malformed: {error}.") from None


def _split(name: str, ref: ImageRef, picture: str) -> tuple[str, str]:
    """A file name as a stem and what is added to it, so that no two have the same sum.

    ``x.jpg`` is itself; ``x.png`` becomes ``x.png.jpg`` and, one further, ``x.png.jpg`` becomes
    ``x.png.jpg.jpg``.
    """
    bare = name
    while bare.endswith(picture):
        bare = bare.removesuffix(picture)
    if is_image_name(bare):
        return name, picture
    if bare != name:
        return name.removesuffix(picture), picture
    # Of a file that was named, whatever it is called: a photograph may have its picture's name.
    taken = ref.blob is not None
    with suppress(OSError):  # the longer name is longer than names may be
        taken = taken or ref.path.with_name(f"{ref.path.name}{picture}").exists()
    return name, f"~{mark(ref.rel)}{picture}" if taken else picture


def _safe(text: str) -> str:
    """A class name as a part of a file name."""
    return FORBIDDEN.sub("_", text).strip(". ") or "_"


def _short(part: str) -> str:
    """Cut a name to what file systems take, between characters; its hash replaces the end."""
    raw = part.encode("utf-8", "surrogateescape")
    return part if len(raw) <= _LONGEST else _fit(part, "", _LONGEST)


def _fit(name: str, suffix: str, longest: int = 255) -> str:
    """`name` + `suffix`; where that is too long, the name's hash replaces its end."""
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) + len(suffix) <= longest:
        return name + suffix
    end = "~" + mark(name) + suffix
    return raw[: longest - len(end)].decode("utf-8", "ignore") + end
