// Live calls over the socket, by the unmodified socket.io-client: real speech goes in, its words are written down by a real
// recogniser, the answer's words are heard again in the samples that come back; and who interrupts has heard no more.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { startUpstream, reply, html, serverError } from "./upstream.mjs";
import { startStack, runScript, Client, waitFor, pause } from "./harness.mjs";
import { Person, AGENT, DESK_ENV } from "./desk.mjs";
import { speak, convert, hear, wavOf, plainWords } from "./sound.mjs";

const RATE = 16_000;
const QUESTION = "How long does delivery take?";
const LONG = "The first sentence says that delivery takes two days. The second sentence says that it may take longer. "
	+ "The third sentence says that you are told when it leaves. The fourth sentence wishes you a nice day. "
	+ "The fifth sentence is here so that there is enough to be said, and to be left out.";

let upstream, stack, ada, agent;
const clients = [];

before(async () => {
	upstream = await startUpstream({ sound: true });
	stack = await startStack({ upstream, env: { ...DESK_ENV, OPENAI_TTS_MODEL: "tts-1", RATE_LIMITS: "off", MAX_CALLS: "20", CALL_PATIENCE: "60000" } });
	ada = await Person.join(stack);
	agent = (await ada.post("/api/agents", AGENT)).json;
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => {
	upstream.reset();
	for (const c of clients.splice(0))
		c.close();
});

// A loud tone: to the ear it is somebody who speaks; what it says is up to upstream.hearing.
function voice(ms, rate = RATE) {
	const b = Buffer.alloc(ms * rate / 1000 * 2);
	for (let i = 0; i < b.length / 2; i++)
		b.writeInt16LE(Math.round(8000 * Math.sin(i * 2 * Math.PI * 300 / rate) * (0.3 + Math.abs(Math.sin(i * 8 / rate)))
			+ 2000 * Math.sin(i * 2 * Math.PI * 1700 / rate)), i * 2);
	return b;
}
const quiet = (ms, rate = RATE) => Buffer.alloc(ms * rate / 1000 * 2);
const samplesOf = async (words, rate = RATE) => (await convert(await speak(words), "wav", { rate })).subarray(44);

class Caller extends Client {
	sound = [];		// {id, index, ms, rate, at, audio}

	constructor(options, url = stack.url) {
		super(url, options);
		clients.push(this);
		this.socket.on("ai_audio", (chunk) => this.sound.push({ ...chunk, at: Date.now() }));
	}

	async begin(payload = { userId: ada.user._id, agentId: agent._id, isCallSimulator: false }) {
		this.emit("start_conversation", payload);
		this.id = (await this.when("conversation_started")).conversationId;
		return this.id;
	}

	async call(more = {}) {
		const ack = await this.ask("voice_start", { conversationId: this.id, rate: RATE, ...more });
		assert.equal(ack.ok, true, JSON.stringify(ack));
		return this.when("voice_ready");
	}

	// As a microphone gives it, in pieces of 40 ms, `pace` times as fast.
	async say(samples, { rate = RATE, pace = 3 } = {}) {
		const piece = rate * 40 / 1000 * 2;
		for (let at = 0; at < samples.length; at += piece) {
			this.emit("voice_audio", samples.subarray(at, at + piece));
			await pause(40 / pace);
		}
	}

	finals() {
		return this.all("transcript").filter((t) => t.final);
	}

	spoken(id) {
		const of = this.sound.filter((c) => c.id === id && !c.last);
		return wavOf(Buffer.concat(of.map((c) => Buffer.from(c.audio))), of[0]?.rate ?? RATE);
	}
}

async function caller(options, on = stack) {
	const c = new Caller(options, on.url);
	await c.when("connect");
	await c.begin(on.begin);
	await c.call();
	return c;
}

const messagesOf = async (id, who = ada) => (await who.get(`/api/conversations/${id}`)).json.messages;

describe("a call", () => {
	for (const transports of [["websocket"], ["polling"]])
		test(`over ${transports}: what is said is written down, answered and spoken`, async () => {
			upstream.otherwise = reply("You can speak to a person.");
			const c = await caller({ transports });
			assert.equal(c.transport, transports[0]);
			await c.say(Buffer.concat([quiet(300), await samplesOf(QUESTION), quiet(1200)]));
			const final = await c.when("transcript", (t) => t.final);
			assert.deepEqual(plainWords(final.text), plainWords(QUESTION));
			const answer = await c.when("ai_response");
			assert.equal(answer.message, "You can speak to a person.");
			const last = await c.when("ai_audio", (a) => a.last);
			const chunks = c.sound.filter((a) => a.id === last.id);
			assert.deepEqual(chunks.map((a) => a.index), chunks.map((_, i) => i), "in their order, none missing");
			let ms = 0;
			for (const a of chunks.filter((x) => !x.last)) {
				assert.ok(Math.abs(a.ms - ms) <= 2 + a.index, `${a.ms} follows ${ms}`);
				ms += a.audio.length / 2 / a.rate * 1000;
			}
			const heard = (await hear(c.spoken(last.id))).split(" ");
			for (const word of ["speak", "person"])
				assert.ok(heard.includes(word), `"${word}" in "${heard.join(" ")}"`);
			assert.equal(c.all("speech_started").length, 1);
			assert.deepEqual((await messagesOf(c.id)).slice(-2).map((m) => m.role), ["user", "assistant"]);
			c.emit("voice_stop");
			assert.equal((await c.when("voice_ended")).reason, "stopped");
		});

	test("a call that begins a conversation begins with its welcome, and with nothing else", async () => {
		const c = new Caller({ transports: ["websocket"] });
		await c.when("connect");
		await c.begin();
		await c.call({ greet: true });
		const last = await c.when("ai_audio", (a) => a.last);
		assert.ok(c.sound.filter((a) => a.id === last.id).length > 3);
		const [{ content }] = await messagesOf(c.id);
		const said = upstream.speech.requests.filter((r) => r.body.response_format === "wav").map((r) => r.body.input);
		// Two pieces are asked for at once, on connections of their own: either may arrive first.
		assert.equal(said.sort((a, b) => content.indexOf(a) - content.indexOf(b)).join(" "), content);
		const asked = said.length;
		const d = new Caller({ transports: ["websocket"] });
		await d.when("connect");
		await d.begin();
		await d.call({ greet: true });
		await d.when("ai_audio", (a) => a.last);
		assert.equal(upstream.speech.requests.filter((r) => r.body.response_format === "wav").length, asked, "said before: made once");
	});

	test("a long speech is written down in part while it goes on", async () => {
		upstream.hearing.otherwise = (r) => ({ text: `words ${r.form?.bytes?.length ?? 0}` });
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(3000), quiet(900)]));
		const final = await c.when("transcript", (t) => t.final);
		const partials = c.all("transcript").filter((t) => !t.final);
		assert.ok(partials.length >= 1);
		assert.ok(partials.every((t) => t.id === final.id));
	});

	test("a cough is no word, and is told to be none", async () => {
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(70), quiet(900)]));
		await c.when("speech_started");
		assert.equal((await c.when("transcript")).text, "");
		assert.deepEqual(c.finals().map((t) => t.text), [""]);
		assert.equal(upstream.hearing.requests.length, 0);
	});

	test("other rates than the recogniser's are taken, and may change during the call", async () => {
		const c = await caller({ transports: ["websocket"] });
		c.emit("voice_rate", { rate: 24_000 });
		await c.say(Buffer.concat([quiet(300, 24_000), await samplesOf("Where is my order?", 24_000), quiet(900, 24_000)]), { rate: 24_000 });
		await c.when("transcript", (t) => t.final && /where is my order/i.test(t.text));
		c.emit("voice_rate", { rate: 8000 });
		await c.say(Buffer.concat([quiet(300, 8000), voice(800, 8000), quiet(900, 8000)]), { rate: 8000 });
		await waitFor("a second transcript", () => c.finals().length === 2);
	});
});

