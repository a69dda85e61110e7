"""The scoring script of an Azure ML online endpoint: ``{"images": ["<base64>", ...]}`` -> ``{"answers": [...]}``."""

import json
import os
from typing import Any

from reswork.shipping.carried.predictor import Predictor, Refused, pictures_of, top_of

_HELD: dict[str, Predictor] = {}  # Azure calls two functions, and only the first one may take its time


def init() -> None:
    """Open the model; Azure says where it lies."""
    _HELD["predictor"] = Predictor(os.environ["AZUREML_MODEL_DIR"])


def run(raw_data: str) -> Any:
    """Answer a request.

    Args:
        raw_data: its body.

    Returns:
        What becomes JSON; of a request that is refused the sentence, with its status.
    """
    predictor = _HELD["predictor"]
    try:
        try:
            values = json.loads(raw_data)
        except (ValueError, RecursionError) as error:
            raise Refused("the body is no JSON") from error
        if not isinstance(values, dict):
            raise Refused('the JSON has no "images": send {"images": ["<base64>", ...]}')
        answers = predictor.answers(pictures_of(values.get("images")), top_of(values.get("top", 3)))
    except Refused as error:
        from azureml_inference_server_http.api.aml_response import AMLResponse

        return AMLResponse({"error": str(error)}, error.status, json_str=True)
    return {"version": predictor.version, "answers": answers}
