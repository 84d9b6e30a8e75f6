"""The texts that learn good parts with anomalib, and that ask for scores, its own and edgetl's."""

# What is given: a folder {train,test}/<class>, the good class, the algorithm, the size, weights in timm's names or "", the share
# of patches that PatchCore keeps, and the folder to write in.
LEARN = """
import sys
from pathlib import Path
import timm, torch
from anomalib.data import Folder
from anomalib.deploy import ExportType
from anomalib.engine import Engine
from anomalib.models import Padim, Patchcore
data, good, name, size, weights, share, out = sys.argv[1:]
torch.manual_seed(0)
bad = sorted(f"test/{p.name}" for p in Path(data, "test").iterdir() if p.name != good)
parts = Folder(name="parts", root=data, normal_dir=f"train/{good}", normal_test_dir=f"test/{good}", abnormal_dir=bad,
               train_batch_size=16, eval_batch_size=16, num_workers=0, val_split_mode="same_as_test")
backbone = "mobilenetv2_100"
maps = timm.create_model(backbone, features_only=True, exportable=True).feature_info.info
def layers(*reductions):
    return [info["module"] for info in maps if info["reduction"] in reductions]
Algorithm = {"padim": Padim, "patchcore": Patchcore}[name]
# The maps and numbers of the papers: three for PaDiM, of whose values it draws 100, as from a ResNet18; two for PatchCore.
own = {"padim": dict(layers=layers(4, 8, 16), n_features=100),
       "patchcore": dict(layers=layers(8, 16), coreset_sampling_ratio=float(share))}[name]
model = Algorithm(backbone=backbone, pre_trained=False, pre_processor=Algorithm.configure_pre_processor((int(size), int(size))), **own)
if weights:
    net = model.model.feature_extractor.feature_extractor
    lacking = net.load_state_dict(torch.load(weights, weights_only=True), strict=False).missing_keys
    assert not lacking, lacking
# Nothing is validated: the others do not either, and there is nothing to choose.
engine = Engine(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, limit_val_batches=0, default_root_dir=out)
engine.fit(model, datamodule=parts)
engine.export(model, ExportType.TORCH, export_root=out)
"""
# Each then judges the test pictures one by one, from the file to the score.
_JUDGE = """
import json, statistics, sys, time
from pathlib import Path
pictures = sorted(p for p in Path(sys.argv[2]).glob("*/*"))
for path in pictures[:5]:
    score(path)
scores, times = [], []
for path in pictures:
    start = time.perf_counter()
    scores.append(score(path))
    times.append(1000 * (time.perf_counter() - start))
print(json.dumps({"scores": scores, "bad": [p.parent.name != sys.argv[3] for p in pictures], "ms": statistics.median(times)}))
"""
JUDGE_WITH_ANOMALIB = (
    """
import sys
import torch
from anomalib.data.utils import read_image
torch.set_num_threads(1)
model = torch.load(sys.argv[1], weights_only=False)["model"].eval()
@torch.inference_mode()
def score(path):
    pixels = model.pre_processor(read_image(path, as_tensor=True)[None])
    return float(model.model(pixels).pred_score)
"""
    + _JUDGE
)
JUDGE_WITH_EDGETL = (
    """
import sys
from edgetl.runtime.bundle import open_bundle
from edgetl.runtime.decision import log_odds
from edgetl.runtime.interpreters import open_named
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import preprocess
with open_bundle(sys.argv[1]) as bundle:
    model, how, rule = open_named(bundle, "litert"), bundle.manifest.preprocessing, bundle.manifest.rule
def score(path):
    return float(log_odds(model.logits(preprocess(read_picture(path), how)), rule))
"""
    + _JUDGE
)
