"""Variables of the environment that look like a plugin's settings and are none: most often a typing mistake.

Looks only. What is wrong in a variable that exists is found where settings are read.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import msgspec

from jobrunner.plugins import Plugins
from jobrunner.settings import variable_name


def misspelt(plugins: Plugins, environ: Mapping[str, str], *, others: Iterable[str] = ()) -> list[str]:
    """Say which variables begin like a plugin's settings and are none of them.

    Args:
        plugins: The plugins that are loaded.
        environ: The environment.
        others: Names of further plugins, whose variables may begin with the name of one of these.

    Returns:
        One line a variable, in the order of their names, with the setting that may be meant; empty if there is none.
    """
    known = {
        variable: plugin.name
        for plugin in plugins
        for variable in _variables(plugin.settings_type, plugin.name)
    }
    used = {queue.concurrency_env for queue in plugins.queues.values() if queue.concurrency_env}
    starts = {variable_name(name, "") for name in (*others, *(plugin.name for plugin in plugins))}
    loaded = {variable_name(plugin.name, ""): plugin.name for plugin in plugins}
    lines = []
    for variable in sorted(set(environ) - set(known) - used):
        start = max((one for one in starts if variable.startswith(one)), key=len, default="")
        if start not in loaded:
            continue
        own = [name for name, plugin in known.items() if plugin == loaded[start]]
        near = difflib.get_close_matches(variable, own, n=1, cutoff=0.8)
        hint = f"; is {near[0]} meant?" if near else ""
        lines.append(f"{variable} is no setting of the plugin {loaded[start]}{hint}")
    return lines


def _variables(kind: type[msgspec.Struct], plugin: str) -> list[str]:
    return [variable_name(plugin, field) for field in kind.__struct_fields__]
