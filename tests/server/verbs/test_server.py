"""The server's own verbs, and its settings for a client."""


async def test_ping_brings_back_what_it_took(client):
    client.say("ping", 1, "two", 3.0)
    await client.expect("pong", echo=(1, "two", 3.0))


async def test_status_and_version_say_who_is_there(client, server):
    await server.ready.wait()
    client.say("status")
    client.say("version")
    status, version = await client.expect("status.reply"), await client.expect("version.reply")
    assert (status["state"], status["queued"], status["running"]) == ("ready", 0, 0)
    assert (status["model"], status["device"]) == ("nano", "double")
    assert (version["name"], version["protocol"]) == ("retimbre", 1)


async def test_state_is_pushed_when_it_changes(client, audio, server):
    await server.ready.wait()
    client.say("notify", 1, 0, "max")
    await client.expect("state", state="ready")
    client.say("edit", 1, str(audio), "slow 5")
    await client.expect("state", state="busy")
    await client.expect("state", state="ready", skip=1)


async def test_sync_waits_for_loads_and_comes_after_answers(client, server):
    await server.ready.wait()
    client.say("model/load", "nano", 5)
    client.say("sync", 3)
    await client.expect("synced", n=3)
    names = [message.address.rpartition("/")[2] for message in client.messages]
    assert names.index("done") < names.index("synced")


async def test_keys_are_set_and_asked_for(client):
    client.say("set", strength=0.5, preset="harp")
    client.say("get", "strength")
    client.say("get", "negative")
    assert (await client.expect("get.reply", key="strength"))["value"] == 0.5
    assert (await client.expect("get.reply", key="negative"))["value"] == ""
    client.say("set", preset="hrap")
    assert (await client.expect("fail"))["code"] == "unknown_preset"


async def test_dump_shows_this_clients_messages(connect):
    one, other = await connect("udp"), await connect("udp")
    one.say("dump", 2)
    await one.expect("done")
    other.say("ping", "secret")
    await other.expect("pong")
    one.say("ping", "mine")
    await one.expect("pong")
    texts = " ".join(message.values["text"] for message in one.all("log"))
    assert "mine" in texts and "bytes" in texts and "secret" not in texts
