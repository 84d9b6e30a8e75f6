"""`edgetl zeroshot`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgetl.trainer.options import RESIZES, region_of

if TYPE_CHECKING:
    from edgetl.trainer.zeroshot.guessing import Guesses


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A folder of pictures, labelled or not.")  # fmt: skip
@click.option("--classes", required=True, metavar="TEXT,TEXT", help="What to tell apart: 'scratched part,good part', or with other labels 'ng=scratched part,ok=good part'.")  # fmt: skip
@click.option("--model", default="ViT-B-32", show_default=True, metavar="NAME", help="A CLIP model of open_clip's, or a file with a configuration (NAME.json).")  # fmt: skip
@click.option("--weights", default="auto", show_default=True, metavar="auto|TAG|FILE", help="Its weights: from the cache or hub, or a file.")  # fmt: skip
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="A sentence with {} for the words; may be given more than once.  [default: 'a photo of a {}.' and two more]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=None, metavar="CSV|JSON", help="Write the table of guesses there.")  # fmt: skip
@click.option("--review", "review_at", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Write pictures and guesses there for `edgetl review`.")  # fmt: skip
@click.option("--folders", "folders_at", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Put the pictures of sure guesses into class folders there.")  # fmt: skip
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="From which confidence a guess is sure.")  # fmt: skip
@click.option("--ok", multiple=True, metavar="LABEL", help="A class that is good; may be given more than once.")
@click.option("--imgsz", type=click.IntRange(32, 1024), default=None, help="Side of the model's input in pixels.  [default: its own]")  # fmt: skip
@click.option("--resize", type=click.Choice(RESIZES), default="squash", show_default=True)  # fmt: skip
@click.option("--region", callback=region_of, metavar="X0,Y0,X1,Y1", help="Part of the frame to look at, as fractions.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
def zeroshot(
    data: Path, classes: str, model: str, weights: str, prompts: tuple[str, ...], out: Path | None,
    review_at: Path | None, folders_at: Path | None, min_score: float, ok: tuple[str, ...], imgsz: int | None,
    resize: str, region: tuple[float, float, float, float] | None, device: str, as_json: bool,
) -> None:  # fmt: skip
    """Guess labels from words, before anybody labelled a picture.

    The guesses are a start, not a truth: confirm them with `edgetl review`. Where pictures lie in folders with the names of
    the classes, it says how many guesses are right.
    """
    from edgetl.trainer.progress import ConsoleReporter
    from edgetl.trainer.zeroshot.account import check_targets, rule_of, write_folders, write_review, write_table
    from edgetl.trainer.zeroshot.guessing import Options, guess
    from edgetl.trainer.zeroshot.wording import PROMPTS, classes_of

    check_targets(out, folders_at)
    described = classes_of(classes)
    rule = rule_of(tuple(one.label for one in described), ok, min_score)
    options = Options(
        data=data, classes=described, model=model, weights=weights, prompts=prompts or PROMPTS, size=imgsz,
        resize=resize, region=region, device=device,
    )  # fmt: skip
    with ConsoleReporter() as reporter:
        found = guess(options, reporter)
        for path, reason in found.passed_over.items():
            reporter.say(f"passed over: {path}: {reason}")
    if out is not None:
        write_table(out, found)
    if review_at is not None:
        write_review(data, review_at, found, rule)
    if folders_at is not None:
        write_folders(data, folders_at, found, min_score)
    click.echo(_as_json(found, min_score) if as_json else _table(found, min_score))
    if review_at is not None and not as_json:
        click.echo(f"confirm them with: edgetl review {review_at}")


def _counted(found: Guesses, min_score: float) -> dict[str, tuple[int, int]]:
    """Guesses by label, and how many of them are sure."""
    every = Counter(guess.label for guess in found.guesses)
    sure = Counter(guess.label for guess in found.guesses if guess.confidence >= min_score)
    return {label: (every[label], sure[label]) for label in found.labels}


def _as_json(found: Guesses, min_score: float) -> str:
    counted = _counted(found, min_score)
    return json.dumps({
        "pictures": len(found.guesses), "model": found.model, "weights": found.weights,
        "guessed": {label: every for label, (every, _) in counted.items()},
        "sure": {label: sure for label, (_, sure) in counted.items()},
        "judged": found.judged.n if found.judged else 0,
        "balanced_accuracy": found.judged.balanced_accuracy if found.judged else None,
    }, ensure_ascii=False)  # fmt: skip


def _table(found: Guesses, min_score: float) -> str:
    lines = [f"{'class':<28}{'pictures':>9}{f'at least {min_score:g} sure':>22}"]
    lines += [f"{label:<28}{every:>9}{sure:>22}" for label, (every, sure) in _counted(found, min_score).items()]
    if found.judged is not None:
        low, high = found.judged.balanced_accuracy_interval.low, found.judged.balanced_accuracy_interval.high
        lines.append(
            f"of {found.judged.n} pictures in folders of these names: balanced accuracy "
            f"{100 * found.judged.balanced_accuracy:.1f} %  (95 % interval {100 * low:.1f} to {100 * high:.1f})"
        )
    return "\n".join(lines)
