"""What every generation of the client does."""

import wandb
from wandb.agents import pyagent

config = {"lr": 0.1, "big": 9007199254740993, "nested": {"depth": 2}}
run = wandb.init(project="old", id="o1", config=config, tags=["t"])
for step in range(20):
    run.log({"loss": 1 / (step + 1), "nested": {"a": step}})
    print(f"step {step}")
run.log({"page": wandb.Html("<p>old</p>"), "histogram": wandb.Histogram(np_histogram=([1, 2], [0, 1, 2]))})
with open("saved file.txt", "w") as f:
    f.write("saved")
run.save("saved file.txt")
artifact = wandb.Artifact("set", "dataset", metadata={"n": 1})
with artifact.new_file("a.txt", "w") as f:
    f.write("alpha")
run.log_artifact(artifact, aliases=["best"])
run.alert("title", "text")
run.finish()

run = wandb.init(project="old", id="o1", resume="must")
assert run.starting_step == 21, run.starting_step
run.log({"loss": 0.0})
assert open(run.use_artifact("set:best").download(root="got") + "/a.txt").read() == "alpha"
run.finish()

api = wandb.Api()
read = api.run("old/o1")
assert read.state == "finished" and read.config["big"] == 9007199254740993 and read.config["nested"] == {"depth": 2}, read.config
rows = list(read.scan_history())
assert [r["_step"] for r in rows] == list(range(22)), rows
assert [r["loss"] for r in read.scan_history(keys=["loss"])] == [1 / (s + 1) for s in range(20)] + [0.0]
assert [r["loss"] for r in read.history(keys=["loss"], pandas=False)][:3] == [1.0, 0.5, 1 / 3]
assert read.lastHistoryStep == 21 and read.history_keys["keys"]["nested.a"]["previousValue"] == 19
assert read.file("saved file.txt").download(root="out", replace=True).read() == "saved"
assert "<p>old</p>" in read.file(read.summary["page"]["path"]).download(root="out", replace=True).read()
assert [r.id for r in api.runs("old", filters={"tags": "t"})] == ["o1"]
assert api.artifact("old/set:latest").aliases == ["latest", "best"] or set(api.artifact("old/set:latest").aliases) == {"latest", "best"}

source = api.artifact("old/set:best")
assert [f.name for f in source.files()] == ["a.txt"] and source.commit_hash, source.files()
collection = api.artifact_collection("dataset", "old/set")
assert collection.is_sequence()
collection.description, collection.tags = "all sets", ["kept"]
collection.save()
collection = api.artifact_collection("dataset", "old/set")
assert collection.description == "all sets" and collection.tags == ["kept"] and set(collection.aliases) == {"best", "latest"}, collection.aliases
run = wandb.init(project="old", id="o2")
derived = wandb.Artifact("derived", "dataset")
derived.add_reference(source.get_entry("a.txt"), name="again.txt")
run.log_artifact(derived).wait()
run.link_artifact(source, "old/shelf", aliases=["shown"])
run.finish()
assert open(api.artifact("old/derived:latest").download(root="through", skip_cache=True) + "/again.txt").read() == "alpha"
shown = api.artifact("old/shelf:shown")
assert shown.source_name == "set:v0" and not api.artifact_collection("dataset", "old/shelf").is_sequence()
shown.unlink()
assert list(api.artifacts("dataset", "old/shelf")) == []

pyagent.Agent.HEARTBEAT_SLEEP_SECONDS = 0.5  # newer clients only
points = []


def train():
    with wandb.init() as run:
        points.append(run.config.x)
        run.log({"score": run.config.x})


sweep = wandb.sweep({"method": "grid", "parameters": {"x": {"values": [1, 2]}}}, project="old")
wandb.agent(sweep, function=train, project="old", count=2)
assert sorted(points) == [1, 2], points
print("good")
