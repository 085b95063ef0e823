"""Packs of strangers: each kind of damage or attack is refused in one line, before anything of it is used."""

import hashlib
import json
import warnings
import zipfile

import keras
import pytest

from kerasgan.errors import RunError
from kerasgan.export import pack
from kerasgan.runs.pack import LARGEST_MEMBER, read_card, unpack
from kerasgan.translation.of_pack import PackTranslator
from kerasgan.translation.translate import open_translator

NETWORK = "generators/ab-best.keras"


@pytest.fixture(scope="module")
def content(former, tmp_path_factory):
    """The members of the pack of a run of version 0.1.0, by name."""
    path = pack(former / "run", tmp_path_factory.mktemp("packs") / "former.kgan")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def written(tmp_path):
    """A function that writes members as a pack, with a manifest that fits them unless one is among them."""

    def write(members, compress=()):
        described = {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in members.items()
            if name != "pack.json"
        }
        own = {"format": "kerasgan-pack", "version": 1, "kerasgan": "0.2.0", "licence": "", "members": described}
        path = tmp_path / "stranger.kgan"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in ({"pack.json": json.dumps(own).encode()} | members).items():
                kind = zipfile.ZIP_DEFLATED if name in compress else zipfile.ZIP_STORED
                archive.writestr(name, data, compress_type=kind)
        return path

    return write


def without_manifest(content):
    return {name: data for name, data in content.items() if name != "pack.json"}


def refused(path, folder):
    """The one line by which both ways to open a pack refuse it; nothing appears outside the folder."""
    folder.mkdir()
    before = set(folder.parent.iterdir())
    with pytest.raises(RunError) as found:
        unpack(path, folder)
    assert set(folder.parent.iterdir()) == before
    with pytest.raises(RunError):
        read_card(path)
    assert "\n" not in str(found.value) and "stranger.kgan" in str(found.value)
    return str(found.value)


def test_a_pack_is_whole_and_has_no_code(content, written, tmp_path):
    assert sorted(content) == [
        *("README.md", "contract-ab.json", "contract-ba.json", "generators/ab-best.keras"),
        *("generators/ba-best.keras", "pack.json", "recipe.json", "run.json"),
    ]
    path = written(without_manifest(content))
    run = unpack(path, tmp_path)
    assert run.facts.directions == ("ab", "ba") and (tmp_path / NETWORK).read_bytes() == content[NETWORK]
    with zipfile.ZipFile(tmp_path / NETWORK) as archive:
        assert b"kerasgan>" not in archive.read("config.json")  # though the run's own file names kerasgan's layers
    assert read_card(path)[1].members.keys() == without_manifest(content).keys()


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/evil", "generators/../../evil.keras", "model.pkl", "own.py"])
def test_members_that_no_pack_has(content, written, tmp_path, name):
    told = refused(written(without_manifest(content) | {name: b"x"}), tmp_path / "folder")
    assert f"is refused as a pack: it holds {name!r}, which no pack does. Get the pack again" in told


def test_bombs(content, written, tmp_path):
    members = without_manifest(content)
    path = written(members | {"README.md": bytes(LARGEST_MEMBER + 1)}, ["README.md"])
    assert path.stat().st_size < LARGEST_MEMBER / 10
    assert "README.md would unpack to 16,777,217 bytes" in refused(path, tmp_path / "one")
    told = refused(written(members | {NETWORK: bytes(10**7)}, [NETWORK]), tmp_path / "two")
    assert f"{NETWORK} is compressed, and would unpack to any size" in told


def test_contents_that_differ_from_the_manifest(content, written, tmp_path):
    other = content | {NETWORK: content["generators/ba-best.keras"]}
    assert f"{NETWORK} has another size or SHA-256 than pack.json says" in refused(written(other), tmp_path / "one")


def test_members_that_are_missing_or_there_twice(content, written, tmp_path):
    lacking = {name: data for name, data in content.items() if name != "README.md"}
    assert "its members are contract-ab.json, " in refused(written(lacking), tmp_path / "one")
    path = written(without_manifest(content))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")  # zipfile's own, about the name
        archive.writestr("run.json", "{}")
    with pytest.raises(RunError, match=r"its members are .*run\.json, run\.json, and pack\.json lists others"):
        read_card(path)


def test_files_of_other_projects(content, written, tmp_path):
    path = written({"pack.json": b'{"pack": {"min_format": 15, "description": "a game"}}'})
    assert "is no pack that this version of kerasgan reads (pack.json: " in refused(path, tmp_path / "one")
    newer = json.loads(content["pack.json"]) | {"version": 2}
    with pytest.raises(RunError, match=r"this version of kerasgan reads .*version.*Update kerasgan"):
        read_card(written(content | {"pack.json": json.dumps(newer).encode()}))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(RunError, match=r"no pack of kerasgan: it is a zip without pack\.json"):
        read_card(path)
    for data in (b"", b"PK\x03\x04", b"GIF89a" * 100):
        path.write_bytes(data)
        with pytest.raises(RunError, match=r"stranger\.kgan is refused as a pack: .*Get the pack again"):
            read_card(path)
    with pytest.raises(RunError, match=r"There is no file .*lost\.kgan; name a pack"):
        read_card(tmp_path / "lost.kgan")


def test_a_flipped_bit_is_noticed(content, written, tmp_path):
    path = written(without_manifest(content))
    whole = path.read_bytes()
    place = whole.index(content[NETWORK]) + 1000
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(RunError, match=rf"stranger\.kgan is refused as a pack: Bad CRC-32 for file '{NETWORK}'"):
        read_card(path)


def test_a_recipe_that_names_code_executes_none(content, written, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    recipe = json.loads(content["recipe.json"])
    recipe["generator"]["name"] = str(own)
    path = written(without_manifest(content) | {"recipe.json": json.dumps(recipe).encode()})
    translator = open_translator(path)
    translator.generator("ab")
    assert not (tmp_path / "executed").exists()


def test_facts_out_of_their_bounds(content, written):
    facts = json.loads(content["run.json"])
    facts["maps"]["b"] = [1e300, 0]
    path = written(without_manifest(content) | {"run.json": json.dumps(facts).encode()})
    with pytest.raises(RunError, match=r"stranger\.kgan: run\.json is damaged: maps\.b"):
        open_translator(path)


def test_a_network_with_code_is_refused_in_safe_mode(content, written, tmp_path):
    inputs = keras.Input((None, None, 1))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "evil.keras")
    path = written(without_manifest(content) | {NETWORK: (tmp_path / "evil.keras").read_bytes()})
    with pytest.raises(RunError, match=rf"stranger\.kgan: {NETWORK} cannot be used: .*(Lambda|lambda)") as found:
        open_translator(path).generator("ab")
    assert "\n" not in str(found.value)


def test_the_folder_is_gone_with_its_translator(content, written):
    translator = PackTranslator(written(without_manifest(content)))
    folder = translator.run.path
    assert (folder / NETWORK).is_file()
    del translator
    assert not folder.exists()
