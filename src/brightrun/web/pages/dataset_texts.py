"""What an audit found, in words for the person whose file it is: titles, and what became of it. Counts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.findings import Finding, Severity
from brightrun.datasets.options import AS_WRITTEN
from brightrun.datasets.readers.choose import is_id
from brightrun.format import counted

FORMATS = {
    "brightrun-lora-v4": "Bright Run training file (v4)",
    "brightrun-lora-v4-jsonl": "Bright Run training lines (v4)",
    "brightrun-lora-v4-single": "Bright Run single conversation (v4)",
    "brightrun-lora-v3": "Bright Run conversations (v3)",
    "openai-chat-jsonl": "OpenAI chat lines",
    "sharegpt": "ShareGPT",
    "alpaca": "Alpaca",
    "prompt-completion": "Questions and answers",
    "gemini-contents": "Gemini contents",
    "openai-responses": "OpenAI responses",
    "preferences": "Preferred and rejected answers",
    "message-rows": "One message per row",
    "chatgpt-export": "ChatGPT account export",
    "claude-export": "Claude account export",
}
SEVERITIES: dict[Severity, tuple[str, str, str]] = {
    "error": ("Must be repaired", "Nothing may be trained on the file until these are gone.", "bad"),
    "warning": ("Worth a look", "You can train as it is; read what was done and decide whether you agree.", "warn"),
    "info": ("Good to know", "Nothing to do.", "open"),
}
"""By severity: the heading, what it means, the badge's look."""

