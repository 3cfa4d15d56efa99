"""`ktgc init`: writes a first spec, to be changed."""

import argparse
from importlib.resources import files
from shlex import quote

from ktgdsl.cli.console import FINE, print_text
from ktgdsl.errors import SpecError
from ktgdsl.files import expand_home, write_atomic

TEMPLATES = {
    "kd": ("kd.ktg",),
    "dml": ("dml.ktg",),
    "space": ("space.ktg",),
    "own": ("own.ktg", "own.py"),
}
"""The files of each template."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "folder", nargs="?", default=".", metavar="DIR", help="where to (default: this folder)"
    )
    parser.add_argument(
        "--template",
        choices=TEMPLATES,
        default="kd",
        help="a teacher and a student (kd, the default), mutual learning (dml), a space to search "
        "(space), or a network, loss and data of your own (own)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the template's files, none where one of them exists, and say what to do next."""
    folder = expand_home(options.folder)
    names = TEMPLATES[options.template]
    for path in (folder / name for name in names):
        if path.exists() or path.is_symlink():
            message = f"`{path}` exists, and `init` overwrites nothing"
            raise SpecError.single("E001", message, help="name another folder", path=path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            content = files("ktgdsl").joinpath("templates", name).read_bytes()
            write_atomic(folder / name, content)
            print_text(f"wrote {folder / name}")
    except OSError as error:
        message = f"`{folder}` cannot be written: {error.strerror or error}"
        raise SpecError.single("E001", message, path=folder) from error
    spec = quote(str(folder / names[0]))
    print_text(f"next: ktgc plan {spec}")
    print_text(f"      ktgc {'search' if options.template == 'space' else 'run'} {spec}")
    return FINE
