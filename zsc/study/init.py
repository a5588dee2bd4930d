"""zsc.yaml for a table of one's own: which column is what is guessed, asked about on a terminal, and written down."""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zsc.data.columns import check_column, check_field
from zsc.data.guess import TASKS, Column, Guess, columns_of, guess, has_needed, of_task, ordered, turns_of, written
from zsc.data.table import column_names, load, read_rows
from zsc.errors import ZscError, suggestion
from zsc.files import refuse_link, write_atomic
from zsc.study.watch import Watch
from zsc.tables.lines import printed, wrapped
from zsc.terminal import screen

FILE = Path("zsc.yaml")
MANY = 200  # rows from which on a sample of so many is taken
LEAST = 20  # characters of a value that are shown at least
NONE = "-"  # the answer that leaves a field out
BARE = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "nan", "inf", "y", "n"}  # that YAML takes for no texts
MODELS = {  # one that can do the task, to name where none is given
    "translation": "Helsinki-NLP/opus-mt-en-de",
    "summarisation": "facebook/bart-large-cnn",
    "question_answering": "google-t5/t5-base",
    "question_generation": "google/flan-t5-base",
}
Ask = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """configs/init.yaml: the ``file`` that zsc.yaml is for, and what is known of it and not to be guessed."""

    file: str
    model: str = "mini"
    task: str | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict)
    overwrite: bool = False


@dataclass(frozen=True)
class Table:
    """The table in ``file``: its ``columns``, their ``names`` and how many ``rows`` there are."""

    file: Path
    columns: Sequence[Column]
    names: Sequence[str]
    rows: int


def init(options: InitOptions, watch: Watch, ask: Ask | None = None) -> list[str]:
    """Write zsc.yaml for the table that ``options`` name, and return the commands to go on with.

    ``ask`` is asked what is not certain; without it, guesses are taken, and said. Raises ZscError for a file that is
    there already, and a table of which nothing can be guessed or that cannot be read as guessed.
    """
    refuse_link(FILE)
    if FILE.exists() and not options.overwrite:
        raise ZscError(f"{FILE} is there already. Edit it, or replace it with overwrite=true.")
    table = read_table(Path(options.file))
    found = settled(table, options, watch, ask)
    columns, turns = written(table.columns, found.columns), turns_of(table.columns, found.columns)
    try:
        load(str(table.file), columns, turns)
    except ZscError as error:
        right = "say what is what with task=NAME and columns.FIELD=NAME, or mend the file"
        raise ZscError(f"{error} Nothing was written: {right}.") from error
    write_atomic(FILE, text(table, options.model, found, columns, turns))
    if options.model == "mini" and found.task in MODELS:
        watch.say(
            f"model: mini is small and was trained on dialogue alone; for {words(found.task)} name one that can do it"
            f" in {FILE}, such as model: {MODELS[found.task]}"
        )
    return next_commands(found)


def read_table(file: Path) -> Table:
    rows = read_rows(file)
    if not rows:
        raise ZscError(f"{file} holds no row.")
    return Table(file, columns_of(rows), column_names(rows), len(rows))


def settled(table: Table, options: InitOptions, watch: Watch, ask: Ask | None) -> Guess:
    """Return the task and the columns, given, guessed, or as they are answered."""
    given = checked(table, options)
    best = guess(table.columns, options.task, given)
    if ask is not None:
        return answered(table, options, best, given, watch, ask)
    if best is None:
        wanted = f"task {options.task}" if options.task else "any task"
        raise ZscError(
            f"{table.file}: cannot guess what its columns are of {wanted}: {', '.join(table.names)}. Say it, such as"
            f" zsc init {shlex.quote(str(table.file))} task=dialogue columns.history={shlex.quote(table.names[0])}"
        )
    for line in described(table, best):
        watch.say(line)
    return best


