"""What README and docs/ say of a team's work runs as it stands there; what is not run says why."""

import re
import shutil

import pytest

from tests.helpers.documents import DOCUMENTS, console_blocks, lines
from tests.helpers.make import ROOT
from tests.helpers.project import IDENTITY, call, commit, environment
from tests.helpers.reader import Reader

NEEDS_A_CLUSTER = "needs several machines; test_cluster_stages.py starts a cluster of its own"
# How a line begins that no test runs as it stands, and why.
NOT_RUN = {
    "make ": "installs from a registry, or takes minutes to hours; CI calls the same verbs",
    "source .venv/bin/activate": "the tests run in an environment already",
    "git clone … ": "names no repository",
    "pip install ": "asks a registry",
    "latent-outliers new-project ../owls": "the tutorial does the same, on images that it makes",
    "latent-outliers new-project ../textures": "the same; README's photographs are not in the repository",
    "cd ../textures": "the same",
    "head -n 3 answers.csv": "the same",
    "latent-outliers predict models/bundle/0 ../new": "the same",
    "latent-outliers predict models/bundle/0 photos/ --fetch-encoder": "asks the hub; test_left_out.py has one",
    "export RAY_AUTH_MODE=token": NEEDS_A_CLUSTER,
    "ray ": NEEDS_A_CLUSTER,
    "RAY_ADDRESS=": NEEDS_A_CLUSTER,
    "LATENT_OUTLIERS_RANKS=": NEEDS_A_CLUSTER,
    "python -m stages.synthesize ": NEEDS_A_CLUSTER,
    "python -m benchmarks": "takes minutes to hours; tests/benchmarks runs its parts",
}
ALICE, BOB, CAROL, DAVE = "alice", "bob", "carol", "dave"
# Who does what in which order: document, heading, and who runs each of its blocks.
FIRST_RUN = [("README.md", "Change a parameter", [ALICE])]
PARAMETERS = [
    ("docs/parameters.md", "Change a parameter", [ALICE]),
    ("docs/parameters.md", "Read a result", [ALICE]),
    ("docs/parameters.md", "Compare experiments", [ALICE]),
    ("docs/images.md", "Nothing is dropped", [ALICE]),
    ("docs/encoders.md", "Wide maps", [ALICE]),
    ("docs/api.md", "Decide for yourself", [ALICE, ALICE]),
    ("docs/api.md", "One file for any program", [ALICE]),
    ("docs/api.md", "Folders of images", [ALICE]),
]
SHARING = [
    ("docs/sharing.md", "The first push", [ALICE]),
    ("docs/sharing.md", "A new colleague", [BOB]),
    ("docs/sharing.md", "Change one method", [ALICE]),
    ("docs/sharing.md", "Use the shards", [CAROL]),
    ("docs/sharing.md", "Look at a version", [CAROL]),
    ("docs/sharing.md", "Take outliers", [ALICE]),
    ("docs/scaling.md", "2. Links", [ALICE]),
    ("docs/scaling.md", "3. Cloud", [ALICE]),
]
README_SHARING = [("README.md", "Share shards", [ALICE, DAVE])]
CHOOSE = [("docs/parameters.md", "Parameters and results", [ALICE]), ("docs/parameters.md", "Presets", [ALICE])]
EVERY = [*FIRST_RUN, *PARAMETERS, *SHARING, *README_SHARING, *CHOOSE]


def test_every_line_is_run_or_says_why_not():
    run = {line for document, heading, _ in EVERY for block in blocks(document, heading) for line in lines(block)}
    tutorial = {line for block in console_blocks(ROOT / "docs/tutorial.md") for line in lines(block)}
    for document in DOCUMENTS:
        for line in (line for block in console_blocks(document) for line in lines(block)):
            assert line in run | tutorial or line.startswith(tuple(NOT_RUN)), f"{document.name}: {line}"


def test_what_is_not_run_stands_in_a_document():
    every = [line for document in DOCUMENTS for block in console_blocks(document) for line in lines(block)]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in every)] == []


def blocks(document, heading):
    found = console_blocks(ROOT / document, heading)
    assert found, f"{document}: no commands below {heading}"
    return found


class Team:
    """Three people, each with a folder of their own, a repository that alice pushes to, and a folder as a remote."""

    def __init__(self, folder, made):
        self.folder = folder
        alice, origin = folder / ALICE, folder / "origin"
        call(folder, "git", "clone", "--quiet", made, alice)
        call(alice, "git", "checkout", "--quiet", "-B", "main")
        shutil.copytree(ROOT / "presets", alice / "presets")
        commit(alice, "presets")
        call(alice, "git", "tag", "start")
        shutil.copytree(made / ".dvc/cache", alice / ".dvc/cache")
        self.lock = made / "dvc.lock"
        self.start_again()
        (alice / "photos").mkdir()
        (alice / "more").mkdir()
        (alice / "good").mkdir()
        for picture in ("photos/dog.jpg", "more/cat.jpg", *(f"good/{number}.png" for number in range(20))):
            make_picture(alice / picture)
        call(folder, "git", "init", "--quiet", "--bare", "--initial-branch", "main", origin)
        call(alice, "git", "remote", "set-url", "origin", origin)
        call(alice, "git", "push", "--quiet", "--set-upstream", "origin", "main")

    def start_again(self):
        """Let alice have her first run, not committed, and no experiment."""
        call(self.folder / ALICE, "git", "reset", "--quiet", "--hard", "start")
        call(self.folder / ALICE, "dvc", "exp", "remove", "--all-commits")
        shutil.copy(self.lock, self.folder / ALICE)
        call(self.folder / ALICE, "dvc", "checkout")

    def do(self, story):
        for document, heading, people in story:
            for name, block in zip(people, blocks(document, heading), strict=True):
                self.reader(name).console(self.written(block))

    def reader(self, name):
        """Return somebody in a folder of their own, a clone of what alice has pushed unless they have one."""
        if not (self.folder / name).exists():
            call(self.folder, "git", "clone", "--quiet", self.folder / "origin", self.folder / name)
        reader = Reader(self.folder / name)
        reader.environment = environment(reader.folder) | IDENTITY | {"PYTHONPATH": str(reader.folder)}
        return reader

    def written(self, block):
        """Return a block without what is not run, with folders of this test in place of a reader's."""
        kept = [line for line in block.splitlines() if not line.removeprefix("$ ").startswith(tuple(NOT_RUN))]
        text = "\n".join(kept) + "\n"
        text = text.replace("/mnt/team", str(self.folder / "mnt"))
        return text.replace("https://git.example.org/alice/project", str(self.folder / "origin"))


def make_picture(path):
    from PIL import Image

    Image.linear_gradient("L").convert("RGB").save(path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_the_documents_say_of_parameters_and_of_sharing_runs_as_written(made, tmp_path):
    team = Team(tmp_path, made[0])
    alice = tmp_path / ALICE
    team.do(FIRST_RUN)
    team.start_again()
    team.do(PARAMETERS)
    team.start_again()
    team.do(SHARING)
    assert (tmp_path / BOB / "models/detector/0").is_dir()
    assert (tmp_path / CAROL / "data/outliers/alice_perturb.dvc").is_file()
    call(alice, "dvc", "remote", "remove", "team")
    team.do(README_SHARING)
    (alice / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    team.do(CHOOSE)
    assert re.search("kind: dataset", (alice / "params.yaml").read_text())
