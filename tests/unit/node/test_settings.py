"""Configuration: every wrong key or value is named, and what is printed gives the same settings again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straddle.commitments.policy import Data, Proofs
from straddle.node.config import ConfigError
from straddle.node.settings import Settings
from straddle.primitives.files import FileError

MEMBER = "0x" + "11" * 20


def load(folder: Path, text: str, **changes: Any) -> Settings:
    path = folder / "config.toml"
    path.write_text(text)
    return Settings.load(path, {key.replace("__", "."): value for key, value in changes.items()})


def test_what_is_printed_is_what_was_read(tmp_path: Path) -> None:
    for text in ("", 'preset = "nano"\n[market]\nspeed = 60\n[batches]\nlag_max = 3\nseconds = 0.5\n[layer1]\nurl = "http://localhost:8545"\n'):
        settings = load(tmp_path, text)
        assert load(tmp_path, settings.to_toml()) == settings


def test_every_key_is_printed_with_its_meaning() -> None:
    printed = Settings().to_toml()

    def keys(settings: Any) -> list[str]:
        return [key for item in fields(settings) for key in (keys(getattr(settings, item.name)) if is_dataclass(getattr(settings, item.name)) else [item.name])]

    for name in keys(Settings()):
        assert f"\n{name} = " in "\n" + printed
    lines = printed.splitlines()
    assert all(lines[i - 1].startswith("# ") for i, line in enumerate(lines) if " = " in line and not line.startswith("#"))


def test_options_come_before_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, "[api]\nport = 1\n", api__port=2, preset="nano", market__speed=None)
    assert (settings.api.port, settings.preset, settings.market.speed) == (2, "nano", 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("preset = 3", "preset: 3, expected one of nano"),
        ('preset = "large"', "preset: 'large', expected one of nano"),
        ("colour = 3", "colour: no such key, expected one of api, batches"),
        ("[api]\nprot = 3", "api.prot: no such key, expected one of api.host, api.port"),
        ("api = 3", r"api: 3, expected a table \[api\]"),
        ("[api]\nport = 70000", "api.port: 70000, expected an integer from 0 to 65535"),
        ("[api]\nport = 80.0", "api.port: 80.0, expected an integer"),
        ("[api]\nport = true", "api.port: True, expected an integer"),
        ('[api]\nport = "80"', "api.port: '80', expected an integer"),
        ("[market]\nspeed = 0", "market.speed: 0, expected a number from 0.01"),
        ("[market]\nspeed = nan", "market.speed: nan, expected a number"),
        ("[market]\nspeed = inf", "market.speed: inf, expected a number"),
        ("[market]\ninstruments = 2", "market.instruments: 2, expected 0, or 4"),
        ("[market]\ninstruments = 5000", "market.instruments: 5000, expected 0, or 4 .* with preset demo"),
        ("[market]\nchain = 5", "market.chain: 5, expected a text"),
        ("[epochs]\noracles = 1", "epochs.threshold: 2, expected at most epochs.oracles, 1"),
        ('[layer1]\nurl = "localhost"', "layer1.url: 'localhost', expected an address such as"),
        ("[batches]\nlag_max = 0", "batches.lag_max: 0, expected an integer from 1 to 200"),
        ('[rollup]\npolicy = "plasma"', "rollup.policy: 'plasma', expected one of zk, optimistic, validium"),
        ('[rollup]\npolicy = "optimistic"\ndata = "committee"', "rollup.data: committee, expected calldata or blob with policy optimistic"),
        ('[rollup]\npolicy = "validium"\ndata = "calldata"', "rollup.data: calldata, expected committee with policy validium"),
        ("[rollup]\nchallenge_seconds = 60", "rollup.challenge_seconds: 60, expected an integer from 3600"),
        ('[rollup]\npolicy = "validium"\n[committee]\nthreshold = 4', "committee.threshold: 4, expected more than two thirds of 7 members"),
        ('[rollup]\npolicy = "validium"\n[committee]\nown = 4\nthreshold = 2', "committee.threshold: 2, expected more than two thirds of 4 members"),
        ('[rollup]\npolicy = "validium"\n[committee]\nown = 4', "committee.threshold: 6, expected more than two thirds of 4 members and at most all"),
        ('[rollup]\npolicy = "validium"\n[committee]\npatience_seconds = 800', "committee.patience_seconds: 800, expected at most 780: layer 1 takes"),
        ('[rollup]\npolicy = "validium"\n[epochs]\nseconds = 600', "committee.patience_seconds: 300, expected at most 240"),
        ('[committee]\nmembers = "http://127.0.0.1:1"', "committee.members: 'http://127.0.0.1:1', expected ADDRESS@URL"),
        (f'[committee]\nmembers = "{MEMBER}@http://a {MEMBER}@http://b"', f"committee.members: {MEMBER} twice"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", (Proofs.ALWAYS, Data.CALLDATA)),
        ('[rollup]\ndata = "blob"', (Proofs.ALWAYS, Data.BLOB)),
        ('[rollup]\npolicy = "optimistic"', (Proofs.WHEN_CHALLENGED, Data.CALLDATA)),
        ('[rollup]\npolicy = "optimistic"\ndata = "blob"', (Proofs.WHEN_CHALLENGED, Data.BLOB)),
        ('[rollup]\npolicy = "validium"', (Proofs.ALWAYS, Data.COMMITTEE)),
    ],
)
def test_a_policy_is_chosen_by_name(tmp_path: Path, text: str, chosen: tuple[Proofs, Data]) -> None:
    terms = load(tmp_path, text).terms
    assert (terms.proofs, terms.data) == chosen
    fields = terms.fields([MEMBER])
    assert ("proposer_bond_wei" in fields, "members" in fields) == (terms.proofs is Proofs.WHEN_CHALLENGED, terms.data is Data.COMMITTEE)


def test_bonds_and_members_are_read(tmp_path: Path) -> None:
    settings = load(tmp_path, f'[rollup]\nproposer_bond_gwei = 7\n[committee]\nmembers = "{MEMBER}@http://a:1"\nthreshold = 1')
    assert settings.terms.proposer_bond_wei == 7 * 10**9 and settings.committee.urls == {MEMBER: "http://a:1"}


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"--config .*none\.toml: .*No such file"):
        Settings.load(tmp_path / "none.toml")
    with pytest.raises(FileError, match=r"--config .*config\.toml: Invalid value"):
        load(tmp_path, "preset = ")
    with pytest.raises(ConfigError, match=r"market\.prices: nowhere\.csv, expected a readable file"):
        _ = load(tmp_path, '[market]\nprices = "nowhere.csv"').recordings


@given(st.text(max_size=200))
def test_any_text_is_settings_or_a_named_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        assert isinstance(load(tmp_path_factory.mktemp("config"), text), Settings)
    except (ConfigError, FileError) as error:
        assert str(error)
    except UnicodeEncodeError:
        pass  # no file can hold it