def checked(table: Table, options: InitOptions) -> dict[str, str | None]:
    """Return the columns that are given. Raises ZscError for a task, field or column that there is not."""
    if options.task is not None and options.task not in TASKS:
        raise ZscError(f"no task '{options.task}'.{suggestion(options.task, TASKS)} Known: {', '.join(TASKS)}.")
    for name, column in options.columns.items():
        check_field(name, "columns")
        if column is not None and check_column(column, name, table.names, str(table.file), "columns") is None:
            raise ZscError(f"{table.file}: no column '{column}'. There are: {', '.join(table.names)}.")
    return dict(options.columns)


def described(table: Table, found: Guess) -> list[str]:
    """Return lines that say what was found, and what of it is a guess."""
    sure = "" if found.certain else " (a guess: task=NAME says another)"
    lines = [f"{table.file}: {table.rows:,} rows; task: {words(found.task)}{sure}"]
    size = max(map(len, found.columns))
    for name, column in found.columns.items():
        how = ", a guess" if name in found.unsure else ""
        lines.append(with_example(f"  {name:<{size}}  {column}{how}: ", table, column))
    if others := left(table, found):
        lines.append(f"  not read: {', '.join(others)}")
    if found.unsure:
        lines.append(f"columns.FIELD=NAME says another column, columns.FIELD=null none; or edit {FILE}.")
    return lines


def left(table: Table, found: Guess) -> list[str]:
    """Return the names of the columns that no field is taken from."""
    heads = {part for column in found.columns.values() for part in (column, column.partition(".")[0])}
    return [name for name in table.names if name not in heads]


def with_example(text: str, table: Table, name: str) -> str:
    """Return ``text`` and the first value of a column, cut to the width of the terminal."""
    values = [column.values[0] for column in table.columns if column.name == name]
    value = values[0] if values else "-"
    shown = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)).split())
    room = max(screen().width - len(text), LEAST)
    return text + (shown if len(shown) <= room else f"{shown[: room - 2]} …")


def answered(
    table: Table, options: InitOptions, best: Guess | None, given: Mapping[str, str | None], watch: Watch, ask: Ask
) -> Guess:
    """Return the task and the columns, after asking about what is not certain. Raises ZscError if no answer comes."""
    watch.say(f"{table.file}: {table.rows:,} rows; its columns, each with the first value:")
    size = max(len(column.name) for column in table.columns)
    for number, column in enumerate(table.columns, start=1):
        watch.say(with_example(f"  {number}  {column.name:<{size}}  ", table, column.name))
    task = options.task or (best.task if best else None)
    if best is None or not best.certain:
        task = choice(ask, f"Which task is it for: {', '.join(TASKS)}?", task, TASKS, watch)
    assert task is not None
    found = of_task(task, table.columns, given)
    chosen = dict(found.columns)
    for slot in TASKS[task]:
        if slot.field in given or not (slot.field in found.unsure or (slot.needed and slot.field not in chosen)):
            continue
        names = {str(i): column.name for i, column in enumerate(table.columns, start=1)}
        known = {**names, **{column.name: column.name for column in table.columns}}
        known |= {} if slot.needed else {NONE: NONE}
        none = "" if slot.needed else f", {NONE} for none"
        question = f"{slot.field}, {slot.says}: which column{none}?"
        said = choice(ask, question, chosen.get(slot.field, None if slot.needed else NONE), known, watch)
        chosen = {name: one for name, one in chosen.items() if name != slot.field and one != known[said]}
        chosen |= {} if said == NONE else {slot.field: known[said]}
    found = replace(found, columns=ordered(task, chosen), unsure=(), certain=True)
    if not has_needed(found):
        raise ZscError(f"no column is left for all that {words(task)} needs. Repeat the command.")
    for line in described(table, found)[1:]:
        watch.say(line)
    return found


