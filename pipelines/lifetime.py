"""How long a process of a run lives: no longer than the one that started it."""

import os
import threading
import time

import psutil


def die_with_parent() -> None:
    """End this process once the one that started it is gone.

    A killed `dvc` would leave its stage behind as an orphan that goes on writing while the next `dvc repro` runs. DVC
    starts a stage through the user's shell. Some shells (bash) step aside for a single command, others (dash) stay
    between, and outlive `dvc`: so whoever stands behind such a shell is watched as well.
    """
    parent = os.getppid()
    watched = []
    for ancestor in psutil.Process().parents():
        watched.append(ancestor)
        if "-c" not in ancestor.cmdline()[1:-1]:
            break

    def watch() -> None:
        while os.getppid() == parent and all(map(_lives, watched)):
            time.sleep(0.5)
        os._exit(1)

    def _lives(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()
