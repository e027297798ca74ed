"""Artifacts: versions, aliases, references, lineage."""

import hashlib
import os
import pathlib

import orderly  # noqa: F401
import wandb

pathlib.Path("data/deep").mkdir(parents=True)
content = {"a.txt": b"alpha", "deep/b with space.bin": os.urandom(200_000), "deep/empty": b"", "ü.txt": "ü".encode()}
for name, data in content.items():
    pathlib.Path("data", name).write_bytes(data)

elsewhere = os.environ["WANDB_BASE_URL"] + "/healthz"  # any page will do

run = wandb.init(project="artifacts", id="maker")
pointers = wandb.Artifact("pointers", "dataset")
pointers.add_reference("nfs://server/share/file", name="far away", checksum=False)
run.log_artifact(pointers).wait()
first = wandb.Artifact("set", "dataset", description="first", metadata={"rows": 3, "rate": 0.5})
first.add_dir("data")
first.add_reference(elsewhere, name="far", checksum=False)
first.add_reference(f"file://{os.path.abspath('data/a.txt')}", name="near.txt")
run.log_artifact(first, aliases=["best", "v-one"])
first.wait()
assert first.version == "v0" and set(first.aliases) == {"latest", "best", "v-one"}, first.aliases

same = wandb.Artifact("set", "dataset")
same.add_dir("data")
same.add_reference(elsewhere, name="far", checksum=False)
same.add_reference(f"file://{os.path.abspath('data/a.txt')}", name="near.txt")
run.log_artifact(same, aliases=["again"]).wait()
assert same.version == "v0", same.version

second = wandb.Artifact("set", "dataset")
second.add_dir("data")
with second.new_file("more.txt", "w") as f:
    f.write("more")
run.log_artifact(second, aliases=["best"]).wait()
assert second.version == "v1", second.version
table = wandb.Artifact("tables", "evaluation")
table.add(wandb.Table(columns=["a"], data=[[1], [2]]), "t")
run.log_artifact(table).wait()
run.finish()

run = wandb.init(project="artifacts", id="user")
used = run.use_artifact("set:v0")
root = pathlib.Path(used.download(root="got", skip_cache=True))
for name, data in content.items():
    assert (root / name).read_bytes() == data, name
assert (root / "near.txt").read_bytes() == b"alpha"
assert used.manifest.entries["far"].ref == elsewhere and (root / "far").read_bytes()
assert used.metadata == {"rows": 3, "rate": 0.5} and used.description == "first"
assert run.use_artifact("tables:latest").get("t").data == [[1], [2]]
run.finish()

api = wandb.Api()
versions = list(api.artifacts("dataset", "artifacts/set"))
assert [a.version for a in versions] == ["v1", "v0"], versions
assert "best" in versions[0].aliases and "best" not in versions[1].aliases, [v.aliases for v in versions]
assert "again" in versions[1].aliases, versions[1].aliases
assert len({a.commit_hash for a in versions}) == 2, [a.commit_hash for a in versions]
assert api.artifact("artifacts/set").version == "v1"
assert api.artifact("artifacts/set:best").version == "v1"
old = api.artifact("artifacts/set:v0")
assert [r.id for r in old.used_by()] == ["user"] and old.logged_by().id == "maker"
assert old.size == sum(len(d) for d in content.values()) + 5 or old.size >= sum(len(d) for d in content.values()), old.size
old.aliases.append("kept")
old.description = "changed"
old.metadata["rows"] = 4
old.save()
again = api.artifact("artifacts/set:kept")
assert again.version == "v0" and again.description == "changed" and again.metadata["rows"] == 4
entry = again.get_entry("deep/b with space.bin")
got = pathlib.Path(entry.download(root="one")).read_bytes()
assert hashlib.md5(got).digest() == hashlib.md5(content["deep/b with space.bin"]).digest()
assert sorted(f.name for f in again.files()) == sorted(list(content) + ["far", "near.txt"]), [f.name for f in again.files()]
assert sorted(t.name for t in api.artifact_types("artifacts"))[:2] == ["dataset", "evaluation"]
assert sorted(c.name for c in api.artifact_type("dataset", "artifacts").collections()) == ["pointers", "set"]
assert api.artifact("artifacts/pointers:v0").manifest.entries["far away"].ref == "nfs://server/share/file"
assert api.artifact_exists("artifacts/set:v1") and not api.artifact_exists("artifacts/set:v9")
assert {a.name for a in api.run("artifacts/maker").logged_artifacts()} >= {"set:v0", "set:v1", "tables:v0"}
assert {a.name for a in api.run("artifacts/user").used_artifacts()} == {"set:v0", "tables:v0"}

draft = again.new_draft()
draft.remove("a.txt")
with draft.new_file("new.txt", "w") as f:
    f.write("new")
run = wandb.init(project="artifacts", id="drafter")
run.log_artifact(draft).wait()
assert draft.version == "v2", draft.version
assert "a.txt" not in draft.manifest.entries and "new.txt" in draft.manifest.entries
linked = run.link_artifact(draft, "portfolio", aliases=["prod"])
assert api.artifact("artifacts/portfolio:prod").source_version == "v2" if linked is not None else True
run.finish()
api.artifact("artifacts/set:v1").delete(delete_aliases=True)
assert not api.artifact_exists("artifacts/set:v1")
print("good")
