"""Names of overlays: from a reference and its Result to a path under the run directory."""

from __future__ import annotations

import hashlib
import re
import string
from pathlib import PurePosixPath

from camcli.errors import ImageError, UsageError
from camcli.result import Result

FIELDS = ("rel", "parent", "stem", "name", "ext", "label", "pred", "prob", "target", "method")
# What some file system refuses in a name, and the separators of paths.
_FORBIDDEN = re.compile(r'[\x00-\x1f/\\:*?"<>|]')
_LONGEST = 240  # bytes in one name: file systems take 255, with the .jpg


class Namer:
    """Gives every overlay a name of its own.

    By default ``<relative path>``, with ``.jpg`` added unless it is there. With a template such as
    ``{stem}_pred_{pred}`` two images may ask for one name: the second is refused.
    """

    def __init__(self, template: str | None = None) -> None:
        """Check the template.

        Raises:
            UsageError: unknown field, malformed braces, or nothing that tells images apart.
        """
        self.template = template
        # Hashes, not names: a million of them stay below 100 MB.
        self._taken: set[int] = set()
        if template is not None:
            _check(template)

    def take(self, name: str) -> bool:
        """Mark a name as used; False if it was used before. Case does not tell names apart."""
        key = hash(name.casefold())
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
            if rel.endswith(".jpg"):
                return rel
            # a.png becomes a.png.jpg; where a photograph has that very name, one more suffix.
            other = result.ref.path.with_name(result.ref.path.name + ".jpg")
            try:
                taken = other.exists()
            except OSError:  # the longer name is longer than names may be
                taken = False
            folder, slash, name = rel.rpartition("/")
            return folder + slash + _fit(name, ".overlay.jpg" if taken else ".jpg")
        path = PurePosixPath(rel)
        values = {
            "rel": str(path.with_suffix("")),
            "parent": str(path.parent),
            "stem": path.stem,
            "name": path.name,
            "ext": path.suffix.lstrip("."),
            "label": _safe(result.ref.label or "unknown"),
            "pred": _safe(result.pred or ""),
            "prob": f"{result.prob or 0:.3f}",
            "target": _safe(result.heats[0].target if result.heats else ""),
            "method": result.method or "",
        }
        parts = PurePosixPath(self.template.format(**values)).parts
        name = "/".join(_short(part) for part in parts if part not in {"/", ".", ".."}) + ".jpg"
        if not self.take(name):
            raise ImageError(
                f"The overlay name {name!r} is already taken by another image; add {{rel}} to "
                "--name-template to tell them apart."
            )
        return name


def _check(template: str) -> None:
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(template)} - {None}
    except ValueError as error:
        raise UsageError(f"--name-template {template!r} is malformed: {error}.") from None
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


def _safe(text: str) -> str:
    """A class name as a part of a file name."""
    return _FORBIDDEN.sub("_", text).strip(". ") or "_"


def _short(part: str) -> str:
    """Cut a name to what file systems take, between characters."""
    return part.encode("utf-8", "surrogateescape")[:_LONGEST].decode("utf-8", "ignore")


def _fit(name: str, suffix: str) -> str:
    """`name` + `suffix`; where that is too long, the name's hash replaces its end."""
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) + len(suffix) <= 255:
        return name + suffix
    mark = "~" + hashlib.sha256(raw).hexdigest()[:12]
    room = 255 - len(mark) - len(suffix)
    return raw[:room].decode("utf-8", "ignore") + mark + suffix
