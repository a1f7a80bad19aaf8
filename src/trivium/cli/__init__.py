"""The command line: one file per command, each with a function ``command`` that imports what it needs when it runs."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trivium.errors import TriviumError

__all__ = ["app", "main"]

# In the order of the journey. A name that holds several commands has an ``app`` instead of a ``command``.
COMMANDS: tuple[str, ...] = (
    "extract",
    "read",
    "inspect",
    "write",
    "align",
    "fit",
    "probe",
    "train",
    "tune",
    "evaluate",
    "score",
    "reproduce",
    "embed",
    "predict",
    "weights",
    "upstream",
    "list",
)


# what all mistakes on the command line derive from; typer gives it no public name
_UsageError: Any = typer.BadParameter.__base__


class _Commands(TyperGroup):
    """Says in one line that a command was stopped or cannot be read; typer alone says nothing, or draws a box."""

    def main(self, *args: Any, **given: Any) -> Any:
        standalone = given.pop("standalone_mode", True)
        try:
            code = super().main(*args, **given | {"standalone_mode": False})
        except _UsageError as error:
            if not standalone:
                raise
            if type(error).__name__ != "NoArgsIsHelpError":  # that one has printed the help already
                print(_usage_sentence(error), file=sys.stderr)
            sys.exit(error.exit_code)
        if standalone:
            sys.exit(code if isinstance(code, int) else 0)
        return code

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print(
                "trivium: stopped; the same command goes on where it was (with --resume: fit, train)",
                file=sys.stderr,
            )
            raise typer.Exit(130) from None


def _usage_sentence(error: Any) -> str:
    """A mistake on the command line, worded like every other error."""
    problem = " ".join(error.format_message().split())
    command = error.ctx.command_path if error.ctx else "trivium"
    return f"trivium: {problem}{'' if problem[-1] in '.?' else '.'} Remedy: {command} --help explains every option."


app = typer.Typer(
    cls=_Commands,
    name="trivium",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from trivium import __version__

        typer.echo(f"trivium {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Words, voice and face of a person speaking on one timeline, and one vector per utterance.

    The journey: `extract` a clip (or `read` the files of other tools) into a corpus, `inspect` it, `align` it to words,
    `fit` a representation without labels, `probe` it beside its floors, `train` a network on labels (`tune` chooses its
    settings), `evaluate` it by the protocols of the field, `reproduce` the field's tables, `embed` and `predict` with
    the weights.
    """


def _register() -> None:
    for name in COMMANDS:
        module = import_module(f"trivium.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(module.command)


_register()


def _say_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Our own warnings are for people: one line. Those of others for programmers stay silent."""
    if issubclass(category, UserWarning):
        print(f"trivium: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line; an error that the user can do something about is one line and exit code 2."""
    warnings.showwarning = _say_warning
    try:
        app()
    except TriviumError as error:
        print(f"trivium: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: cannot be opened: "
        print(f"trivium: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        print(f"trivium: needs more memory than there is. {error}".rstrip(". ") + ".", file=sys.stderr)
        sys.exit(2)
