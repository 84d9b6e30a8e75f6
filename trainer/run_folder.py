"""Contract 2: a training run is a folder. Written so that a cut at any moment leaves the last whole state."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from edgetl.errors import RunError, UsageError, storage
from edgetl.runtime.anomaly import DetectorRecord
from edgetl.runtime.dataset import sha256_of
from edgetl.runtime.decision import DecisionRule
from edgetl.runtime.files import write_file
from edgetl.runtime.preprocess import Preprocessing
from edgetl.trainer.backbones import describe
from edgetl.trainer.distillation import TeacherRecord
from edgetl.trainer.finetune import Finetuning
from edgetl.trainer.network import Network
from edgetl.trainer.normalization import Normalization
from edgetl.trainer.oneclass.bank import Bank
from edgetl.trainer.oneclass.features import make_feature_network
from edgetl.trainer.selection import EpochRow, Progressing
from edgetl.trainer.settings import Settings

RUN_FORMAT = 1
BEST = Path("weights/best.safetensors")
LAST = Path("weights/last.safetensors")
DECISION = "decision.json"
FLOAT = "float32 (torch)"  # the network itself among models
BANK = Path("weights/bank.safetensors")  # of a one-class run


class SplitRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One picture in splits.json: its path below the data folder, class, SHA-256 and split; and whether it is one of train that
    calibrates too."""

    path: str
    label: str
    sha256: str
    split: str
    calibrates: bool = False

    @property
    def sets_ranges(self) -> bool:
        """Whether the ranges of int8 tensors are read from it: it is marked, or lies in a folder of such pictures."""
        return self.calibrates or self.split == "calibration"

    def unlike(self, data: Path, *, unchanged: bool = True) -> str | None:
        """Why the file below `data` is not the picture that the run had; None where it is, or where one is there and it need not be
        `unchanged`."""
        path, what = data / self.path, None
        if not path.is_file():
            what = "is missing"
        elif unchanged and sha256_of(path) != self.sha256:
            what = "was changed since the training run"
        return what and f"{path}: {what}; name the folder with the run's own pictures with --data"


class RunRecord(msgspec.Struct, kw_only=True):
    """metrics.json: what the run learned and reached. `complete` is false while it trains or after Ctrl-C; `detector` is
    there where it learned from good parts alone. `blend`: the weights lie so far on the way from those of the start to those of
    `best_epoch`. `normalization` is what the network expects, None the usual one of its
    architecture."""

    format: int = RUN_FORMAT
    created: str
    complete: bool
    rule: DecisionRule
    preprocessing: Preprocessing
    weights: str
    best_epoch: int
    blend: float | None = None
    val_balanced_accuracy: float
    pictures: dict[str, int]
    passed_over: dict[str, str]
    seconds: float
    versions: dict[str, str]
    teacher: TeacherRecord | None = None
    detector: DetectorRecord | None = None
    normalization: Normalization | None = None


class Run(msgspec.Struct):
    """A run read back from its folder."""

    folder: Path
    settings: Settings
    record: RunRecord
    splits: list[SplitRecord]

    def network(self) -> Network:
        """The trained network, on the CPU, in evaluation mode. Raises RunError."""
        backbone = describe(self.settings.model).expecting(self.record.normalization)
        network = Network(backbone, len(self.record.rule.labels), self.record.preprocessing.size)
        if self.record.detector is not None:
            make_feature_network(network)
        _load_state(network, self.folder / BEST)
        return network.eval()


def write_settings(folder: Path, settings: Settings) -> None:
    """Writes args.yaml."""
    write_file(folder / "args.yaml", yaml.safe_dump(msgspec.to_builtins(settings), sort_keys=False, allow_unicode=True))


def write_splits(folder: Path, splits: list[SplitRecord]) -> None:
    """Writes splits.json."""
    write_file(folder / "splits.json", msgspec.json.format(msgspec.json.encode(splits)))


def write_record(folder: Path, record: RunRecord) -> None:
    """Writes metrics.json."""
    write_file(folder / "metrics.json", msgspec.json.format(msgspec.json.encode(record)))


def write_decision(folder: Path, account: bytes) -> None:
    """Writes decision.json: what the limits of the verdicts were chosen for, and what they come to."""
    write_file(folder / DECISION, msgspec.json.format(account))


