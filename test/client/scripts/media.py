"""Media and tables, each file downloaded and compared with what was logged."""

import hashlib
import pathlib
import struct
import wave

import numpy as np
from PIL import Image

import wandb

rng = np.random.default_rng(7)
pathlib.Path("in").mkdir()
Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save("in/picture.png")
with wave.open("in/tone.wav", "wb") as w:
    w.setnchannels(1), w.setsampwidth(2), w.setframerate(8000)
    w.writeframes(b"".join(struct.pack("<h", i % 300) for i in range(800)))
pathlib.Path("in/page.html").write_text("<h1>ünïcode</h1><script>1</script>")
pathlib.Path("in/cube.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
pathlib.Path("in/clip.mp4").write_bytes(bytes(rng.integers(0, 255, 3000, dtype=np.uint8)))
pathlib.Path("in/note with 100%.txt").write_text("kept")
pathlib.Path("in/empty.txt").write_text("")

run = wandb.init(project="media", id="media-1", settings=wandb.Settings(x_file_stream_transmit_interval=1))
table = wandb.Table(columns=["n", "text", "picture"])
for i in range(20):
    table.add_data(i, f"row {i} <script>", wandb.Image("in/picture.png"))
run.log(
    {
        "image": wandb.Image("in/picture.png", caption="a picture"),
        "images": [wandb.Image(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)) for _ in range(3)],
        "boxes": wandb.Image(
            "in/picture.png",
            boxes={"p": {"box_data": [{"position": {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}, "class_id": 1}], "class_labels": {1: "x"}}},
        ),
        "audio": wandb.Audio("in/tone.wav"),
        "HT%3ML ": wandb.Html(open("in/page.html")),
        "histogram": wandb.Histogram([1, 2, 2, 3, 9]),
        "video": wandb.Video("in/clip.mp4", format="mp4"),
        "object": wandb.Object3D("in/cube.obj"),
        "table": table,
    }
)
run.save("in/*.txt", base_path="in")
run.log_code(".", include_fn=lambda p: p.endswith("cube.obj"))
folder, path = pathlib.Path(run.dir), run.path
run.finish()

read = wandb.Api().run(path)
summary = read.summary_metrics
assert summary["image"]["_type"] == "image-file" and summary["images"]["_type"] == "images/separated", dict(summary)
assert summary["histogram"]["_type"] == "histogram" and sum(summary["histogram"]["values"]) == 5
assert summary["table"]["nrows"] == 20 and summary["table"]["ncols"] == 3
wanted = [summary[k]["path"] for k in ["image", "boxes", "audio", "HT%3ML ", "video", "object", "table"]]
wanted += summary["images"]["filenames"] + ["note with 100%.txt", "empty.txt"]
files = {f.name: f for f in read.files(per_page=7)}
for name in wanted:
    assert name in files, (name, sorted(files))
    file = files[name]
    local = folder / name
    got = pathlib.Path(file.download(root="out", replace=True).name).read_bytes()
    assert got == local.read_bytes(), name
    assert file.size == len(got), (name, file.size)
one = read.file("./note with 100%.txt").download(root="again", replace=True).read()
assert one == "kept", one
digest = hashlib.sha256((folder / summary["image"]["path"]).read_bytes()).hexdigest()
assert summary["image"]["sha256"] == digest
row = next(iter(read.scan_history()))
assert row["table"]["path"] == summary["table"]["path"]
logged = {a.type: a for a in read.logged_artifacts()}
assert logged["run_table"].get("table").data[3][1] == "row 3 <script>"
print("image:", summary["image"]["path"])
print("good")
