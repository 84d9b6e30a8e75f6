"""A run of a net as its weights are, classifier and all: nothing is fitted, so that what an export loses is the export's.

`edgetl train` always fits a head to class folders. Here pictures need no label: each one's label is what the net says of it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgetl.errors import EdgetlError

ANSWERS_NAME = "judged.npy"  # the float logits of `data`/judged in the run folder

# A program of its own, as all that trains is for the benchmarks.
PROGRAM = """
import sys
from pathlib import Path
import numpy, torch
from edgetl.runtime.dataset import pictures_below, sha256_of
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import preprocess
from edgetl.trainer import run_folder
from edgetl.trainer.data import TrainingData
from edgetl.trainer.judge import float_logits
from edgetl.trainer.progress import ConsoleReporter
from edgetl.trainer.run_folder import SplitRecord
from edgetl.trainer.settings import Settings
from edgetl.trainer.splits import SPLITS
from edgetl.trainer.training import Prepared, claimed, network_of, preprocessing_of, record_of
from edgetl.trainer.weights import read_state
model, weights, classes, imgsz, data, out = sys.argv[1:]
data, out = Path(data), Path(out)
settings = Settings(data=str(data), model=model, weights=weights, recipe="probe", imgsz=int(imgsz))
how = preprocessing_of(settings)
listed = [(split, picture.path) for split in SPLITS if (data / split).is_dir() for picture in pictures_below(data / split)[0]]
paths = [f"{split}/{path}" for split, path in listed]
images = numpy.stack([preprocess(read_picture(data / path), how) for path in paths])
labels = tuple(map(str, range(int(classes))))
held = TrainingData(images, numpy.zeros(len(paths), numpy.int64), numpy.array([split for split, _ in listed]), labels)
network, source = network_of(settings, held, torch.device("cpu"), ConsoleReporter())
head = network.head.weight
if not any(t.shape == head.shape and torch.equal(t, head) for t in read_state(Path(weights)).values()):
    sys.exit(f"{weights}: holds no classifier of {classes} classes for {model}")
with claimed(out, resume=False):
    record = record_of(settings, Prepared(held, [], [], {}), network, source)
    record.complete = True
    run_folder.write_settings(out, settings)
    run_folder.write_best(out, network)
    logits = float_logits(run_folder.Run(out, settings, record, []))
    said = [labels[int(logits(image).argmax())] for image in images]
    run_folder.write_splits(out, [
        SplitRecord(path, label, sha256_of(data / path), split)
        for (split, _), path, label in zip(listed, paths, said)
    ])
    judged = sorted((data / "judged").iterdir())
    numpy.save(out / "judged.npy", numpy.stack([logits(preprocess(read_picture(path), how)) for path in judged]))
    run_folder.write_record(out, record)
"""


def write_run(model: str, weights: Path, classes: int, imgsz: int, data: Path, out: Path) -> Path:
    """Writes the run folder `out` of a net with its own classifier. `data` has the folders calibration, val, train and judged
    with pictures in them; the last is no part of the run, and what float says of it, in the order of its names, is ANSWERS_NAME.

    Raises EdgetlError where the program failed; what it said is on stderr.
    """
    if not (out / "metrics.json").is_file():  # it is written last
        words = [model, weights, classes, imgsz, data, out]
        done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, words)], stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise EdgetlError(f"a run of {weights} with its own classifier: exit code {done.returncode}")
    return out
