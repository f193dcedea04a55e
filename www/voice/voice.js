// The page of a call: a button, two levels, captions. /voice/?agent=ID calls that agent, /voice/ the demonstration.

import { Socket } from "../socket.js";
import { Player } from "./player.js";

const RATES = [24000, 16000, 8000];
const SLOW_BYTES = 24000;	// that wait to be sent: the connection does not carry this rate
const FAST_MS = 10000;		// without any waiting: it may carry a higher one
const BEGIN_AGAIN = new Set(["begin_again"]);

const $ = (id) => document.getElementById(id);
const state = { socket: null, context: null, player: null, microphone: null, stream: null, conversation: null, rate: 1,
	clearSince: 0, muted: false, live: false, wanted: false, frame: 0,
	said: false,		// all of the answer has come; it may still be playing
	awake: null };		// what keeps the screen of a phone on, and with it the microphone

function say(text, kind) {
	$("state").textContent = text;
	$("state").dataset.state = kind;
}

// Nobody speaks.
function rest() {
	state.said = false;
	say(state.muted ? "You are muted. Press Mute again to speak." : "Speak now. You can interrupt at any time.", "live");
}

const is = (kind) => $("state").dataset.state === kind;

function trouble(text) {
	$("trouble").textContent = text;
	$("trouble").hidden = !text;
}

// ---- captions ----

