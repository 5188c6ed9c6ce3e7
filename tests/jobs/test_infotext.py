"""Infotexts as WebUIs, sites and extensions write them, taken apart and written again."""

import itertools
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import infotext
from jobs.infotext import MAX_LENGTH, Infotext, InfotextError, parse, render

FORGE = (
    "a cat <lora:fakestyle_v1:0.5>\n"
    "Steps: 2, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, Size: 64x64, "
    'Model hash: de30aa40de, Model: rootrandom_v1, Lora hashes: "fakestyle_v1: c24f0d71af7d", '
    "Version: f2.0.1v1.10.1-previous-669-gdfdcbab6"
)
SETTINGS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768"
WIDE_COMMA = "\uff0c"
READ = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "5", "Size": "512x768"}


def test_a_picture_of_forge_is_taken_apart():
    read = parse(FORGE)

    assert read.prompt == "a cat <lora:fakestyle_v1:0.5>"
    assert read.negative_prompt == ""
    assert read.settings["Schedule type"] == "Automatic"
    assert read.settings["Lora hashes"] == "fakestyle_v1: c24f0d71af7d"
    assert list(read.settings)[0::9] == ["Steps", "Version"]


def test_what_forge_wrote_is_written_the_same():
    assert render(parse(FORGE)) == FORGE


# --- prompts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat, score: 9, time: 12:30",
        "masterpiece\n\na cat: the sequel, blue, red\n  indented (sky:1.2)",
        "Model: Jane, Pose: sitting, Mood: dark",
        "Steps: a staircase, Size: huge, Seed: a poppy",
        "Steps: 3, Seed: 4",
        'she says "hi, Steps: 3"',
        "Steps: 20, Sampler: Euler a, Seed: 5\nis what it said on the wall",
    ],
)
def test_what_only_resembles_settings_is_prompt(prompt):
    assert parse(prompt) == Infotext(prompt)
    assert parse(f"{prompt}\n{SETTINGS}") == Infotext(prompt, "", READ)


def test_both_prompts_may_have_several_lines():
    read = parse(f"a cat,\nblue\nNegative prompt: bad,\nworse: 2\n{SETTINGS}")

    assert read == Infotext("a cat,\nblue", "bad,\nworse: 2", READ)


@pytest.mark.parametrize("empty", ["Negative prompt:", "Negative prompt: "])
def test_a_negative_prompt_may_be_empty(empty):
    assert parse(f"a cat\n{empty}\n{SETTINGS}") == Infotext("a cat", "", READ)


def test_a_negative_prompt_may_begin_at_the_end_of_a_line():
    text = f"a cat in a movie Negative prompt:\n{SETTINGS}"

    assert parse(text) == Infotext("a cat in a movie", "", READ)


def test_settings_and_prompts_may_each_stand_alone():
    assert parse(SETTINGS) == Infotext("", "", READ)
    assert parse("Negative prompt: bad") == Infotext("", "bad")
    assert parse("a cat") == Infotext("a cat")


@pytest.mark.parametrize("nothing", ["", " \r\n\t", "\ufeff", "\0", "Negative prompt:"])
def test_a_text_that_says_nothing_is_of_no_use(nothing):
    assert not parse(nothing).is_usable
    assert parse("a").is_usable


# --- all on one line -----------------------------------------------------------------


def test_civitai_writes_prompt_marker_and_settings_on_one_line():
    read = parse(
        "a still from a movie Negative prompt: Steps: 23, Sampler: Undefined, CFG scale: 3.5, "
        'Seed: 12, Contract: 1, Civitai resources: [{"type":"checkpoint","modelVersionId":290640,'
        '"modelName":"FLUX, the model","modelVersionName":"v1"}], Civitai metadata: {}'
    )

    assert read.prompt == "a still from a movie"
    assert read.negative_prompt == ""
    assert list(read.settings)[:2] == ["Steps", "Sampler"]
    assert json.loads(read.settings["Civitai resources"])[0]["modelName"] == "FLUX, the model"
    assert read.settings["Civitai metadata"] == "{}"


RANDOMIZER = (
    "a cat, score: 9, Negative prompt: bad, worse, Steps: 20, Sampler: Euler a, CFG scale: 7, "
    "Contract: 1, Size: 512x768, Model: x, Model hash: abcdef0123, "
    "hashes: {'model': 'abcdef0123'}, resources: [{'name': \"Rev's, a\", 'hash': None}, "
    "{'name': 'it\\'s [b', 'weight': 0.8}], civitaiResources: [{'nsfw': True}]"
)


def test_the_randomizer_writes_all_on_one_line_with_python_literals():
    read = parse(RANDOMIZER)

    assert read.prompt == "a cat, score: 9"
    assert read.negative_prompt == "bad, worse"
    assert read.settings["Size"] == "512x768"
    assert read.settings["hashes"] == "{'model': 'abcdef0123'}"
    assert read.settings["resources"].endswith("{'name': 'it\\'s [b', 'weight': 0.8}]")
    assert read.settings["civitaiResources"] == "[{'nsfw': True}]"


