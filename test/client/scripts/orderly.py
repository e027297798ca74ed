"""Imported for its effect: downloads of an artifact use one thread.

With skip_cache the threads of one download share the path that they write to, and mix up their files.
"""

from wandb.sdk.artifacts import artifact

assert artifact._FILE_EXECUTOR_WORKERS > 0
artifact._FILE_EXECUTOR_WORKERS = 1
