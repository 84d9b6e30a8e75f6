"""The pictures in a run: training curves and confusion matrices."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # not pyplot, which takes longer to import and asks what screen there is
from numpy.typing import NDArray

from edgetl.errors import storage
from edgetl.runtime.files import replacing
from edgetl.runtime.metrics import confusion_matrix


def plot_curves(results: Path, out: Path) -> None:
    """Draws loss and accuracy over the epochs of a results.csv; nothing for a probe, whose only row makes no curve."""
    with results.open() as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 2:
        return
    epochs = [int(r["epoch"]) for r in rows]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs[1:], [float(r["train_loss"]) for r in rows[1:]], label="train", marker=".")
    left.plot(epochs, [float(r["val_loss"]) for r in rows], label="validation", marker=".")
    left.set(xlabel="epoch", ylabel="loss")
    right.plot(epochs[1:], [100 * float(r["train_accuracy"]) for r in rows[1:]], label="train, accuracy", marker=".")
    balanced = [100 * float(r["val_balanced_accuracy"]) for r in rows]
    right.plot(epochs, balanced, label="validation, balanced accuracy", marker=".")
    right.set(xlabel="epoch", ylabel="%")
    noticed = [int(b["epoch"]) for b, row in pairwise(rows[1:]) if int(row["held"]) > int(b["held"])]
    for number, epoch in enumerate(noticed):
        label = "" if number else "overfitting: more layers held"
        left.axvline(epoch, color="tab:red", linestyle=":", label=label)
    for axes in (left, right):
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, frameon=False
        )  # above, where no curve is
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    _save(figure, out)


def plot_distances(groups: dict[str, NDArray[np.float64]], threshold: float, surely: float, out: Path) -> None:
    """Draws how far held-out pictures of each kind lie from good parts, and where OK ends and NG begins."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    everything = np.concatenate([*groups.values(), [threshold, surely]])
    bins = np.geomspace(everything.min() * 0.98, everything.max() * 1.02, 50)
    for (name, distances), colour in zip(groups.items(), ("tab:green", "tab:red"), strict=False):
        axes.hist(distances, bins=bins.tolist(), alpha=0.65, color=colour, label=f"{name} ({len(distances)})")
    axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label="OK ends")
    axes.axvline(surely, color="black", linewidth=1, label="NG begins")
    axes.set(xlabel="distance from remembered patches", ylabel="pictures", xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.legend(fontsize=8)
    _save(figure, out)


def plot_confusion(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: tuple[str, ...], out: Path, title: str
) -> None:
    """Draws the confusion matrix of predictions."""
    plot_confusion_counts(confusion_matrix(truth, predicted, len(labels)).tolist(), labels, out, title)


def plot_confusion_counts(confusion: list[list[int]], labels: tuple[str, ...], out: Path, title: str) -> None:
    """Draws a confusion matrix: rows are the truth, cells show counts, shades show shares of the row."""
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.62 * len(labels)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*counts.shape):
        if counts[i, j]:
            axes.text(
                j, i, str(counts[i, j]), ha="center", va="center", color="white" if shares[i, j] > 0.55 else "black"
            )
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="judged as", ylabel="truth", title=title)
    axes.title.set_fontsize(9)
    _save(figure, out)


def _save(figure: Figure, out: Path) -> None:
    with replacing(out) as temporary, storage(out):
        figure.savefig(temporary, dpi=110, format="png")
