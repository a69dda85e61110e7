import asyncio
import base64
import io
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image
from torch import nn

import reswork as rw
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.shipping import engines
from reswork.shipping.server_settings import Limits, is_loopback


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def pictures(data: Dataset) -> list[bytes]:
    return [png(each[0]) for each in data.test.images.numpy()]


@pytest.fixture(scope="module")
def server(onnx_folder: Path) -> Iterator[rw.Server]:
    limits = Limits(most_bytes=200_000, most_images=4, most_pixels=10_000, most_waiting=64, timeout_s=60)
    with rw.serve(onnx_folder, threads=1, token="secret", limits=limits) as found:
        yield found
        assert found.stop() == 0


@pytest.fixture(scope="module")
def client(server: rw.Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer secret"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=300, trust_env=False) as found:
        yield found


def expected(folder: Path, data: Dataset) -> np.ndarray:
    logits = (
        rw.open_artefact(folder)
        .open(1)(rw.datasets.normalise(data.test.images, data.mean, data.std).numpy())
        .astype(np.float64)
    )
    chances = np.exp(logits - logits.max(1, keepdims=True))
    return chances / chances.sum(1, keepdims=True)


def test_answers_are_those_of_the_notebook_in_every_form(
    server: rw.Server, client: httpx.Client, onnx_folder: Path, data: Dataset, pictures: list[bytes]
) -> None:
    chances = expected(onnx_folder, data)
    found = server.ask(pictures[:3], top=2)
    for row, answer in zip(chances, found, strict=False):
        np.testing.assert_allclose(answer["probabilities"], row, atol=1e-6)
        best = np.argsort(-row)[:2]
        assert [each["class"] for each in answer["top"]] == [data.classes[k] for k in best]
    raw = client.post("/predict", content=pictures[0], headers={"Content-Type": "image/png"}).json()
    assert raw == {"version": server.version, "answers": raw["answers"]}
    np.testing.assert_allclose(raw["answers"][0]["probabilities"], chances[0], atol=1e-6)
    form = client.post(
        "/predict", files=[("files", ("../../etc/passwd", each)) for each in pictures[:2]]
    ).json()
    np.testing.assert_allclose([each["probabilities"] for each in form["answers"]], chances[:2], atol=1e-6)


def test_of_many_requests_at_once_none_is_lost_or_mixed_up(
    client: httpx.Client, onnx_folder: Path, data: Dataset, pictures: list[bytes]
) -> None:
    chances = expected(onnx_folder, data)

    def ask(index: int) -> None:
        found = client.post("/predict", content=pictures[index], headers={"Content-Type": "image/png"})
        np.testing.assert_allclose(found.json()["answers"][0]["probabilities"], chances[index], atol=1e-6)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(40)))


def test_a_notebook_gets_the_same_numbers_to_the_last_bit(
    server: rw.Server, onnx_folder: Path, pictures: list[bytes]
) -> None:
    artefact = rw.open_artefact(onnx_folder)
    for asked in (pictures[0], pictures[:4]):
        assert server.ask(asked) == artefact.ask(asked, threads=1)


def test_an_engine_that_is_killed_costs_no_request_and_comes_back(
    client: httpx.Client, server: rw.Server, onnx_folder: Path, data: Dataset, pictures: list[bytes]
) -> None:
    chances, before = expected(onnx_folder, data), server.metrics()
    assert server.process is not None
    front = psutil.Process(server.process.pid)
    (engine,) = front.children()

    def ask(index: int) -> None:
        if index == 20:
            engine.kill()
        found = client.post("/predict", content=pictures[index], headers={"Content-Type": "image/png"})
        assert found.status_code == 200, found.text
        np.testing.assert_allclose(found.json()["answers"][0]["probabilities"], chances[index], atol=1e-6)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(40)))
    after = server.metrics()
    assert after["reswork_engine_restarts_total"] == before["reswork_engine_restarts_total"] + 1
    assert after["reswork_errors_total"] == before["reswork_errors_total"]
    assert front.children() != [engine]


