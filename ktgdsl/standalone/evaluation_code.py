"""The code of a script that measures accuracies."""

EVALUATE = '''@torch.no_grad()
def evaluate(networks: dict[str, nn.Module], split: Split) -> dict[str, float]:
    """Top-1 accuracy in percent of each network on the samples of a split that have a label."""
    right = dict.fromkeys(networks, 0)
    with eval_mode(networks.values()):
        for start in range(0, len(split.label), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            image, label = split.normalized(split.image[part]), split.label[part]
            for name, network in networks.items():
                right[name] += (network(image).argmax(dim=1) == label).sum()
    labeled = max(1, int((split.label >= 0).sum()))
    return {name: 100 * int(count) / labeled for name, count in right.items()}'''


EVALUATE_HEADS = '''@torch.no_grad()
def evaluate(networks: dict[str, nn.Module], split: Split) -> dict[str, float]:
    """Top-1 accuracy in percent of each head, on the samples with its label, and their means."""
    right: dict[tuple[str, str], Tensor] = {}
    with eval_mode(networks.values()):
        for start in range(0, len(split.label), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            image, label = split.normalized(split.image[part]), split.label[part]
            for name, network in networks.items():
                for head, logits in network(image).items():
                    found = (logits.argmax(dim=1) == label[:, LABELS.index(head)]).sum()
                    right[name, head] = right.get((name, head), 0) + found
    labeled = dict(zip(LABELS, (split.label >= 0).sum(dim=0).tolist()))
    return with_means(
        {
            f"{name}.{head}": 100 * int(count) / max(1, labeled[head])
            for (name, head), count in right.items()
        }
    )'''
"""`evaluate` for networks with several heads, each of a label in `LABELS`."""


def evaluate_all(parameters: list[str]) -> str:
    """`evaluate_all`: as `evaluate`, of networks and the ensembles that `answers` computes.

    `parameters` are those of `answers` before the image.
    """
    names = [each.partition(":")[0] for each in parameters]
    modules = ", ".join(f"*{name}.values()" for name in names)
    return f'''@torch.no_grad()
def evaluate_all({", ".join(parameters)}, split: Split) -> dict[str, float]:
    """Top-1 accuracy in percent of all that answers on the samples of a split with a label."""
    right: dict[str, Tensor] = {{}}
    with eval_mode([{modules}]):
        for start in range(0, len(split.label), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            image, label = split.normalized(split.image[part]), split.label[part]
            for name, logits in answers({", ".join(names)}, image).items():
                right[name] = right.get(name, 0) + (logits.argmax(dim=1) == label).sum()
    labeled = max(1, int((split.label >= 0).sum()))
    return {{name: 100 * int(count) / labeled for name, count in right.items()}}'''


def of_drawn_images(evaluation: str) -> str:
    """The code for images that are drawn whenever they are read."""
    return evaluation.replace("split.image[part]", "split.image[part].read()")
