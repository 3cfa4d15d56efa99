"""The loss of kd.yaml by torchdistill, and of the spec in torchdistill.md, on the same networks.

python specs/howto/against_torchdistill.py, once `pip install torchdistill==1.1.5` has been run.
"""

import copy
from pathlib import Path

import torch
import torchvision
from torchdistill.common import yaml_util
from torchdistill.core.distillation import get_distillation_box
from torchdistill.models.registry import get_model

import ktgdsl

FOLDER = Path(__file__).parent
# Images of noise stand for CIFAR-10, and untrained weights for the teacher's.
torchvision.datasets.CIFAR10 = lambda root, train, transform, download=False: (
    torchvision.datasets.FakeData(256, (3, 32, 32), transform=transform)
)
config = yaml_util.load_yaml_file(str(FOLDER / "kd.yaml"))
torch.manual_seed(0)
teacher, student = (
    get_model(config["models"][name]["key"], **config["models"][name]["kwargs"])
    for name in ("teacher_model", "student_model")
)
ours = copy.deepcopy(student)
box = get_distillation_box(
    teacher, student, config["datasets"], config["train"], torch.device("cpu"), None, False, 1
)
teacher.train()  # statistics of its batch norm; with initial ones its answers are one-hot
with torch.no_grad():
    for _ in range(30):
        teacher(torch.randn(64, 3, 32, 32))
teacher.eval()
image, label, _ = next(iter(box.train_data_loader))
box.pre_epoch_process(epoch=0)
theirs = box.forward_process(image, label)
theirs.backward()

page = (FOLDER / "torchdistill.md").read_text()
plan = ktgdsl.loads(page.partition("```ktg\n")[2].partition("```")[0])
graph = ktgdsl.build(plan, networks={"student": ours, "teacher": teacher})
loss = graph(image, label, 1.0).losses["student"]
loss.backward()

pairs = list(zip(student.parameters(), ours.parameters(), strict=True))
difference = max(float((a.grad - b.grad).abs().max()) for a, b in pairs)
largest = max(float(a.grad.abs().max()) for a, _ in pairs)
print(f"loss: torchdistill {theirs.item():.6f}, ktgdsl {loss.item():.6f}")
print(f"gradients: at most {difference:.1e} apart, the largest is {largest:.1e}")
