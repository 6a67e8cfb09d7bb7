"""Messages to tokens and to "which tokens are learnt", in a model's own template.

Knows no torch and no dataset format.
"""

from brightrun.templating.chat_model import ChatModel, EncodedConversation
from brightrun.templating.llama3 import llama3_chat_model
from brightrun.templating.messages import Message, Role
from brightrun.templating.model_folder import load_chat_model
from brightrun.templating.separate import separate_examples

__all__ = [
    "ChatModel",
    "EncodedConversation",
    "Message",
    "Role",
    "llama3_chat_model",
    "load_chat_model",
    "separate_examples",
]
