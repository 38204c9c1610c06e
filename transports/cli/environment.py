"""Environment variables that look like options, and are none."""

import difflib
import os
import re

import click

PREFIX = "PARROTFISH_"

# What is no value of an option, and yet has a meaning: for every command, ``serve``, ``say``, SGLang's process.
_OTHERS = frozenset(f"{PREFIX}{name}" for name in ("CONFIG", "SECRET", "API_KEY", "SGLANG_CPU"))
# What Kubernetes tells every container of the services around it, one of which may be called parrotfish.
_OF_SERVICES = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*"
    r"|\w+_PORT=(tcp|udp|sctp)://.*"
)


def check_environment(context: click.Context, command: click.Command) -> None:
    """Raise ClickException for a variable that is meant for an option which ``command`` does not have.

    The context has the command's values: some name variables that hold a key.
    """
    known = set(_OTHERS)
    for option in command.params:
        if option.name is None:
            continue
        known.add(f"{PREFIX}{option.name.upper()}")
        known.update([option.envvar] if isinstance(option.envvar, str) else option.envvar or ())
        if option.name.endswith("_env") and (named := context.params.get(option.name)):
            known.add(named)
    for name, value in sorted(os.environ.items()):
        if name in known or not name.startswith(PREFIX) or _OF_SERVICES.fullmatch(f"{name}={value}"):
            continue
        ends = [one.removeprefix(PREFIX) for one in known if one.startswith(PREFIX)]
        near = difflib.get_close_matches(name.removeprefix(PREFIX), ends, 1)
        advice = f"did you mean {PREFIX}{near[0]}?" if near else "parrotfish config lists all that there are"
        raise click.ClickException(f"{name} is in the environment, and there is no such option; {advice}")
