"""`zsc doctor`: check the installation, the model, its knobs and the data, a line each."""

import json
from dataclasses import asdict

from omegaconf import DictConfig

from zsc.cli.compose import options_of
from zsc.cli.knobs import compose_knob
from zsc.errors import ZscError
from zsc.knobs import KNOBS
from zsc.study.doctor import examine
from zsc.study.findings import Finding
from zsc.study.options import RunOptions
from zsc.tables.render import render

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "skip"}


def doctor(cfg: DictConfig) -> None:
    """Print what every check of ``cfg`` (configs/doctor.yaml) finds, as it is found. Raises ZscError if one fails."""
    options = options_of(RunOptions, cfg)
    knobs = {name: compose_knob(f"knob={name}", options).parts[0] for name in KNOBS}
    findings: list[Finding] = []
    for finding in examine(options, knobs):
        findings.append(finding)
        if options.format == "table":
            print(f"{MARKS[finding.state]}  {finding.check:<20}  {finding.found}", flush=True)
            if finding.next:
                print(f"{'':<28}-> {finding.next}", flush=True)
    rows = [asdict(finding) for finding in findings]
    if options.format == "json":
        print(json.dumps(rows, indent=2, allow_nan=False))
    elif options.format != "table":
        print(render(rows, options.format))
    if failed := [finding.check for finding in findings if finding.state == "fail"]:
        raise ZscError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}.")