def test_an_answer_tells_where_it_sees_that_as_captum_does(
    client: httpx.Client, server: rw.Server, network: nn.Module, data: Dataset, pictures: list[bytes]
) -> None:
    from captum.attr import Occlusion

    (found,) = server.ask(pictures[3], explain=4)
    drop, named = np.array(found["attribution"]["drop"]), data.classes.index(found["attribution"]["class"])
    assert found["attribution"]["class"] == found["top"][0]["class"]
    inputs = rw.datasets.normalise(data.test.images[3:4], data.mean, data.std)
    maps = Occlusion(lambda x: network(x).softmax(1)).attribute(
        inputs, (1, 2, 2), strides=(1, 2, 2), baselines=0, target=named
    )
    np.testing.assert_allclose(drop, maps[0, 0, ::2, ::2].detach().numpy(), atol=1e-5)
    several = client.post("/predict?explain=2", files=[("files", ("a.png", each)) for each in pictures[:2]])
    assert several.status_code == 400 and "one picture" in several.json()["error"]


def test_drift_is_told_once_enough_other_images_came(onnx_folder: Path, data: Dataset) -> None:
    from reswork.shipping.service import Service

    async def told(images: np.ndarray) -> dict[str, tuple[float, float]]:
        service = Service(onnx_folder, Limits(most_images=64, timeout_s=300), threads=1)
        transport = httpx.ASGITransport(service.app)
        async with (
            service.app.router.lifespan_context(service.app),
            httpx.AsyncClient(transport=transport, base_url="http://test", timeout=300) as client,
        ):
            for _ in range(2):
                assert np.isnan(service.drift("brightness"))
                body = {"images": [base64.b64encode(png(each[0])).decode() for each in images]}
                assert (await client.post("/predict", json=body)).status_code == 200
            assert 'reswork_drift{of="contrast"}' in (await client.get("/metrics")).text
            names = ("brightness", "contrast", "confidence")
            return {name: (service.drift(name), service.drift(name, by_chance=True)) for name in names}

    usual = data.train.images.numpy()
    found = asyncio.run(told(usual))
    assert found["brightness"][0] < found["brightness"][1] and found["contrast"][0] < found["contrast"][1]
    found = asyncio.run(told(usual // 3))
    assert all(found[name][0] > found[name][1] for name in ("brightness", "contrast"))


def hostile(pictures: list[bytes]) -> dict[str, tuple[dict[str, object], int, str]]:
    text, good = {"Content-Type": "application/json"}, base64.b64encode(pictures[0]).decode()
    image = {"Content-Type": "image/png"}
    bomb = png(np.zeros((101, 100), np.uint8))

    def js(values: object) -> dict[str, object]:
        return {"content": json.dumps(values), "headers": text}

    return {
        "bomb": ({"content": bomb, "headers": image}, 413, "100x101 pixels; at most 10,000"),
        "too long": ({"content": b"0" * 200_001, "headers": image}, 413, "at most 200,000"),
        "long without saying so": ({"content": iter([b"0" * 150_000] * 2), "headers": image}, 413, "more than 200,000"),
        "empty": ({"content": b"", "headers": image}, 400, "empty file"),
        "cut": ({"content": pictures[0][:60], "headers": image}, 400, "picture 0 cannot be read"),
        "no picture": ({"content": b"%PDF-1.4", "headers": image}, 400, "no image of a known format"),
        "text": ({"content": b"hello", "headers": {"Content-Type": "text/html"}}, 415, "content type 'text/html'"),
        "no json": ({"content": b"{", "headers": text}, 400, "no JSON"),
        "deep json": ({"content": b"[" * 90_000, "headers": text}, 400, "no JSON"),
        "a list": (js([good]), 400, 'no list of texts under "images"'),
        "numbers": (js({"images": [1]}), 400, 'no list of texts under "images"'),
        "no base64": (js({"images": ["../../etc/passwd"]}), 400, "picture 0 is no base64"),
        "none": (js({"images": []}), 400, "0 pictures in one request"),
        "many": (js({"images": [good] * 5}), 400, "5 pictures in one request: send 1 to 4"),
        "the second": (js({"images": [good, base64.b64encode(b"no").decode()]}), 400, "picture 1 cannot be read"),
        "a broken form": (
            {"content": b"--x\r\nnonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, ""
        ),
        "a form without a boundary": (
            {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "cannot be read",
        ),
        "a wrong token": (
            {"content": pictures[0], "headers": {**image, "Authorization": "Bearer sécret".encode()}},
            401,
            "TOKEN",
        ),
        "top": ({"content": pictures[0], "headers": image, "params": {"top": "0"}}, 422, ""),
    }  # fmt: skip


def test_hostile_requests_get_a_status_and_a_sentence_and_the_server_goes_on(
    client: httpx.Client, server: rw.Server, pictures: list[bytes]
) -> None:
    for name, (request, status, told) in hostile(pictures).items():
        found = client.post("/predict", **request)
        assert found.status_code == status, (name, found.text)
        assert told in found.json().get("error", ""), (name, found.text)
    assert len(server.ask(pictures[0])) == 1
    numbers = server.metrics()
    assert numbers["reswork_errors_total"] == 0 and numbers["reswork_queue"] == 0


def test_metrics_count_what_was_asked(client: httpx.Client, server: rw.Server, pictures: list[bytes]) -> None:
    before = server.metrics()
    server.ask(pictures[:3])
    client.post("/predict", content=b"", headers={"Content-Type": "image/png"})
    after = server.metrics()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert (
        grown("reswork_requests_total{status=200}") == 1 and grown("reswork_requests_total{status=400}") == 1
    )
    assert grown("reswork_answers_total") == 3 and grown("reswork_request_seconds_count") == 2
    assert grown("reswork_confidence_count") == 3 and grown("reswork_uptime_seconds") > 0
    assert after["reswork_ready"] == 1
    assert httpx.get(f"{server.url}/health", trust_env=False, timeout=300).json() == {"status": "alive"}
    assert httpx.get(f"{server.url}/metrics", trust_env=False, timeout=300).status_code == 401
    assert client.get("/ready").json() == {"status": "ready", "version": server.version}
    assert "/predict" in client.get("/openapi.json").json()["paths"]


def test_another_version_takes_over_under_load_and_a_damaged_one_does_not(
    client: httpx.Client,
    server: rw.Server,
    onnx_folder: Path,
    torch_folder: Path,
    pictures: list[bytes],
    tmp_path: Path,
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(onnx_folder, damaged)
    (damaged / "model.onnx").write_bytes((onnx_folder / "model.onnx").read_bytes() + b"!")
    old, new = server.version, rw.open_artefact(torch_folder).version

    def ask(index: int) -> str:
        found = client.post("/predict", content=pictures[index % 60], headers={"Content-Type": "image/png"})
        assert found.status_code == 200, found.text
        return str(found.json()["version"])

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, k) for k in range(60)]
        with pytest.raises(InvalidSetting, match=rf"model\.onnx has changed.*{old} goes on"):
            server.reload(damaged)
        assert server.reload(torch_folder) == new
        asked += [pool.submit(ask, k) for k in range(20)]
        versions = [each.result() for each in asked]
    assert set(versions) <= {old, new} and versions[-1] == new
    assert server.reload(onnx_folder) == old and ask(0) == old
    numbers = server.metrics()
    errors = [numbers[f"reswork_test_error{{version={when}}}"] for when in ("now", "before")]
    assert errors[0] == errors[1] == 1 - rw.open_artefact(onnx_folder).facts["metrics"]["top1"]
    assert numbers["reswork_reloads_total{result=done}"] == 2
    assert numbers["reswork_reloads_total{result=refused}"] == 1


def test_a_port_in_use_and_a_damaged_folder_are_told(onnx_folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(onnx_folder, damaged)
    (damaged / "examples.npz").unlink()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InvalidSetting, match=r"port=\d+ of 127\.0\.0\.1 cannot be taken"):
            rw.serve(onnx_folder, port=taken.getsockname()[1])
    with pytest.raises(InvalidSetting, match=r"has no model\.json"):
        rw.serve(tmp_path)
    with pytest.raises(InvalidSetting, match="port=70000 is none"):
        rw.serve(onnx_folder, port=70000)


def test_a_full_queue_and_a_slow_engine_are_refused_in_time(onnx_folder: Path, pictures: list[bytes]) -> None:
    from reswork.shipping.service import Service

    service = Service(onnx_folder, Limits(most_waiting=2, timeout_s=60), threads=1)

    async def main() -> None:
        life = service.app.router.lifespan_context(service.app)
        transport = httpx.ASGITransport(service.app)
        async with (
            life,
            httpx.AsyncClient(transport=transport, base_url="http://test", timeout=300) as client,
        ):

            async def ask() -> httpx.Response:
                return await client.post(
                    "/predict", content=pictures[0], headers={"Content-Type": "image/png"}
                )

            service.waiting = 2
            found = await ask()
            assert (found.status_code, found.headers["retry-after"]) == (429, "1")
            service.waiting = 0
            assert (await ask()).status_code == 200
            service.limits = Limits(timeout_s=0.0)
            found = await ask()
            assert found.status_code == 504 and "no answer within 0 s" in found.text
            assert service.waiting == 0
            service.stopping = True
            assert (await client.get("/ready")).status_code == 503

    asyncio.run(main())


def test_the_command_serves_and_a_server_ends_with_whoever_started_it(onnx_folder: Path) -> None:
    command = [sys.executable, "-m", "reswork", "serve", str(onnx_folder), "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().split()[0]
        (server,) = psutil.Process(parent.pid).children()
        (engine,) = server.children()
        assert httpx.get(f"{url}/ready", trust_env=False, timeout=300).status_code == 200
        parent.kill()  # it cannot stop it any more
        for each in (server, engine):
            with suppress(psutil.NoSuchProcess):
                each.wait(300)


def test_pictures_come_out_of_a_server_in_their_own_sizes(tmp_path: Path) -> None:
    data = rw.datasets.photographs(scale=2, patches=4, patch=16).subset(test=6)
    made = rw.export(
        rw.edsr(depth=8, width=4).eval(), tmp_path / "out", data=data, format="torch", examples=2
    )
    rng = np.random.default_rng(0)
    several = [
        png(rng.integers(0, 256, (*size, 3), np.uint8)) for size in ((21, 30), (16, 16), (270, 17), (21, 30))
    ]
    with rw.serve(made, threads=1, limits=Limits(most_pixels=40_000, timeout_s=60)) as server:
        assert server.ask(several) == made.ask(several, threads=1)  # to the last bit
        url, image = f"{server.url}/predict", {"Content-Type": "image/png"}

        def post(**more: object) -> httpx.Response:
            return httpx.post(url, trust_env=False, timeout=300, **more)

        with ThreadPoolExecutor(4) as pool:  # of several sizes at once
            asked = [pool.submit(server.ask, each) for each in several * 3]
            assert [each.result() for each in asked] == [made.ask(each, threads=1) for each in several] * 3
        found = post(content=several[0], headers={**image, "Accept": "image/png"})
        assert found.headers["content-type"] == "image/png"
        assert found.content == made.ask(several[0], threads=1)[0]["png"]
        assert Image.open(io.BytesIO(found.content)).size == (60, 42)
        both = {"images": [base64.b64encode(each).decode() for each in several[:2]]}
        assert post(json=both, headers={"Accept": "image/*"}).json()["answers"][1]["width"] == 32
        found = post(json=both, headers={"Accept": "image/png"})
        assert found.status_code == 400 and "image/png is one picture and 2 came" in found.json()["error"]
        found = post(content=png(np.zeros((101, 100), np.uint8)), headers=image)
        assert (
            found.status_code == 413
            and "would become 200x202 pixels; at most 40,000" in found.json()["error"]
        )
        found = post(content=several[1], headers=image, params={"explain": "4"})
        assert found.status_code == 400 and "leave it out" in found.json()["error"]
        assert server.metrics()["reswork_errors_total"] == 0
    with pytest.raises(InvalidSetting, match="'restoration', which cannot be bundled yet: rw"):
        rw.bundle(made, tmp_path / "bundle", target="container")


def test_who_may_reach_an_address() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.4", "example.org")))


def test_a_package_that_is_missing_is_named_with_its_extra(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    with pytest.raises(
        InvalidSetting, match=r"uvicorn, which is not installed: pip install 'reswork\[serve\]'"
    ):
        rw.serve(network)
