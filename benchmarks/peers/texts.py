"""The texts of the training loops; what they are given and print stands in `loops`."""

# What the loops of torch have in common: `share` of the work done (0 to 1), and telling of an epoch and of the test pictures.
_COMMON = """
import json, math, sys, time
begun = time.monotonic()
from pathlib import Path
import torch
from edgetl.trainer.torch_stack import import_timm
import_timm()
work = json.loads(sys.argv[1])
size, batch, workers = work["imgsz"], work["batch"], work["workers"]
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
classes = sorted(p.name for p in Path(work["data"], "train").iterdir() if p.is_dir())
ready = begun
def share(epoch):
    if not work["seconds"]:
        return epoch / work["epochs"]
    return (time.monotonic() - ready) / max(1e-3, work["seconds"] - (ready - begun))
def told(start, last, pictures):
    print(json.dumps({"seconds": time.monotonic() - start, "pictures": pictures, "at": last - begun}), flush=True)
@torch.inference_mode()
def answers(net, loader):
    net.eval()
    pairs = [(targets, net(pixels.to(device)).argmax(1)) for pixels, targets in loader]
    truth, guessed = (torch.cat([pair[n].cpu() for pair in pairs]) for n in (0, 1))
    return truth, guessed
def judge(net, loader):
    truth, guessed = ([classes[int(i)] for i in found] for found in answers(net, loader))
    print(json.dumps({"truth": truth, "guessed": guessed}), flush=True)
"""
# timm's train.py: its dataset, loader and augmentation, AdamW, cosine schedule by updates, label smoothing, clipped gradients,
# channels-last, validation, and the best epoch kept. From nothing with the rate that suits that, else a tenth of it.
TIMM = (
    _COMMON
    + """
import copy
import timm
from timm.data import create_dataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter, accuracy, random_seed
random_seed(work["seed"])
net = timm.create_model(work["model"], num_classes=len(classes))
if work["weights"]:
    known = torch.load(work["weights"], weights_only=True)
    own = net.state_dict()
    net.load_state_dict({name: known[name] for name in own if name in known and known[name].shape == own[name].shape}, strict=False)
net = net.to(device, memory_format=torch.channels_last)
def loader_of(split, training=False):
    return create_loader(create_dataset("", root=f"{work['data']}/{split}"), input_size=(3, size, size), batch_size=batch,
                         is_training=training, hflip=0.5, color_jitter=0.4, num_workers=workers, persistent_workers=workers > 0,
                         device=device)
train, val = loader_of("train", True), loader_of("val")
optimizer = create_optimizer_v2(net, opt="adamw", lr=4e-4 if work["weights"] else 4e-3, weight_decay=0.02)
schedule = CosineLRScheduler(optimizer, t_initial=1000, warmup_t=50, warmup_lr_init=1e-5, t_in_epochs=False)
smooth = LabelSmoothingCrossEntropy(0.05)
amp = lambda: torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
ready, epoch, best = time.monotonic(), 0, (-1.0, None)
while not epoch or share(epoch) < 1:  # one batch at least, however short the time is
    start, seen, losses, right = time.monotonic(), 0, AverageMeter(), AverageMeter()
    net.train()
    for done, (pixels, targets) in enumerate(train):
        schedule.step_update(min(999, int(1000 * share(epoch + done / len(train)))))
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with amp():
            loss = smooth(net(pixels), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        losses.update(loss.item(), len(targets))
        seen += len(targets)
        if work["seconds"] and share(epoch) >= 1:
            break
    last = time.monotonic()
    net.eval()
    with torch.inference_mode(), amp():
        for pixels, targets in val:
            top1, = accuracy(net(pixels.contiguous(memory_format=torch.channels_last)), targets)
            right.update(top1.item(), len(targets))
            seen += len(targets)
    if work["seconds"] and right.avg >= best[0]:
        best = right.avg, copy.deepcopy(net.state_dict())
    epoch += 1
    told(start, last, seen)
if work["seconds"]:
    net.load_state_dict(best[1])
    judge(net, loader_of("test"))
"""
)
# torchvision's reference script for classification: random crops and flips, SGD with momentum, validation after each epoch, the
# last weights kept; a cosine for its steps, and a hundredth for its rate, as its tutorial fine-tunes with batches of 32.
TORCHVISION = (
    _COMMON
    + """
import torchvision
from torchvision import transforms as T
torch.manual_seed(work["seed"])
net = torchvision.models.get_model(work["model"], weights=None)
if work["weights"]:
    net.load_state_dict(torch.load(work["weights"], weights_only=True))
net.classifier[-1] = torch.nn.Linear(net.classifier[-1].in_features, len(classes))
net = net.to(device)
as_numbers = [T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
changed = T.Compose([T.RandomResizedCrop(size), T.RandomHorizontalFlip(), *as_numbers])
plain = T.Compose([T.Resize(size * 256 // 224), T.CenterCrop(size), *as_numbers])
def loader_of(split, training=False):
    pictures = torchvision.datasets.ImageFolder(f"{work['data']}/{split}", changed if training else plain)
    return torch.utils.data.DataLoader(pictures, batch, shuffle=training, num_workers=workers, drop_last=training,
                                       persistent_workers=workers > 0)
train, val = loader_of("train", True), loader_of("val")
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
ready, epoch = time.monotonic(), 0
while not epoch or share(epoch) < 1:  # one batch at least, however short the time is
    start, seen = time.monotonic(), 0
    net.train()
    for done, (pixels, targets) in enumerate(train):
        for group in optimizer.param_groups:
            group["lr"] = 0.005 * (1 + math.cos(math.pi * min(1.0, share(epoch + done / len(train)))))
        loss = torch.nn.functional.cross_entropy(net(pixels.to(device)), targets.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += len(targets)
        if work["seconds"] and share(epoch) >= 1:
            break
    last = time.monotonic()
    seen += len(answers(net, val)[0])
    epoch += 1
    told(start, last, seen)
if work["seconds"]:
    judge(net, loader_of("test"))
"""
)
# Ultralytics' own trainer; where the time is limited all else is as it comes, and the best weights are those that it names so.
ULTRALYTICS = """
import json, sys, time
begun = time.monotonic()
from pathlib import Path
from ultralytics import YOLO
from ultralytics.models.yolo.classify import ClassificationTrainer
work = json.loads(sys.argv[1])

# Ultralytics' head has a convolution in it, which the same backbone has nowhere else.
class Trainer(ClassificationTrainer):
    def get_model(self, *args, **kwargs):
        model = super().get_model(*args, **kwargs)
        if not work["model"].startswith("yolo"):
            model.model[-1].conv = torch.nn.Identity()
        return model

# A file that describes one of torchvision's nets as Ultralytics' own nets are described.
def described(name):
    net = torchvision.models.get_model(name)
    width = [layer for layer in net.modules() if isinstance(layer, torch.nn.Linear)][-1].in_features
    file = Path.cwd() / (name + "-cls.yaml")
    backbone = "backbone:\\n  - [-1, 1, TorchVision, [%d, %s, null, True, 1]]\\n" % (width, name)
    file.write_text("nc: 2\\n" + backbone + "head:\\n  - [-1, 1, Classify, [nc]]\\n")
    return str(file)

model = work["model"]
if not model.startswith("yolo"):
    import torch, torchvision
    model = described(model)
how = dict(model=model, data=work["data"], imgsz=work["imgsz"], batch=work["batch"], workers=work["workers"],
           seed=work["seed"], pretrained=False, plots=False, verbose=False, exist_ok=True, project=str(Path.cwd()))
if work["seconds"]:
    how.update(time=(work["seconds"] - (time.monotonic() - begun)) / 3600)
else:
    how.update(epochs=work["epochs"], optimizer="AdamW", lr0=4e-3, label_smoothing=0.05, save=False)
trainer = Trainer(overrides=how)
clock = {}
trainer.add_callback("on_train_epoch_start", lambda t: clock.update(start=time.monotonic()))
trainer.add_callback("on_train_epoch_end", lambda t: clock.update(last=time.monotonic()))
def told(t):
    pictures = len(t.train_loader.dataset) + len(t.test_loader.dataset)
    line = {"seconds": time.monotonic() - clock["start"], "pictures": pictures, "at": clock["last"] - begun}
    if "start" in clock and clock.get("told") != clock["start"]:  # it comes once more for the best weights
        print(json.dumps(line), flush=True)
    clock["told"] = clock["start"]
trainer.add_callback("on_fit_epoch_end", told)
trainer.train()
if work["seconds"]:
    best, truth, guessed = YOLO(trainer.best), [], []
    for folder in sorted(Path(work["data"], "test").iterdir()):
        for found in best.predict(source=str(folder), stream=True, imgsz=work["imgsz"], verbose=False):
            truth.append(folder.name)
            guessed.append(found.names[found.probs.top1])
    print(json.dumps({"truth": truth, "guessed": guessed}), flush=True)
"""
