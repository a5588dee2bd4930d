"""`zsc run`: compose, generate, score, print."""

import hashlib
import json
import platform
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zsc import __version__
from zsc.cli.build import Built, build_layout, build_settings, check_count, check_seeds
from zsc.cli.configs import resolved
from zsc.cli.progress import progress
from zsc.cli.score import build_scoring, check_resampling, score_and_print
from zsc.data import load_records
from zsc.data.layout import BucketLayout
from zsc.data.record import Record
from zsc.errors import INTERRUPTED, ZscError
from zsc.generation.decoding import Decoding
from zsc.generation.folder import RunFolder
from zsc.generation.run import check_lengths, check_settings, probe_settings, run_settings
from zsc.metrics import build_metrics
from zsc.models.load import Loaded, load_model
from zsc.tables.render import check_format

PROBED = 8  # examples on which the effect of a setting is measured before a run
NOT_IDENTITY = ("output", "format", "batch_size", "metrics", "topic", "judges", "resampling")


def run(cfg: DictConfig) -> Path:
    """Run what ``cfg`` (configs/run.yaml) says, print the table on stdout, and return the run's folder."""
    config = resolved(cfg)
    check_format(config["format"])
    check_resampling(config["resampling"])
    build_metrics(config["metrics"])
    layout = build_layout(config["layout"])
    decoding, seeds = Decoding.from_settings(config["decoding"]), check_seeds(config["seeds"])
    check_count("batch_size", config["batch_size"])
    records = load_records(**config["dataset"])
    loaded = load_model(**config["model"])
    built = build_settings(config["knob"], config["model"], loaded)
    settings, scoring = built.settings, build_scoring(config, built.made_from)
    check_lengths(loaded.model, layout.positions, decoding.max_new_tokens)
    source = layout.encode(records, loaded.tokenizer)
    check_settings(loaded, settings, records, source)

    effects = probe_settings(loaded, settings, source.select(range(min(PROBED, len(records)))))
    for name, effect in effects.items():
        print(f"{name}: {effect}", file=sys.stderr)
    made = manifest(config, loaded, records, built, layout) | {"effects": {k: asdict(v) for k, v in effects.items()}}
    folder = RunFolder(Path(str(config["output"] or default_output(config, made["identity"]))))
    folder.create(OmegaConf.to_yaml(OmegaConf.create(config)), made, records)
    total = len(records) * len(seeds) * len(settings)
    with folder.locked(), progress() as bar:
        task = bar.add_task("responses", total=total)
        try:
            run_settings(
                loaded,
                records,
                source,
                settings,
                decoding,
                seeds,
                config["batch_size"],
                folder,
                lambda count: bar.advance(task, count),
            )
        except KeyboardInterrupt:
            kept = f"{len(folder.done())} of {total} responses are kept in {folder.path}"
            raise ZscError(f"interrupted: {kept}; the same command resumes.", INTERRUPTED) from None
        score_and_print(folder, scoring, layout.turns, config["format"])
    print(f"run: {folder.path}", file=sys.stdout if config["format"] == "table" else sys.stderr)
    return folder.path


def manifest(
    config: dict[str, Any], loaded: Loaded, records: list[Record], built: Built, layout: BucketLayout
) -> dict[str, Any]:
    """Return what identifies a run and what made it."""
    libraries = ("torch", "transformers", "tokenizers", "hydra-core")
    return {
        "identity": identity(config, [loaded.fingerprint, built.made_from], records),
        "weights": loaded.fingerprint,
        "made_from": built.made_from,
        "settings": list(built.settings),
        "seeds": config["seeds"],
        "token_ids": loaded.model.generation_config.to_diff_dict(),
        "versions": {name: version(name) for name in libraries}
        | {"zsc": __version__, "python": platform.python_version()},
        "device": str(loaded.model.device),
        "truncated_share": round(layout.truncated(records, loaded.tokenizer), 4),
    }


def identity(config: dict[str, Any], weights: Any, records: list[Record]) -> str:
    """Return a hash of everything that decides the responses."""
    deciding = {key: value for key, value in config.items() if key not in NOT_IDENTITY}
    content = json.dumps([__version__, weights, deciding, [record.to_json() for record in records]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def default_output(config: dict[str, Any], run_identity: str) -> str:
    model = Path(str(config["model"]["checkpoint"])).name
    return f"runs/{config['knob']['name']}-{config['dataset']['loader']}-{model}-{run_identity[:10]}"
