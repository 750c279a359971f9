from dmdbt.report.words import (
    backbone_name,
    computed_on,
    interval,
    metric_name,
    number,
    p_value,
    sentence,
    short_name,
    signed,
)


def test_a_backbone_has_the_name_of_its_paper():
    assert backbone_name("mobilenet_v2") == "MobileNetV2"


def test_numbers_read_as_in_print():
    assert number(-0.0004) == "0.000"
    assert number(-0.1234) == "\N{MINUS SIGN}0.123"
    assert signed(0.1) == "+0.100"
    assert signed(0.0001) == "0.000"
    assert number(None) == "\N{EN DASH}"
    assert interval(None, 1.0) == ""
    assert p_value(0.0009) == "< 0.001"
    assert p_value(1.0) == "1.000"
    assert short_name("baseline 2d_t3_alex") == "2D-T3-Alex"
    assert short_name("resnet dm_dbt") == "DM-DBT"
    assert sentence("resnet: DBT is more confident than DM") == "DBT is more confident than DM"
    assert [metric_name(name) for name in ("auc", "confidence")] == ["AUC", "AC"]


def test_device_and_precision_are_said_once_if_features_and_heads_have_the_same():
    cpu, card = {"device": "cpu", "precision": "float32"}, {"device": "cuda", "precision": "mixed"}
    assert computed_on({"computed": {"features": cpu, "heads": cpu}}) == "cpu, float32"
    assert computed_on({"computed": {"features": cpu, "heads": card}}) == "features: cpu, float32; heads: cuda, mixed"
    assert computed_on({}) == "not stated"