def test_settings_on_the_line_of_the_prompt_need_no_negative_prompt():
    text = f"Steps: 3 of a stair, Steps: 4 more, a cat, {SETTINGS}"

    assert parse(text) == Infotext("Steps: 3 of a stair, Steps: 4 more, a cat", "", READ)


def test_settings_on_one_line_are_those_behind_the_last_marker():
    text = f"a cat, Steps: 3, Seed: 4, Negative prompt: bad, {SETTINGS}"

    assert parse(text) == Infotext("a cat, Steps: 3, Seed: 4", "bad", READ)


def test_a_marker_inside_a_value_is_no_marker():
    text = f'a cat, {SETTINGS}, Odd: "Negative prompt: x"'

    assert parse(text) == Infotext("a cat", "", READ | {"Odd": "Negative prompt: x"})


def test_settings_on_the_last_line_of_the_negative_prompt_are_found():
    text = f"a cat\nNegative prompt: bad,\nworse, {SETTINGS}"

    assert parse(text) == Infotext("a cat", "bad,\nworse", READ)


# --- values --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (
            '"detail: aabbccddeeff, style: 001122334455"',
            "detail: aabbccddeeff, style: 001122334455",
        ),
        ('"a, b\\n\\"c\\""', 'a, b\n"c"'),
        ('"caf\\u00e9, \\ud83d\\ude00"', "café, 😀"),
        ('"C:\\models, x"', "C:\\models, x"),
        ('"a\tb, c"', "a\tb, c"),
        ('{"model":"de30aa40de","lora:x":"1, 2"}', '{"model":"de30aa40de","lora:x":"1, 2"}'),
        ('[{"a": ["]", "\\"["]}, {}]', '[{"a": ["]", "\\"["]}, {}]'),
        ("12:30", "12:30"),
        ("f2.0.1v1.10.1", "f2.0.1v1.10.1"),
        ("", ""),
        ('""', ""),
        ("[unclosed", "[unclosed"),
        ('"unclosed', '"unclosed'),
        ("[a] b", "[a] b"),
        ('"a" b', '"a" b'),
        (f"模型{WIDE_COMMA}二", f"模型{WIDE_COMMA}二"),
    ],
)
def test_a_value_is_read_up_to_its_true_end(written, value):
    for text in (f"a cat\n{SETTINGS}, Odd: {written}", f"a cat\n{SETTINGS}, Odd: {written}, Z: 1"):
        read = parse(text)

        assert read.settings["Odd"] == value
        assert read.settings.get("Z", "1") == "1"


def test_what_no_database_takes_is_taken_out_of_values():
    settings = parse(f'{SETTINGS}, Odd: "a\\u0000b\\ud800c"').settings

    assert settings["Odd"] == "ab\ufffdc"


def test_the_last_of_equal_keys_counts():
    settings = parse(f"a cat\n{SETTINGS}, Seed: 6, Unknown thing: x, Seed: 7").settings

    assert settings["Seed"] == "7"
    assert settings["Unknown thing"] == "x"


def test_a_bare_key_is_its_own_value():
    assert parse(f"{SETTINGS}, RP Active, Version: 1").settings["RP Active"] == "RP Active"


def test_three_times_the_same_pair_is_settings():
    assert parse("a cat\nSeed: 5, Seed: 5, Seed: 5, ") == Infotext("a cat", "", {"Seed": "5"})


# --- damage --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"a cat\nNegative prompt: bad\n{SETTINGS},",
        f"a cat\r\nNegative prompt: bad\r\n{SETTINGS}\r\n",
        f"a cat\rNegative prompt: bad\r{SETTINGS}",
        f"\ufeffa cat\nNegative prompt: bad\n{SETTINGS}",
        "\0".join(f"a cat\nNegative prompt: bad\n{SETTINGS}"),
        f"\n a cat \n  Negative prompt: bad\n  {SETTINGS}\n\n",
        f"a cat\nNegative prompt: bad\n{SETTINGS}".replace(", ", WIDE_COMMA),
        f"a cat\nNegative prompt: bad\n{SETTINGS}".replace(", ", ",\n"),
        f"a cat\nNegative prompt: bad\n{SETTINGS}".replace(", ", "\n"),
        f"a cat\nNegative prompt: bad\n{SETTINGS}".replace(" CFG", "\nCFG"),
        f"a cat\nNegative prompt: bad\n{SETTINGS}".replace(" Seed", "\nSeed"),
    ],
)
def test_damage_on_the_way_does_not_matter(text):
    assert parse(text) == Infotext("a cat", "bad", READ)


def test_json_may_be_printed_over_several_lines():
    resources = json.dumps([{"type": "checkpoint", "modelVersionId": 1}, {}], indent=2)

    read = parse(f"a cat\n{SETTINGS}, Civitai resources: {resources}, Civitai metadata: {{}}")

    assert read.prompt == "a cat"
    assert read.settings == READ | {"Civitai resources": resources, "Civitai metadata": "{}"}


