"""Everything of an entity, for a comparison: one line per thing in a file, because the client prints as it likes.

With "none" nothing may be seen.
"""

import hashlib
import json
import pathlib
import shutil
import sys
import tempfile

import orderly  # noqa: F401
import wandb

entity, mode, listing = sys.argv[1:4]
projects = sys.argv[4:]
api = wandb.Api()
found = []


def sha(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


for project in projects:
    try:
        runs = list(api.runs(f"{entity}/{project}"))
    except (ValueError, wandb.errors.CommError):
        runs = []
    for run in runs:
        found.append(f"run {run.id} {run.state} {json.dumps(run.config, sort_keys=True)} {run.json_config}")
        found.append(f"summary {run.id} {json.dumps(run.summary._json_dict, sort_keys=True)}")
        rows = list(run.scan_history())
        found.extend(f"row {run.id} {json.dumps(row, sort_keys=True)}" for row in rows)
        for file in run.files():
            with tempfile.TemporaryDirectory() as folder:
                found.append(f"file {run.id} {file.name} {sha(file.download(root=folder).name)}")
        for artifact in run.logged_artifacts():
            entries = artifact.manifest.entries
            listed = {name: (entry.digest, entry.ref) for name, entry in entries.items()}
            found.append(f"version {artifact.name} {sorted(artifact.aliases)} {json.dumps(listed, sort_keys=True)}")
            if any((entry.ref or "").startswith("nfs:") for entry in entries.values()):
                continue  # nobody can download it
            folder = tempfile.mkdtemp()
            artifact.download(root=folder, skip_cache=True)
            for path in sorted(pathlib.Path(folder).rglob("*")):
                if path.is_file():
                    found.append(f"artifact {artifact.name} {path.relative_to(folder)} {sha(path)}")
            shutil.rmtree(folder)
if mode == "none":
    assert not found, found
    for name in projects:
        for thing in (lambda: api.run(f"{entity}/{name}/x"), lambda: api.artifact(f"{entity}/{name}/x:latest")):
            try:
                thing()
                raise SystemExit("something was seen")
            except (ValueError, wandb.errors.CommError):
                pass
else:
    assert found
pathlib.Path(listing).write_text("\n".join(sorted(found)))
print("good")
