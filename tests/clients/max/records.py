"""Reading what the double of Max printed: one record for each thing that happened."""

from pythonosc.osc_message import OscMessage

CONNECTED = '"connected",1'  # part of the record after which the server has answered


def of(records, key, value=None):
    return [record for record in records if key in record and value in (None, record[key])]


def packets(records, address):
    messages = [OscMessage(bytes.fromhex(record["sent"])) for record in of(records, "sent")]
    return [message.params for message in messages if message.address == address]


def messages_at(records, box):
    """The messages that arrived at a box, such as the status line or the player."""
    return [" ".join(map(str, record["message"])) for record in of(records, "box", box)]