def test_settings_on_several_lines_do_not_swallow_a_look_alike_above_them():
    read = parse(f"a cat\n{SETTINGS}\n{SETTINGS}, Civitai resources: [\n{{}}\n], Odd: x")

    assert read.prompt == f"a cat\n{SETTINGS}"
    assert read.settings == READ | {"Civitai resources": "[\n{}\n]", "Odd": "x"}


def test_a_lone_surrogate_is_replaced():
    assert parse("a \ud800 cat").prompt == "a \ufffd cat"


# --- bounds --------------------------------------------------------------------------


def test_a_longer_text_is_refused_with_a_sentence():
    assert parse("a" * MAX_LENGTH).prompt

    with pytest.raises(InfotextError, match="at most 262144 characters") as refused:
        parse("a" * (MAX_LENGTH + 1))

    assert refused.value.code == "INFOTEXT_INVALID"


def lines_run(text):
    """How many lines of the parser are executed to parse `text`."""
    count = 0

    def trace(frame, event, _argument):
        nonlocal count
        if frame.f_code.co_filename != infotext.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        parse(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "hostile",
    [
        "a: [, ",
        "Steps: 1, Sampler: [, ",
        'Steps: 1, Sampler: ", ',
        "Steps: 1, Sampler: {'a\\': ",
        "Steps: 1, Sampler: x\n",
        "Steps: 1, Sampler: x, Seed: 1\nb\n",
        "Steps: 1, Sampler: x, Seed: 1,\n",
        "Size: 1x1,\n",
        "Negative prompt: ",
        "Negative prompt: Steps: 1, Seed: 2, ",
        "[{",
        "Steps: 1, Sampler: [{}] x, ",
        '\\"',
        f"{WIDE_COMMA}a",
        "a: b\n",
        "Steps:",
    ],
)
def test_work_grows_with_the_length_and_no_faster(hostile):
    shorter, longer = lines_run(hostile * 150), lines_run(hostile * 300)

    assert longer <= 2.5 * shorter + 100
    assert lines_run(f"{SETTINGS}, Z: {'[' * 300}, {hostile * 300}{'] x, ' * 300}") < 100_000


# --- what is written reads the same --------------------------------------------------


characters = st.characters(codec="utf-8", exclude_characters="\0\r")
pieces = st.sampled_from(
    [
        "Steps: 3",
        ", ",
        "\n",
        "Seed: 4",
        ": ",
        '"',
        "\\",
        "[",
        "}",
        WIDE_COMMA,
        "a cat",
        "Size: 5x5",
        "'",
    ]
)
prose = st.lists(pieces | st.text(characters, max_size=8), max_size=12).map("".join)


def is_kept(prompt):
    """Whether the format can hold this prompt in front of settings that tell the steps."""
    return (
        prompt == prompt.strip()
        and not prompt.startswith("\ufeff")
        and not any(line.lstrip().startswith(infotext.NEGATIVE) for line in prompt.split("\n"))
    )


prompts = prose.map(str.strip).filter(is_kept)
negative_prompts = prose.map(str.strip)
keys = st.from_regex(r"\A[A-Za-z0-9é][\w \-/.()+]{0,20}\Z").map(str.strip).filter(len)
settings = st.builds(
    lambda some, steps: dict(itertools.chain(some[0].items(), steps.items(), some[1].items())),
    st.tuples(*[st.dictionaries(keys, prose | st.just('{"a": [1, "]"]}'), max_size=4)] * 2),
    st.fixed_dictionaries({"Steps": st.integers(1, 150).map(str)}),
).map(lambda pairs: {**pairs, "Steps": "20"})
infotexts = st.builds(Infotext, prompts, negative_prompts, settings)


@given(infotexts)
def test_what_is_written_reads_the_same(written):
    assert parse(render(written)) == written


@given(
    st.builds(
        Infotext,
        prompts.filter(lambda prompt: not prompt.endswith(",")),
        st.just(""),
        st.just({"Seed": "5"}),
    )
)
def test_settings_too_few_to_be_told_from_a_prompt_are_repeated(written):
    assert parse(render(written)).settings == {"Seed": "5"}


def test_the_marker_inside_a_prompt_stays_there():
    written = Infotext("a sign that says Negative prompt: none", "", READ)

    assert parse(render(written)) == written


def test_a_look_alike_at_the_end_of_the_prompt_stays_there():
    written = Infotext(f"a cat\n{SETTINGS}", "", READ)

    assert parse(render(written)) == written


@given(st.text() | prose)
def test_any_text_can_be_parsed_and_what_it_gave_is_stable(text):
    read = parse(text)

    assert not set("\0") & set(render(read))
    if is_kept(read.prompt) and "Steps" in read.settings:
        assert parse(render(read)) == read
