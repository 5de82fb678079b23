"""A repository is searched in the models folder, then in the cache."""

import json

from engine.families.shared.weights import find_repository


def test_the_models_folder_comes_before_the_cache_and_its_order_counts(tmp_path):
    for name in ("second", "first"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text(json.dumps({}))
    assert find_repository(tmp_path, "owner-of-nothing", ("first", "second")) == tmp_path / "first"
    assert find_repository(tmp_path, "owner-of-nothing", ("third",)) is None
    assert find_repository(None, "owner-of-nothing", ("first",)) is None