def remove_decision(folder: Path) -> None:
    """Removes decision.json, if it is there. Raises StorageError."""
    with storage(folder / DECISION):
        (folder / DECISION).unlink(missing_ok=True)


def write_results(folder: Path, rows: list[EpochRow]) -> None:
    """Writes results.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(EpochRow.__struct_fields__)
    writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in msgspec.structs.astuple(r)] for r in rows)
    write_file(folder / "results.csv", text.getvalue())


def write_best(folder: Path, network: torch.nn.Module) -> None:
    """Writes the weights that count."""
    write_file(folder / BEST, save(_plain(network)))


def write_bank(folder: Path, bank: Bank) -> None:
    """Writes the bank; `pictures` are positions in splits.json."""
    write_file(folder / BANK, save({name: torch.from_numpy(v) for name, v in msgspec.structs.asdict(bank).items()}))


def read_bank(folder: Path) -> Bank:
    """The bank of a one-class run. Raises RunError."""
    try:
        return Bank(**{name: tensor.numpy() for name, tensor in load_file(folder / BANK).items()})
    except (OSError, SafetensorError, TypeError) as error:
        raise RunError(f"{folder / BANK}: cannot be read ({error}); train again") from error


def _plain(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}


def _load_state(network: torch.nn.Module, path: Path) -> None:
    try:
        state = load_file(path)
        network.load_state_dict(state)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: cannot be read ({error}); train again") from error
    except RuntimeError as error:
        raise RunError(f"{path}: does not fit the model of this run ({str(error).splitlines()[0]})") from error
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise RunError(f"{path}: {name} holds a value that is not finite; train again, with a smaller --lr")


def read_run(folder: Path) -> Run:
    """Reads a run folder. Raises UsageError where it is none, RunError where it is damaged."""
    if not (folder / "args.yaml").is_file():
        raise UsageError(f"{folder}: not a run folder (no args.yaml); name what `edgetl train --out` wrote")
    try:
        settings = msgspec.convert(yaml.safe_load((folder / "args.yaml").read_bytes()), Settings)
        record = msgspec.json.decode((folder / "metrics.json").read_bytes(), type=RunRecord)
        splits = msgspec.json.decode((folder / "splits.json").read_bytes(), type=list[SplitRecord])
    except FileNotFoundError as error:
        raise RunError(
            f"{error.filename}: missing; this run was stopped before its first epoch: remove {folder}, or choose another --out"
        ) from error
    except (msgspec.MsgspecError, yaml.YAMLError, OSError) as error:
        why = " ".join(str(error).split())  # a YAML error has lines
        raise RunError(f"{folder}: damaged or of another version ({why})") from error
    if record.format != RUN_FORMAT:
        raise RunError(f"{folder}: run format {record.format} is not the one this edgetl reads ({RUN_FORMAT})")
    return Run(folder, settings, record, splits)


class _Resume(msgspec.Struct):
    settings: Settings
    at: Progressing


def write_last(folder: Path, state: Finetuning) -> None:
    """Writes all that `--resume` needs: tensors as safetensors with the rest in their metadata, in one rename."""
    tensors = {f"network.{k}": v for k, v in _plain(state.network).items()}
    tensors |= {f"average.{k}": v for k, v in _plain(state.average).items()}
    tensors |= {f"start.{k}": v.cpu().contiguous() for k, v in state.start.items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v.detach().cpu().contiguous() for k, v in values.items()}
    rest = json.dumps(msgspec.to_builtins(_Resume(state.settings, state.at)))  # json's, since msgspec's loses a NaN
    write_file(folder / LAST, save(tensors, metadata={"resume": rest}))


def read_last(folder: Path, state: Finetuning) -> None:
    """Puts a fine-tuning back to where `write_last` left it. Raises RunError."""
    from safetensors import safe_open

    try:
        with safe_open(folder / LAST, "pt") as file:
            resume = msgspec.convert(json.loads(file.metadata()["resume"]), _Resume)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / LAST}: cannot resume from it ({error}); train again without --resume") from error
    state.at = resume.at
    state.network.load_state_dict(_below("network.", tensors))
    state.average.load_state_dict(_below("average.", tensors))
    state.start = _below("start.", tensors)
    saved: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _below("optimizer.", tensors).items():
        index, _, key = name.partition(".")
        saved.setdefault(int(index), {})[key] = tensor
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": saved, "param_groups": groups})


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
