"""Weights by seed that are worth quantizing: batch norms are set to what the pictures make of the random layers below them.

Left at a mean of 0 and a variance of 1, maps of a random net fade from layer to layer until its logits hardly differ between
pictures, and int8 is blamed for losing what was not there. A transformer has no batch norms; its linear layers begin so small, and
its class token and positions so near to zero, that the token that is judged is less than a step of the patches' beside it. They get
weights that keep the size of what goes through, and the patches' spread.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from edgetl.errors import EdgetlError
from edgetl.runtime.preprocess import Preprocessing

PICTURES, SEED = 96, 0

# A program of its own, as all that trains is for the benchmarks.
PROGRAM = """
import sys
from pathlib import Path
import msgspec, numpy, torch
from edgetl.runtime.picture import read_picture
from edgetl.runtime.preprocess import Preprocessing, preprocess
from edgetl.trainer.backbones import describe
from edgetl.trainer.network import Network, pixels_of
name, pictures, how, out, most, seed = sys.argv[1:]
how = msgspec.json.decode(how, type=Preprocessing)
torch.manual_seed(int(seed))
network = Network(describe(name), 2, how.size).eval()
for module in network.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.train().momentum = None  # the mean of all batches
        module.reset_running_stats()
paths = sorted(Path(pictures).rglob("*.jpg"))
shown = paths[:: max(1, len(paths) // int(most))][: int(most)]
pixels = pixels_of(torch.from_numpy(numpy.stack([preprocess(read_picture(path), how) for path in shown])))
with torch.no_grad():
    if hasattr(network.net, "cls_token"):
        for module in network.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5)
        patches = network.net.patch_embed((pixels - network.mean) / network.scale)
        network.net.cls_token.normal_(0, float(patches.std()))
        network.net.pos_embed.normal_(0, float(patches.std()))
    for batch in pixels.split(32):
        network(batch)
head = network.backbone.classifier + "."
torch.save({key: value for key, value in network.net.state_dict().items() if not key.startswith(head)}, out)
"""


def write_seeded_weights(name: str, pictures: Path, how: Preprocessing, out: Path) -> Path:
    """Writes the weights of a backbone's body as a .pth file; `pictures` is a folder with JPEG pictures in it. Returns `out`.

    Raises EdgetlError where the program failed; what it said is on stderr.
    """
    words = [name, pictures, msgspec.json.encode(how).decode(), out, PICTURES, SEED]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, words)], stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise EdgetlError(f"weights by seed for {name}: exit code {done.returncode}")
    return out
