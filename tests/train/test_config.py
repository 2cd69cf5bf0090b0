"""Settings: what is read, refused, and written back."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.errors import UsageError
from camcli.train.config import TrainConfig
from camcli.train.config_file import changed, read_config, resolve, to_toml

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(text, "utf-8")
    return path


def test_command_line_beats_file_beats_default(tmp_path):
    path = write(tmp_path, 'epochs = 7\nlr = 1\nbatch-size = 8\ndata = "x"\n')
    config = resolve(path, {"epochs": 9})
    assert (config.epochs, config.batch_size, config.lr, config.head_solver()) == (
        9,
        8,
        1.0,
        "adamw",
    )
    assert isinstance(config.lr, float)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochz = 3", "did you mean epochs"),
        ("epochs = 'five'", "epochs must be a whole number"),
        ("epochs = true", "epochs must be a whole number"),
        ("epochs = 2.5", "epochs must be a whole number"),
        ("cache = 1", "cache must be true or false"),
        ("[train]\nepochs = 3", "no setting 'train'"),
        ("epochs = ", "not well-formed TOML"),
        ("epochs = 0", "--epochs must be at least 1"),
        ("solver = 'adam'", "--solver takes adamw, sgd, lbfgs"),
        ("lr = -1", "--lr must be above 0"),
        ("lr = nan", "--lr must be above 0"),
        ("members = 'pretrained,rondom'", "pretrained, random, reinit.*'rondom'"),
        ("members = 'random,reinit'", "--unfreeze layer4"),
        ("ensemble = 3\nmembers = 'random,pretrained'", "name as many"),
        ("solver = 'lbfgs'\ncache = false", "--no-cache"),
        ("fit = 'whole'\nunfreeze = 'layer4'", "of one shape"),
        ("label-smoothing = 1", "--label-smoothing"),
        ("folds = 1", "--folds 1 leaves no images to learn from"),
        ("seed = 4294967296", "--seed must be at most"),
        ("warmup = inf", "--warmup must be at most"),
        ("weight-decay = inf", "--weight-decay must be at most"),
        ("l2 = nan", "--l2 must be at least 0"),
        ("input-size = 1000000000", "input size must be at most 8192"),
        ("ensemble = 1000000000", "--ensemble must be at most 1000"),
        (f"seed = {10**400}", "--seed must be at most"),
        (f"lr = {10**400}", "lr must be a number"),
        (f"epochs = {'9' * 5000}", "not well-formed TOML"),
        ("epochs = 1_000_000_000_000", "--epochs must be at most"),
        ("batch-size = 1_000_000_001", "--batch-size must be at most"),
        ("augment = 1_000_000", "--augment must be at most"),
        ("input-size = 1", "at least 16"),
        ("data = 'a\\u0000b'".replace("'", '"'), "NUL"),
        ("data = ['a']", "data must be a text"),
        ("data = 2020-01-01", "data must be a text"),
        ("seed = {a = 1}", "seed must be a whole number"),
        ("x" * 5000 + " = 1", "there is no setting"),
        ("a = " + "[" * 5000, "not well-formed TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=said) as caught:
        resolve(path, {})
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 800 + len(str(path))


def test_a_file_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "huge.toml"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(UsageError, match="more than"):
        resolve(path, {})


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        resolve(tmp_path / "none.toml", {})
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        resolve(tmp_path / "b.toml", {})


# What no name has, NUL, is refused.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(data=NAMES, unfreeze=st.none() | NAMES, lr=st.none() | st.floats(1e-9, 1e9))
def test_what_is_written_reads_back(tmp_path_factory, data, unfreeze, lr):
    config = TrainConfig(data=data, unfreeze=unfreeze, lr=lr, augment=3)
    path = tmp_path_factory.mktemp("c") / "config.toml"
    path.write_bytes(to_toml(config).encode())
    assert resolve(path, {}) == config


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("c") / "any.toml"
    path.write_bytes(data)
    with contextlib.suppress(UsageError):
        read_config(path)


@pytest.mark.parametrize("name", ["fruits360", "office31", "cats-dogs"])
def test_the_seed_experiments_are_valid(name):
    config = resolve(CONFIGS / f"{name}.toml", {})
    assert config.backbone in ("resnet50", "resnet18")
    assert config.data == name


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        ({"train_domain": "a", "test_domain": "b"}, {"domain": "c"}, {"domain": "c"}),
        (
            {"domain": "c"},
            {"train_domain": "a", "test_domain": "b"},
            {"train_domain": "a", "test_domain": "b"},
        ),
        # The other of the two stays.
        (
            {"train_domain": "a", "test_domain": "b"},
            {"test_domain": "c"},
            {"train_domain": "a", "test_domain": "c"},
        ),
        ({"ensemble": 3}, {"members": "pretrained,random"}, {"members": "pretrained,random"}),
        ({"members": "pretrained,random"}, {"ensemble": 5}, {"ensemble": 5}),
        ({"weights": "a.pth", "weights_key": "ema"}, {"weights": "b.pth"}, {"weights": "b.pth"}),
        ({"domain": "a", "epochs": 3}, {"domain": "b"}, {"domain": "b", "epochs": 3}),
        # What is said at once, and excludes itself, is told when the data are read.
        (
            {},
            {"domain": "a", "train_domain": "b", "test_domain": "c"},
            {"domain": "a", "train_domain": "b", "test_domain": "c"},
        ),
    ],
)
def test_what_is_given_takes_the_place_of_what_it_excludes(before, given, after, tmp_path):
    file = tmp_path / "before.toml"
    file.write_text("".join(f"{name} = {value!r}\n" for name, value in before.items()))
    assert resolve(file, given) == TrainConfig(**after)
    assert changed(TrainConfig(**before), given) == TrainConfig(**after)


def test_one_domain_of_the_office_can_be_asked_for_over_its_configuration():
    config = resolve(CONFIGS / "office31.toml", {"domain": "amazon"})
    assert (config.domain, config.train_domain, config.test_domain) == ("amazon", None, None)


@pytest.mark.parametrize("head", ["prototype", "neighbours"])
@pytest.mark.parametrize(
    "more",
    [{"solver": "lbfgs"}, {"l2": 0.1}, {"epochs": 3}, {"unfreeze": "layer4"}, {"ensemble": 2},
     {"members": "random,random"}, {"class_weights": "balanced"}, {"search": True}],
)  # fmt: skip
def test_a_head_of_examples_has_no_use_for_how_one_is_solved_for(head, more):
    with pytest.raises(UsageError, match=f"--head {head} .*has no part in"):
        TrainConfig(head=head, **more)
    assert not TrainConfig(head=head).searches
    with pytest.raises(UsageError, match="not for values"):
        TrainConfig(head=head, output="value")
    with pytest.raises(UsageError, match="not for values"):
        TrainConfig(head=head).check_head(measured=True)
