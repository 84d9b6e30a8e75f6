"""card.md: what a person should know about the model in the bundle."""

from __future__ import annotations

from edgetl.runtime.manifest import Manifest


def _calibrated(others: int, trained: int) -> str:
    parts = [f"{trained} pictures that trained the model"] if trained else []
    if others or not trained:
        parts.append(f"{others} that neither trained nor judged it")
    return " and ".join(parts)


def write_card(manifest: Manifest, warnings: tuple[str, ...] = (), trained: int = 0, slow: str = "") -> str:
    """The model card, in Markdown. `warnings` are of the calibration pictures, of which `trained` trained the model too; `slow`
    says why the files are not in int8."""
    rule, how, lineage = manifest.rule, manifest.preprocessing, manifest.lineage
    lines = [
        f"# {manifest.name}",
        "",
        f"Made {manifest.created} by edgetl {manifest.tools.get('edgetl', '')} from run `{lineage.run}` "
        f"({lineage.backbone}, weights {lineage.weights}, seed {lineage.seed}).",
        "",
        f"- Labels: {', '.join(rule.labels)}. Good: {', '.join(rule.ok_labels)}. UNKNOWN below a score of {rule.min_score:g}.",
        f"- Input: {how.size}×{how.size} RGB, raw pixels, {how.resize} of "
        f"{'the whole frame' if how.region is None else f'the region {how.region}'}.",
        f"- Calibrated with {_calibrated(len(lineage.calibration) - trained, trained)}; "
        f"quantized by rung `{lineage.rung}` of the ladder (ladder.json, ladder.png).",
        *([f"- Warning: {slow}."] if slow else []),
        *(f"- Warning of the calibration pictures: {warning}." for warning in warnings),
        "",
        "| model | split | pictures | balanced accuracy | 95 % interval | same decisions as float |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in manifest.measured:
        lines.append(
            f"| {row.model} | {row.split} | {row.n} | {100 * row.balanced_accuracy:.2f} % "
            f"| {100 * row.low:.1f} to {100 * row.high:.1f} % | {100 * row.same_decisions:.1f} % |"
        )
    return "\n".join(lines) + "\n"
