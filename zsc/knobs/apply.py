"""Put any number of knobs on a model, and leave it as it was."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from transformers import PreTrainedModel

from zsc.data.source import Source
from zsc.knobs.base import Knob
from zsc.knobs.steering import entered


@contextmanager
def apply(model: PreTrainedModel, knobs: Sequence[Knob], source: Source | None = None) -> Iterator[PreTrainedModel]:
    """While the context is open, every one of ``knobs`` acts on ``model``; the order of the list does not matter.

    ``source`` is the batch that will be generated from; attention biasing needs it, the other knobs do not. On exit,
    also by an exception, the model is bit-identical to what it was. Raises what the knobs' ``check`` raises.

    The knobs act in the thread, or asyncio task, that opened the context, and in those that it hands its context to
    (:func:`contextvars.copy_context`, asyncio.to_thread); other threads have what they opened themselves, on the same
    model at the same time. A thread that opened none, while another has knobs on the model, gets a ThreadConflict, a
    ValueError, from the model's decoder: ``apply(model, [])`` says that it wants the plain model. Knobs that change the
    model itself (``swap``, ``dec_mix`` with level ``weights``) exclude all other threads while they are on.
    """
    with ExitStack() as stack:
        stack.enter_context(entered(model))
        for knob in sorted(knobs, key=lambda knob: (-knob.precedence, str(knob))):
            stack.enter_context(knob.apply(model, source))  # type: ignore[arg-type]
        yield model
