// What customers say: recordings with real words in them, sent as a browser sends them, written down by a server that really
// hears; and everything that is not a recording.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { startUpstream, reply, html, serverError } from "./upstream.mjs";
import { plainWords, speak, wavOf, SURE } from "./sound.mjs";
import { startStack, waitFor, PATIENCE_MS } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";

let upstream, stack, ada, id, webm;

before(async () => {
	upstream = await startUpstream({ sound: true });
	stack = await startStack({ upstream, env: { ...DESK_ENV, OPENAI_TTS_MODEL: "none", MAX_FILE_SIZE: "1MB", MAX_UPLOAD_BYTES: "3000000", MAX_RECORDING_SECONDS: "60" } });
	ada = await Person.join(stack);
	webm = await speak(SURE[0], { format: "webm" });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(async () => {
	upstream.reset();
	upstream.otherwise = reply("It takes two to three working days.");
	({ _id: id } = await ada.conversation());
});

// As a browser sends it. fields: others beside the recording.
async function send(sound, { name = "recording.webm", type = "audio/webm", person = ada, to = id, fields = {}, field = "audio" } = {}) {
	const form = new FormData();
	if (sound)
		form.append(field, new Blob([sound], { type }), name);
	for (const [k, v] of Object.entries(fields))
		form.append(k, v);
	const res = await fetch(`${stack.url}/api/conversations/${to}/audio`, { method: "POST", body: form, headers: person.headers });
	const text = await res.text();
	return { status: res.status, text, json: JSON.parse(text), headers: Object.fromEntries(res.headers) };
}

async function sent(sound, more) {
	const res = await send(sound, more);
	assert.equal(res.status, 200, res.text);
	return res.json;
}

const fields = (transcript) => ({ fields: { transcript } });
const answered = (n, of = id) => waitFor(`${n} answers`, async () => {
	const { messages } = await ada.read(of);
	return messages.filter((m) => m.role === "assistant").length === n + 1 && messages;
}, { ms: PATIENCE_MS });
const mine = (messages) => messages.filter((m) => m.role === "user");
const folder = () => path.join(stack.dir, "uploads");
const kept = () => (existsSync(folder()) ? readdirSync(folder(), { recursive: true }).map(String).filter((f) => /\.\w+$/.test(f)) : []);

describe("a recording", () => {
	test("is written down, answered once, kept, and played from where its message says", { timeout: 120_000 }, async () => {
		const got = await sent(webm);
		assert.deepEqual(plainWords(got.transcript), plainWords(SURE[0]));
		assert.match(got.audioUrl, /^\/uploads\/[\w-]{22}-[\w-]{22}\.webm$/);
		const [, said] = await answered(1);
		assert.equal(said.content, got.transcript);
		assert.equal(said.audioUrl, got.audioUrl);
		assert.equal(upstream.hearing.requests.length, 1);
		const { form } = upstream.hearing.requests[0];
		assert.equal(form.fields.model, "whisper-1");
		assert.equal(form.name, "speech.webm");
		assert.ok(form.bytes.equals(webm), "the server got the recording as it was sent");
		for (const slashes of ["", "/"]) {
			const res = await fetch(stack.url + slashes + got.audioUrl, { headers: { range: "bytes=0-99" } });
			assert.equal(res.status, 206);
			assert.equal(res.headers.get("content-type"), "audio/webm");
			assert.equal(res.headers.get("x-content-type-options"), "nosniff");
			assert.match(res.headers.get("cache-control"), /private/);
			assert.ok(Buffer.from(await res.arrayBuffer()).equals(webm.subarray(0, 100)));
		}
		for (const hidden of ["/uploads/", "/uploads", `/uploads/${got.audioUrl.slice(9, 31)}/`, "/uploads/../secrets/key", `${got.audioUrl}x`])
			assert.equal((await fetch(stack.url + hidden, { redirect: "manual" })).status, 404, hidden);
	});

	test("of every form that is allowed is heard, whatever it is called", { timeout: 300_000 }, async () => {
		for (const [format, type] of [["wav", "audio/wav"], ["mp3", "audio/mpeg"], ["ogg", "audio/ogg"], ["m4a", "audio/mp4"]]) {
			const { transcript, audioUrl } = await sent(await speak(SURE[2], { format }), { name: "x.webm", type: "audio/webm" });
			assert.deepEqual(plainWords(transcript), plainWords(SURE[2]), format);
			assert.ok(audioUrl.endsWith(`.${format}`), "its kind is what its bytes say");
			const res = await fetch(stack.url + audioUrl);
			assert.equal(res.headers.get("content-type"), type);
			await res.arrayBuffer();
		}
	});

	test("with its transcript costs nothing at the speech server", async () => {
		const got = await sent(webm, fields("  How long does delivery take?  "));
		assert.equal(got.transcript, "How long does delivery take?");
		assert.equal(upstream.hearing.requests.length, 0);
		assert.equal(mine(await answered(1)).length, 1);
	});

	test("goes with its conversation, and is nobody else's", async () => {
		const other = await Person.join(stack, "Grace Hopper");
		assert.equal((await send(webm, { person: other })).status, 404);
		const { audioUrl } = await sent(webm, fields("hello there"));
		await answered(1);
		assert.equal((await fetch(stack.url + audioUrl)).status, 200);
		const count = kept().length;
		assert.equal((await ada.delete(`/api/conversations/${id}`)).status, 200);
		assert.equal((await fetch(stack.url + audioUrl)).status, 404);
		assert.equal(kept().length, count - 1);
		assert.equal((await send(webm)).status, 404);
	});

	test("that comes while its conversation is deleted is taken or 404, and leaves nothing", async () => {
		const before = kept().length;
		for (let round = 0; round < 12; round++) {
			const { _id: to } = await ada.conversation();
			const all = Array.from({ length: 6 }, (_, i) => send(webm, { to, ...fields(`words number ${i}`) }));
			await Promise.race(all.slice(0, round % 3 + 1));		// some of them are there, some on their way
			assert.equal((await ada.delete(`/api/conversations/${to}`)).status, 200);
			for (const res of await Promise.all(all))
				assert.ok([200, 404].includes(res.status), res.text);
		}
		assert.equal(kept().length, before);
	});

	test("ten at once are ten messages, each with its file", async () => {
		const all = await Promise.all(Array.from({ length: 10 }, (_, i) => sent(webm, fields(`words number ${i}`))));
		assert.equal(new Set(all.map((r) => r.audioUrl)).size, 10);
		assert.equal(new Set(all.map((r) => r.seq)).size, 10);
		const { messages } = await ada.read(id);
		assert.deepEqual(mine(messages).map((m) => m.content).sort(), all.map((r) => r.transcript).sort());
	});
});

describe("the words of a recording and the message with the same words", () => {
	const say = (words, more) => ada.post(`/api/conversations/${id}/messages`, { content: words, ...more });

	test("are one turn and one answer, when the recording comes first", async () => {
		const { seq } = await sent(webm, fields("How long does delivery take?"));
		const res = await say("  how LONG does delivery take ", { clientMessageId: "m1" });
		assert.equal(res.status, 201, res.text);
		assert.match(res.json.content, /two to three/);
		assert.equal((await say("  how LONG does delivery take ", { clientMessageId: "m1" })).json._id, res.json._id, "and a repetition is that message too");
		assert.deepEqual(mine(await answered(1)).map((m) => m.seq), [seq]);
		assert.equal(upstream.chats.filter((r) => /How long does delivery take\?/.test(r.raw)).length, 1);
	});

	test("however their letters are written", async () => {
		assert.equal((await say("Die Straße, das Cafe\u0301 und \uff21\uff22\uff23")).status, 201);
		await sent(webm, fields("die STRASSE das caf\u00e9 und abc"));
		assert.equal(mine((await ada.read(id)).messages).length, 1);
	});

	test("and when the message comes first, or both at once", async () => {
		assert.equal((await say("Where is my order?")).status, 201);
		const { seq, audioUrl } = await sent(webm, fields("where is my order"));
		const { messages } = await ada.read(id);
		assert.equal(mine(messages)[0].audioUrl, audioUrl, "it can be heard all the same");
		assert.equal(mine(messages)[0].content, "Where is my order?", "as it was written");
		assert.equal((await fetch(stack.url + audioUrl)).status, 200);
		assert.deepEqual(mine(messages).map((m) => m.seq), [seq]);
		for (let i = 0; i < 5; i++) {
			const words = `the same words ${i}`;
			const [a, b] = await Promise.all([sent(webm, fields(words)), say(words)]);
			assert.equal(b.status, 201, b.text);
			const twins = mine((await ada.read(id)).messages).filter((m) => m.content === words);
			assert.deepEqual(twins.map((m) => m.audioUrl), [a.audioUrl], `at once ${i}: ${a.seq}`);
		}
	});

	test("each recording once: twice yes and twice yes are two", async () => {
		await sent(webm, fields("Yes."));
		await sent(webm, fields("Yes."));
		for (let i = 0; i < 3; i++)
			assert.equal((await say("yes")).status, 201);
		assert.equal(mine((await ada.read(id)).messages).length, 3, "the third yes has no recording");
		assert.equal((await say("yes")).status, 201);
		assert.equal(mine((await ada.read(id)).messages).length, 4, "written twice is said twice");
	});

	test("other words are another message", async () => {
		await sent(webm, fields("Yes."));
		assert.equal((await say("No.")).status, 201);
		assert.equal(mine((await ada.read(id)).messages).length, 2);
	});

	test("over the socket likewise, in a conversation that began without a token", async () => {
		const client = await stack.client();
		client.emit("start_conversation", { userId: ada.user._id, isCallSimulator: true });
		const { conversationId } = await client.when("conversation_started");
		const { seq } = await sent(webm, { to: conversationId, ...fields("Do you sell lamps?") });
		client.emit("user_message", { conversationId, message: "Do you sell lamps?" });
		await client.when("ai_response", (e) => e.conversationId === conversationId);
		const { messages } = await ada.read(conversationId);
		assert.deepEqual(mine(messages).map((m) => m.seq), [seq]);
	});

	test("over the socket, the message first: it has the recording, and is answered once", async () => {
		const client = await stack.client();
		client.emit("start_conversation", { userId: ada.user._id, isCallSimulator: true });
		const { conversationId } = await client.when("conversation_started");
		client.emit("user_message", { conversationId, message: "Do you sell chairs?" });
		await client.when("ai_response", (e) => e.conversationId === conversationId);
		await client.socket.timeout(60_000).emitWithAck("user_audio", { conversationId, transcript: "do you sell chairs" }, webm);
		const { id: messageId, audioUrl } = await client.when("transcript");
		const { messages } = await ada.read(conversationId);
		assert.deepEqual(mine(messages).map((m) => [m._id, m.audioUrl, m.content]), [[messageId, audioUrl, "Do you sell chairs?"]]);
		assert.equal(messages.filter((m) => m.role === "assistant").length, 2, "the welcome, and one answer");
	});
});

describe("a recording over the socket", () => {
	const begin = async (options) => {
		const client = await stack.client(options);
		client.emit("start_conversation", { userId: ada.user._id, isCallSimulator: true });
		return { client, conversationId: (await client.when("conversation_started")).conversationId };
	};

	test("is a message, once, also when its words follow; to the one who said it they are told", { timeout: 120_000 }, async () => {
		const { client, conversationId } = await begin();
		const ack = await client.socket.timeout(60_000).emitWithAck("user_audio", { conversationId, type: "audio/webm" }, webm);
		assert.equal(ack.ok, true, JSON.stringify(ack));
		const told = await client.when("transcript");
		assert.deepEqual(plainWords(told.text), plainWords(SURE[0]));
		assert.equal(told.final, true);
		assert.equal(told.id, ack.id);
		client.emit("user_message", { conversationId, message: told.text });
		assert.match((await client.when("ai_response")).message, /two to three/);
		const [said, ...others] = mine(await answered(1, conversationId));
		assert.equal(others.length, 0);
		assert.equal(said.audioUrl, told.audioUrl);
		const res = await fetch(stack.url + told.audioUrl);
		assert.ok(Buffer.from(await res.arrayBuffer()).equals(webm));
	});

	test("may be as long as a packet, over both transports, and be a member of the object", { timeout: 120_000 }, async () => {
		const long = wavOf(Buffer.alloc(620_000, 1), 16_000);
		for (const transports of [["websocket"], ["polling"]]) {
			const { client, conversationId } = await begin({ transports });
			const ack = await client.socket.timeout(60_000).emitWithAck("user_audio", { conversationId, audio: long, transcript: "a long one" });
			assert.equal(ack.ok, true, JSON.stringify(ack));
			assert.ok((await client.when("transcript")).audioUrl.endsWith(".wav"));
			await ada.delete(`/api/conversations/${conversationId}`);
		}
	});

	test("that is none, or for another's conversation, is an error, and the socket lives", async () => {
		const { client, conversationId } = await begin();
		const ask = (...args) => client.socket.timeout(30_000).emitWithAck("user_audio", ...args);
		for (const [args, words] of [[[{ conversationId }], /binary/], [[{ conversationId }, Buffer.alloc(0)], /empty/], [["x", webm], /object/],
			[[{ conversationId }, Buffer.from("<html>".repeat(40))], /no recording/], [[{ conversationId: id }, webm], /not found/],
			[[{ conversationId }, webm, webm], /one binary/], [[{ conversationId: 5 }, webm], /string/]]) {
			const ack = await ask(...args);
			assert.equal(ack.ok, false);
			assert.match(ack.error, words);
		}
		upstream.hearing.otherwise = html(502);
		assert.match((await ask({ conversationId }, webm)).error, /write instead/);
		client.emit("user_message", { conversationId, message: "Hello?" });
		assert.match((await client.when("ai_response")).message, /two to three/);
	});
});

describe("what is no recording", () => {
	const refuses = async (status, sound, more, pattern = /./) => {
		const before = kept().length;
		const res = await send(sound, more);
		assert.equal(res.status, status, res.text);
		assert.match(res.headers["content-type"], /^application\/problem\+json/);
		assert.match(res.json.message, pattern);
		assert.equal(kept().length, before, "nothing is kept");
	};

	test("is refused with a sentence, and nothing of it is kept or sent on", async () => {
		const wav = await speak(SURE[0], { format: "wav" });
		await refuses(400, Buffer.alloc(0), {}, /empty/);
		await refuses(400, null, fields("hello"), /field audio/);
		await refuses(400, webm, { field: "sound" }, /field audio/);
		await refuses(413, Buffer.concat([wav, Buffer.alloc(1 << 20)]));
		await refuses(415, Buffer.from("<html><script>alert(1)</script></html>".repeat(9)), { name: "page.wav", type: "audio/wav" }, /wav, mp3/);
		await refuses(415, Buffer.concat([Buffer.from("RIFF\x24\0\0\0WAVE", "latin1"), Buffer.from("<html>".repeat(50))]), { name: "page.wav" });
		await refuses(415, webm.subarray(0, 100));
		await refuses(400, wav.subarray(0, wav.length / 2), { name: "a.wav" }, /cut off/);
		await refuses(400, webm.subarray(0, webm.length - 10), {}, /cut off/);
		await refuses(413, wavOf(Buffer.alloc(8000 * 2 * 61), 8000), { name: "a.wav" }, /SECONDS/);
		assert.equal(upstream.hearing.requests.length, 0);
		assert.equal((await ada.read(id)).messages.length, 1);
	});

	test("a name with a path in it is no path, and no name at all", async () => {
		for (const name of ["../../../etc/passwd", "/etc/passwd", "a/../../b.wav", "x\u0000.php", "..\\..\\boot.ini", "%2e%2e%2fx"]) {
			const { audioUrl } = await sent(webm, { name, ...fields(`name ${name.length}`) });
			assert.match(audioUrl, /^\/uploads\/[\w-]{22}-[\w-]{22}\.webm$/);
		}
		const all = readdirSync(folder(), { recursive: true }).map(String);
		assert.ok(all.every((f) => f === "usage" || /^[\w-]{22}(\/[\w-]{22}\.\w+)?$/.test(f)), all.join());
	});

	test("a form that is cut off, lies about its length or is none", async () => {
		const head = (length, type = "multipart/form-data; boundary=b") => `POST /api/conversations/${id}/audio HTTP/1.1\r\nHost: x\r\n` +
			`Authorization: Bearer ${ada.token}\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
		const part = "--b\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"a.webm\"\r\n\r\n";
		const body = Buffer.concat([Buffer.from(part), webm, Buffer.from("\r\n--b--\r\n")]);
		const before = kept().length;
		const short = Buffer.from(part + "never ended");
		assert.match(await stack.raw(Buffer.concat([Buffer.from(head(short.length)), short])), /^HTTP\/1.1 400 /);
		assert.match(await stack.raw(Buffer.concat([Buffer.from(head(2)), Buffer.from("{}")])), /^HTTP\/1.1 400 /);
		assert.match(await stack.raw(Buffer.concat([Buffer.from(head(2, "application/json")), Buffer.from("{}")])), /^HTTP\/1.1 415 /);
		assert.match(await stack.raw(Buffer.concat([Buffer.from(head(body.length - 50)), body])), /^HTTP\/1.1 400 /, "more than it announced");
		assert.doesNotMatch(await stack.raw(Buffer.concat([Buffer.from(head(body.length + 50)), body])), / 200 /, "less than it announced");
		assert.equal(kept().length, before);
	});

	test("a transcript that is no text", async () => {
		await refuses(400, webm, { fields: { transcript: new Blob([Buffer.from([0xff, 0xfe, 0x41])]) } }, /UTF-8/);
		await refuses(413, webm, fields("long ".repeat(5000)));
	});

	test("needs a token", async () => {
		assert.equal((await send(webm, { person: { headers: {} } })).status, 401);
	});
});

describe("a speech server that fails", () => {
	test("is 502, and text goes on", { timeout: 120_000 }, async () => {
		const before = kept().length;
		upstream.hearing.otherwise = html(200);
		assert.equal((await send(webm)).status, 502);
		upstream.hearing.otherwise = html(502);
		const res = await send(webm);
		assert.equal(res.status, 502);
		assert.match(res.json.message, /write instead/);
		upstream.hearing.otherwise = { cut: "accept" };
		assert.equal((await send(webm)).status, 502);
		assert.equal(kept().length, before);
		assert.match((await ada.say(id, "Hello?")).content, /two to three/);
		assert.equal((await send(webm, fields("with a transcript it goes on"))).status, 200);
		assert.doesNotMatch(stack.log(), /Bad Gateway<|with a transcript/, "nothing that was said is in a log");
	});

	test("is asked once more when that may help, and its refusal is the sender's matter", { timeout: 120_000 }, async () => {
		upstream.hearing.next(serverError(503), { text: "second time lucky" });
		assert.equal((await sent(webm)).transcript, "second time lucky");
		assert.equal(upstream.hearing.requests.length, 2);
		upstream.hearing.next({ text: "   " });
		assert.equal((await send(webm)).status, 422, "silence");
		const noise = Buffer.concat([webm.subarray(0, 300), Buffer.alloc(webm.length - 300)]);
		const status = (await send(noise)).status;
		assert.ok([400, 415, 422].includes(status), `${status}`);
	});
});

test("when there is no room, a recording is refused and text goes on", async () => {
	const big = wavOf(Buffer.alloc(900_000, 1), 16_000);
	let res;
	for (let i = 0; i < 5; i++)
		res = await send(big, { name: "a.wav", ...fields(`filling up ${i}`) });
	assert.equal(res.status, 413, res.text);
	assert.match(res.json.message, /no room/);
	assert.match((await ada.say(id, "Hello?")).content, /two to three/);
});

describe("what it costs", () => {
	// A second costs 1.
	const seconds = (n) => wavOf(Buffer.alloc(n * 32_000, Buffer.from([0, 16, 0, 240])), 16_000);

	test("minutes have a price; at the day's limit nothing is written down, and who writes is answered", async () => {
		const other = await startStack({ upstream, env: { ...DESK_ENV, OPENAI_TTS_MODEL: "none", PRICE_HEARING: "60", PRICE_INPUT: "0", PRICE_OUTPUT: "0", DAILY_SPEND_LIMIT: "3" } });
		const was = stack;
		try {
			stack = other;
			const eve = await Person.join(other, "Eve"), robin = await eve.agent();
			const { _id: to } = await eve.conversation(robin._id);
			upstream.hearing.otherwise = { text: "How long does delivery take?" };
			for (let i = 0; i < 2; i++)
				await sent(seconds(2), { person: eve, to, name: "x.wav", type: "audio/wav" });
			const { byAgent } = await eve.ok("GET", "/api/analytics");
			assert.deepEqual(byAgent.map((row) => [row.agentId, row.cost]), [[robin._id, 4]]);
			const redis = await other.redis();
			await waitFor("it is paid, and no longer only set aside", async () => (await redis.call("KEYS", "spend:*:held")).length === 0);
			const refused = await send(seconds(2), { person: eve, to, name: "x.wav", type: "audio/wav" });
			assert.equal(refused.status, 429, refused.text);
			assert.match(refused.json.message, /spend limit/);
			assert.ok(Number(refused.headers["retry-after"]) > 0);
			assert.equal(upstream.hearing.requests.length, 2);
			await sent(seconds(2), { person: eve, to, name: "x.wav", type: "audio/wav", ...fields("I want to talk to a real person") });
			assert.match((await eve.say(to, "I want to talk to a real person, please")).content, /person/);
			assert.equal((await eve.ok("GET", "/api/analytics")).totals.cost, 4);
		} finally {
			stack = was;
			await other.stop();
		}
	});

	test("a server that fails is paid nothing", async () => {
		const { _id: to } = await ada.conversation((await ada.agent())._id);
		const before = (await ada.ok("GET", "/api/analytics")).totals.cost;
		for (let i = 0; i < 2; i++)
			upstream.hearing.next(serverError());
		assert.equal((await send(webm, { to })).status, 502);
		assert.equal((await ada.ok("GET", "/api/analytics")).totals.cost, before);
	});
});
