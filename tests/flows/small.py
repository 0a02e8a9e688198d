"""A project of three quick stages, with DVC and git, for commands that look at builds."""

import subprocess
from pathlib import Path

from tests.checkouts import ENVIRONMENT, Checkout

DAG = """
stages:
  count:
    cmd: "echo 'count: numbers 3' && mkdir -p data && cp source.txt data/count.txt"
    deps: [source.txt]
    params: [count.by]
    outs: [data/count.txt]
  double:
    cmd: "test ! -e broken || { echo 'double: no number can be read'; exit 3; }; cat data/count.txt data/count.txt > data/double.txt"
    deps: [data/count.txt]
    outs: [data/double.txt]
  other:
    cmd: "mkdir -p data && echo done > data/other.txt"
    params: [other]
    outs: [data/other.txt]
"""  # noqa: E501
PARAMS = """\
# what is counted
count: {by: 1}
other: 7
corpora: {}
runtime: {executor: local, workers: 1, ray_address: "", concurrency: 1, budget_usd: null, max_requests: null}
llm: {openai: {key_variable: SMALL_PROJECTS_KEY}}
describe: {provider: kinematic}
analyse: {provider: kinematic}
assess: {provider: kinematic}
"""


def small_project(root: Path) -> Checkout:
    """Nothing built yet; one commit."""
    root.mkdir()
    for name, text in (("dvc.yaml", DAG), ("params.yaml", PARAMS), ("source.txt", "1 2 3\n")):
        (root / name).write_text(text)
    (root / "requirements.lock").write_text("numpy==0.0.1\ndvc==3.67.1\nno-such-package==1.0\n")
    (root / ".gitignore").write_text("/data/\n/runs/\n")
    git(root, "init", "-q")
    subprocess.run(["dvc", "init", "-q"], cwd=root, env=ENVIRONMENT, check=True)
    git(root, "config", "user.email", "someone@example.org")
    git(root, "config", "user.name", "Someone")
    return committed(Checkout(root), "begun")


def committed(project: Checkout, message: str) -> Checkout:
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "--allow-empty", "-m", message)
    return project


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True)