// As it is said: without Markdown's marks.
const plain = (text) => text.replace(/!?\[([^\]]*)\]\([^)\s]*\)/g, "$1").replace(/^ {0,3}(?:#{1,6}|>) +/gm, "")
	.replace(/(\*\*|__|~~|`+)(?=\S)(.*?\S)\1/g, "$2");

function caption(who, text, id) {
	let line = id && document.getElementById("line-" + id);
	if (!line) {
		line = document.createElement("p");
		line.className = who;
		if (id)
			line.id = "line-" + id;
		$("captions").append(line);
	}
	const name = document.createElement("span");
	name.className = "sr";
	name.textContent = who === "mine" ? "You: " : "Answer: ";
	line.replaceChildren(name, who === "mine" ? text : plain(text));
	$("captions").scrollTop = $("captions").scrollHeight;
}

// ---- the microphone ----

async function listDevices() {
	const chosen = $("device").value;
	const devices = (await navigator.mediaDevices.enumerateDevices()).filter((d) => d.kind === "audioinput" && d.deviceId);
	const options = devices.map((d, i) => new Option(d.label || `Microphone ${i + 1}`, d.deviceId));
	$("device").replaceChildren(new Option("The usual one", ""), ...options);
	$("device").value = devices.some((d) => d.deviceId === chosen) ? chosen : "";
}

const microphone = (device) => navigator.mediaDevices.getUserMedia({
	audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1,
		...(device && { deviceId: { exact: device } }) },
});

// One that was chosen and is gone is the usual one again.
async function chosenMicrophone() {
	const device = $("device").value;
	try {
		return await microphone(device);
	} catch (error) {
		if (!device || !["OverconstrainedError", "NotFoundError"].includes(error.name))
			throw error;
		$("device").value = "";
		return microphone("");
	}
}

// The browser may ask whether the page may; who hangs up meanwhile has no microphone on.
async function openMicrophone() {
	const context = state.context;
	const stream = await chosenMicrophone();
	if (context !== state.context) {
		for (const track of stream.getTracks())
			track.stop();
		return;
	}
	closeMicrophone();
	state.stream = stream;
	state.microphone = new AudioWorkletNode(state.context, "microphone", { numberOfOutputs: 0 });
	state.microphone.port.postMessage({ rate: RATES[state.rate] });
	state.microphone.port.onmessage = (event) => onSound(event.data);
	state.source = state.context.createMediaStreamSource(stream);
	state.source.connect(state.microphone);
	stream.getAudioTracks()[0].onended = () => trouble("The microphone is gone. Choose another one.");
	await listDevices();
}

function closeMicrophone() {
	if (state.source)
		state.source.disconnect();
	for (const track of state.stream ? state.stream.getTracks() : [])
		track.stop();
	state.source = state.stream = state.microphone = null;
}

// As good as the connection carries: what waits to be sent is late already.
function followConnection() {
	const now = performance.now();
	const waiting = state.socket.waiting();
	let rate = state.rate;
	if (waiting > SLOW_BYTES && rate < RATES.length - 1)
		rate++;
	else if (waiting === 0 && rate > 0 && now - state.clearSince > FAST_MS)
		rate--;
	if (waiting > 0 || rate !== state.rate)
		state.clearSince = now;
	if (rate === state.rate)
		return waiting < 4 * SLOW_BYTES;
	state.rate = rate;
	state.socket.emit("voice_rate", { rate: RATES[rate] });
	state.microphone.port.postMessage({ rate: RATES[rate] });
	return false;			// these samples are of the rate before
}

function onSound({ samples, level }) {
	$("my-level").value = state.muted ? 0 : Math.min(1, level * 4);
	if (!state.live || !followConnection())
		return;
	state.socket.emitBytes("voice_audio", state.muted ? new ArrayBuffer(samples.byteLength) : samples);
}

function showLevel() {
	if (!state.wanted)
		return;
	$("their-level").value = state.player ? Math.min(1, state.player.level() * 4) : 0;
	if (state.said && !state.player.playing)
		rest();
	state.frame = requestAnimationFrame(showLevel);
}

// ---- the call ----

function startCall(greet) {
	state.live = false;
	state.socket.ask("voice_start", { conversationId: state.conversation, rate: RATES[state.rate], greet }, 15000)
		.then((ack) => {
			if (!ack.ok)
				hangUp(ack.error);
		}, (error) => {
			if (state.wanted && state.socket.up)
				hangUp(error.message);
		});
}

const handlers = {
	conversation_started({ conversationId, welcomeMessage }) {
		state.conversation = conversationId;
		caption("theirs", welcomeMessage.content, welcomeMessage.id);
		startCall(true);
	},
	voice_ready() {
		state.live = true;
		state.clearSince = performance.now();
		trouble("");
		rest();
		keepAwake();
	},
	speech_started({ id }) {
		if (id && id === state.player.id)
			state.socket.emit("voice_played", { id, ms: state.player.played() });
		state.player.stop();
		state.said = false;
		say("Listening…", "listening");
	},
	transcript({ id, text, final }) {
		$("partial").textContent = final ? "" : text;
		if (!final)
			return;
		trouble("");
		if (!text)
			return rest();
		caption("mine", text, id);
		say("One moment…", "thinking");
	},
	ai_response({ id, message }) {
		caption("theirs", message, id);
		if (is("thinking"))		// it may be that nothing of it can be said
			rest();
	},
	ai_cut({ id, message }) {
		caption("theirs", message, id);
	},
	ai_audio(chunk) {
		if (chunk.type !== "audio/pcm")
			return;
		state.said = chunk.last;
		if (chunk.last)
			return;
		state.player.play(chunk);
		if (!is("answering"))
			say("Answering. Speak to interrupt.", "answering");
	},
	voice_ended({ reason, message }) {
		state.live = false;
		state.player.stop();
		if (!state.wanted || reason === "no_call")
			return;
		if (BEGIN_AGAIN.has(reason))
			startCall(false);
		else
			hangUp(reason === "stopped" ? "" : message);
	},
	error({ message }) {
		trouble(message);
		if (!state.conversation)
			hangUp(message);
		else if (state.live && !is("answering"))
			rest();
	},
};

function onUp() {
	const agentId = new URLSearchParams(location.search).get("agent");
	if (state.conversation)
		startCall(false);
	else
		state.socket.emit("start_conversation", agentId ? { userId: "visitor", agentId, isCallSimulator: false }
			: { userId: "visitor", isCallSimulator: true });
}

function onDown() {
	state.live = false;
	if (state.player)
		state.player.stop();
	if (state.wanted)
		say("The connection was lost; it is being opened again…", "connecting");
}

async function keepAwake() {
	const awake = await navigator.wakeLock?.request("screen").catch(() => null);
	if (!state.wanted)
		awake?.release();
	else if (awake)
		state.awake = awake;
}

async function call() {
	let context = null;
	state.wanted = true;
	trouble("");
	say("Calling…", "connecting");
	$("call").setAttribute("aria-pressed", "true");
	$("call").textContent = "Hang up";
	try {
		if (!navigator.mediaDevices)
			throw new Error("Calls need a secure connection (https)");
		context = state.context = new AudioContext();
		state.player = new Player(context);
		await context.resume();
		await context.audioWorklet.addModule("microphone.js");
		await openMicrophone();
	} catch (error) {
		if (context === state.context)
			hangUp(error.name === "NotAllowedError" ? "The microphone may not be used. Allow it in the browser, then call again."
				: error.name === "NotFoundError" ? "There is no microphone."
				: error.message || "The microphone cannot be opened.");
		return;
	}
	if (context !== state.context)		// he has hung up meanwhile
		return;
	$("mute").hidden = false;
	state.socket = new Socket({ url: new URL("../socket.io/", location.href).href,
		on: { up: onUp, down: onDown, event: (name, data) => handlers[name] && handlers[name](data || {}) } });
	state.socket.open();
	showLevel();
}

function hangUp(problem) {
	if (state.socket) {
		state.socket.emit("voice_stop", {});
		state.socket.close();
	}
	state.wanted = state.live = state.muted = state.said = false;
	state.awake?.release();
	cancelAnimationFrame(state.frame);
	closeMicrophone();
	if (state.player)
		state.player.stop();
	if (state.context)
		state.context.close();
	state.socket = state.player = state.context = state.conversation = state.awake = null;
	for (const id of ["my-level", "their-level"])
		$(id).value = 0;
	$("partial").textContent = "";
	$("mute").hidden = true;
	$("mute").setAttribute("aria-pressed", "false");
	$("call").setAttribute("aria-pressed", "false");
	$("call").textContent = "Call";
	say(problem ? "The call is over." : "The call is over. Press the button to call again.", "idle");
	trouble(problem || "");
}

$("call").addEventListener("click", () => (state.wanted ? hangUp("") : call()));
$("mute").addEventListener("click", () => {
	state.muted = !state.muted;
	$("mute").setAttribute("aria-pressed", String(state.muted));
	if (is("live"))
		rest();
});
$("device").addEventListener("change", () => {
	if (state.wanted)
		openMicrophone().catch((error) => trouble(error.message));
});
navigator.mediaDevices?.addEventListener("devicechange", () => state.wanted && listDevices());
addEventListener("pagehide", () => state.wanted && hangUp(""));
