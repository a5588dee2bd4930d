"""The page of `zsc play`, in Gradio: it shows what a Playground answers, and knows nothing of models itself."""

import base64
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from zsc.data.record import Record
from zsc.errors import ZscError
from zsc.study.options import KnobOptions
from zsc.study.play.command import RECORDS, record_line
from zsc.study.play.controls import STEPS, Control, Scale, Section
from zsc.study.play.playground import Playground
from zsc.study.play.texts import HISTORY, texts_of
from zsc.tables.examples import answered
from zsc.tables.played import played, problem
from zsc.terminal import one_line

CSS = Path(__file__).with_name("page.css")
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]
LABEL = 60  # characters of an example in the list
SEEDS = 10**6  # among which another sample is drawn
LABELS = {HISTORY: "history: one turn a line, the last is answered", "focus": "focus: one part of the text a line"}
COPY = """async (text) => {
  try { await navigator.clipboard.writeText(text) } catch {
    const area = document.createElement("textarea")
    area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove()
  }
  return "Copied"
}"""
COPY_LABEL = "Copy as command"


def dose_script(scale: Scale) -> str:
    """Return :meth:`Scale.dose` for the browser, and that the knob is on."""
    return f"""(position) => {{
  const {{least, most, neutral, geometric}} = {json.dumps(vars(scale))}
  if (position <= 0 && neutral < least) return [neutral, true]
  const share = position / {STEPS}
  const dose = geometric ? least * Math.pow(most / least, share) : least + (most - least) * share
  return [Number(dose.toPrecision(2)), true]
}}"""


def position_script(scale: Scale) -> str:
    """Return :meth:`Scale.position` for the browser, and that the knob is on."""
    return f"""(dose) => {{
  const {{least, most, geometric}} = {json.dumps(vars(scale))}
  const share = geometric ? Math.log(Math.max(dose, least) / least) / Math.log(most / least)
    : (dose - least) / (most - least)
  return [dose < least ? 0 : Math.min({STEPS}, Math.round({STEPS} * share)), true]
}}"""


@dataclass(frozen=True)
class Handlers:
    """What the parts of the page call: from their values to HTML, in which all that people and models wrote is
    escaped. ``values`` are the texts of the fields, then, of each section, whether it is on, and its controls."""

    playground: Playground

    def parts(self, values: Sequence[Any]) -> tuple[dict[str, str], list[KnobOptions]]:
        """Return texts by field, and the knobs that are on. Raises ZscError."""
        fields = self.playground.fields
        texts = {name: str(text or "") for name, text in zip(fields, values, strict=False)}
        knobs, place = [], len(fields)
        for section in self.playground.sections:
            on, *given = values[place : place + 1 + len(section.controls)]
            place += 1 + len(section.controls)
            if on:
                knobs.append(section.options(given))
        return texts, knobs

    def answer(self, number: int, seed: Any, *values: Any) -> tuple[str, str, str]:
        """Return the responses, the command, and a link to the record where it was edited."""
        try:
            texts, knobs = self.parts(values)
            answer = self.playground.answer(int(number), texts, knobs, seed_of(seed))
        except ZscError as error:
            return problem(str(error)), "", ""
        line = record_line(answer.record) if answer.edited else ""
        return played(answer), self.playground.command(answer, knobs), download(line) if line else ""

    def save(self, name: str, seed: Any, *values: Any) -> str:
        """Save the knobs that are on, and say where and how they are used."""
        try:
            _, knobs = self.parts(values)
            file, use = self.playground.save((name or "").strip(), knobs, seed_of(seed))
        except ZscError as error:
            return problem(str(error))
        return str(Markup("<p>Saved as <code>{}</code>. It is used by:</p><p><code>{}</code></p>").format(file, use))

    def texts(self, number: int) -> list[str]:
        """Return the texts of a record, in the order of the fields."""
        return list(texts_of(self.playground.records[int(number)], self.playground.fields).values())

    def head(self) -> str:
        """Return what the page is about."""
        options = self.playground.options
        told = [*self.playground.format.remarks, *(f"{name}: {why}" for name, why in self.playground.lacking.items())]
        title = Markup("<h2>{} on {}</h2>").format(Path(options.model.checkpoint).name, options.dataset.loader)
        return str(title + Markup("").join(Markup('<p class="zsc-small">{}</p>').format(line) for line in told))


def seed_of(seed: Any) -> int:
    """Return a seed. Raises ZscError for what is no whole number."""
    if isinstance(seed, bool) or not isinstance(seed, int | float) or not float(seed).is_integer():
        raise ZscError(f"seed={seed} must be a whole number of at least 0.")
    return int(seed)


def download(line: str) -> str:
    """Return a link that saves an edited record as a file, which needs nothing of the server."""
    data = base64.b64encode(line.encode()).decode()
    link = Markup('<a download="{0}" href="data:application/jsonl;base64,{1}">Download {0}</a>').format(RECORDS, data)
    return str(Markup("<p>The example was edited. The command reads it from a file: {}</p>").format(link))


def title_of(record: Record) -> str:
    """Return what a record is called in the list of examples."""
    text = one_line(next((text for _, text in answered(record)), ""))
    return f"{record.id}: {text if len(text) <= LABEL else text[: LABEL - 1] + '…'}"