def choice(ask: Ask, question: str, usual: str | None, known: Mapping[str, object], watch: Watch) -> str:
    """Return the answer to ``question``, one of ``known``; none is the ``usual`` one."""
    while True:
        try:
            said = ask(f"{question} [{usual}] " if usual else f"{question} ").strip()
        except EOFError:
            raise ZscError(f"no answer to: {question} Nothing was written.") from None
        if not said and usual is not None:
            return usual
        if said in known:
            return said
        watch.say(f"'{said}' is none.{suggestion(said, known)} Possible: {', '.join(known)}")


def words(task: str) -> str:
    return task.replace("_", " ")


def text(table: Table, model: str, found: Guess, columns: Mapping[str, str | None], turns: str) -> str:
    """Return zsc.yaml, with a comment beside each option."""
    says = {slot.field: slot.says for slot in TASKS[found.task]}
    lines = [("task", found.task, f"also {', '.join(name for name in TASKS if name != found.task)}")]
    lines += [
        ("model", scalar(model), "a folder, a name on the Hugging Face hub, a GGUF file, or one of `zsc ls`"),
        ("dataset", "table", "rows of a file; `zsc ls` lists other datasets"),
        ("dataset.path", scalar(str(table.file)), f"{table.rows:,} rows"),
    ]
    for name, column in columns.items():
        guessed = "; a guess" if name in found.unsure else ""
        said = says.get("reference" if name == "references" else name, "") if column else "not read"
        lines.append((f"dataset.columns.{name}", "null" if column is None else scalar(column), f"{said}{guessed}"))
    if turns != "one":
        lines.append(("dataset.turns", turns, "each line of the history is a turn"))
    limited = ("dataset.limit", str(MANY), "so many rows, a fixed random sample; remove this line for all")
    lines += [limited] if table.rows > MANY else []
    more = [] if table.rows > MANY else [("dataset.limit", "20", "so many rows, a fixed random sample")]
    more += [
        ("decoding", "greedy", "or sample, beam, or checkpoint: as the model was published"),
        ("decoding.max_new_tokens", "60", "the longest response"),
        ("seeds", "[0, 1, 2]", "responses to each row, with other random numbers"),
        ("metrics", "[length, repetition]", "names or groups that `zsc ls` lists"),
    ]
    head = (
        "The options of zsc in this folder. `zsc run`, `zsc data` and all other commands that have a model and a"
        " dataset read them; their own words go first, and config=none leaves this file out."
    )
    unread = left(table, found)
    size = max(len(f"{key}: {value}") for key, value, _ in [*lines, *more])
    return "\n".join(
        [
            printed(wrapped(head, 100, "# ", "# "), colour=False),
            "",
            *(beside(one, size) for one in lines),
            *([f"# columns not read: {', '.join(map(scalar, unread))}"] if unread else []),
            "",
            "# Remove the # in front of an option to set it:",
            *(f"# {beside(one, size - 2)}" for one in more),
            "",
        ]
    )


def beside(entry: tuple[str, str, str], size: int) -> str:
    key, value, says = entry
    option = f"{key}: {value}"
    return f"{option:<{size}}  # {says}" if says else option


def scalar(value: str) -> str:
    """Return a text as YAML that is read as it stands."""
    bare = BARE.fullmatch(value) and value.lower() not in WORDS
    return value if bare else json.dumps(value, ensure_ascii=False)


def next_commands(found: Guess) -> list[str]:
    """Return what to type next: commands, with what each does."""
    knobs = {
        "dialogue": "knob=attn_bias" if "knowledge" in found.columns else "knob=ctx_aug knob.phrases=questions",
        "translation": "knob=ctx_aug",
        "summarisation": "knob=attn_bias knob.profile=document",
    }
    run = f"zsc run {knobs.get(found.task, 'knob=attn_bias')}"
    commands = [("zsc data", "what the model will read"), (f"{run} dataset.limit=8 seed=0", "a first try")]
    commands += [(run, "all of it"), ("zsc show last", "its responses")]
    size = max(len(command) for command, _ in commands)
    return [f"{command:<{size}}  # {says}" for command, says in commands]
