"""An exported setting as a pipeline of transformers."""

from typing import TYPE_CHECKING, Any

import transformers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

if TYPE_CHECKING:
    from zsc.study.setting import Setting

TASK = "zsc"


class SettingPipeline(Pipeline):
    """Records in, mappings of ``generated_text`` out: the responses of a setting, given as ``setting``."""

    def _sanitize_parameters(
        self, setting: "Setting | None" = None, seed: int | None = None, **unknown: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise ValueError(f"{next(iter(unknown))} is no option here: decoding is that of the setting.")
        given = {"setting": setting, "seed": seed}
        return {}, {name: one for name, one in given.items() if one is not None}, {}

    def preprocess(self, input_: Any, **parameters: Any) -> dict[str, Any]:
        return {"record": input_}

    def _forward(self, input_tensors: dict[str, Any], **parameters: Any) -> Any:
        records, setting = input_tensors["record"], parameters["setting"]
        several = isinstance(records, list)  # a batch
        made = setting.generate_many(records if several else [records], seed=parameters.get("seed"))
        return {"response": made if several else made[0]}

    def postprocess(self, model_outputs: Any, **parameters: Any) -> dict[str, str]:
        return {"generated_text": model_outputs["response"]}


def pipeline_of(setting: "Setting", **options: Any) -> Pipeline:
    """Return what ``transformers.pipeline`` makes of ``setting`` and its model, under the task "zsc"."""
    if TASK not in PIPELINE_REGISTRY.get_supported_tasks():
        models: Any = (AutoModelForSeq2SeqLM, AutoModelForCausalLM)
        PIPELINE_REGISTRY.register_pipeline(TASK, SettingPipeline, pt_model=models)
    loaded, make = setting.loaded, transformers.pipeline
    found: Pipeline = make(
        TASK,
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        device=loaded.model.device,
        setting=setting,
        **options,  # type: ignore[call-overload]
    )
    return found
