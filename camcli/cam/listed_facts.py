"""The methods that a user can name, as ``camcli methods`` and the shell list them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from camcli.cam.method_facts import AUTO, DIFFCAM, FACTS, TRAINED, Facts


@dataclass(frozen=True, slots=True)
class Listed:
    """A method in a list.

    Attributes:
        facts: what is known of it.
        needs: what must be asked or be there besides, in words; empty for nothing.
        explains: whether its map explains what the network says.
        commands: those that take its name; empty for all that take a method.
    """

    facts: Facts
    needs: str = ""
    explains: bool = True
    commands: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What is particular about it; empty where nothing is."""
        if self.needs:
            return f"{'needs' if self.explains else 'NO EXPLANATION; needs'} {self.needs}"
        return "" if self.facts.class_specific else "the same map for every class"


_DIFFERENCE = replace(
    FACTS["gradcam"],
    name=DIFFCAM,
    formula="Grad-CAM of how different a photograph is from references",
    paper="after Li 2025, CVPR",
    equals=None,
    class_specific=False,
)

_AUTO = replace(
    AUTO,
    formula="gradcam where a GAP head follows (exact), legrad for a class token, else gradcam",
    paper="the default; the summary says which it is, and why",
    cost=("that of the method",) * 2,
)

LISTED: dict[str, Listed] = {
    each.facts.name: each
    for each in (
        Listed(_AUTO),
        *(Listed(facts) for facts in FACTS.values()),
        Listed(_DIFFERENCE, "--against FOLDER", commands=("explain", "batch")),
        Listed(
            TRAINED, "a checkpoint of train --boxes", explains=False,
            commands=("explain", "batch", "evaluate"),
        ),
    )
}  # fmt: skip


def names_for(command: str) -> list[str]:
    """The names that a command takes.

    Args:
        command: such as ``explain``.
    """
    return [name for name, each in LISTED.items() if not each.commands or command in each.commands]
