"""Layouts: how records become what an encoder reads. A file here and a line below make a new form."""

from collections.abc import Mapping
from typing import Any

from zsc.data.layouts.auto import AutoLayout
from zsc.data.layouts.base import Layout
from zsc.data.layouts.buckets import BucketLayout
from zsc.data.layouts.chat import ChatLayout
from zsc.data.layouts.plain import PlainLayout
from zsc.data.layouts.presets import preset_values
from zsc.data.layouts.template import TemplateLayout
from zsc.data.layouts.written import WrittenLayout
from zsc.errors import ZscError, suggestion
from zsc.options import read

LAYOUTS: dict[str, type[Layout] | type[AutoLayout]] = {
    "auto": AutoLayout,
    "buckets": BucketLayout,
    "chat": ChatLayout,
    "plain": PlainLayout,
    "template": TemplateLayout,
}


def read_layout(key: str, value: Any) -> Layout | AutoLayout:
    """Return ``value``, a config of the group layout or the name of one, as a layout; without a form, of buckets.

    Raises ZscError for a form that there is not, and options that it does not take.
    """
    if isinstance(value, Layout | AutoLayout):
        return value
    given = preset_values(value) if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else {}
    if not given and not isinstance(value, Mapping):
        raise ZscError(f"{key}={value}: its options have names, such as {key}.form.")
    form = given.pop("form", "buckets")
    given.pop("fits", None)
    if form not in LAYOUTS:
        raise ZscError(f"no layout of the form '{form}'.{suggestion(str(form), LAYOUTS)} Known: {', '.join(LAYOUTS)}.")
    return read(LAYOUTS[form], given, key)


__all__ = [
    "LAYOUTS",
    "AutoLayout",
    "BucketLayout",
    "ChatLayout",
    "Layout",
    "PlainLayout",
    "TemplateLayout",
    "WrittenLayout",
    "read_layout",
]