_TITLES = {
    "account_export": "A whole account",
    "ai_disclaimers": "Answers that speak as another assistant",
    "client_profile": "The client's profile was added to the instructions",
    "conflicting_answers": "Questions with different answers",
    "constant_scores": "Scores that are the same everywhere",
    "contact_data": "Mail addresses and phone numbers",
    "control_characters": "Characters that no text has",
    "control_tokens": "Control words of the model inside a text",
    "crisis_answers": "Crisis answers that are not trained on",
    "stripped_markers": "Control words taken off the ends",
    "truncated_answers": "Answers that were cut off",
    "truncated_user_turns": "Client messages that were cut off",
    "duplicates": "Conversations that stand there twice",
    "echoed_questions": "Answers that only repeat the question",
    "emotional_context": "Emotions that are not the client's",
    "escaped_user_turns": "Broken line breaks in client messages",
    "escaped_newlines": "Broken line breaks in answers",
    "escaped_newlines_left": "Line breaks that may be meant as they are",
    "exposed_secrets": "Keys, cards and accounts in texts",
    "foreign_markers": "Control words of other models",
    "garbled_text": "Letters broken by a wrong encoding",
    "greetings": "Conversations that the assistant opens",
    "header_counts": "The file counts itself wrongly",
    "validation_overlap": "Validation conversations that are trained on",
    "html_remnants": "HTML left in texts",
    "injected_system": "A system prompt that the base model adds",
    "input_not_in_history": "Client messages missing from a history",
    "joined_systems": "System prompts that were joined",
    "json_syntax": "Stray backslashes in the file",
    "merged_turns": "Turns that were joined",
    "missing_values": "Missing values written as words",
    "near_duplicates": "Conversations that are almost the same",
    "no_place_for_reasoning": "Reasoning that this base model has no place for",
    "no_place_for_tools": "Tool calls that this base model has no place for",
    "no_signal": "Review marks that are the same everywhere",
    "not_targets": "Answers that the file does not offer",
    "no_trained_answers": "Conversations of which nothing is trained on",
    "other_branches": "Messages that were edited or answered anew",
    "overlength": "Conversations that are too long",
    "placeholders": "Templates that nobody filled in",
    "preferred_answers": "Preferred answers that are trained on",
    "reasoning_left_out": "Reasoning that was left out",
    "reasoning_tags": "Reasoning inside answers",
    "repeated_answers": "One answer to many questions",
    "repeated_ids": "Ids that stand twice",
    "repeated_sentences": "Answers that go in circles",
    "role_labels": "Turns that begin with a role's name",
    "short_answers": "Very short answers",
    "unanswered_end": "Last messages without an answer",
    "unfinished_answers": "Answers that may be unfinished",
    "undeclared_tools": "Calls of tools that are not listed",
    "undesirable_answers": "Answers marked as unwanted",
    "undividable": "Too little to keep some for validation",
    "unread_fields": "Fields that nobody reads",
    "unreadable_records": "Records that cannot be read",
    "unprompted_name": "Names the model has no way of knowing",
    "weighted_answers": "Answers that count more or less than others",
}
Done = Literal["repaired", "set aside", "left out", "kept", "not used", "refused"]
_DONE: dict[str, Done] = {
    "client_profile": "repaired",
    "escaped_newlines": "repaired",
    "escaped_user_turns": "repaired",
    "input_not_in_history": "repaired",
    "json_syntax": "repaired",
    "joined_systems": "repaired",
    "merged_turns": "repaired",
    "repeated_ids": "repaired",
    "stripped_markers": "repaired",
    "crisis_answers": "set aside",
    "truncated_answers": "set aside",
    "truncated_user_turns": "set aside",
    "greetings": "set aside",
    "undesirable_answers": "set aside",
    "not_targets": "set aside",
    "other_branches": "left out",
    "reasoning_left_out": "left out",
    "unreadable_records": "left out",
    "no_trained_answers": "left out",
    "overlength": "left out",
    "unanswered_end": "left out",
    "constant_scores": "not used",
    "emotional_context": "not used",
    "unread_fields": "not used",
    "header_counts": "not used",
    "no_signal": "not used",
}
DONE_TEXTS: dict[Done, str] = {
    "repaired": "Repaired",
    "set aside": "Not trained on",
    "left out": "Left out",
    "kept": "Kept as it is",
    "not used": "Not used",
    "refused": "File refused",
}
# The audit's own words name options of the command line, which pages do not have.
_FIXES = {
    "account_export": "Choose the conversations that are to be learned, and leave the private ones out.",
    "control_tokens": "Remove the control string from the text.",
    "escaped_newlines": "Nothing to do; to be rid of it, fix the program that writes the file.",
    "foreign_markers": "Remove the strings from the texts, and give the messages without any template.",
    "no_place_for_reasoning": "Leave the reasoning out, or choose a base model that reasons, such as Qwen3.",
    "no_place_for_tools": "Choose a base model that knows tools, such as Qwen3 or Llama 3.1, or leave these out.",
    "reasoning_tags": "Remove the reasoning from the answers, or choose a base model that reasons in these tags.",
    "unread_fields": "Where a field decides what is to be learned, act on it before: remove the records, or write a "
    "weight of 0. Where it is the question, the answer or the system prompt, call it so.",
    "unprompted_name": "Put the client's name into the system prompt or into what the client says, "
    "or keep it as it is, knowingly.",
    "json_syntax": "Write the file again from its source with a JSON library.",
}


def format_text(name: str | None) -> str:
    """`OpenAI chat lines`; a format without words of its own by its name."""
    return "not known" if name is None else FORMATS.get(name, name)


def finding_title(finding: Finding) -> str:
    """A finding as a heading."""
    return _TITLES.get(finding.check, finding.check.replace("_", " ").capitalize())


def finding_fix(finding: Finding) -> str:
    """What its reader can do about it."""
    return _FIXES.get(finding.check, finding.fix) if "--" in finding.fix else finding.fix


def finding_done(finding: Finding, *, repairs: bool = True) -> str:
    """What became of the places. `repairs`: whether the audit was allowed to repair."""
    if finding.severity == "error":
        return DONE_TEXTS["refused"]
    done = _DONE.get(finding.check, "kept")
    if not repairs and finding.check == "escaped_newlines":
        done = "set aside"
    elif not repairs and finding.check == "escaped_user_turns":
        done = "kept"
    return DONE_TEXTS[done]


