// A running stemd in SuperCollider: what its stems do as values, busses and events, and its knobs.
//
//   s.boot;
//   x = Stemd().start;                              // 127.0.0.1, port 9700
//   x.get(\drums, \level)                         // newest value, 0…1
//   x.onset(\drums, \kick, { |velocity, count| });  // at once
//   { SinOsc.ar(x.bus(\bass, \pitch_hz).kr) * x.bus(\bass, \level).kr }.play;
//   x.gain(\vocals, 0.5);  x.mute(\drums, 1);
//   x.free;
//
// It subscribes from the language's own port, so that nothing has to be configured in stemd and any
// number of clients can listen. The subscription is repeated, which also finds a daemon that was
// started anew.

Stemd {
	classvar <stems = #[\vocals, \drums, \bass, \other];
	classvar <sources = #[\mix, \vocals, \drums, \bass, \other];
	// what happens at a moment, each with /count and /age_ms behind it
	classvar <moments = #[\onset, \kick, \snare, \hihat, \beat];
	classvar <stateNames = #[\stopped, \starting, \running, \paused, \stalled, \failed];

	var <addr, <server, <rate, <pattern;
	var <values, busses, actions, knobActions;
	var listener, keeper, subscription, <lastHeard;

	*new { |host = "127.0.0.1", port = 9700, server, rate = 60|
		^super.new.init(NetAddr(host, port), server ? Server.default, rate)
	}

	init { |anAddr, aServer, aRate|
		addr = anAddr;
		server = aServer;
		rate = aRate;
		// everything but bands, chroma, chords and the like; "/stemd" is all there is
		pattern = "/stemd/{*/[!bcw]*,beat,tempo,state,alive,latency_ms,load,bypass,paused,record}";
		values = IdentityDictionary.new;
		busses = IdentityDictionary.new;
		actions = IdentityDictionary.new;
		knobActions = List.new;
	}

	// Begin to listen. A pattern of your own replaces the built-in one.
	start { |aPattern|
		pattern = aPattern ? pattern;
		this.stop;
		// one function for all that comes from this daemon, whatever its address
		listener = { |msg, time, from| this.take(msg, from) };
		thisProcess.addOSCRecvFunc(listener);
		this.prRenew;
		CmdPeriod.add(this);
		this.ask;
	}

	// Cmd-. (Ctrl-.) ends all routines, the one that renews the subscription, too.
	doOnCmdPeriod { keeper !? { this.prRenew } }

	stop {
		listener !? { thisProcess.removeOSCRecvFunc(listener) };
		keeper !? { keeper.stop };
		subscription !? { addr.sendMsg('/stemd/unsubscribe', subscription) };
		CmdPeriod.remove(this);
		listener = keeper = subscription = nil;
	}

	free {
		this.stop;
		busses.do { |bus| bus.free };
		busses.clear;
	}

	// -- what the stems do -------------------------------------------------------------------------

	// Newest value of an address: x.get(\drums, \level), x.get(\bass, 'onset/count'), x.get(\tempo)
	get { |source, feature|
		^values[this.prKey(source, feature)] ? 0
	}

	// The same as a control bus, made when it is first asked for.
	bus { |source, feature|
		var key = this.prKey(source, feature);
		if(busses[key].isNil) {
			busses[key] = Bus.control(server, 1);
			busses[key].set(values[key] ? 0);
		};
		^busses[key]
	}

	// Do something whenever it happens: { |strength, count| }. x.onset(\drums), x.onset(\drums, \kick)
	onset { |source, moment = \onset, function|
		if(moment.isKindOf(Function)) { function = moment; moment = \onset };
		this.prAdd(this.prKey(source, moment), function)
	}

	// { |strength, count| } with each beat
	beat { |function| this.prAdd(\beat, function) }

	// { |note, velocity| } when a note begins, { |0, 0| } when it ends
	note { |source, function| this.prAdd(this.prKey(source, \note), function) }

	// { |name, value| } when anybody turned a knob, or the answer to `ask` came
	knob { |function| knobActions.add(function) }

	// What happens becomes events of a pattern library: x.play(\drums, \kick, (instrument: \kick))
	play { |source, moment, event|
		^this.onset(source, moment, { |strength| event.copy.put(\amp, strength).play })
	}

	state { ^stateNames.clipAt(this.get(\state).asInteger) }

	isAlive { ^lastHeard.notNil and: { Main.elapsedTime - lastHeard < 3 } }

	// -- knobs -------------------------------------------------------------------------------------

	gain { |stem, gain| this.prSet(stem, \gain, gain.asFloat) }
	gainDb { |stem, db| this.prSet(stem, \gain_db, db.asFloat) }
	mute { |stem, on = 1| this.prSet(stem, \mute, on.asInteger) }
	solo { |stem, on = 1| this.prSet(stem, \solo, on.asInteger) }
	threshold { |source, odds| this.prTurn(this.prKey(source, 'onset/threshold'), odds.asFloat) }
	bypass { |on = 1| this.prTurn(\bypass, on.asInteger) }
	paused { |on = 1| this.prTurn(\paused, on.asInteger) }
	record { |on = 1| this.prTurn(\record, on.asInteger) }
	panic { addr.sendMsg('/stemd/panic') }

	// Where do the knobs stand? The answers become values: x.get(\vocals, \gain)
	ask {
		stems.do { |stem|
			#[\gain, \mute, \solo].do { |knob| addr.sendMsg("/stemd/%/%".format(stem, knob)) }
		};
		#[\bypass, \paused, \record].do { |knob| addr.sendMsg("/stemd/%".format(knob)) };
	}

	// -- a window ----------------------------------------------------------------------------------

	// Levels, a flash for each onset, knobs; closed with the window.
	gui {
		var window = Window("stemd", Rect(100, 100, 600, 300));
		var flashes = IdentityDictionary.new;
		var watch, status, columns;
		columns = stems.collect { |stem|
			var meter = LevelIndicator().style_(\led).numTicks_(0).warning_(0.9).critical_(0.97);
			var fader = Slider().value_(this.get(stem, \gain)).action_({ |view| this.gain(stem, view.value) });
			var flash = UserView().fixedHeight_(28);
			var mute = Button().states_([["mute"], ["muted", Color.white, Color.red(0.7)]])
				.value_(this.get(stem, \mute)).action_({ |view| this.mute(stem, view.value) });
			flashes[stem] = 0;
			flash.drawFunc = { |view|
				Pen.fillColor = Color.gray(0.8).blend(Color.new255(255, 127, 39), flashes[stem]);
				Pen.fillOval(Rect(view.bounds.width / 2 - 13, 1, 26, 26));
			};
			this.onset(stem, { |strength| flashes[stem] = strength.max(0.3) });
			[stem, meter, fader, flash, mute]
		};
		status = StaticText();
		window.layout = VLayout(
			HLayout(*columns.collect { |column|
				VLayout(StaticText().string_(column[0]).align_(\center), column[3],
					HLayout(column[1], column[2]), column[4])
			}),
			status
		);
		watch = SkipJack({
			columns.do { |column|
				var stem = column[0];
				column[1].value = this.get(stem, \level);
				column[2].value = this.get(stem, \gain);
				column[4].value = this.get(stem, \mute);
				flashes[stem] = flashes[stem] * 0.85;
				column[3].refresh;
			};
			status.string = if(this.isAlive) {
				"% · % bpm · % ms late".format(this.state, this.get(\tempo).round(0.1), this.get(\latency_ms).round(0.1))
			} { "no daemon heard" };
		}, 1 / 30, clock: AppClock);
		window.onClose = { watch.stop };
		^window.front
	}

	// -- inside ------------------------------------------------------------------------------------

	prRenew {
		keeper !? { keeper.stop };
		keeper = Routine({
			loop {
				addr.sendMsg('/stemd/subscribe', pattern, rate.asFloat, 10);
				5.wait;
			}
		}).play(AppClock);
	}

	take { |msg, from|
		var parts, key, number;
		if(from.port != addr.port or: { from.addr != addr.addr }) { ^this };
		parts = msg[0].asString.split($/);  // "", stemd, drums, onset, count
		if(parts[1] != "stemd") { ^this };
		lastHeard = Main.elapsedTime;
		if(msg[0] == '/stemd/error') { "stemd: % (%)".format(msg[2], msg[1]).warn; ^this };
		if(msg[0] == '/stemd/subscribed') {
			if(msg[2].asString != pattern.asString) { ^this };  // another one's of ours
			// another daemon: its knobs may stand elsewhere
			if(subscription.notNil and: { subscription != msg[1] }) { this.ask };
			subscription = msg[1];
			^this
		};
		number = msg[1];
		if(number.isNumber.not) { ^this };
		key = parts[2..].join($/).asSymbol;
		this.prKeep(key, number);
		if(#[\gain, \mute, \solo, \bypass, \paused, \record].includes(parts.last.asSymbol)) {
			knobActions.do { |function| function.(key, number) }
		};
		if(actions[key].notNil) { this.prHappen(key, number) };
	}

	prHappen { |key, number|
		// the count and the velocity are in the same bundle, behind: let them be heard first
		AppClock.sched(0, {
			var second = if(key.asString.endsWith("note")) { "velocity" } { "count" };
			actions[key].do { |function|
				function.(number, values[(key ++ "/" ++ second).asSymbol] ? 0)
			};
			nil
		});
	}

	prSet { |stem, knob, number|
		if(stems.includes(stem.asSymbol).not) {
			Error("stem: got %, expected one of %".format(stem, stems)).throw
		};
		this.prTurn(this.prKey(stem, knob), number);
		// a gain has two addresses: what the other says now only the daemon knows
		(gain: \gain_db, gain_db: \gain)[knob] !? { |other| addr.sendMsg("/stemd/%/%".format(stem, other)) };
	}

	// The daemon tells everybody of it but us, unless it made another value of ours.
	prTurn { |key, number|
		addr.sendMsg("/stemd/%".format(key), number);
		this.prKeep(key, number);
	}

	prKeep { |key, number|
		values[key] = number;
		if(busses[key].notNil) { busses[key].set(number) };
	}

	prAdd { |key, function|
		actions[key] = actions[key].add(function);
		^function
	}

	prKey { |source, feature|
		^if(feature.isNil) { source.asSymbol } { (source ++ "/" ++ feature).asSymbol }
	}
}
