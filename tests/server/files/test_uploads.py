"""Uploads are bounded."""

from osc_protocol import Request, UploadSender, decode_packet
from server.files.uploads import Uploads
from server.threads import SerialExecutor


async def test_finished_uploads_are_remembered_up_to_a_number_and_their_files_stay(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("server.files.uploads.MAX_REMEMBERED", 5)
    executor = SerialExecutor("files")
    uploads = Uploads(tmp_path, 1000, executor)
    await uploads.prepare([])
    for number in range(12):
        for packet in UploadSender(number, b"").start(0.0):
            await uploads.on_open("me", decode_packet(packet)[0], is_stream=True)
        await uploads.on_close(
            "me",
            Request(
                "/retimbre/audio/close", {"id": number, "chunks": 0, "crc32": "00000000"}, id=number
            ),
        )
    assert len(uploads._uploads) == 5 and len(list(uploads.folder.glob("*.wav"))) == 12
    executor.close()
