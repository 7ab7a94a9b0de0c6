"""In a real browser the JavaScript of the card answers as the bundle. `npm install --prefix .node onnxruntime-web`."""

import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from pipeline.detector.as_onnx.export import export_onnx
from pipeline.detector.detector import Detector
from tests.detector.make import pictures, tiny_bundle
from tests.helpers.browser import BROWSER, NO_BROWSER, opened_browser
from tests.helpers.make import ROOT

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
RUNTIME = ROOT / ".node/node_modules/onnxruntime-web/dist"
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER),
    pytest.mark.skipif(not RUNTIME.is_dir(), reason=f"{RUNTIME.relative_to(ROOT)} is not there"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
PAGE = """<!doctype html><meta charset="utf-8"><title>test</title>
<script type="importmap">{"imports": {"onnxruntime-web": "./runtime/ort.wasm.min.mjs"}}</script>
<script type="module">
  import { ask } from "./ask.js";
  window.answer = async name => {
    const image = new Image();
    image.src = name;
    await image.decode();
    return await ask(image);
  };
</script>"""
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


class Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".js": "text/javascript"}

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """Return a folder, and the address at which it is served."""
    (tmp_path / "runtime").mkdir()
    for name in FILES:
        shutil.copy(RUNTIME / name, tmp_path / "runtime" / name)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("score", ["knn", "combined"])
def test_the_example_answers_as_the_bundle(score, site):
    folder, address = site
    detector = Detector.load(tiny_bundle(folder / "bundle", score), device="cpu")
    export_onnx(detector, folder / "detector.onnx")
    (code,) = re.findall(r"```js\n(.*?)```", (folder / "detector.md").read_text(), re.DOTALL)
    (folder / "ask.js").write_text(code)
    (folder / "index.html").write_text(PAGE)
    photos = pictures(4, 32) + pictures(4, 50, seed=1)
    for index, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{index}.png")
    with opened_browser(folder / "profile") as browser:
        page = browser.new_page()
        page.goto(f"{address}/index.html")
        page.wait_for_function("() => window.answer")
        answers = [page.evaluate("name => window.answer(name)", f"{index}.png") for index in range(len(photos))]
    for answer, wanted in zip(answers, detector.predict(photos), strict=True):
        assert (answer["name"], answer["isOutlier"]) == (wanted.label, wanted.is_outlier)
        assert answer["probability"] == pytest.approx(wanted.probability, abs=1e-4)
        assert answer["score"] == pytest.approx(wanted.outlier_score, rel=2e-3, abs=2e-3)