describe("who interrupts", () => {
	// Until so much of the answer has been sent.
	const spokenFor = (c, ms) => waitFor(`${ms} ms of sound`, () => c.sound.some((a) => a.ms >= ms));

	test("stops it: nothing stale arrives, and the model has said no more than was heard", async () => {
		upstream.hearing.next({ text: "tell me all" }, { text: "stop please" });
		upstream.next(reply(LONG), reply("All right."));
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await c.when("ai_response", (m) => m.message === LONG);
		await spokenFor(c, 3500);
		const id = c.sound.at(-1).id;
		await c.say(Buffer.concat([voice(700)]), { pace: 1 });
		const started = await c.when("speech_started", (s) => s.id === id);
		assert.ok(started);
		const at = c.events.find((e) => e.name === "speech_started" && e.data.id === id).at;
		c.emit("voice_played", { id, ms: 2000 });
		await c.say(quiet(900));
		const cut = await c.when("ai_cut");
		assert.ok(cut.message.endsWith("…") && LONG.startsWith(cut.message.replace(/ ?…$/, "").slice(0, 20)), cut.message);
		assert.ok(cut.message.length < LONG.length / 2, cut.message);
		await c.when("ai_response", (m) => m.message === "All right.");
		assert.deepEqual(c.sound.filter((a) => a.id === id && a.at > at + 5), [], "stale sound");
		const told = JSON.stringify(upstream.chats.at(-1).body.messages);
		assert.ok(told.includes(JSON.stringify(cut.message).slice(1, -1)), told);
		assert.ok(!told.includes("fifth sentence"), told);
		const stored = (await messagesOf(c.id)).find((m) => m._id === cut.id);
		assert.equal(stored.content, cut.message);
		assert.equal(stored.interrupted, true);
		assert.ok((await messagesOf(c.id)).every((m) => m._id === cut.id || m.interrupted === undefined), "no other one");
	});

	// So much of it is there when the first sentence has been said, and the rest comes slowly.
	const WRITES = { tokenDelay: 250 };
	const pairs = async (c) => (await messagesOf(c.id)).map((m) => m.role).slice(1);

	async function answeredSlowly() {
		upstream.hearing.next({ text: "tell me all" }, { text: "stop please" });
		upstream.next(reply(LONG, WRITES), reply("All right."));
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await spokenFor(c, 1000);
		assert.equal(upstream.chats[0].endedAt, undefined, "it still writes");
		return c;
	}
	const leftAlone = (since, request = upstream.chats[0]) => waitFor("the model is not asked on", () => request.endedAt).then(() => {
		assert.equal(request.aborted, true);
		assert.ok(request.endedAt - since < 3000, `${request.endedAt - since} ms`);
	});

	test("while the model writes: it is not asked on, and has said what was heard", async () => {
		const c = await answeredSlowly(), id = c.sound.at(-1).id;
		await c.say(voice(700), { pace: 1 });
		await c.when("speech_started", (s) => s.id === id);
		const since = Date.now();
		c.emit("voice_played", { id, ms: 800 });
		await c.say(quiet(900));
		await leftAlone(since);
		const cut = await c.when("ai_cut");
		await c.when("ai_response", (m) => m.message === "All right.");
		assert.ok(cut.message.endsWith("…"), cut.message);
		assert.ok(LONG.startsWith(cut.message.replace(/ ?…$/, "")), cut.message);
		const told = JSON.stringify(upstream.chats[1].body.messages);
		assert.ok(told.includes(JSON.stringify(cut.message).slice(1, -1)) && !told.includes("fifth sentence"), told);
		assert.equal((await messagesOf(c.id)).find((m) => m._id === cut.id).content, cut.message);
		assert.deepEqual(await pairs(c), ["user", "assistant", "user", "assistant"], "one answer each");
		assert.equal(c.all("escalation-needed").length, 0);
	});

	test("before the model has written a word: it is not asked on", async () => {
		upstream.hearing.next({ text: "tell me all" }, { text: "no wait" });
		upstream.next(reply(LONG, { firstDelay: 60_000 }), reply("Fine."));
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await upstream.arrived(1, 30_000, () => upstream.chats);
		const since = Date.now();
		await c.say(Buffer.concat([voice(700), quiet(900)]));
		await leftAlone(since);
		await c.when("ai_response", (m) => m.message === "Fine.");
		const stored = await messagesOf(c.id);
		assert.deepEqual(stored.slice(1).map((m) => m.content), ["tell me all", "…", "no wait", "Fine."]);
		assert.equal(stored[2].interrupted, true);
	});

	for (const [how, hangUp] of [["says so", (c) => c.emit("voice_stop")], ["is gone", (c) => c.socket.io.engine.close()]])
		test(`by hanging up (${how}): the model is not asked on, and has said what was heard`, async () => {
			const c = await answeredSlowly();
			const since = Date.now();
			hangUp(c);
			await leftAlone(since);
			const cut = await waitFor("it is cut", async () => (await messagesOf(c.id)).find((m) => m.interrupted));
			assert.ok(cut.content.endsWith("…") && LONG.startsWith(cut.content.replace(/ ?…$/, "")), cut.content);
			assert.ok(cut.content.length < LONG.length / 2, cut.content);
			assert.deepEqual(await pairs(c), ["user", "assistant"]);
			assert.equal(upstream.chats.length, 1, "nobody asks again for him");
		});

	test("who hears nothing of it, as the server cannot speak, can read all of it, also after the call", async () => {
		upstream.speech.otherwise = serverError();
		upstream.hearing.next({ text: "tell me all" });
		upstream.next(reply(LONG, { tokenDelay: 30 }));
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await c.when("error", (e) => e.code === "upstream");
		c.emit("voice_stop");
		await waitFor("it is answered", async () => (await messagesOf(c.id)).some((m) => m.content === LONG));
	});

	test("is taken at his word only as far as time allows", async () => {
		upstream.hearing.next({ text: "tell me all" });
		upstream.next(reply(LONG));
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await spokenFor(c, 1000);
		const id = c.sound.at(-1).id;
		await c.say(voice(400), { pace: 1 });
		await c.when("speech_started", (s) => s.id === id);
		c.emit("voice_played", { id, ms: 10_000_000 });
		const cut = await c.when("ai_cut");
		assert.ok(cut.message.length < LONG.length / 2, cut.message);
	});

	test("before a word was said has heard none of it", async () => {
		upstream.hearing.next({ text: "tell me all" }, { text: "no wait" });
		upstream.next(reply(LONG, { firstDelay: 2500 }), reply("Fine."));
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await upstream.arrived(1, 30_000, () => upstream.chats);
		await c.say(Buffer.concat([voice(700), quiet(900)]));
		const cut = await c.when("ai_cut");
		assert.equal(cut.message, "…");
		await c.when("ai_response", (m) => m.message === "Fine.");
		await c.when("ai_audio", (a) => a.last);
		assert.equal(c.sound.filter((a) => a.index === 0).length, 1, "only the second answer was spoken");
	});
});

