"""The packages that only some features need, and the error where they are missing."""

from ktgdsl.errors import RunError

EXTRAS = {
    "timm": ("timm",),
    "plot": ("matplotlib",),
    "report": ("jinja2",),
    "completion": ("shtab",),
    "dashboard": ("optuna-dashboard",),
    "lsp": ("pygls",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow-skinny",),
    "wandb": ("wandb",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "svhn": ("scipy",),
    "ray": ("ray",),
    "postgres": ("psycopg[binary]",),
}
"""The packages of each extra."""


def how_to_install(extra: str) -> str:
    """The help text: what to install for a feature."""
    names = [f'"{name}"' if "[" in name else name for name in EXTRAS[extra]]
    return f"pip install {' '.join(names)}, or ktgdsl with [{extra}]"


def needs(feature: str, extra: str, error: ImportError | None = None) -> str:
    """The message: which packages a feature needs, and what became of importing them."""
    *others, last = (name.partition("[")[0] for name in EXTRAS[extra])
    packages = f"{', '.join(others)} and {last}" if others else last
    if error is not None and not isinstance(error, ModuleNotFoundError):
        return f"{feature} needs {packages}, and importing failed: {error}"
    why = "" if error is None else f": {error}"
    state = "are not all installed" if others else "is not installed"
    return f"{feature} needs {packages}, which {state}{why}"


def missing(
    feature: str, extra: str, error: ImportError | None = None, *, instead: str = ""
) -> RunError:
    """The error (E504) of a feature whose packages are missing.

    Args:
        feature: begins the message, such as "a chart".
        extra: the extra that has the packages.
        error: of importing them, if that was tried.
        instead: what else the user can do.
    """
    help = how_to_install(extra) + (f"; or {instead}" if instead else "")
    return RunError.single("E504", needs(feature, extra, error), help=help)
