"""What ChatGPT and Claude give people who ask for their data: every conversation of the account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from brightrun.datasets.checks import account_export, other_branches
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Json, as_object, at, maybe_object
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.raw import RawConversation, RawMessage, role_of
from brightrun.datasets.readers.record_fields import RecordFields, is_absent

CHATGPT, CLAUDE = "chatgpt-export", "claude-export"
ACCOUNT_EXPORTS = (CHATGPT, CLAUDE)
RECOGNIZED_BY_CHATGPT = "`mapping` and `current_node`, as ChatGPT exports an account"
RECOGNIZED_BY_CLAUDE = "`chat_messages` with `sender`, as Claude exports an account"

# Fields that describe the account and its interface, not what was said.
_CHATGPT_OTHERS = (
    "create_time", "update_time", "moderation_results", "plugin_ids", "conversation_template_id", "gizmo_id",
    "gizmo_type", "is_archived", "is_starred", "safe_urls", "blocked_urls", "default_model_slug", "conversation_origin",
    "voice", "async_status", "disabled_tool_ids", "is_do_not_remember", "memory_scope", "is_study_mode", "owner",
)  # fmt: skip
_CLAUDE_OTHERS = ("created_at", "updated_at", "account", "summary")
_TEXTS = frozenset({"text", "multimodal_text"})
_ACCOUNT_SETTINGS = frozenset({"user_editable_context", "model_editable_context"})
_REASONING = frozenset({"thoughts", "reasoning_recap"})


def matches_chatgpt(fields: RecordFields) -> bool:
    return isinstance(fields.peek("mapping"), dict)


def read_chatgpt(fields: RecordFields, notes: Notes) -> RawConversation:
    """The branch that was last shown, from the root of the tree to its current node."""
    mapping, current = fields.need("mapping"), fields.take("current_node")
    nodes = as_object(mapping.value, mapping.place)
    path: list[str] = []
    name = current.value if current is not None else _last_leaf(nodes, mapping.place)
    while name is not None:
        if not isinstance(name, str) or len(path) > len(nodes):
            raise UnreadableRecordError(mapping.place, "the tree of messages runs in a circle or into nothing")
        node = as_object(nodes.get(name), at(mapping.place, name))
        path.append(name)
        name = node.get("parent")
    messages = [message for key in reversed(path) if (message := _chatgpt_message(nodes[key], at(mapping.place, key)))]
    shown = frozenset(path)
    others = sum(_says(node) for key, node in nodes.items() if key not in shown)
    title = fields.take_label("title")
    own_id = fields.take_label("conversation_id", "id")
    fields.take_label("id", "conversation_id")
    created_at = _moment(fields.peek("create_time"))
    _take_all(fields, _CHATGPT_OTHERS)
    if others:
        notes.add(other_branches.CHECK, f"{others} messages of {title or own_id!r}", conversation=own_id)
    raw = RawConversation(fields.place, messages, fields, title=title, own_id=own_id, created_at=created_at)
    return _told(raw, notes)


def matches_claude(fields: RecordFields) -> bool:
    messages = fields.peek("chat_messages")
    return isinstance(messages, list) and isinstance(messages[0], dict) and "sender" in messages[0]


def read_claude(fields: RecordFields, notes: Notes) -> RawConversation:
    """The messages in their order; a text is given whole and in parts, and is read once."""
    listed = fields.need_list("chat_messages")
    messages = []
    for index, item in enumerate(listed.value):
        place = at(listed.place, index)
        value = as_object(item, place)
        role = role_of(value.get("sender"), at(place, "sender"))
        if value.get("attachments") or value.get("files"):
            raise UnreadableRecordError(place, "the message comes with files, and only text can be trained on")
        messages.append(RawMessage(role, value.get("content") or value.get("text"), place))
    title, own_id = fields.take_label("name"), fields.take_label("uuid")
    created_at = _moment(fields.peek("created_at"))
    _take_all(fields, _CLAUDE_OTHERS)
    raw = RawConversation(fields.place, messages, fields, title=title, own_id=own_id, created_at=created_at)
    return _told(raw, notes)


def _told(raw: RawConversation, notes: Notes) -> RawConversation:
    if not notes.choices.choose:
        notes.add(account_export.CHECK, raw.title or raw.own_id or raw.place, conversation=raw.own_id)
    return raw


def _chatgpt_message(node: Json, place: str) -> RawMessage | None:
    """The message of a node; None where it shows nothing: the root, empty system messages, what is hidden."""
    message = node.get("message")
    if not isinstance(message, dict) or not _says(node):
        return None
    content = as_object(message.get("content"), at(place, "message/content"))
    kind = content.get("content_type", "text")
    where = at(place, "message")
    author = message.get("author")
    role = role_of(author.get("role") if isinstance(author, dict) else author, at(where, "author"))
    if kind not in _TEXTS:
        what = "tool calling or other inner work" if kind not in _REASONING else "reasoning"
        raise UnreadableRecordError(where, f"only text can be trained on, found {kind!r:.40} ({what})")
    return RawMessage(role, [part if isinstance(part, str) else {"type": "image"} for part in _parts(content)], where)


def _parts(content: Json) -> list[Any]:
    parts = content.get("parts")
    return parts if isinstance(parts, list) else [content.get("text")]


def _says(node: Any) -> bool:
    message = node.get("message") if isinstance(node, dict) else None
    if not isinstance(message, dict):
        return False
    if maybe_object(message, "metadata").get("is_visually_hidden_from_conversation"):
        return False
    content = message.get("content")
    if not isinstance(content, dict) or content.get("content_type") in {
        "user_editable_context",
        "model_editable_context",
    }:
        return False
    return any(not is_absent(part) for part in _parts(content))


def _last_leaf(nodes: Json, place: str) -> str:
    leaves = [key for key, node in nodes.items() if isinstance(node, dict) and not node.get("children")]
    if not leaves:
        raise UnreadableRecordError(place, "the tree of messages has no end")
    return leaves[-1]


def _moment(value: Any) -> datetime | None:
    """A moment as ChatGPT writes it (seconds since 1970) or Claude (ISO 8601); None where it is neither."""
    try:
        if isinstance(value, str):
            told = datetime.fromisoformat(value)
            return told if told.tzinfo is not None else told.replace(tzinfo=UTC)
        return datetime.fromtimestamp(value, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _take_all(fields: RecordFields, names: tuple[str, ...]) -> None:
    for name in names:
        fields.take(name)
