"""The checks of what texts say: what spoils training without breaking the file."""

from __future__ import annotations

from brightrun.datasets.checks.ai_disclaimers import AiDisclaimers
from brightrun.datasets.checks.check import Check
from brightrun.datasets.checks.conflicting_answers import ConflictingAnswers
from brightrun.datasets.checks.contact_data import ContactData
from brightrun.datasets.checks.control_characters import ControlCharacters
from brightrun.datasets.checks.echoed_questions import EchoedQuestions
from brightrun.datasets.checks.exposed_secrets import ExposedSecrets
from brightrun.datasets.checks.foreign_markers import ForeignMarkers
from brightrun.datasets.checks.garbled_text import GarbledText
from brightrun.datasets.checks.html_remnants import HtmlRemnants
from brightrun.datasets.checks.missing_values import MissingValues
from brightrun.datasets.checks.placeholders import Placeholders
from brightrun.datasets.checks.reasoning_tags import ReasoningTags
from brightrun.datasets.checks.repeated_answers import RepeatedAnswers
from brightrun.datasets.checks.repeated_sentences import RepeatedSentences
from brightrun.datasets.checks.role_labels import RoleLabels
from brightrun.templating.chat_model import ChatModel


def content_checks(chat: ChatModel) -> list[Check]:
    """New ones of each, in the order in which they report. `chat`: whose control strings and template are known."""
    return [
        ExposedSecrets(),
        ContactData(),
        MissingValues(),
        ForeignMarkers(chat.special_tokens),
        RoleLabels(),
        ReasoningTags(chat.template),
        ControlCharacters(),
        GarbledText(),
        HtmlRemnants(),
        Placeholders(),
        AiDisclaimers(),
        EchoedQuestions(),
        RepeatedSentences(),
        RepeatedAnswers(),
        ConflictingAnswers(),
    ]
