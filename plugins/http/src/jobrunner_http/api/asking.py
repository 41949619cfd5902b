"""What routes are given beside their own parameters, and the parameters that several share."""

from __future__ import annotations

from typing import TypeAlias

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from jobrunner_http.access import Caller
from jobrunner_http.site import Site

Ask: TypeAlias = Request[object, object, State]
OnSite: TypeAlias = NamedDependency[Site]
By: TypeAlias = NamedDependency[Caller]
Named: TypeAlias = FromPath[str]

__all__ = ["Ask", "By", "JSONBody", "Named", "OnSite"]
