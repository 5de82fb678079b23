// A client of the retimbre server: a Buffer and a few words go out, a Buffer with as many frames comes back.
//
// A Retimbre speaks to one server; a RetimbreJob is one edit, from its region's file to its stems' Buffers.
//
//     edit -> writing -> asking -> running -> reading -> done
//                                    \-> failed (also cancelled, and 10 s without a word)
//
// Audio travels as files: scsynth writes the region into a folder that the retimbre server names, and reads the stem.

Retimbre {
	classvar count = 0; // of all ids: every Retimbre here speaks from the same port, so the server sees one client
	classvar run;

	var <addr, <defaults, <folder, jobs, listeners;

	*new { |addr|
		^super.newCopyArgs(addr ?? { NetAddr("127.0.0.1", 11020) }).init
	}

	// Unlike those of an earlier sclang, which spoke from the same port.
	*newID {
		run = run ?? { Date.seed.asHexString };
		count = count + 1;
		^"sc-%-%".format(run, count)
	}

	init {
		defaults = IdentityDictionary.new;
		jobs = Dictionary.new;
		listeners = [
			this.listen('/retimbre/ack', { |id| this.prTell(id, \onAck) }),
			this.listen('/retimbre/progress', { |id ... values| this.prTell(id, \onProgress, *values) }),
			this.listen('/retimbre/result', { |id ... values| this.prTell(id, \onResult, *values) }),
			this.listen('/retimbre/done', { |command, id ... values| this.prOnDone(command, id, *values) }),
			this.listen('/retimbre/fail', { |command, id ... values| this.prOnFail(command, id, *values) }),
			this.listen('/retimbre/log', { |level, text| if(level > 1) { "Retimbre: %".format(text).warn } }),
		];
		this.send(\notify, 1, 0, "sclang-%".format(NetAddr.langPort));
		this.askFolder;
	}

	listen { |address, function|
		^OSCFunc({ |message| function.(*message.drop(1)) }, address, addr).fix
	}

	send { |verb ... values|
		addr.sendMsg("/retimbre/" ++ verb, *values)
	}

	// Ask until the answer comes. function: of the answer's values; silence: called after 10 s without one.
	ask { |verb, values, reply, function, silence|
		var hasAnswered = false, asked = 0, listener;
		listener = OSCFunc({ |message|
			hasAnswered = true;
			function.(*message.drop(1))
		}, "/retimbre/" ++ reply, addr).fix.oneShot;
		SkipJack({
			if(hasAnswered.not) {
				asked = asked + 1;
				if(asked > 20) { hasAnswered = true; listener.free; silence.value } { this.send(verb, *values) }
			}
		}, 0.5, { hasAnswered }, clock: SystemClock);
	}

	askFolder { |action, silence|
		this.ask(\folder, [], 'folder.reply', { |path| folder = path.asString; action.value(folder) }, silence)
	}

	isThere { |action|
		this.ask(\ping, [], \pong, { action.value(true) }, { action.value(false) })
	}

	// Keys for all later jobs of this Retimbre: set(\strength, 0.8, \tempo, 120). nil takes one back.
	set { |... pairs|
		pairs.pairsDo { |key, value| if(value.isNil) { defaults.removeAt(key) } { defaults[key] = value } }
	}

	preset_ { |name| this.set(\preset, name) }

	// blend(\harp, 0.7, \pan_flute, 0.3): only the ratios of the weights count.
	blend { |... mixture| this.set(\preset, mixture.join(" ")) }

	// action gets an Array of Events: name, title, model, task, needsAudio, maxSeconds, description.
	presets { |action, failure|
		var items = List.new, listener;
		listener = this.listen('/retimbre/preset/item', { |... values|
			items.add([\name, \title, \model, \task, \needsAudio, \maxSeconds, \description].collect { |key, i|
				[key, if(values[i].isKindOf(Symbol) and: { i > 0 }) { values[i].asString } { values[i] }]
			}.flatten(1).asEvent)
		});
		this.ask('preset/list', [], 'preset/list.end', { |count|
			var unique = items.collectAs({ |item| item.name -> item }, IdentityDictionary);
			listener.free;
			if(unique.size == count) {
				action.value(unique.values.sort { |a, b| a.name < b.name })
			} {
				this.presets(action, failure) // a packet was lost
			}
		}, {
			listener.free;
			failure.value(\timed_out, "no answer from %:%".format(addr.hostname, addr.port))
		})
	}

	// The Buffer's frames from startFrame on (numFrames of them; -1: all) and words; nil: the default or the model's own.
	// action gets (stem's Buffer, job), progress (fraction, stage, seconds left or -1), failure (code, reason).
	edit { |buffer, text = "", preset, strength, pooling, guidance, negative, steps, seed, startFrame = 0, numFrames = -1,
		action, progress, failure, keys, fidelity|
		var given = (preset: preset, strength: strength, pooling: pooling, fidelity: fidelity, guidance: guidance,
			negative: negative, steps: steps, seed: seed);
		var job = RetimbreJob(this, buffer.server, defaults.copy.putAll(given.reject(_.isNil), (keys ? []).asEvent),
			action, progress, failure);
		jobs[job.id.asSymbol] = job;
		job.edit(buffer, text, startFrame, numFrames);
		^job
	}

	// An earlier job with changes, as [\seed, 8]; without any the same audio comes back.
	again { |job, changes, action, progress, failure|
		var next = RetimbreJob(this, job.server, (changes ? []).asEvent, action ? job.action, progress ? job.progress,
			failure ? job.failure);
		jobs[next.id.asSymbol] = next;
		next.again(job);
		^next
	}

	cancel { jobs.do(_.cancel) }

	// Forget the server. Jobs that run go on there, and are not heard of here.
	free {
		listeners.do(_.free);
		jobs.do(_.abandon);
		jobs.clear;
		this.send(\notify, 0);
	}

	prTell { |id, what ... values|
		var job = jobs[id.asSymbol];
		if(job.notNil) { job.perform(what, *values) }
	}

	prOnDone { |command, id, serial ... values|
		if(#['/retimbre/edit', '/retimbre/again'].includes(command)) { this.prTell(id, \onDone, serial, *values) }
	}

	prOnFail { |command, id, code, reason, serial = 0|
		if(#['/retimbre/edit', '/retimbre/again'].includes(command)) {
			this.prTell(id, \onFail, code, reason.asString, serial)
		} {
			"Retimbre: % %: % %".format(command, id, code, reason).warn
		}
	}
}


RetimbreJob {
	classvar <>silenceSeconds = 10; // a server says something every 2 s about a job that lives
	classvar <>writeSeconds = 60;
	classvar askSeconds = 3;

	var <retimbre, <server, keys, <>action, <>progress, <>failure;
	var <id, <state = \writing, <fraction = 0, <stage, <results, <stems, <seed, <manifest, <seconds, <code, <reason;
	var request, heardAt, condition;

	*new { |retimbre, server, keys, action, progress, failure|
		^super.newCopyArgs(retimbre, server, keys, action, progress, failure).init
	}

	init {
		id = Retimbre.newID;
		results = Array.new;
		stems = [];
		condition = Condition.new;
		failure = failure ? { |code, reason| "Retimbre: %: %".format(code, reason).warn };
	}

	isOver { ^#[\done, \failed].includes(state) }

	// In a Routine: wait for the end; the first stem's Buffer, or nil.
	wait {
		if(this.isOver.not) { condition.hang };
		^stems[0]
	}

	edit { |buffer, text, startFrame, numFrames|
		this.prWatch;
		if(retimbre.folder.notNil) { this.prWrite(buffer, text, startFrame, numFrames) } {
			retimbre.askFolder({ this.prWrite(buffer, text, startFrame, numFrames) }, {
				this.prEndBadly(\not_ready, "no server answers at %:%; start one with: retimbre serve".format(
					retimbre.addr.hostname, retimbre.addr.port))
			})
		}
	}

	again { |job|
		this.prWatch;
		this.prRequest([\again, id, job.id] ++ keys.getPairs)
	}

	cancel {
		if(this.isOver.not) {
			if(state == \writing) { this.prEndBadly(\cancelled, "stopped on request") } { retimbre.send(\cancel, id) }
		}
	}

	abandon { if(this.isOver.not) { state = \failed; condition.unhang } }

	prWrite { |buffer, text, startFrame, numFrames|
		var path = "%/%.wav".format(retimbre.folder, id);
		forkIfNeeded {
			buffer.write(path, "WAV", "float", numFrames, startFrame);
			server.sync;
			if(state == \writing) {
				if(File.exists(path)) {
					this.prRequest([\edit, id, path, text.asString] ++ keys.getPairs)
				} {
					this.prEndBadly(\write_failed, "% did not write %; do scsynth and retimbre run on one machine?".format(
						server, path))
				}
			}
		}
	}

	prRequest { |message|
		request = message;
		state = \asking;
		heardAt = Main.elapsedTime;
		retimbre.send(*request)
	}

	// Send again what was not answered, and notice silence.
	prWatch {
		heardAt = Main.elapsedTime;
		SkipJack({ this.prTick }, 0.5, { #[\reading, \done, \failed].includes(state) }, clock: SystemClock)
	}

	prTick {
		var silence = Main.elapsedTime - heardAt;
		case
		{ (state == \writing) and: { silence > writeSeconds } } {
			this.prEndBadly(\write_failed, "% did not answer while it wrote the region".format(server))
		}
		{ #[\asking, \running].includes(state) and: { silence > silenceSeconds } } {
			this.prEndBadly(\timed_out, "no word about the job for % s; does the retimbre server still run?".format(
				silenceSeconds))
		}
		{ state == \asking } { retimbre.send(*request) }
		{ (state == \running) and: { silence > askSeconds } } { retimbre.send('job/query', id) } // was its end lost?
	}

	onAck { this.prHeard }

	onProgress { |newFraction, newStage, eta|
		this.prHeard;
		if(state == \running) {
			fraction = newFraction;
			stage = newStage;
			progress.value(fraction, stage, eta)
		}
	}

	onResult { |index, stem, path, rate, channels, frames, start, beatsStart|
		this.prHeard;
		if(results.every { |each| each.index != index }) {
			results = results.add((index: index, stem: stem, path: path.asString, rate: rate, channels: channels,
				frames: frames, start: start, beatsStart: beatsStart))
		}
	}

	onDone { |serial, count, usedSeed, manifestPath, secondsTaken|
		this.prHeard;
		if(#[\asking, \running].includes(state) and: { results.size < count }) {
			retimbre.send('job/query', id) // a packet was lost
		} {
			retimbre.send(\got, id, serial);
			if(state == \running) {
				state = \reading;
				seed = usedSeed;
				manifest = manifestPath.asString;
				seconds = secondsTaken;
				this.prRead
			}
		}
	}

	onFail { |code, reason, serial|
		if(serial > 0) { retimbre.send(\got, id, serial) };
		if(#[\asking, \running].includes(state)) { this.prEndBadly(code, reason) }
	}

	prHeard {
		heardAt = Main.elapsedTime;
		if(state == \asking) { state = \running }
	}

	prRead {
		var missing = results.size;
		results = results.sort { |a, b| a.index < b.index };
		stems = Array.newClear(missing);
		results.do { |result, i|
			stems[i] = Buffer.read(server, result.path, action: {
				missing = missing - 1;
				if(missing == 0) { this.prEndWell }
			})
		}
	}

	prEndWell {
		state = \done;
		fraction = 1;
		progress.value(1, \done, 0);
		action.value(stems[0], this);
		condition.unhang
	}

	prEndBadly { |newCode, newReason|
		state = \failed;
		code = newCode;
		reason = newReason;
		failure.value(code, reason);
		condition.unhang
	}
}