_MOST_CHOICES = 8
_CHOSEN = {
    "repair_json": "Backslashes outside of texts are removed.",
    "unreadable": "Records that cannot be read are left out.",
    "merge_turns": "Turns of one side that follow one another are joined.",
    "strip_markers": "Control words and reasoning at the ends of texts are taken off.",
    "preference": "Of preferred and rejected answers, the preferred are trained on.",
    "reasoning": "Reasoning before answers is left out.",
}


class ReadingChoice(NamedTuple):
    """A choice of reading that a page offers: its words, its value where it is taken and where it is not."""

    name: str
    text: str
    value: str
    otherwise: str
    chosen: bool


_OFFERED = {
    "merge_turns": ("Join turns of one side that follow one another.", "true"),
    "strip_markers": ("Take control words and reasoning off the ends of texts.", "true"),
    "repair_json": ("Remove backslashes outside of texts.", "true"),
    "unreadable": ("Leave records out that cannot be read.", "leave_out"),
    "preference": ("Of preferred and rejected answers, train on the preferred.", "train_on_preferred"),
    "reasoning": ("Leave out the reasoning before answers.", "leave_out"),
}


def reading_choices(audit: AuditReport) -> list[ReadingChoice]:
    """What can be chosen when a file is read again, and what is chosen now."""
    return [
        ReadingChoice(name, text, value, str(getattr(AS_WRITTEN, name)), _word(getattr(audit.options, name)) == value)
        for name, (text, value) in _OFFERED.items()
    ]


class FindingChoice(NamedTuple):
    """A choice that does away with a finding, as a button."""

    name: str
    value: str
    label: str


_OF_FINDINGS = {
    "control_tokens": FindingChoice("strip_markers", "true", "Take them off the ends of texts"),
    "foreign_markers": FindingChoice("strip_markers", "true", "Take them off the ends of texts"),
    "reasoning_tags": FindingChoice("strip_markers", "true", "Take the reasoning off"),
    "no_place_for_reasoning": FindingChoice("reasoning", "leave_out", "Leave the reasoning out"),
    "no_place_for_tools": FindingChoice("unreadable", "leave_out", "Leave these conversations out"),
}


def choice_for(finding: Finding, audit: AuditReport) -> FindingChoice | None:
    """The choice that helps with a finding; None where there is none, or it was taken already."""
    choice = _OF_FINDINGS.get(finding.check)
    if choice is None or _word(getattr(audit.options, choice.name)) == choice.value:
        return None
    return choice


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def choices_texts(audit: AuditReport) -> list[str]:
    """How the file's records are read, where that was chosen or guessed."""
    options = audit.options
    texts = [text for name, text in _CHOSEN.items() if getattr(options, name) != getattr(AS_WRITTEN, name)]
    if options.part is not None:
        texts.append(f"Only “{options.part}” of the file is read.")
    if options.choose:
        texts.append(_chosen_text(options.choose, audit.conversations))
    if audit.columns:
        read_as = ", ".join(f"“{column}” as {meaning}" for column, meaning in audit.columns.items())
        texts.append(f"Columns are read so: {read_as}.")
    return texts


def _chosen_text(choose: Sequence[str], conversations: int) -> str:
    """Ids tell nobody anything, and there may be thousands of them."""
    if len(choose) > _MOST_CHOICES or any(is_id(choice) for choice in choose):
        are_read = f"{counted(conversations, 'conversation')} of the file {'is' if conversations == 1 else 'are'} read"
        return f"Only {are_read}: those that were chosen."
    return f"Only conversations that fit {', '.join(f'“{choice}”' for choice in choose)} are read."


def header_text(audit: AuditReport) -> str | None:
    """How the file's own count of training pairs fits what it holds; None where it states none."""
    header = audit.header
    if header is None or header.header_pairs is None:
        return None
    pairs = header.header_pairs
    if pairs == header.answers:
        return f"The file says {pairs:,} training pairs, and it holds as many answers."
    if pairs == header.turns:
        return (
            f"The file says {pairs:,} training pairs. That is every message of both sides; "
            f"the answers, which are what is trained on, are {header.answers:,}."
        )
    return (
        f"The file says {pairs:,} training pairs. It holds {header.turns:,} messages and {header.answers:,} answers; "
        "these counts are the ones used."
    )
