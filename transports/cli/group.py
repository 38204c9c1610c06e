"""The group of all commands. A command's module is imported when it is called: ``--help`` must not wait."""

import sys
import warnings
from importlib import import_module

import click

from transports.cli.configuration import with_file

# Each is the object of its own name in the module of its own name, with _ for -.
COMMANDS = {
    "serve": "Run the server.",
    "say": "Speak a text, or stdin, into a file or a pipe.",
    "dub": "Speak a subtitle file on its timeline.",
    "hear": "Print what is said in a recording.",
    "doctor": "Check the installation, and speak a sentence.",
    "voices": "List the voices.",
    "keys": "Create, list and revoke API keys.",
    "top": "Show live how servers are doing.",
    "config": "Show the options in force, and where each came from.",
    "make-checkpoint": "Write a checkpoint of random weights, to try things out.",
    "version": "Show the version.",
}

# Those that have options of the server's, which may come from a file.
CONFIGURED = ("serve", "say", "dub", "hear", "doctor", "voices", "keys", "config")


class _Commands(click.Group):
    """A group that knows the names and summaries of its commands before it loads them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        try:
            command = getattr(import_module(f"transports.cli.{name}"), name)
        except ImportError as error:
            raise click.ClickException(
                f"a part of parrotfish is missing or broken: {error}\n"
                "Install it again: pip install --force-reinstall parrotfish"
            ) from error
        assert isinstance(command, click.Command)
        return with_file(command) if cmd_name in CONFIGURED else command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""
    \b
    Examples:
      parrotfish serve                                  then open http://127.0.0.1:8080
      parrotfish say "Hello there." -o hello.mp3
      parrotfish say --voice walter < book.txt -o book.mp3
      llm "tell me a story" | parrotfish say -o - | ffplay -nodisp -autoexit -
      parrotfish dub film.srt -o film.opus
      parrotfish doctor                                 if anything seems wrong

    parrotfish COMMAND --help tells all about a command.
    """,
)
def main() -> None:
    """A real-time voice server: text or LLM tokens in, speech out, over the Fish Audio API."""
    # What libraries would like to tell their callers is nothing an operator can act on. They silence some
    # of it themselves, but not reliably where threads import at the same time. -W and PYTHONWARNINGS show it.
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
