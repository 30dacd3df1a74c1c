"""Bundles: published whole, read only when every byte is what was published, refused by name and reason otherwise."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from interests import bundle as bundles
from interests.bundle import ARRAY_NAMES, CURRENT, ENCODER_MODEL, FILE_NAMES, MANIFEST, MF_MODEL
from interests.bundle_arrays import BundleArrays, string_table
from interests.bundle_files import file_entry
from interests.encoder import Encoder
from interests.errors import BundleRejected
from interests.manifest import Manifest, sealed
from tests.support import tiny_bundle

ALL_FILES = (*FILE_NAMES, MANIFEST)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bundle(published: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(published, tmp_path / published.name)


def publish(directory: Path, arrays: BundleArrays, **manifest: Any) -> Path:
    said = Manifest(**(tiny_bundle._manifest() | manifest))
    return bundles.save(directory, said, arrays, tiny_bundle.mf_model(), tiny_bundle.encoder_model())


def reseal(bundle: Path, **changed: Any) -> None:
    """A manifest that says what the files are, as somebody would write who can compute hashes."""
    said = json.loads((bundle / MANIFEST).read_text())
    said.pop("sha256")
    said |= changed
    for name in said["files"]:
        if (bundle / name).is_file():
            said["files"][name] = file_entry(bundle / name).model_dump()
    (bundle / MANIFEST).write_text(sealed(said))


def refused(path: Path, match: str) -> None:
    with pytest.raises(BundleRejected, match=match):
        Encoder(bundles.load(path))


def test_what_was_published_is_read_back(published: Path) -> None:
    bundle = bundles.load(published)
    made = tiny_bundle.arrays()
    for name in ARRAY_NAMES:
        assert np.array_equal(getattr(bundle.arrays, name), getattr(made, name)), name
    assert bundle.item_ids[21] == "t1-01"
    assert bundle.row_of["t1-01"] == 21
    assert bundle.title(21) == "Item t1-01"
    assert bundle.topic_names[1] == "topic-1"
    assert bundle.version == published.name
    assert Encoder(bundle).bundle_version == published.name


def test_vectors_may_lie_on_disk_in_half_the_bytes_and_are_float32_once_loaded(tmp_path: Path, published: Path) -> None:
    half = tiny_bundle.write(tmp_path, vectors="float16")
    whole, loaded = bundles.load(published).arrays, bundles.load(half).arrays
    assert half.name != published.name
    for name in ("item_vectors", "item_factors"):
        small, large = (len((path / f"{name}.npy").read_bytes()) for path in (half, published))
        assert small - 128 == (large - 128) / 2  # beside the header of a .npy file
        assert getattr(loaded, name).dtype == np.float32
        assert np.array_equal(getattr(loaded, name), getattr(whole, name).astype(np.float16).astype(np.float32))
    assert np.array_equal(loaded.popularity, whole.popularity)


def test_current_names_the_bundle_to_serve(published: Path) -> None:
    assert bundles.load(published.parent).version == published.name


def test_the_newest_published_is_current_and_an_older_one_can_be_again(tmp_path: Path) -> None:
    first, second = tiny_bundle.write(tmp_path, seed=1), tiny_bundle.write(tmp_path, seed=2)
    assert bundles.resolve(tmp_path) == second
    bundles.set_current(tmp_path, first.name)
    assert bundles.load(tmp_path).version == first.name
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, second.name, CURRENT])


def test_equal_contents_have_equal_versions_whenever_they_were_made(tmp_path: Path) -> None:
    first = tiny_bundle.write(tmp_path / "a", created_at="2026-01-01T00:00:00Z", metrics={"ndcg": 0.1})
    second = tiny_bundle.write(tmp_path / "b", created_at="2026-02-02T00:00:00Z", metrics={"ndcg": 0.2})
    assert first.name == second.name
    assert tiny_bundle.write(tmp_path / "b", diversity_default=0.4).name != first.name
    assert tiny_bundle.write(tmp_path / "b", seed=5).name != first.name


def test_a_bundle_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    first = tiny_bundle.write(tmp_path)
    before = {file.name: file.stat().st_mtime_ns for file in first.iterdir()}
    assert tiny_bundle.write(tmp_path, created_at="later") == first
    assert {file.name: file.stat().st_mtime_ns for file in first.iterdir()} == before


def test_what_would_be_refused_is_not_published(tmp_path: Path) -> None:
    good = tiny_bundle.write(tmp_path)
    broken = tiny_bundle.arrays()
    broken.item_factors[3, 3] = np.nan
    with pytest.raises(BundleRejected, match="item_factors"):
        publish(tmp_path, broken)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([good.name, CURRENT])
    assert bundles.resolve(tmp_path) == good


def test_metrics_that_are_not_numbers_do_not_break_the_seal(tmp_path: Path) -> None:
    bundles.load(tiny_bundle.write(tmp_path, metrics={"ndcg": float("nan"), "n": 3, "of": {"a": [1.5, None]}}))


def test_a_catalogue_without_titles_and_topics_is_a_bundle(tmp_path: Path) -> None:
    arrays = tiny_bundle.arrays()
    n = len(arrays.item_vectors)
    no_titles, title_offsets = string_table([""] * n)
    no_names, name_offsets = string_table([])
    bare = replace(
        arrays,
        item_titles_bytes=no_titles,
        item_titles_offsets=title_offsets,
        topic_names_bytes=no_names,
        topic_names_offsets=name_offsets,
        item_topic_ids=np.full((n, 1), -1, dtype=np.int32),
        item_topic_shares=np.zeros((n, 1), dtype=np.float32),
        topic_vectors=np.zeros((0, tiny_bundle.DIM), dtype=np.float32),
        topic_shares=np.zeros(0, dtype=np.float32),
    )
    bundle = bundles.load(publish(tmp_path, bare, topic_count=0))
    assert bundle.title(0) == ""
    assert bundle.topic_names == []


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_flipped_bit_anywhere_is_refused(bundle: Path, name: str) -> None:
    whole = (bundle / name).read_bytes()
    for place in {0, len(whole) // 3, len(whole) // 2, len(whole) - 2}:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (bundle / name).write_bytes(damaged)
        refused(bundle, name.replace(".", r"\."))


def test_every_bit_of_the_manifest_that_says_something_counts(bundle: Path) -> None:
    whole = (bundle / MANIFEST).read_bytes()
    said = json.loads(whole)
    for place in range(0, len(whole), 61):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        try:
            if json.loads(bytes(damaged)) == said:
                continue  # white space
        except ValueError:
            pass
        (bundle / MANIFEST).write_bytes(damaged)
        refused(bundle, MANIFEST)


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("cut", ["half", "one byte", "all", "longer"])
def test_a_file_of_another_length_is_refused(bundle: Path, name: str, cut: str) -> None:
    whole = (bundle / name).read_bytes()
    kept = {"half": whole[: len(whole) // 2], "one byte": whole[:-1], "all": b"", "longer": whole + b"x"}[cut]
    (bundle / name).write_bytes(kept)
    refused(bundle, name)


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_missing_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    refused(bundle, f"{name}: is missing")


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_symbolic_link_is_refused_though_it_points_to_the_right_bytes(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (bundle / name).rename(elsewhere)
    (bundle / name).symlink_to(elsewhere)
    refused(bundle, f"{name}: is a symbolic link")


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_directory_in_the_place_of_a_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    (bundle / name).mkdir()
    refused(bundle, name)


@pytest.mark.parametrize(
    "named",
    [
        "..",
        ".",
        "../bundle",
        "/etc",
        "a/b",
        "",
        "\n",
        ".draft-x",
        "a\x00b",
        "ü" * 10,
        "x" * 65,
        b"\xff\xfe\x00",
        "two\nlines",
    ],
)
def test_current_may_name_nothing_but_a_bundle_beside_it(tmp_path: Path, named: str | bytes) -> None:
    tiny_bundle.write(tmp_path)
    (tmp_path / CURRENT).write_bytes(named if isinstance(named, bytes) else named.encode())
    refused(tmp_path, f"{CURRENT}: names ")


def test_current_cannot_lead_elsewhere_by_a_link(bundle: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(bundle)
    (root / CURRENT).write_text("linked\n")
    refused(root, "linked: is a symbolic link")
    (tmp_path / "pointer").write_text("linked\n")
    (root / CURRENT).unlink()
    (root / CURRENT).symlink_to(tmp_path / "pointer")
    refused(root, f"{CURRENT}: is a symbolic link")


def test_current_that_names_a_bundle_that_is_gone_is_refused(tmp_path: Path) -> None:
    tiny_bundle.write(tmp_path)
    (tmp_path / CURRENT).write_text("gone\n")
    refused(tmp_path, r"gone/manifest\.json: is missing")


def test_a_place_without_a_bundle_is_refused_with_how_to_make_one(tmp_path: Path) -> None:
    refused(tmp_path, "plural-train fit --out")
    refused(tmp_path / "nowhere", "plural-train fit --out")


@pytest.mark.parametrize("name", [MF_MODEL, ENCODER_MODEL])
def test_a_model_with_weights_outside_itself_is_refused(bundle: Path, name: str) -> None:
    model = onnx.load(bundle / name)
    (bundle / "weights.bin").write_bytes(b"\0" * 4096)
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    (bundle / name).write_bytes(model.SerializeToString())
    reseal(bundle)
    refused(bundle, f"{name}: keeps weights outside")


def test_weights_outside_are_found_inside_subgraphs_and_constants(bundle: Path) -> None:
    model = onnx.load(bundle / MF_MODEL)
    branch = onnx.helper.make_graph([], "branch", [], [])
    hidden = branch.initializer.add(name="hidden", data_type=1)
    entry = hidden.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))
    (bundle / MF_MODEL).write_bytes(model.SerializeToString())
    reseal(bundle)
    refused(bundle, f"{MF_MODEL}: keeps weights outside")


def test_a_model_that_is_none_is_refused(bundle: Path) -> None:
    (bundle / ENCODER_MODEL).write_bytes(b"\xff\xff\xff\xff" * 10)
    reseal(bundle)
    refused(bundle, ENCODER_MODEL)


def test_a_model_of_nan_weights_is_refused(bundle: Path) -> None:
    model = onnx.load(bundle / ENCODER_MODEL)
    [shares] = [tensor for tensor in model.graph.initializer if tensor.name == "two_shares"]
    shares.CopyFrom(onnx.numpy_helper.from_array(np.full((1, 2), np.nan, dtype=np.float32), "two_shares"))
    (bundle / ENCODER_MODEL).write_bytes(model.SerializeToString())
    reseal(bundle)
    refused(bundle, f"{ENCODER_MODEL}: is nan off the manifest's golden case")


def _set(name: str, value: Any) -> Callable[[BundleArrays], BundleArrays]:
    return lambda arrays: replace(arrays, **{name: value(getattr(arrays, name))})


def _put(name: str, place: Any, value: Any) -> Callable[[BundleArrays], BundleArrays]:
    def change(arrays: BundleArrays) -> BundleArrays:
        changed = getattr(arrays, name).copy()
        changed[place] = value
        return replace(arrays, **{name: changed})

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_put("item_vectors", (3, 0), np.nan), "item_vectors.npy: holds NaN"),
        (_put("popularity", 3, np.inf), "popularity.npy: holds NaN or infinity"),
        (_put("item_vectors", 5, 2.0), "item_vectors.npy: row 5 has not length 1"),
        (_put("neighbour_rows", (0, 0), 120), "neighbour_rows.npy: points outside"),
        (_put("transition_rows", (0, 0), -2), "transition_rows.npy: points outside"),
        (_put("transition_rows", (0, 0), -1), "transition_rows.npy: holds a link behind"),
        (_put("item_topic_ids", (0, 0), 6), "item_topic_ids.npy: points outside"),
        (_set("item_vectors", lambda a: a[:, :8]), "item_vectors.npy: is float32"),
        (_set("item_factors", lambda a: a[:-1]), "item_factors.npy: is float32"),
        (_set("item_vectors", lambda a: a.astype("f8")), "item_vectors.npy: is float64"),
        (_set("popularity", lambda a: a.astype(">f4")), "popularity.npy: is >f4"),
        (_set("available", lambda a: a.astype("i4")), "available.npy: is int32"),
        (_set("neighbour_rows", lambda a: a[:, 0]), "neighbour_rows.npy: has 1 dimensions"),
        (_set("item_topic_ids", lambda a: a.reshape(-1)[0]), "item_topic_ids.npy: has [01] dimensions"),
        (_set("item_ids_offsets", lambda a: a[:-1]), "item_ids_offsets.npy: is not a string table"),
        (_put("item_ids_offsets", 1, 100_000), "item_ids_offsets.npy: offsets do not fit"),
        (_put("item_titles_bytes", 0, 0xFF), "item_titles_bytes.npy: is not UTF-8"),
        (_put("item_ids_bytes", slice(0, 5), np.frombuffer(b"t0-01", dtype=np.uint8)), "names an item twice"),
    ],
)
def test_arrays_that_are_not_what_they_promise_are_refused(
    bundle: Path, change: Callable[[BundleArrays], BundleArrays], reason: str
) -> None:
    changed = change(tiny_bundle.arrays())
    for name in ARRAY_NAMES:
        np.save(bundle / f"{name}.npy", getattr(changed, name), allow_pickle=False)
    reseal(bundle)
    refused(bundle, reason)


def test_an_array_of_pickled_objects_is_refused_unread(bundle: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.save(bundle / "popularity.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    reseal(bundle)
    refused(bundle, "popularity.npy")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"format": 2}, "has format 2, this program reads 1; train again"),
        ({"format": "1"}, "has format '1'"),
        ({"dim": 8}, r"item_vectors\.npy: is float32 \(120, 16\), expected f4 \(120, 8\)"),
        ({"item_count": 119}, "expected f4"),
        ({"topic_count": 7}, r"topic_vectors\.npy"),
        ({"golden": []}, "no golden case"),
        ({"item_count": 0}, "manifest.json: item_count"),
        ({"diversity_default": 1.5}, "manifest.json: diversity_default"),
        ({"version": "../x"}, "manifest.json: version"),
        ({"repeats_default": "maybe"}, "manifest.json: repeats_default"),
        ({"files": {}}, "files missing or unexpected"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(bundle: Path, changed: dict[str, Any], reason: str) -> None:
    reseal(bundle, **changed)
    refused(bundle, reason)


def test_a_manifest_cannot_name_files_elsewhere(bundle: Path) -> None:
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    for name in ("../outside.npy", "/etc/passwd", "extra.bin"):
        reseal(bundle, files={**files, name: files[MF_MODEL]})
        refused(bundle, "files missing or unexpected")


def test_a_hash_that_is_not_the_files_is_refused(bundle: Path) -> None:
    said = json.loads((bundle / MANIFEST).read_text())
    said.pop("sha256")
    said["files"][MF_MODEL]["sha256"] = "0" * 64
    (bundle / MANIFEST).write_text(sealed(said))
    refused(bundle, f"{MF_MODEL}: its SHA-256 is not the manifest's")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, '{"format": 1}', "\xff"])
def test_a_manifest_that_is_none_is_refused(bundle: Path, text: str) -> None:
    (bundle / MANIFEST).write_bytes(text.encode("latin-1"))
    refused(bundle, MANIFEST)


def test_an_unsealed_manifest_is_refused(bundle: Path) -> None:
    said = json.loads((bundle / MANIFEST).read_text())
    said["signal_weights"]["popularity"] = 100.0
    (bundle / MANIFEST).write_text(json.dumps(said))
    refused(bundle, "is not as it was published")


def test_a_manifest_too_large_to_be_one_is_refused(bundle: Path) -> None:
    with (bundle / MANIFEST).open("ab") as manifest:
        manifest.truncate(17 * 1024 * 1024)
    refused(bundle, "larger than")


def test_a_bundle_from_before_content_was_served_still_loads(bundle: Path) -> None:
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    old = {name: entry for name, entry in files.items() if not name.startswith("content_")}
    reseal(bundle, files=old)
    loaded = bundles.load(bundle)
    assert loaded.arrays.content_ids.shape == (120, 0)
    Encoder(loaded)


def test_content_that_points_past_every_feature_is_refused(tmp_path: Path) -> None:
    ids = np.full((120, 1), 1 << 20, dtype=np.int32)
    made = replace(tiny_bundle.arrays(), content_ids=ids, content_weights=np.ones((120, 1), dtype=np.float32))
    with pytest.raises(BundleRejected, match=r"content_ids\.npy: points outside"):
        publish(tmp_path, made)