describe("what goes wrong", () => {
	test("sound before a call, and events of none", async () => {
		const c = new Caller({ transports: ["websocket"] });
		await c.when("connect");
		for (let i = 0; i < 20; i++)
			c.emit("voice_audio", quiet(20));
		assert.equal((await c.when("voice_ended")).reason, "no_call");
		assert.equal(c.all("voice_ended").length, 1, "said once");
	});

	test("a conversation that is not his, or none at all", async () => {
		const c = new Caller({ transports: ["websocket"] });
		await c.when("connect");
		const own = (await ada.post("/api/conversations", { isCallSimulator: true })).json._id;
		for (const conversationId of ["x", "", null, 5, [], {}, "a".repeat(22), own, undefined]) {
			const ack = await c.ask("voice_start", { conversationId });
			assert.equal(ack.ok, false, JSON.stringify(conversationId));
		}
		await c.begin();
		for (const rate of [0, -1, 1.5, 7999, 48_001, 1e9, "16000", true, [], {}])
			assert.equal((await c.ask("voice_start", { conversationId: c.id, rate })).ok, false, JSON.stringify(rate));
		assert.equal((await c.ask("voice_start", { conversationId: c.id, greet: "yes" })).ok, false);
		await c.call();
	});

	test("sound that is none does not end the call", async () => {
		const c = await caller({ transports: ["websocket"] });
		const problems = async (n) => waitFor(`error ${n}`, () => c.all("error").length >= n);
		c.emit("voice_audio", Buffer.alloc(641));
		await problems(1);
		c.emit("voice_audio", Buffer.alloc(900_000));
		await problems(2);
		c.emit("voice_audio", "text");
		await problems(3);
		c.emit("voice_audio", Buffer.alloc(2), Buffer.alloc(2));
		await problems(4);
		c.emit("voice_rate", { rate: "fast" });
		await problems(5);
		c.emit("voice_played", { id: 5 });
		await problems(6);
		c.emit("voice_played", { id: "\ud800", ms: 1 });		// half a character
		await problems(7);
		c.emit("voice_audio", Buffer.alloc(0));
		assert.deepEqual(c.all("error").map((e) => e.code), ["bad_request", "too_large", ...Array(5).fill("bad_request")]);
		upstream.hearing.next({ text: "still here" });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await c.when("transcript", (t) => t.final && t.text === "still here");
	});

	test("more sound than anybody can say ends it", async () => {
		const c = await caller({ transports: ["websocket"] });
		for (let i = 0; i < 60 && c.all("voice_ended").length === 0; i++)
			c.emit("voice_audio", quiet(1000));
		assert.equal((await c.when("voice_ended")).reason, "too_fast");
	});

	test("two calls at once: in one conversation the later one has it, a socket has one", async () => {
		const c = await caller({ transports: ["websocket"] });
		const d = new Caller({ transports: ["websocket"] });
		await d.when("connect");
		d.id = c.id;
		await d.call();
		assert.equal((await c.when("voice_ended")).reason, "elsewhere");
		await d.ask("voice_start", { conversationId: d.id });
		await waitFor("the second voice_ready", () => d.all("voice_ready").length === 2);
		upstream.hearing.next({ text: "only once" });
		await d.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await d.when("transcript", (t) => t.final);
		assert.equal(d.finals().length, 1);
	});

	test("a server that hears nothing, or fails", async () => {
		const c = await caller({ transports: ["websocket"] });
		upstream.hearing.otherwise = html();
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		assert.match((await c.when("error")).message, /could not be written down/);
		upstream.hearing.otherwise = { text: "" };
	});

	test("more words than a message may have are none, and the call goes on", async () => {
		upstream.hearing.next({ text: "la ".repeat(6000) }, { text: "still here" });
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		assert.equal((await c.when("error")).code, "too_large");
		await c.say(Buffer.concat([voice(800), quiet(800)]));
		await c.when("ai_response");
		assert.deepEqual((await messagesOf(c.id)).filter((m) => m.role === "user").map((m) => m.content), ["still here"]);
	});

	test("a conversation that is deleted while it is answered: the call is over", async () => {
		upstream.hearing.next({ text: "tell me all" });
		upstream.next(reply(LONG, { firstDelay: 60_000 }));
		const c = new Caller({ transports: ["websocket"], auth: { token: ada.token } });
		await c.when("connect");
		c.id = (await ada.post("/api/conversations", { agentId: agent._id })).json._id;
		await c.call();
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await upstream.arrived(1, 30_000, () => upstream.chats);
		assert.equal((await ada.delete(`/api/conversations/${c.id}`)).status, 200);
		assert.equal((await c.when("voice_ended")).reason, "conversation_over");
	});

	test("who says more than is followed, because the server is slow, is told so", async () => {
		let go;
		const gate = new Promise((resolve) => { go = resolve; });
		let n = 0;
		upstream.hearing.otherwise = async () => {
			const text = `number ${++n}`;
			await gate;
			return { text };
		};
		const c = await caller({ transports: ["websocket"] });
		for (let i = 0; i < 6; i++)
			await c.say(Buffer.concat([quiet(100), voice(600), quiet(800)]));
		assert.deepEqual(await c.when("error").then((e) => e.code), "busy");
		go();
		await waitFor("the others", () => c.finals().length === 5);
		assert.equal(c.all("error").length, 1);
	});

	test("a server that cannot speak: the text is there", async () => {
		upstream.speech.otherwise = serverError();
		upstream.hearing.next({ text: "say something" });
		upstream.next(reply("Here it is in writing."));
		const c = await caller({ transports: ["websocket"] });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await c.when("ai_response", (m) => m.message === "Here it is in writing.");
	});

	test("all lines are taken", async () => {
		const many = [];
		let refused;
		for (let i = 0; i < 24 && !refused; i++) {
			const c = new Caller({ transports: ["websocket"] });
			await c.when("connect");
			await c.begin();
			const ack = await c.ask("voice_start", { conversationId: c.id });
			if (ack.ok)
				many.push(c);
			else
				refused = ack;
		}
		assert.equal(refused?.code, "busy");
	});

	test("who has no token is heard no more when the day's spend for such calls is used up", async () => {
		const other = await startStack({ upstream, env: { ...DESK_ENV, OPENAI_TTS_MODEL: "tts-1", PUBLIC_SPEND_LIMIT: "50tokens" } });
		try {
			const owner = await Person.join(other);
			const c = new Caller({ transports: ["websocket"] }, other.url);
			await c.when("connect");
			await c.begin({ userId: owner.user._id, agentId: (await owner.agent())._id, isCallSimulator: false });
			await c.call();
			upstream.hearing.otherwise = { text: "tell me all" };
			await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
			await c.when("ai_response");
			const heard = upstream.hearing.requests.length;
			await c.say(Buffer.concat([voice(800), quiet(800)]));
			assert.equal((await c.when("voice_ended")).reason, "limit");
			assert.equal(upstream.hearing.requests.length, heard, "nor is it written down");
		} finally {
			await other.stop();
		}
	});

	test("at the day's limit answers are written, not spoken, and what is said is not written down", async () => {
		const env = { ...DESK_ENV, OPENAI_TTS_MODEL: "tts-1", PRICE_INPUT: "0", PRICE_OUTPUT: "0", PRICE_HEARING: "0.6", PRICE_SPEECH: "1000", DAILY_SPEND_LIMIT: "0.02" };
		const other = await startStack({ upstream, env });
		try {
			const owner = await Person.join(other);
			const robin = await owner.agent();
			const c = new Caller({ transports: ["websocket"], auth: { token: owner.token } }, other.url);
			await c.when("connect");
			await c.begin({ userId: owner.user._id, agentId: robin._id, isCallSimulator: false, audio: "none" });
			await c.call();
			upstream.hearing.otherwise = { text: "I want to talk to a real person" };
			await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
			assert.match((await c.when("ai_response")).message, /I have asked a person/);
			assert.match((await c.when("error")).message, /answers are written, not spoken/);
			await waitFor("what is said is paid for", async () => (await owner.ok("GET", "/api/analytics")).totals.cost >= 0.02);
			const [heard, spoken] = [upstream.hearing.requests.length, upstream.speech.requests.length];
			await c.say(Buffer.concat([voice(800), quiet(800)]));
			const ended = await c.when("voice_ended");
			assert.deepEqual([ended.reason, /Please write/.test(ended.message)], ["limit", true]);
			assert.deepEqual([upstream.hearing.requests.length, upstream.speech.requests.length], [heard, spoken]);
			const { byAgent } = await owner.ok("GET", "/api/analytics");
			assert.ok(byAgent[0].agentId === robin._id && byAgent[0].cost >= 0.02, JSON.stringify(byAgent));
		} finally {
			await other.stop();
		}
	});

	test("MAX_CALL_SECONDS: what was being said is answered, a last sentence is heard, and the call ends", async () => {
		const other = await startStack({ upstream, env: { ...DESK_ENV, OPENAI_TTS_MODEL: "tts-1", MAX_CALL_SECONDS: "4" } });
		try {
			const owner = await Person.join(other);
			const c = new Caller({ transports: ["websocket"], auth: { token: owner.token } }, other.url);
			await c.when("connect");
			await c.begin({ userId: owner.user._id, agentId: (await owner.agent())._id, isCallSimulator: false });
			await c.call();
			upstream.hearing.otherwise = { text: "How long does delivery take?" };
			upstream.otherwise = reply("Two days.");
			await c.say(Buffer.concat([quiet(1000), voice(4000), quiet(800)]), { pace: 1 });
			assert.equal((await c.when("ai_response")).message, "Two days.");
			const ended = await c.when("voice_ended");
			assert.deepEqual([ended.reason, /call again, or write/.test(ended.message)], ["time", true]);
			const heard = await hear(c.spoken(c.sound.at(-1).id));
			assert.ok(heard.includes("call"), heard);
			const { messages } = await owner.read(c.id);
			assert.deepEqual(messages.slice(1).map((m) => m.content), ["How long does delivery take?", "Two days."]);
			await c.call();
		} finally {
			await other.stop();
		}
	});

	test("what a person writes who has taken over is spoken, and that he has it is said once", async () => {
		const c = await caller({ transports: ["websocket"], auth: { token: ada.token } });
		const says = async (text) => {
			upstream.hearing.next({ text });
			await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		};
		const spokenOf = (n) => waitFor(`${n} are spoken`, () => c.sound.filter((a) => a.last).length >= n && upstream.speech.requests.at(-1).body.input);
		upstream.hearing.otherwise = { text: "" };
		await says("I want to talk to a real person");
		await spokenOf(1);
		const [escalation] = (await ada.ok("GET", "/api/escalations?status=open")).filter((e) => e.conversationId === c.id);
		await ada.ok("POST", `/api/escalations/${escalation._id}/take`);
		await says("Are you there?");
		await spokenOf(2);
		const asked = upstream.speech.requests.length;
		await says("Where is my parcel?");
		await waitFor("it is stored", async () => (await ada.read(c.id)).messages.at(-1).content === "Where is my parcel?");
		await ada.ok("POST", `/api/escalations/${escalation._id}/reply`, { content: "It leaves on **Monday** morning." }, 201);
		await spokenOf(3);
		assert.deepEqual(upstream.speech.requests.slice(asked).map((r) => r.body.input), ["It leaves on Monday morning."]);
		await ada.ok("POST", `/api/escalations/${escalation._id}/close`);
	});

	test("a program that dies: its calls are told to begin again, and can", async () => {
		const c = await caller({ transports: ["websocket"] });
		const status = JSON.parse((await runScript(["--status", "--json", "--state-dir", stack.dir])).stdout);
		process.kill(status.find((p) => p.name === "events").pid, "SIGKILL");
		assert.equal((await c.when("voice_ended")).reason, "begin_again");
		await c.call();
		upstream.hearing.next({ text: "here again" });
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await c.when("transcript", (t) => t.final && t.text === "here again");
		const left = readdirSync(path.join(stack.dir, "run")).filter((n) => n.startsWith("call-"));
		assert.equal(left.length, 1, "the dead one's socket is swept away");
	});

	test("a program that is replaced: the same", async () => {
		const c = await caller({ transports: ["websocket"] });
		assert.equal((await runScript(["--restart", "events", "--state-dir", stack.dir])).status, 0);
		assert.equal((await c.when("voice_ended")).reason, "begin_again");
		await c.call();
	});
});

