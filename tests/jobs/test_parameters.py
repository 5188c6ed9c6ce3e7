"""What POST /generate accepts in `generation_params`."""

import pytest

from jobs.parameters import MAX_PROMPT, ParametersSerializer, draw_seed


def check(**parameters):
    serializer = ParametersSerializer(data={"positive_prompt": "a cat", **parameters})
    serializer.is_valid()
    return serializer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("positive_prompt", ""),
        ("positive_prompt", "   "),
        ("positive_prompt", "x" * (MAX_PROMPT + 1)),
        ("positive_prompt", 7),
        ("negative_prompt", ["x"]),
        ("steps", "many"),
        ("steps", "20"),
        ("steps", 0),
        ("steps", 10**9),
        ("steps", True),
        ("steps", 7.5),
        ("width", -1),
        ("width", 1_000_003),
        ("num_images", 10**6),
        ("cfg_scale", "7"),
        ("cfg_scale", float("inf")),
        ("seed", 2**70),
        ("seed", "abc"),
        ("seed", "--5"),
        ("seed", -2),
        ("subseed", {}),
        ("restore_faces", "yes"),
        ("init_images", "a picture"),
        ("mask", 5),
        ("mask", {"sha256": ""}),
        ("override_settings", []),
        ("made_up", "x" * 100_000),
        ("x" * 101, 1),
    ],
)
def test_a_bad_value_is_refused_under_its_own_name(field, value):
    serializer = check(**{field: value})

    assert not serializer.is_valid()
    assert list(serializer.errors) == [field[:100]]


def test_no_parameters_at_all_is_told_to_name_a_prompt():
    serializer = ParametersSerializer(data={})

    assert not serializer.is_valid()
    assert "positive_prompt" in serializer.errors


def test_the_pictures_of_all_rounds_count_together():
    assert check(num_images=10, batch_size=10).is_valid()
    assert list(check(num_images=11, batch_size=10).errors) == ["num_images"]


def test_what_a_client_sent_comes_back_as_it_was():
    sent = {
        "positive_prompt": "  a cat ",
        "seed": "",
        "style_preset": "simple",
        "sampling_category": "Both",
        "restore_faces": False,
        "cfg_scale": 7,
        "hr_upscaler": None,
    }

    serializer = ParametersSerializer(data=sent)

    assert serializer.is_valid(), serializer.errors
    assert serializer.validated_data == sent


@pytest.mark.parametrize("left_open", [None, "", -1, "-1"])
def test_a_seed_left_open_is_drawn(left_open):
    drawn = {draw_seed({"seed": left_open}) for _ in range(20)}

    assert len(drawn) > 15
    assert all(0 <= seed < 2**32 for seed in drawn)


@pytest.mark.parametrize(("given", "seed"), [(0, 0), ("0", 0), (5, 5), ("1806652750", 1806652750)])
def test_a_given_seed_is_kept(given, seed):
    assert draw_seed({"seed": given}) == seed
