"""The typed requests of `eas-prediction`, unmodified: tensors as protobuf go through the gateway bit by bit.

No processor of the vendor's runs here, so the replica is a double: it reads such a request with the
vendor's own classes, and answers with twice its numbers.
"""

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contract.gateway_harness import (
    TOKEN,
    Bench,
    Play,
    Reader,
    Request,
    Writer,
    bench,
    plain,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its source has escapes that Python no longer likes
    import eas_prediction
    from eas_prediction import pytorch_predict_pb2, tf_request_pb2

#: In DIRECT mode the client leaves `http://` out; the library below it takes that, with this warning.
pytestmark = pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")
MODES = ["", eas_prediction.ENDPOINT_TYPE_DIRECT, "custom_url"]
NUMBERS = [0.5, -1.0, 2.0**30, 3.0]


async def tensorflow(request: Request, reader: Reader, writer: Writer) -> bool:
    del reader
    asked, told = tf_request_pb2.PredictRequest(), tf_request_pb2.PredictResponse()
    asked.ParseFromString(request.body)
    assert (asked.signature_name, list(asked.output_filter)) == ("serving_default", ["y"])
    given, out = asked.inputs["x"], told.outputs["y"]
    out.dtype = given.dtype
    out.array_shape.dim.extend(given.array_shape.dim)
    out.float_val.extend(2 * value for value in given.float_val)
    writer.write(plain(200, told.SerializeToString()))
    return True


async def torch(request: Request, reader: Reader, writer: Writer) -> bool:
    del reader
    asked, told = pytorch_predict_pb2.PredictRequest(), pytorch_predict_pb2.PredictResponse()
    asked.ParseFromString(request.body)
    out = told.outputs.add()
    out.dtype = asked.inputs[0].dtype
    out.array_shape.dim.extend(asked.inputs[0].array_shape.dim)
    out.float_val.extend(2 * value for value in asked.inputs[0].float_val)
    writer.write(plain(200, told.SerializeToString()))
    return True


def play(folder: Path, replica: Play, use: Callable[[Bench], None]) -> None:
    """Runs the blocking client in a thread beside the double."""

    async def scenario() -> None:
        async with bench(folder) as b:
            b.engines[0].play = replica
            await asyncio.to_thread(use, b)

    asyncio.run(scenario())


@contextmanager
def predictor(b: Bench, mode: str) -> Iterator[eas_prediction.PredictClient]:
    url = f"{b.gateway.url}/api/predict/foo" if mode == "custom_url" else ""
    client = eas_prediction.PredictClient(b.gateway.url, "foo", custom_url=url)
    client.set_token(TOKEN)
    client.set_endpoint_type("" if url else mode)
    client.init()
    client.logger.setLevel(logging.CRITICAL)
    try:
        yield client
    finally:
        client.destroy()
        client.connection_pool.clear()
        if mode == eas_prediction.ENDPOINT_TYPE_DIRECT:
            client.endpoint.http.clear()


@pytest.mark.parametrize("mode", MODES)
def test_a_tensorflow_request(tmp_path: Path, mode: str) -> None:
    def use(b: Bench) -> None:
        request: Any = eas_prediction.TFRequest("serving_default")
        request.add_feed("x", [2, 2], eas_prediction.TFRequest.DT_FLOAT, NUMBERS)
        request.add_fetch("y")
        with predictor(b, mode) as client:
            answer: Any = client.predict(request)
        assert answer.get_tensor_shape("y") == [2, 2]
        assert list(answer.get_values("y")) == [2 * number for number in NUMBERS]
        assert b.engines[0].requests[-1].header("authorization") is None

    play(tmp_path, tensorflow, use)


@pytest.mark.parametrize("mode", MODES)
def test_a_torch_request(tmp_path: Path, mode: str) -> None:
    def use(b: Bench) -> None:
        request: Any = eas_prediction.TorchRequest()
        request.add_feed(0, [4], eas_prediction.TorchRequest.DT_FLOAT, NUMBERS)
        with predictor(b, mode) as client:
            answer: Any = client.predict(request)
        assert answer.get_tensor_shape(0) == [4]
        assert list(answer.get_values(0)) == [2 * number for number in NUMBERS]

    play(tmp_path, torch, use)
