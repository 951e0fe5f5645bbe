"""Settings: models, files and schema say the same; what is wrong stops with a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from pydantic import BaseModel

from zeroloss.config import SCALES, Config, load_config, merged, schema
from zeroloss.errors import UserError


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description


def keys(values: dict, prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_schema_file_is_what_the_models_say(project):
    written = yaml.safe_load((project / "workflow/schemas/config.schema.yaml").read_text())
    assert written == yaml.safe_load(yaml.safe_dump(schema())), "run: make schema"


def test_config_file_passes_the_schema_file(project):
    import jsonschema

    written = yaml.safe_load((project / "workflow/schemas/config.schema.yaml").read_text())
    jsonschema.validate(yaml.safe_load((project / "config.yaml").read_text()), written)


def test_config_file_has_every_setting_and_no_other(project):
    written = yaml.safe_load((project / "config.yaml").read_text())
    assert sorted(keys(written)) == sorted(name for name, _ in leaves(Config))


def test_every_setting_is_described():
    assert [name for name, description in leaves(Config) if not description] == []


def test_every_setting_of_the_config_file_has_a_comment(project):
    lines = (project / "config.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*[a-z_]+: \S", line.split("#")[0]):
            assert "#" in line or lines[number - 1].strip().startswith("#"), line


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_loads(scale):
    assert load_config(scale).scale == scale


def test_no_setting_has_a_default_in_the_code():
    """A value stands in the YAML files alone, so the two cannot disagree."""

    def required(model: type[BaseModel]) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if not field.is_required():
                yield name
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from required(field.annotation)

    assert list(required(Config)) == []


def synthetic(**values):
    return {"studies": {"du2018a": {"synthetic": values}}}


def images(**values):
    return {"studies": {"du2018a": {"images": values}}}


BAD = [
    (
        {"sclae": "tiny"},
        r"sclae is not a setting: did you mean scale\? allowed here are data, device, scale, seconds_per_job, studies",
    ),
    ({"scale": "huge"}, r"scale is 'huge': allowed are tiny, laptop, paper"),
    ({"device": "gpu"}, r"device is 'gpu': it must be 'auto', 'cpu' or 'cuda'"),
    ({"data": {"root": "/no/such/folder"}}, r"data.root is '/no/such/folder', which is not a folder"),
    ({"data": {"root": 3}}, r"data.root is 3: it must be the path of a folder, or null"),
    ({"data": None}, r"data is None: it must be a valid dictionary"),
    ({"studies": {"du2018": {}}}, r"studies.du2018 is not a setting: did you mean du2018[ab]\?"),
    (synthetic(width=[100]), r"studies.du2018a.synthetic.width is not a setting: did you mean widths\?"),
    (synthetic(widths=[100, 0]), r"synthetic.widths\[1\] is 0: it must be greater than or equal to 1"),
    (synthetic(widths=[]), r"synthetic.widths is \[\]: list must have at least 1 item"),
    (synthetic(widths=[100, 100]), r"synthetic.widths is \[100, 100\]: every entry must be different"),
    (synthetic(widths=100), r"synthetic.widths is 100: it must be a valid list"),
    (synthetic(widths=["wide"]), r"synthetic.widths\[0\] is 'wide': it must be a valid integer"),
    (synthetic(widths=[10.5]), r"synthetic.widths\[0\] is 10.5: it must be a valid integer"),
    (synthetic(seeds=[]), r"synthetic.seeds is \[\]: list must have at least 1 item"),
    (synthetic(seeds=[-1]), r"synthetic.seeds\[0\] is -1: it must be greater than or equal to 0"),
    (synthetic(seeds=[1, 1]), r"synthetic.seeds is \[1, 1\]: every entry must be different"),
    (synthetic(samples=0), r"synthetic.samples is 0: it must be greater than or equal to 1"),
    (synthetic(samples="many"), r"synthetic.samples is 'many': it must be a valid integer"),
    (synthetic(samples=None), r"synthetic.samples is None: it must be a valid integer"),
    (synthetic(dimension=-3), r"synthetic.dimension is -3: it must be greater than or equal to 1"),
    (synthetic(steps=0), r"synthetic.steps is 0: it must be greater than or equal to 1"),
    (synthetic(steps=True), r"synthetic.steps is True: it must be a valid integer"),
    (synthetic(printed_step=-0.1), r"synthetic.printed_step is -0.1: it must be greater than 0"),
    (synthetic(printed_step=0), r"synthetic.printed_step is 0: it must be greater than 0"),
    (synthetic(published_step=float("nan")), r"synthetic.published_step is nan: it must be"),
    (synthetic(published_step=float("inf")), r"synthetic.published_step is inf: it must be a finite number"),
    (images(sources="mnist"), r"images.sources is 'mnist': it must be auto or a list of data sets"),
    (images(sources=[]), r"images.sources is \[\]: it must be auto or a list of data sets"),
    (
        images(sources=["minst"]),
        r"images.sources is \['minst'\]: minst is not a known data set; allowed are auto, available and",
    ),
    (images(relative_step=-1), r"images.relative_step is -1: it must be greater than 0"),
    (images(drop_parallel="maybe"), r"images.drop_parallel is 'maybe': it must be a valid boolean"),
    ({"studies": {"du2018a": {"synthetic": 5}}}, r"studies.du2018a.synthetic is 5: it must be a valid dictionary"),
]


@pytest.mark.parametrize(("overrides", "sentence"), BAD, ids=[sentence[:50] for _, sentence in BAD])
def test_what_is_wrong_gets_a_sentence(overrides, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        load_config(None, overrides)
    assert "\n" not in str(caught.value)


def test_a_missing_setting_is_named(tmp_path, project):
    (tmp_path / "workflow/scales").mkdir(parents=True)
    values = yaml.safe_load((project / "config.yaml").read_text())
    del values["studies"]["du2018a"]["synthetic"]["steps"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(
        UserError, match=r"studies.du2018a.synthetic.steps is missing: config.yaml must give it a value"
    ):
        load_config(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scale: [", "not valid YAML at line"),
        ("- 1", "holds a list, not a mapping"),
        ("\x00", "not valid YAML"),
        ("", "scale is None"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, sentence):
    (tmp_path / "workflow/scales").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_config(folder=tmp_path)


def test_two_wrong_settings_get_two_sentences():
    with pytest.raises(UserError) as caught:
        load_config(None, synthetic(samples=0, steps=0))
    assert len(str(caught.value).splitlines()) == 2


def test_widths_are_put_in_order():
    assert load_config(None, synthetic(widths=[30, 10])).study("du2018a").synthetic.widths == [10, 30]


def test_merging_replaces_lists_and_merges_mappings():
    assert merged({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}}


def test_environment_variable_gives_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROLOSS_DATA", str(tmp_path))
    assert load_config().data.root == tmp_path
    monkeypatch.setenv("ZEROLOSS_DATA", str(tmp_path / "absent"))
    with pytest.raises(UserError, match=r"the environment variable ZEROLOSS_DATA is .* which is not a folder"):
        load_config()
