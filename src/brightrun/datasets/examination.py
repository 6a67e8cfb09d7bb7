"""One pass over a file: read, fix, check and count. The audit and the preparation both walk it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from brightrun.contract.job_spec import file_sha256
from brightrun.datasets.acts import Act, Acts
from brightrun.datasets.audit_report import AuditReport, CrisisCounts
from brightrun.datasets.checks import duplicates, near_duplicates, undividable
from brightrun.datasets.checks.check import Check, RepairCheck
from brightrun.datasets.checks.constant_scores import ConstantScores
from brightrun.datasets.checks.content import content_checks
from brightrun.datasets.checks.control_tokens import ControlTokenCheck
from brightrun.datasets.checks.crisis_answers import CrisisAnswers
from brightrun.datasets.checks.emotional_context import EmotionalContext
from brightrun.datasets.checks.escaped_newlines import EscapedNewlines
from brightrun.datasets.checks.escaped_user_turns import EscapedUserTurns
from brightrun.datasets.checks.header_counts import HeaderCheck, HeaderCounts
from brightrun.datasets.checks.injected_system import InjectedSystem
from brightrun.datasets.checks.no_place import NoPlace
from brightrun.datasets.checks.no_signal import NoSignal
from brightrun.datasets.checks.no_trained_answers import NoTrainedAnswers
from brightrun.datasets.checks.not_targets import NotTargets
from brightrun.datasets.checks.overlength import Overlength
from brightrun.datasets.checks.short_answers import ShortAnswers
from brightrun.datasets.checks.stripped_markers import StrippedMarkers
from brightrun.datasets.checks.truncated_answers import TruncatedAnswers
from brightrun.datasets.checks.truncated_user_turns import TruncatedUserTurns
from brightrun.datasets.checks.unanswered_end import UnansweredEnd
from brightrun.datasets.checks.unfinished_answers import UnfinishedAnswers
from brightrun.datasets.checks.unprompted_name import UnpromptedName
from brightrun.datasets.client_profile import ClientProfile
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.encoded_lengths import EncodedLengths, lengths_of
from brightrun.datasets.encoding_wire import Task
from brightrun.datasets.findings import Finding
from brightrun.datasets.fingerprints import DuplicateGroups, Fingerprints, fingerprint_texts
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.look_ahead import ONE_AT_A_TIME, LookAhead, encode_ahead
from brightrun.datasets.options import ReadingChoices, ReadOptions
from brightrun.datasets.problems import Problems, UnreadableRecordError
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.file_text import Progress
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.repair_log import Log, RepairLogEntry, discard
from brightrun.datasets.split import count_units, why_one_sided, why_undividable
from brightrun.datasets.totals import Totals
from brightrun.datasets.validation_file import ValidationFile
from brightrun.errors import BrightRunError, DatasetError, MaskDisagreement
from brightrun.templating.chat_model import ChatModel, EncodedConversation
from brightrun.templating.messages import Message
from brightrun.templating.places import Place

_COUNTED = (
    "conversations",
    "turns",
    "answers",
    "trainable",
    "trainable_conversations",
    "repaired",
    "repaired_user_turns",
    "excluded",
    "dropped",
    "tokens",
    "tokens_separate",
    "trained_tokens",
)
_SEVERITIES = ("error", "warning", "info")


class _Reporting(Protocol):
    def findings(self) -> list[Finding]: ...


class Examined(NamedTuple):
    """A conversation as it is after repairing. `kept`: it is trained on or kept for validation; `for_validation`: it
    came in the validation file.

    `encoded` is absent where it is not kept, and where tokens are not counted.
    """

    conversation: Conversation
    kept: bool
    encoded: EncodedLengths | None
    for_validation: bool = False

    @property
    def trained_tokens(self) -> int:
        return 0 if self.encoded is None else self.encoded.trained_tokens


class _Looked(NamedTuple):
    """A conversation that was repaired and checked, and is yet to be encoded and counted; `written` as it stands there.

    `learned`: there is something to learn in it. `messages`: what is to be encoded, empty where nothing is. `acts`:
    what was told and logged of it, and of what stands before it in the file. `lacking`: what it holds that the base
    model's template has no place for.
    """

    written: Conversation
    conversation: Conversation
    learned: bool
    messages: Sequence[Message]
    acts: Sequence[Act]
    lacking: Sequence[Place] = ()


class Examination:
    """Walk `conversations()` to its end, then ask for `report()` and `groups`."""

    groups: DuplicateGroups

    def __init__(  # noqa: PLR0913 - each is a choice of its own
        self,
        path: Path,
        chat: ChatModel,
        options: ReadOptions,
        *,
        log: Log = discard,
        progress: Progress | None = None,
        counts_tokens: bool = True,
        validation_file: Path | None = None,
        validation_choices: ReadingChoices | None = None,
        ahead: LookAhead = ONE_AT_A_TIME,
    ) -> None:
        """Walk one file, and behind it perhaps a file of conversations that are all kept for validation.

        Args:
            ahead: Whether conversations may be read before those in front of them are examined. `examine` and `refuse`
                are for walks where they are not.
            validation_choices: How that file's records are read; as the first one's where nothing else was decided.
            counts_tokens: Off where only checks of words are wanted; tokens are counted for a limit all the same.
        """
        self._acts, self._ahead = Acts(), ahead

        def log_in_turn(entry: RepairLogEntry) -> None:
            self._acts.do(partial(log, entry))

        self._validation_file = (
            None
            if validation_file is None
            else ValidationFile(validation_file, options, log_in_turn, validation_choices)
        )
        self._counts_tokens = counts_tokens or options.max_seq_length is not None or options.context_length is not None
        self._path, self._chat, self._options = path, chat, options
        self._progress = progress
        self._notes = Notes(Problems(path.name), options, log_in_turn, self._acts)
        self._format = ""
        self._totals = Totals()
        self._kept, self._not_kept, self._kept_aside = 0, set[str](), 0
        self._build_checks(log_in_turn)

    def _build_checks(self, log: Log) -> None:
        options = self._options
        profiled = options.client_profile == "system_prompt"
        self._menders: list[RepairCheck] = [
            StrippedMarkers(
                log,
                strips=options.strip_markers,
                own=self._chat.special_tokens,
                template=self._chat.template,
            ),
            EscapedNewlines(log, repair=options.repair),
            EscapedUserTurns(log, repair=options.repair),
            TruncatedAnswers(log),
            TruncatedUserTurns(log),
            *([ClientProfile()] if profiled else []),
        ]
        self._unanswered = UnansweredEnd()
        self._header = HeaderCheck()
        self._checks: list[Check] = [
            UnfinishedAnswers(),
            ShortAnswers(),
            UnpromptedName(profile_added=profiled),
            NotTargets(),
            self._unanswered,
            self._header,
            ConstantScores(),
            NoSignal(),
            EmotionalContext(),
            InjectedSystem(self._chat.injected_system),
            *content_checks(self._chat),
        ]
        self._control = ControlTokenCheck(self._chat.special_tokens)
        self._length = Overlength(
            log, limit=options.max_seq_length, policy=options.overlength_policy, context_length=options.context_length
        )
        self._crisis = CrisisAnswers()
        self._nothing = NoTrainedAnswers(log)
        self._no_place = NoPlace()

    def conversations(self) -> Generator[Examined, None, None]:
        """Every conversation of the file, repaired and counted; where a file is large, other processes encode.

        Raises:
            DatasetError: the file cannot be used; all places found are in its details.
        """
        opened = open_dataset(self._path, self._notes, self._progress)
        self._format = opened.format
        seen = SeenIds()
        with closing(Fingerprints()) as fingerprints:
            for examined in self._walk(opened.conversations, fingerprints):
                if self._validation_file is not None:
                    seen.add(examined.conversation.id)
                yield examined
            self.refuse()
            if self._validation_file is not None:
                for examined in self._walk(self._validation_file.conversations(seen), fingerprints):
                    self._kept_aside += examined.kept
                    yield examined._replace(for_validation=True)
            self.groups = fingerprints.groups()

    def refuse(self) -> None:
        """Raise DatasetError with the places found so far that make the file unusable, if there are any."""
        self._notes.refuse()

    def examine(self, conversation: Conversation) -> Examined:
        """Fix, check and count one conversation. Raises what the chat model raises."""
        return self._conclude(self._look(conversation), None)

    def _walk(self, conversations: Iterable[Conversation], fingerprints: Fingerprints) -> Iterator[Examined]:
        """All of them in order; some are read and checked ahead of those that are being encoded."""

        ahead = self._ahead if self._counts_tokens else ONE_AT_A_TIME
        with (
            self._acts.kept_back(),
            closing(encode_ahead(map(self._look, conversations), _task, self._chat, ahead)) as encoded,
        ):
            for each, done in encoded:
                fingerprints.add(each.written, done.fingerprint)
                with self._acts.in_turn(each.acts):
                    examined = self._conclude(each, done.lengths)
                yield examined

    def _look(self, written: Conversation) -> _Looked:
        """Fix and check one; all that can be done before it is encoded."""
        conversation = written
        for repair_check in self._menders:
            conversation = repair_check.fix(conversation)
        for check in self._checks:
            check.inspect(conversation)
        self._totals.add(conversation)
        learned = not self._control.contains(conversation) and not self._nothing.is_untrainable(conversation)
        lacking = self._chat.lacks(conversation.messages()) if learned and conversation.has_more_than_text else []
        messages = conversation.messages() if learned and not lacking and self._counts_tokens else []
        return _Looked(written, conversation, learned, messages, self._acts.take(), lacking)

    def _conclude(self, looked: _Looked, lengths: EncodedLengths | None) -> Examined:
        """Count one that was looked at, in its turn. `lengths`: of its encoding, where another process made it."""
        conversation = looked.conversation
        if looked.lacking:
            self._tell_no_place(conversation, looked.lacking)
        if not looked.learned or looked.lacking:
            examined = Examined(conversation, kept=False, encoded=None)
        elif self._counts_tokens:
            examined = self._measured(conversation, self._encoded_or_left_out(looked) if lengths is None else lengths)
        else:
            examined = Examined(conversation, kept=True, encoded=None)
        self._crisis.inspect(conversation, kept=examined.kept)
        if examined.kept:
            self._kept += 1
        else:
            self._not_kept.add(conversation.id)
        return examined

    def _tell_no_place(self, conversation: Conversation, lacking: Sequence[Place]) -> None:
        """The base model's template would leave something of it out: that is told, or the record is left out."""
        if self._options.unreadable == "refuse":
            self._no_place.add(conversation, lacking)
            return
        reason = f"the base model's chat template has no place for {', '.join(lacking)}"
        self._notes.leave_out(UnreadableRecordError(conversation.place, reason), conversation.id)
        self._notes.read -= 1

    def _measured(self, conversation: Conversation, encoded: EncodedLengths | None) -> Examined:
        if encoded is None:
            return Examined(conversation, kept=False, encoded=None)
        tokens, trained = encoded.longest_sequence, encoded.trained_tokens
        answers = len(encoded.answer_spans)
        if self._length.is_dropped(conversation.id, tokens=tokens, trained_tokens=trained, answers=answers):
            self._totals.counts["dropped"] += 1
            return Examined(conversation, kept=False, encoded=None)
        self._totals.add_encoded(encoded)
        return Examined(conversation, kept=True, encoded=encoded)

    def _encoded_or_left_out(self, looked: _Looked) -> EncodedLengths | None:
        """None where the base model cannot take the conversation and such ones are to be left out. Else, it raises."""
        conversation = looked.conversation
        try:
            return lengths_of(self._encode(looked))
        except (DatasetError, MaskDisagreement) as error:
            if self._options.unreadable == "refuse":
                raise
            problem = UnreadableRecordError(conversation.place, error.message, hint=error.hint)
            self._notes.leave_out(problem, conversation.id)
            self._notes.read -= 1
            return None

    def _encode(self, looked: _Looked) -> EncodedConversation:
        """Raises what the chat model raises, with the conversation's place put before the message."""
        conversation = looked.conversation
        try:
            return self._chat.encode_conversation(looked.messages)
        except BrightRunError as error:
            raise type(error)(
                f"{self._path.name}, {conversation.place} (conversation {conversation.id}): {error.message}",
                hint=error.hint,
                details={**error.details, "conversation": conversation.id, "place": conversation.place},
            ) from error

    def report(self) -> AuditReport:
        """The audit, once every conversation was walked."""
        totals = self._totals
        header = self._reconcile()
        findings = self._findings()
        return AuditReport(
            format=self._format,
            columns=self._notes.columns,
            file_name=self._path.name,
            sha256=file_sha256(self._path),
            validation_file=None if self._validation_file is None else self._validation_file.path.name,
            validation_file_sha256=None if self._validation_file is None else self._validation_file.sha256,
            validation_file_conversations=self._kept_aside,
            **{name: totals.counts[name] for name in _COUNTED},
            longest_tokens=totals.longest_tokens,
            overlength=self._length.count,
            max_seq_length=self._options.max_seq_length,
            tokenizer=self._chat.name,
            template_sha256=self._chat.template_sha256,
            options=self._options,
            header=header,
            consultant=self._notes.header.consultant,
            independent_conversations=self._independent(),
            personas=totals.personas(),
            arcs=totals.arcs(),
            coverage=totals.coverage(),
            crisis_answers=CrisisCounts(before=self._crisis.before, after=self._crisis.after),
            lengths=totals.lengths(),
            findings=findings,
            refused=any(finding.severity == "error" for finding in findings),
        )

    def _reconcile(self) -> HeaderCounts | None:
        """The header beside the body.

        A JSONL has lines for answers only. What its header counts beyond them, up to one turn per
        conversation, are last client turns without an answer; they are counted as turns.
        """
        stated = self._notes.header
        if stated.pairs is None and stated.conversations is None:
            return None
        counts = self._totals.counts
        beyond = (stated.pairs or 0) - counts["turns"]
        if self._notes.answers_only and 0 < beyond <= counts["conversations"]:
            self._unanswered.learn_of(beyond)
            counts["turns"] += beyond
        side_by_side = HeaderCounts(
            header_conversations=stated.conversations,
            header_pairs=stated.pairs,
            conversations=counts["conversations"],
            turns=counts["turns"],
            answers=counts["answers"],
        )
        self._header.compare(side_by_side)
        return side_by_side

    def _findings(self) -> list[Finding]:
        counts = self._totals.counts
        independent = self._independent()
        if not self._no_place.count:
            self._nothing.conclude(trainable=counts["trainable"], answers=counts["answers"])
        found = self.findings_so_far()
        found += self._notes.findings()
        if counts["trainable"]:
            found += undividable.findings(self._why_undividable(independent))
        if self._validation_file is not None:
            found += self._validation_file.findings(self.groups.together)
        found += duplicates.findings(self.groups.exact)
        found += near_duplicates.findings(self.groups.near)
        return in_order(found)

    def _why_undividable(self, independent: int) -> DatasetError | None:
        if self._validation_file is None:
            return why_undividable(self._kept, independent)
        return why_one_sided(trained=self._kept - self._kept_aside, kept_aside=self._kept_aside)

    def _independent(self) -> int:
        """How many conversations that are kept stand on their own, near-duplicates counted once."""
        groups = [[name for name in group if name not in self._not_kept] for group in self.groups.together]
        return count_units(self._kept, groups)

    def findings_so_far(self) -> list[Finding]:
        """What the checks found in the conversations that were examined, without what only the whole file tells."""
        sources: list[_Reporting] = [
            *self._menders,
            *self._checks,
            self._control,
            self._length,
            self._nothing,
            self._no_place,
            self._crisis,
        ]
        return [finding for source in sources for finding in source.findings()]


def _task(looked: _Looked) -> Task | None:
    return Task(looked.messages, fingerprint_texts(looked.written)) if looked.messages else None


def in_order(findings: list[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity))
