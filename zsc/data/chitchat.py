"""The chit-chat dataset of BYU's Perception, Control and Cognition lab, as the package `chitchat-dataset` carries it.

A conversation is a list of messages, each a list of what one person sent in a row. There is no knowledge.
"""

from typing import Any

from zsc.data.record import Record, Turn
from zsc.data.wizard import check_min_history
from zsc.install import check_installed


def load(min_history: int = 1) -> list[Record]:
    """Return one record per turn that follows at least ``min_history`` turns.

    A turn is all that a person sent before the other answered, joined [D]. The topic is the conversation's prompt.
    """
    check_min_history(min_history)
    check_installed("chitchat-dataset", "chitchat", "dataset=chitchat")
    from chitchat_dataset import Dataset

    return [record for key, conversation in Dataset().items() for record in records(key, conversation, min_history)]


def records(key: str, conversation: dict[str, Any], min_history: int) -> list[Record]:
    """Return the records of one conversation."""
    history: list[Turn] = []
    for part in (part for message in conversation["messages"] for part in message):
        text, sender = " ".join(part["text"].split()), part["sender"]
        if text and history and history[-1].speaker == sender:
            history[-1] = Turn(sender, f"{history[-1].text} {text}")
        elif text:
            history.append(Turn(sender, text))
    topic = " ".join((conversation.get("prompt") or "").split()) or None
    return [
        Record(f"{key}/{i}", tuple(history[:i]), turn.text, None, topic)
        for i, turn in enumerate(history)
        if i >= min_history
    ]
