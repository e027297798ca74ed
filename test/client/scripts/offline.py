"""Trains without a network."""

import wandb

for name in ["off-1", "off-2"]:
    run = wandb.init(project="offline", id=name, mode="offline", config={"name": name})
    for step in range(50):
        run.log({"loss": step / 3})
    run.log({"page": wandb.Html("<p>offline</p>")})
    artifact = wandb.Artifact("weights", "model")
    with open(f"{name}.txt", "w") as f:
        f.write(name)
    artifact.add_file(f"{name}.txt", name="w.txt")  # files of new_file end with the process in 0.19
    run.log_artifact(artifact)
    print("printed offline")
    run.finish()
print("good")
