"""The classes as words: what each is called, how it is described, and the sentences that the model reads."""

from __future__ import annotations

import msgspec

from edgetl.errors import UsageError

PROMPTS = ("a photo of a {}.", "a close-up photo of a {}.", "a photo of the {}.")


class Described(msgspec.Struct, frozen=True):
    """A class: its label, which names its folder, and the words for what it looks like."""

    label: str
    words: str


def classes_of(text: str) -> tuple[Described, ...]:
    """`scratched part, ok=good part` as classes; without `label=` the words are the label. Raises UsageError."""
    found = []
    for piece in text.split(","):
        label, _, words = (part.strip() for part in piece.partition("="))
        found.append(Described(label, words or label))
    labels = [described.label for described in found]
    for label in labels:
        if not label or label.startswith(".") or "/" in label or "\0" in label:
            raise UsageError(f"--classes: {label!r} cannot be the name of a class")
    if len({label.casefold() for label in labels}) < max(2, len(labels)):
        raise UsageError(f"--classes {text!r}: name at least two, each once, like 'scratched part,good part'")
    return tuple(found)


def sentences_of(described: Described, prompts: tuple[str, ...]) -> list[str]:
    """What the model reads for a class. Raises UsageError where a prompt has no place for its words."""
    for prompt in prompts:
        if "{}" not in prompt:
            raise UsageError(f"--prompt {prompt!r} has no {{}} where the class's words go")
    return [prompt.replace("{}", described.words) for prompt in prompts]
