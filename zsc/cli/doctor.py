"""`zsc doctor`: check the installation, the model, its knobs and the data, a line each."""

import json
from dataclasses import asdict

from omegaconf import DictConfig

from zsc.cli.checks import examine
from zsc.cli.configs import resolved
from zsc.errors import ZscError
from zsc.tables.render import check_format, render

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "skip"}


def doctor(cfg: DictConfig) -> None:
    """Print what every check of ``cfg`` (configs/doctor.yaml) finds, as it is found. Raises ZscError if one fails."""
    config = resolved(cfg)
    style = config["format"]
    check_format(style)
    findings = []
    for finding in examine(config):
        findings.append(finding)
        if style == "table":
            print(f"{MARKS[finding.state]}  {finding.check:<20}  {finding.found}", flush=True)
            if finding.next:
                print(f"{'':<28}-> {finding.next}", flush=True)
    rows = [asdict(finding) for finding in findings]
    if style == "json":
        print(json.dumps(rows, indent=2, allow_nan=False))
    elif style != "table":
        print(render(rows, style))
    failed = [finding.check for finding in findings if finding.state == "fail"]
    if failed:
        raise ZscError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}.")
