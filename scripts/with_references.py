"""A run's responses with the human references beside them: python scripts/with_references.py RUN > outputs.jsonl

The references stand as a setting of their own, first, so that `zsc score outputs.jsonl` compares every setting with
them. Takes the first seed and the examples that have a reference.
"""

import json
import sys
from pathlib import Path

from zsc.errors import ZscError
from zsc.generation.folder import RunFolder


def main(folder: RunFolder) -> None:
    manifest, records = folder.manifest(), {record.id: record for record in folder.records() if record.reference}
    if not records:
        raise ZscError(f"no record of {folder.path} has a reference.")
    first, *_ = manifest["seeds"]
    rows = [
        {"setting": row["setting"], "id": row["id"], "response": row["response"]}
        for _, row in folder.each_row()
        if row["seed"] == first and row["id"] in records
    ]
    human = [{"setting": "human", "id": i, "response": record.reference} for i, record in records.items()]
    for row in human + rows:
        record = records[row["id"]]
        history = [{"speaker": turn.speaker, "text": turn.text} for turn in record.history]
        print(
            json.dumps(
                {**row, "history": history, "knowledge": record.knowledge, "topic": record.topic}, allow_nan=False
            )
        )


if __name__ == "__main__":
    main(RunFolder(Path(sys.argv[1])))
