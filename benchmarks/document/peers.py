"""The sections that set edgetl beside other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgetl.benchmarks.document.tables import table

Cells = Callable[[Any], Sequence[object]]


def export_peers(found: Any) -> list[str]:
    """Rows of export_peers."""
    net = "MobileNetV2" if found["model"] == "mobilenet_v2" else found["model"]
    return [
        f"{net} with {found['classes']} classes at {found['imgsz']} px, {found['pictures']['calibration']} calibration"
        f" pictures; accuracy on {found['pictures']['test']} test pictures. `onnx2tf` converts the ONNX that edgetl made, with the"
        " same calibration pictures. Ultralytics' net is a YOLOv8n classifier of about the same size with random weights, which has"
        " no accuracy. edgetl's time and memory have in them an ONNX file too, and the judging of float and both int8 files"
        f"{_with(found['flags'])}.",
        "",
        *_rows(
            found, ("program", "seconds", "peak MB", "int8 file, MB", "float, %", "int8, %"),
            lambda m: (f"{m['seconds']:.0f}", f"{m['peak_mb']:.0f}", f"{m['file_bytes'] / 1e6:.2f}", *(
                f"{m[name]:.2f}" if name in m else "" for name in ("float", "int8"))),
        ),
    ]  # fmt: skip


def training_peers(found: Any) -> list[str]:
    """Rows of training_peers."""
    return [
        f"MobileNetV2 at {found['imgsz']} px, batches of {found['batch']}, {found['cores']} core{'s' if found['cores'] > 1 else ''}:"
        " balanced accuracy of the float net on the test folder after as long as `edgetl train` took, from the same ImageNet weights"
        " (Ultralytics' own net: from nothing, since its weights lie on a hub). The others' time ends with their last batch, edgetl's"
        " with its report.",
        "",
        *_rows(
            found, ("program", "accuracy, %", "by round", "seconds", "peak MB", "epochs, or recipe"),
            lambda m: (f"{m['balanced_accuracy']:.1f}", None, f"{m['seconds']:.0f}", f"{m['peak_mb']:.0f}",
                       f"{m['epochs']:.0f}" if "epochs" in m else m["recipe"]),
            by_round="balanced_accuracy",
        ),
    ]  # fmt: skip


def one_class_peers(found: Any) -> list[str]:
    """Rows of one_class_peers."""
    return [
        f"MobileNetV2 at {found['imgsz']} px with the same ImageNet weights, {found['pictures']['train']} good pictures (class"
        f" {found['good']}) to learn from, {found['pictures']['test']} to judge; milliseconds are those of one picture from file to"
        f" score on one thread. edgetl: its int8 bundle, export included in the time; PatchCore keeps {found['share']:.0%} of all"
        " patches.",
        "",
        *_rows(
            found, ("program", "AUROC", "to learn, s", "peak MB", "ms a picture", "peak MB, judging", "file, MB"),
            lambda m: (f"{m['auroc']:.4f}", f"{m['train_s'] + m.get('export_s', 0):.0f}",
                       f"{max(m['train_peak_mb'], m.get('export_peak_mb', 0)):.0f}", f"{m['ms']:.1f}", f"{m['judge_peak_mb']:.0f}",
                       f"{m['artifact_bytes'] / 1e6:.1f}"),
        ),
    ]  # fmt: skip


def _with(flags: Sequence[str]) -> str:
    return f"; it was told `{' '.join(flags)}`" if flags else ""


def _rows(found: Any, head: Sequence[str], cells: Cells, by_round: str = "") -> list[str]:
    """The table of all that was measured, and a line for each program that was not, and for the versions."""
    rows, notes = [], []
    for name, told in found["rows"].items():
        if "median" not in told:
            how = "absent" if "absent" in told else "failed"
            notes.append(f"{name}: {how} ({told[how]}).")
            continue
        values = ", ".join(f"{row[by_round]:.1f}" for row in told["rounds"]) if by_round else ""
        rows.append([name, *(values if cell is None else cell for cell in cells(told["median"]))])
        if versions := told["median"].get("versions"):
            notes.append(f"{name}: {', '.join(f'{package} {version}' for package, version in versions.items())}.")
    return [*table(head, rows), *([""] if notes else []), *notes]
