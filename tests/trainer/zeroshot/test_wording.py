"""The classes as words."""

from __future__ import annotations

import pytest

from edgetl.errors import UsageError
from edgetl.trainer.zeroshot.wording import PROMPTS, Described, classes_of, sentences_of


def test_words_are_the_label_unless_another_is_given() -> None:
    assert classes_of("scratched part, good part") == (
        Described("scratched part", "scratched part"),
        Described("good part", "good part"),
    )
    assert classes_of("ng=part with a scratch,ok = good part") == (
        Described("ng", "part with a scratch"),
        Described("ok", "good part"),
    )


@pytest.mark.parametrize("text", ["", "good", "good,", "a,a", "a,A", "a/b,c", ".a,b", "a,=words"])
def test_classes_that_cannot_be_folders_or_told_apart_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--classes"):
        classes_of(text)


def test_sentences() -> None:
    assert sentences_of(Described("ng", "part with {braces}"), ("a {}!",)) == ["a part with {braces}!"]
    assert all("good part" in sentence for sentence in sentences_of(Described("ok", "good part"), PROMPTS))
    with pytest.raises(UsageError, match=r"has no \{\}"):
        sentences_of(Described("ok", "good"), ("a photo",))