describe("a speech server that keeps silent", () => {
	let hasty, hers;

	before(async () => {
		hasty = await startStack({ upstream, env: { ...DESK_ENV, OPENAI_TTS_MODEL: "tts-1", CALL_PATIENCE: "2000" } });
		hers = await Person.join(hasty);
		hasty.begin = { userId: hers.user._id, agentId: (await hers.agent())._id, isCallSimulator: false };
	});
	after(() => hasty?.stop());

	test("instead of speaking: the text is there, it is told, and the call goes on", async () => {
		upstream.speech.otherwise = { stall: "accept" };
		upstream.hearing.next({ text: "say something" }, { text: "once more" });
		upstream.next(reply(LONG), reply("It speaks again."));
		const c = await caller({ transports: ["websocket"] }, hasty);
		const since = Date.now();
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		await c.when("ai_response", (m) => m.message === LONG);
		const last = await c.when("ai_audio", (a) => a.last);
		assert.equal(last.failed, true);
		assert.match((await c.when("error")).message, /to be read/);
		assert.ok(Date.now() - since < 10_000, `${Date.now() - since} ms`);
		assert.equal(c.all("error").length, 1, "once");
		await waitFor("none is asked on", () => upstream.speech.requests.every((r) => r.endedAt));
		upstream.speech.otherwise = {};
		await c.say(Buffer.concat([voice(800), quiet(800)]));
		await c.when("ai_response", (m) => m.message === "It speaks again.");
		const read = await messagesOf(c.id, hers);
		assert.ok(read.some((m) => m.content === LONG), `he can read it: ${JSON.stringify(read)}`);
	});

	test("in the middle of a sound: what was said is said, the rest is left out", async () => {
		upstream.speech.otherwise = (r) => r.body.input.includes("first") ? {} : { stall: 1, bytes: 16_000 };
		upstream.hearing.next({ text: "say something" });
		upstream.next(reply(LONG));
		const c = await caller({ transports: ["websocket"] }, hasty);
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		const last = await c.when("ai_audio", (a) => a.last);
		assert.equal(last.failed, true);
		assert.ok(c.sound.some((a) => a.id === last.id && !a.last));
	});

	test("instead of hearing: it is told, and the call goes on", async () => {
		upstream.hearing.next({ stall: "accept" }, { text: "still here" });
		const c = await caller({ transports: ["websocket"] }, hasty);
		await c.say(Buffer.concat([quiet(300), voice(800), quiet(800)]));
		const since = Date.now();
		assert.equal((await c.when("error")).code, "timeout");
		assert.ok(Date.now() - since < 10_000, `${Date.now() - since} ms`);
		await c.say(Buffer.concat([voice(800), quiet(800)]));
		await c.when("ai_response");
		assert.deepEqual((await messagesOf(c.id, hers)).filter((m) => m.role === "user").map((m) => m.content), ["still here"]);
	});
});
