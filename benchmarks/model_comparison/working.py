"""One candidate's training, export and timing, by edgetl's own commands; what is finished is not done again."""

from __future__ import annotations

import json
import os
import queue
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from edgetl.benchmarks.commands_of import run_edgetl
from edgetl.benchmarks.model_comparison.candidate import Candidate, Plan, Row, Trained
from edgetl.errors import EdgetlError, storage
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.files import write_file
from edgetl.runtime.spare import cores


class Workshop:
    """The folder of a comparison, with as many places to train side by side as `jobs`. GPUs are dealt out in turn."""

    def __init__(self, plan: Plan, folder: Path, jobs: int, gpus: list[str]) -> None:
        self.plan = plan
        self.folder = folder
        self._places: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        for number in range(jobs):
            self._places.put(_environment(number, jobs, gpus))

    def run_of(self, candidate: Candidate) -> Path:
        """The run folder of a candidate."""
        return self.folder / "runs" / candidate.name

    def train(self, candidate: Candidate) -> Trained:
        """Trains a candidate, or goes on with a training that was cut short. Raises EdgetlError."""
        run = self.run_of(candidate)
        if not _is_complete(run):
            words = ["train", *self.plan.flags(candidate), "--out", run]
            if (run / "weights" / "last.safetensors").is_file():
                words.append("--resume")
            elif run.exists():
                with storage(run):
                    shutil.rmtree(run)
            with self._place() as environment:
                run_edgetl(*words, environment=environment, log=self._log(candidate, "train"))
        return _trained(candidate, run)

    def export(self, trained: Trained) -> Row:
        """Exports a run and reads what its int8 file was measured to do. What the gate refused has `trouble`."""
        candidate = trained.candidate
        bundle = self.bundle_of(candidate)
        row = Row(candidate=candidate, recipe=trained.recipe, train_s=trained.seconds)
        if not bundle.is_file():
            with storage(bundle.parent):
                bundle.parent.mkdir(parents=True, exist_ok=True)
            try:
                run_edgetl("export", self.run_of(candidate), "--out", bundle, log=self._log(candidate, "export"))
            except EdgetlError as error:
                return msgspec.structs.replace(row, trouble=str(error))
        return _measured(row, bundle)

    def time(self, row: Row) -> Row:
        """With the fastest interpreter and threads that give the golden verdicts here. Nothing else of the comparison runs
        meanwhile."""
        kept = self.folder / "latency" / f"{row.candidate.name}.json"
        if not kept.is_file():
            with storage(kept.parent):
                kept.parent.mkdir(parents=True, exist_ok=True)
            try:
                found, _ = run_edgetl(
                    "tune", self.bundle_of(row.candidate), "--quick", log=self._log(row.candidate, "tune")
                )
            except EdgetlError as error:
                return msgspec.structs.replace(row, trouble=str(error))
            write_file(kept, json.dumps(found, indent=1) + "\n")
        fastest = json.loads(kept.read_bytes())
        return msgspec.structs.replace(
            row, latency_ms=fastest["median_ms"], interpreter=fastest["interpreter"], threads=fastest["threads"]
        )

    def bundle_of(self, candidate: Candidate) -> Path:
        """The bundle of a candidate."""
        return self.folder / "bundles" / f"{candidate.name}.edgetl"

    def keep(self, name: str, what: Any) -> None:
        """Writes a record into the comparison's folder."""
        write_file(self.folder / name, msgspec.json.format(msgspec.json.encode(what)).decode() + "\n")

    def _log(self, candidate: Candidate, step: str) -> Path:
        path = self.folder / "logs" / f"{candidate.name}.{step}.log"
        with storage(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def _place(self) -> Iterator[dict[str, str]]:
        environment = self._places.get()
        try:
            yield environment
        finally:
            self._places.put(environment)


def _environment(number: int, jobs: int, gpus: list[str]) -> dict[str, str]:
    """Jobs side by side share the cores, and have a GPU each where there are several."""
    threads = max(1, cores() // jobs)
    shared = {"OMP_NUM_THREADS": str(threads)} if jobs > 1 else {}
    return {**os.environ, **shared, **({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {})}


def _is_complete(run: Path) -> bool:
    try:
        return bool(json.loads((run / "metrics.json").read_bytes())["complete"])
    except (OSError, ValueError, KeyError):
        return False


def _trained(candidate: Candidate, run: Path) -> Trained:
    record = json.loads((run / "metrics.json").read_bytes())
    recipe = yaml.safe_load((run / "args.yaml").read_text())["recipe"]
    return Trained(
        candidate=candidate, val=record["val_balanced_accuracy"], seconds=record["seconds"], recipe=str(recipe)
    )


def _measured(row: Row, bundle: Path) -> Row:
    with open_bundle(bundle) as opened:
        manifest = opened.manifest
    model = next(m for m in manifest.models if m.format == "tflite" and m.precision != "float32")
    by_split = {found.split: found for found in manifest.measured if found.model == model.path}
    val, test = by_split["val"], by_split.get("test")
    row = msgspec.structs.replace(
        row, val=val.balanced_accuracy, rung=manifest.lineage.rung, bytes=manifest.files[model.path].bytes
    )
    if test is None:
        return row
    return msgspec.structs.replace(row, test=test.balanced_accuracy, low=test.low, high=test.high, pictures=test.n)