def build(playground: Playground) -> Any:
    """Return the page, a gradio.Blocks."""
    import gradio as gr

    handlers, private = Handlers(playground), {"api_visibility": "private"}
    count = len(playground.records)
    with gr.Blocks(title="zsc play", analytics_enabled=False) as page:
        gr.HTML(handlers.head(), elem_classes="zsc")
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                titles = [(title_of(record), i) for i, record in enumerate(playground.records)]
                example = gr.Dropdown(titles, value=0, label=f"example, of {count}", elem_id="zsc-example")
                with gr.Row():
                    steps = [
                        (gr.Button(label, size="sm", min_width=80), step)
                        for label, step in (("Previous", -1), ("Next", 1), ("Random", 0))
                    ]
                fields = [
                    gr.Textbox(text, label=LABELS.get(name, name), lines=2, max_lines=12, elem_id=f"zsc-field-{name}")
                    for name, text in zip(playground.fields, handlers.texts(0), strict=True)
                ]
                values, knobs = list(fields), []
                for section in playground.sections:
                    parts = section_of(gr, section)
                    knobs += parts
                    values += parts
            with gr.Column(scale=3, min_width=300):
                with gr.Row():
                    button = gr.Button("Answer", variant="primary", elem_id="zsc-answer", min_width=120)
                    another = gr.Button("Another sample", elem_id="zsc-another", min_width=120)
                with gr.Row():
                    seed = gr.Number(first_seed(playground), label="seed", precision=0, minimum=0, min_width=80)
                    live = gr.Checkbox(True, label="answer whenever a knob moves", scale=2, min_width=180)
                shown = gr.HTML(elem_id="zsc-shown", elem_classes="zsc", min_height=200)
                command = gr.Textbox(
                    label="command", lines=2, interactive=False, elem_id="zsc-command", elem_classes="zsc-command"
                )
                copy = gr.Button(COPY_LABEL, elem_id="zsc-copy")
                link = gr.HTML(elem_id="zsc-download", elem_classes="zsc")
                with gr.Row():
                    name = gr.Textbox(
                        label="name of the setting", max_lines=1, scale=2, min_width=140, elem_id="zsc-name"
                    )
                    save = gr.Button("Save setting", elem_id="zsc-save", min_width=120)
                saved = gr.HTML(elem_id="zsc-saved", elem_classes="zsc")
        given, found = [example, seed, *values], [shown, command, link]
        own = {"show_progress": "minimal", "show_progress_on": [shown], **private}

        def when_live(alive: bool, *all_given: Any) -> tuple[Any, ...]:
            return handlers.answer(*all_given) if alive else (gr.skip(), gr.skip(), gr.skip())

        def step_from(by: int) -> Any:
            return lambda number: (int(number) + by) % count if by else random.randrange(count)

        page.load(handlers.answer, given, found, **own)
        gr.on([button.click, seed.submit, *(one.submit for one in fields)], handlers.answer, given, found, **own)
        gr.on([one.change for one in knobs], when_live, [live, *given], found, trigger_mode="always_last", **own)
        another.click(lambda: random.randrange(SEEDS), None, seed, **private).then(handlers.answer, given, found, **own)
        for one, by in steps:
            one.click(step_from(by), example, example, show_progress="hidden", **private)
        example.change(handlers.texts, example, fields, show_progress="hidden", **private).then(
            handlers.answer, given, found, **own
        )
        copy.click(None, command, copy, js=COPY, **private)
        command.change(None, None, copy, js=f"() => {json.dumps(COPY_LABEL)}", **private)
        gr.on([save.click, name.submit], handlers.save, [name, seed, *values], saved, **private)
    return page


def first_seed(playground: Playground) -> int:
    return playground.options.seeds[0]


def section_of(gr: Any, section: Section) -> list[Any]:
    """Put a knob on the page; return whether it is on, and its controls."""
    front = [one for one in section.controls if one.front]
    with gr.Accordion(section.title, open=section.on, elem_id=f"zsc-knob-{section.name}"):
        on = gr.Checkbox(section.on, label="on", elem_id=f"zsc-on-{section.name}")
        parts = [dose_of(gr, section, one, on) if one.kind == "dose" else control_of(gr, section, one) for one in front]
        if others := section.controls[len(front) :]:
            with gr.Accordion("more", open=False):
                parts += [control_of(gr, section, one) for one in others]
    return [on, *parts]


def control_of(gr: Any, section: Section, control: Control) -> Any:
    """Put one control on the page and return the part that has its value."""
    own = {"label": control.field, "elem_id": f"zsc-{section.name}-{control.field}", "min_width": 120}
    if control.kind == "choice":
        return gr.Dropdown(list(control.choices), value=control.value, allow_custom_value=control.open, **own)
    if control.kind == "count":
        return gr.Number(control.value, **own)
    if control.kind == "flag":
        return gr.Checkbox(control.value, **own)
    return gr.Textbox(str(control.value), max_lines=1, **own)


def dose_of(gr: Any, section: Section, control: Control, on: Any) -> Any:
    """Put a slider and a number on the page, each of which sets the other and ``on``, and return the number."""
    scale, name = section.scale, f"zsc-{section.name}-{control.field}"
    assert scale is not None
    with gr.Row(equal_height=True):
        slider = gr.Slider(
            0, STEPS, value=scale.position(float(control.value)), step=1, label=control.field, scale=3, min_width=160,
            info=f"{scale.neutral:g} changes nothing", buttons=[], elem_id=f"{name}-slider", elem_classes="zsc-slider",
        )  # fmt: skip
        number = gr.Number(control.value, label=control.field, show_label=False, scale=1, min_width=80, elem_id=name)
    slider.input(None, slider, [number, on], js=dose_script(scale), api_visibility="private")
    number.input(None, number, [slider, on], js=position_script(scale), api_visibility="private")
    return number
