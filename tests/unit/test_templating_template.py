"""Rendering templates as the transformers library does, but the same on every day."""

from __future__ import annotations

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from brightrun.errors import DatasetError, ModelError
from brightrun.templating import Message, template
from brightrun.templating.template import ChatTemplate

HELLO = (Message("user", "Hello <b>&</b> “you”"),)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ messages[0].content }}", "Hello <b>&</b> “you”"),
        ("{{ messages[0]['content'] | tojson }}", '"Hello <b>&</b> “you”"'),
        ("{{ {'a': 1} | tojson(indent=1) }}", '{\n "a": 1\n}'),
        ("{% if true %}\n  {# no line is left of this #}\n  {% endif %}\nend", "end"),
        ("a{% generation %}{{ messages[0].role }}{% endgeneration %}z", "auserz"),
        ("{% for n in [1, 2, 3] %}{% if n == 2 %}{% break %}{% endif %}{{ n }}{% endfor %}", "1"),
        ("{{ bos_token }}{{ pad_token }}", "<s>"),
        ("{% if tools is none and documents is none %}bare{% endif %}", "bare"),
        ("{% if not add_generation_prompt %}whole{% endif %}", "whole"),
        ("{% if messages[0].content is string %}text{% endif %}", "text"),
    ],
)
def test_rendering(source: str, text: str) -> None:
    assert ChatTemplate(source, {"bos_token": "<s>"}).render(HELLO) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ turn.role }} {{ turn.nothing is defined }} {{ turn['keys'] }}",
        "{% for key, value in turn.items() %}{{ key }}={{ value }};{% endfor %}",
        "{{ turn.keys is callable }} {{ turn.get('role') }} {{ turn.pop is defined }}",
    ],
)
def test_the_fields_of_a_message_are_found_as_jinja_finds_them(source: str) -> None:
    turn = {"role": "user", "keys": "its own"}
    plain = ImmutableSandboxedEnvironment().from_string(source).render(turn=turn)
    assert template._environment().from_string(source).render(turn=turn) == plain


def test_the_date_is_the_same_every_day() -> None:
    source = "{{ strftime_now('%d %b %Y') }}|{{ date_string if date_string is defined else 'today' }}"
    assert ChatTemplate(source, {}).render(HELLO) == "26 Jul 2024|26 Jul 2024"


def test_the_sandbox_keeps_templates_from_the_interpreter() -> None:
    with pytest.raises(ModelError, match="chat template failed"):
        ChatTemplate("{{ messages.__class__.__mro__[1].__subclasses__() }}", {}).render(HELLO)


def test_messages_that_the_template_refuses_are_the_datasets_fault() -> None:
    source = "{% if messages[0].role != 'system' %}{{ raise_exception('Begin with a system turn') }}{% endif %}"
    with pytest.raises(DatasetError, match="refuses these messages: Begin with a system turn"):
        ChatTemplate(source, {}).render(HELLO)


def test_the_hash_is_that_of_the_text() -> None:
    assert ChatTemplate("", {}).sha256.startswith("e3b0c44298fc1c14")
