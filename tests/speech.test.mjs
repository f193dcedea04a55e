// Answers said aloud (contract: desk API, Files and Socket.IO), as the public application hears them: an address at once, the
// sound as it is made, whole files or none, and text that never waits.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import http from "node:http";
import path from "node:path";
import { readdirSync, statSync, writeFileSync, readFileSync } from "node:fs";
import { startUpstream, said, reply, html, serverError, failure } from "./upstream.mjs";
import { startStack, Client, waitFor, pause, within, unique } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";

const PAGE = "https://app.example";
const SPEAKS = { ...DESK_ENV, FRONTEND_URL: PAGE, OPENAI_TTS_MODEL: "tts-1", OPENAI_TTS_VOICE: "alloy" };
const URL_FORM = /^\/audio\/[A-Za-z0-9_-]{22}\.mp3$/;

// Frames of MPEG-2 layer III, 24 kHz, 32 kbit/s, each with the words in it: what was said can be told from the bytes.
const frame = (words) => Buffer.concat([Buffer.from([0xff, 0xf3, 0x44, 0xc4]), Buffer.alloc(92, words || " ")]);
const soundOf = (words) => Buffer.concat([...words].map((_, i) => frame(words.slice(i, i + 40))));
const speaks = (more = {}) => (request) => ({ sound: soundOf(request.body.input), ...more });

let upstream, stack, ada, agent;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: SPEAKS });
	ada = await Person.join(stack);
	agent = await ada.agent();
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => {
	upstream.reset();
	upstream.speech.otherwise = speaks();
});

const folder = (name, of = stack) => path.join(of.dir, "audio", name);
const files = (name, of = stack) => readdirSync(folder(name, of)).filter((f) => !f.startsWith("."));
const nameOf = (url) => path.basename(url);

// The whole answer of the address, and when its first byte came.
function hear(url, { headers = {}, method = "GET", base = stack.url } = {}) {
	return new Promise((resolve, reject) => {
		const req = http.request(base + url, { method, headers, agent: false }, (res) => {
			const parts = [];
			let first = 0;
			res.on("data", (part) => {
				first ||= performance.now();
				parts.push(part);
			});
			res.on("end", () => resolve({ status: res.statusCode, headers: res.headers, bytes: Buffer.concat(parts), first }));
			res.on("aborted", () => resolve({ status: res.statusCode, headers: res.headers, bytes: Buffer.concat(parts), first, aborted: true }));
			res.on("error", () => {});
		});
		req.on("error", reject);
		req.end();
	});
}

// Waits until nginx has it.
async function whole(url, of = stack) {
	await waitFor(`${url} is whole`, () => files("public", of).includes(nameOf(url)));
	return hear(url, { base: of.url });
}

const spoken = () => upstream.speech.requests.map((r) => r.body.input);
const soundOfAll = () => Buffer.concat(spoken().map(soundOf));

async function answer(text, { model = {}, content = unique("question"), id } = {}) {
	const conversation = id ?? (await ada.conversation(agent._id))._id;
	upstream.next(said(text, { confidence: 0.9 }, model));
	return { id: conversation, ...(await ada.say(conversation, content)) };
}

async function call(options = {}, payload = {}) {
	const client = new Client(stack.url, options);
	client.emit("start_conversation", { userId: ada.user._id, agentId: agent._id, isCallSimulator: false, ...payload });
	const started = await client.when("conversation_started");
	return { client, started, say: (message, more = {}) => client.emit("user_message", { conversationId: started.conversationId, message, ...more }) };
}

describe("an address with the text", () => {
	test("a new conversation's welcome can be heard, and the same words are made once", async () => {
		const mine = await ada.agent({ name: unique("Voice") });
		const first = await ada.conversation(mine._id);
		const url = first.messages[0].audioUrl;
		assert.match(url, URL_FORM);
		const heard = await whole(url);
		assert.equal(heard.status, 200);
		assert.deepEqual(heard.bytes, soundOfAll());
		assert.ok(upstream.speech.requests.length >= 1);
		assert.deepEqual(upstream.speech.requests[0].body, { model: "tts-1", input: spoken()[0], voice: "alloy", response_format: "mp3" });
		const asked = upstream.speech.requests.length;
		const second = await ada.conversation(mine._id);
		assert.notEqual(second.messages[0].audioUrl, url, "each message has a name of its own");
		assert.deepEqual((await whole(second.messages[0].audioUrl)).bytes, heard.bytes);
		assert.equal(upstream.speech.requests.length, asked, "cached speech costs no call");
		const read = await ada.ok("GET", `/api/conversations/${first._id}`);
		assert.equal(read.messages[0].audioUrl, url);
	});

	test("an answer over REST, its history and its list have it, and what is said has no marks", async () => {
		const told = await answer("# Delivery\n\nIt takes **two days**, see [our page](https://shop.example/delivery). It costs *nothing*!\n\n- One\n- Two");
		assert.match(told.audioUrl, URL_FORM);
		const heard = await whole(told.audioUrl), welcome = (await ada.read(told.id)).messages[0].content;
		const words = spoken().filter((w) => !welcome.includes(w)).join(" ");
		assert.match(words, /Delivery\. It takes two days, see our page\. It costs nothing! One\. Two$/);
		assert.doesNotMatch(words, /[*#[\]]|https?:/);
		assert.ok(heard.bytes.length > 0 && heard.bytes.length % 96 === 0);
		const messages = await ada.ok("GET", `/api/conversations/${told.id}/messages`);
		assert.equal(messages.at(-1).audioUrl, told.audioUrl);
		assert.equal((await ada.ok("GET", "/api/conversations")).find((c) => c._id === told.id).messages.at(-1).audioUrl, told.audioUrl);
	});

	test("an agent has a voice of its own", async () => {
		const nova = await ada.agent({ voice: "nova", name: unique("Nova") });
		await whole((await ada.conversation(nova._id)).messages[0].audioUrl);
		assert.ok(upstream.speech.requests.length > 0 && upstream.speech.requests.every((r) => r.body.voice === "nova"));
	});

	test("a page elsewhere may read it, while it is made and when it is whole", async () => {
		const mine = await ada.agent({ name: unique("Elsewhere") }), headers = { origin: PAGE };
		const url = (await ada.conversation(mine._id)).messages[0].audioUrl;
		const early = await hear(url, { headers });
		await whole(url);
		const late = await hear(url, { headers });
		for (const { status, headers: told } of [early, late]) {
			assert.deepEqual([status, told["access-control-allow-origin"]], [200, PAGE]);
			assert.match(told.vary, /Origin/);
		}
		assert.deepEqual(early.bytes, late.bytes);
		assert.equal((await hear(url, { headers: { origin: "https://evil.example" } })).headers["access-control-allow-origin"], undefined);
	});

	test("long answers are cut at sentence ends, below the limit", async () => {
		const text = Array.from({ length: 120 }, (_, i) => `Sentence number ${i + 1} says something about the garden and its tools.`).join(" ");
		const told = await answer(text);
		const heard = await whole(told.audioUrl);
		const pieces = spoken().slice(-(spoken().length)).filter((w) => w.includes("Sentence number"));
		assert.ok(pieces.length > 3);
		assert.ok(pieces.every((w) => [...w].length <= 4096 && w.endsWith(".")));
		assert.equal(pieces.join(" "), text);
		assert.ok(pieces[0].length < 120, "the first one is short");
		assert.deepEqual(heard.bytes, Buffer.concat(pieces.map(soundOf)));
	});

	test("the chat API does not speak", async () => {
		const { json } = await stack.post("/api/v1/chat/session", { userId: "visitor-1" });
		await stack.post("/api/v1/chat/message", { sessionId: json.sessionId, userId: "visitor-1", message: "Hello there" });
		assert.equal(upstream.speech.requests.length, 0);
	});
});

describe("while it is made", () => {
	test("the first sentence is made while the model still writes", async () => {
		const { client, say } = await call();
		await pause(0);
		upstream.next({ tokens: ["The garden shop is open from nine to five. ", "On Sundays", " we", " rest", ", and", " on", " holidays", " too."],
			tokenDelay: 60, said: { confidence: 0.9 } });
		say(unique("When are you open?"));
		const response = await client.when("ai_response");
		const made = upstream.speech.requests.find((r) => r.body.input.includes("nine to five"));
		assert.ok(made.at < upstream.last.endedAt, "before the last word was written");
		assert.match(response.audioUrl, URL_FORM);
		const heard = await hear(response.audioUrl);
		assert.equal(heard.status, 200);
		assert.ok(heard.bytes.length > 0);
		client.close();
	});

	test("its address can be listened to at once: what there is comes, then the rest", async () => {
		const { client, say } = await call();
		upstream.speech.otherwise = speaks({ bytes: 480, pieceDelay: 100 });
		upstream.next(said("This one grows slowly, and is heard all the same. ".repeat(2), { confidence: 0.9 }));
		say(unique("slow"));
		const { audioUrl } = await client.when("ai_response");
		const asked = performance.now(), heard = await hear(audioUrl), ended = performance.now();
		assert.equal(heard.status, 200);
		assert.equal(heard.headers["content-type"], "audio/mpeg");
		assert.equal(heard.headers["x-content-type-options"], "nosniff");
		assert.ok(heard.first - asked < (ended - asked) / 2, "its beginning came long before its end");
		assert.deepEqual(heard.bytes, (await whole(audioUrl)).bytes);
		client.close();
	});

	test("text does not wait for it", async () => {
		upstream.speech.otherwise = speaks({ delay: 4000 });
		const { client, say } = await call();
		upstream.next(said("Text is quick, whatever speech does, and that is how it stays.", { confidence: 0.9 }));
		const from = performance.now();
		say(unique("quick"));
		await client.when("ai_response");
		assert.ok(performance.now() - from < 3000);
		client.close();
	});

	test("the first byte leaves as soon as it has come", async () => {
		const late = [];
		for (let i = 0; i < 10; i++) {
			const { client, say } = await call();
			let gone = 0;
			upstream.speech.otherwise = async (request) => {
				await pause(300);
				gone = performance.now();
				return { sound: soundOf(request.body.input), bytes: 4096 };
			};
			upstream.next(said(`Answer number ${i}, which nobody has heard before: ${unique()}.`, { confidence: 0.9 }));
			say(unique("first byte"));
			const { audioUrl } = await client.when("ai_response");
			const heard = await hear(audioUrl);
			late.push(heard.first - gone);
			client.close();
		}
		late.sort((a, b) => a - b);
		console.log(`first byte after the upstream's: median ${late[5].toFixed(1)} ms, worst ${late[9].toFixed(1)} ms`);
		assert.ok(late[5] < 250, `${late[5]} ms`);
	});
});

describe("delivery that is asked for", () => {
	test("base64: the sound is in the event, which waits for it", async () => {
		const { client, started, say } = await call({}, { audio: "base64" });
		assert.equal(started.welcomeMessage.audioUrl, undefined);
		assert.equal(started.welcomeMessage.audioType, "audio/mpeg");
		assert.equal(Buffer.from(started.welcomeMessage.audioData, "base64").length % 96, 0);
		upstream.reset();
		upstream.speech.otherwise = speaks({ delay: 300 });
		upstream.next(said("This comes with its sound, and both are there at once.", { confidence: 0.9 }));
		say(unique("together"), { audio: "base64" });
		const response = await client.when("ai_response");
		assert.equal(response.audioUrl, undefined);
		assert.equal(response.audioType, "audio/mpeg");
		assert.deepEqual(Buffer.from(response.audioData, "base64"), soundOfAll());
		client.close();
	});

	test("chunks: binary events in order, the last one says so; of the welcome, too", async () => {
		const { client, started, say } = await call({}, { audio: "chunks" });
		const chunksOf = (id) => client.all("ai_audio").filter((c) => c.id === id);
		const together = async (id) => {
			await client.when("ai_audio", (c) => c.id === id && c.last);
			const chunks = chunksOf(id);
			assert.deepEqual(chunks.map((c) => c.index), chunks.map((_, i) => i));
			assert.deepEqual(chunks.map((c) => c.last), chunks.map((_, i) => i === chunks.length - 1));
			assert.ok(chunks.every((c) => Buffer.isBuffer(c.audio) && c.type === "audio/mpeg" && !c.failed));
			return Buffer.concat(chunks.map((c) => c.audio));
		};
		const welcome = await together(started.welcomeMessage.id);
		assert.deepEqual(welcome, (await whole(started.welcomeMessage.audioUrl)).bytes);
		upstream.reset();
		upstream.speech.otherwise = speaks({ bytes: 960, pieceDelay: 5 });
		upstream.next(said("First there is one sentence that is long enough. Then there is another one, and it is the last.", { confidence: 0.9 }, { tokenDelay: 10 }));
		say(unique("in pieces"), { audio: "chunks" });
		const response = await client.when("ai_response");
		const sound = await together(response.id);
		assert.deepEqual(sound, soundOfAll());
		assert.deepEqual((await whole(response.audioUrl)).bytes, sound);
		assert.ok(chunksOf(response.id).length > 3);
		client.close();
	});

	test("none: no sound; anything else is refused", async () => {
		const { client, say } = await call({}, { audio: "none" });
		upstream.reset();
		upstream.next(said("This one is silent.", { confidence: 0.9 }));
		say(unique("silent"), { audio: "none" });
		assert.equal((await client.when("ai_response")).audioUrl, undefined);
		assert.equal(upstream.speech.requests.length, 0);
		say("odd", { audio: "loud" });
		assert.match((await client.when("error")).message, /audio/);
		client.close();
	});
});

describe("files", () => {
	test("are served with type, ranges and nothing to guess", async () => {
		const { audioUrl } = await answer(`Something to be served in ranges, ${unique()}.`);
		const all = await whole(audioUrl);
		assert.equal(all.headers["content-type"], "audio/mpeg");
		assert.equal(all.headers["x-content-type-options"], "nosniff");
		assert.match(all.headers["cache-control"], /^private, max-age=31536000, immutable$/);
		assert.equal(all.headers["accept-ranges"], "bytes");
		assert.equal(all.headers["cross-origin-resource-policy"], "cross-origin");
		for (const place of [audioUrl, `/public${audioUrl}`])
			assert.equal((await stack.get(place)).headers["content-type"], "audio/mpeg");
		for (const place of [`/${audioUrl}`, `/public${audioUrl}`])
			assert.deepEqual((await hear(place)).bytes, all.bytes, place);
		const part = await hear(audioUrl, { headers: { range: "bytes=96-191" } });
		assert.equal(part.status, 206);
		assert.equal(part.headers["content-range"], `bytes 96-191/${all.bytes.length}`);
		assert.deepEqual(part.bytes, all.bytes.subarray(96, 192));
		assert.equal((await hear(audioUrl, { headers: { range: `bytes=${all.bytes.length}-` } })).status, 416);
		const head = await hear(audioUrl, { method: "HEAD" });
		assert.deepEqual([head.status, head.headers["content-length"], head.bytes.length], [200, String(all.bytes.length), 0]);
		assert.equal((await hear(audioUrl, { headers: { "if-none-match": all.headers.etag } })).status, 304);
	});

	test("that are not there, or not files, are 404: no listing, no way out", async () => {
		writeFileSync(folder("public/.hidden.mp3"), "x");
		writeFileSync(path.join(stack.dir, "audio", "outside.mp3"), "x");
		for (const at of ["/audio/", "/audio", "/public/audio/", "//audio/", "/audio/.hidden.mp3", "/audio/..%2foutside.mp3", "/audio/../outside.mp3",
			"/audio/%2e%2e/outside.mp3", `/audio/${"x".repeat(22)}.mp3`, `/audio/${"x".repeat(22)}.exe`, `/audio/${"x".repeat(22)}`, `/audio/${"x".repeat(22)}.mp3/`,
			`/audio/${"x".repeat(22)}.mp3%00.html`, "/audio/usage", "/audio/cache/", `/audio/making/${"x".repeat(22)}.mp3`, "/audio/..\\..\\secrets"]) {
			const res = await stack.raw(`GET ${at} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
			assert.match(res, /^HTTP\/1.1 (404|400|301) /, at);
			assert.doesNotMatch(res, /Index of|^x$/m, at);
		}
		for (const method of ["POST", "PUT", "DELETE"])
			assert.ok((await hear(`/audio/${"x".repeat(22)}.mp3`, { method })).status >= 400, method);
	});

	test("are links to the cached sound, and go with their conversation, the last one with the cached sound", async () => {
		const mine = await ada.agent({ name: unique("Linked") });
		const one = await ada.conversation(mine._id), two = await ada.conversation(mine._id);
		await whole(one.messages[0].audioUrl);
		await whole(two.messages[0].audioUrl);
		const parts = readFileSync(folder(`parts/${nameOf(one.messages[0].audioUrl).slice(0, 22)}`), "latin1").trim().split("\n");
		const links = (key) => statSync(folder(`cache/${key}`)).nlink;
		const own = parts.filter((key) => links(key) === 3);
		assert.ok(own.length >= 1, "the cached one, and one for each of the two");
		const cached = files("cache").length;
		const told = await answer(`Only this conversation has heard of it: ${unique()}. It has a second sentence, which is rather long, so that there are several pieces of it in the cache. And it has a third one.`, { id: one._id });
		await whole(told.audioUrl);
		assert.ok(files("cache").length >= cached + 2);
		await ada.ok("DELETE", `/api/conversations/${one._id}`);
		for (const url of [one.messages[0].audioUrl, told.audioUrl])
			assert.equal((await hear(url)).status, 404);
		assert.equal(files("cache").length, cached, "what only it had is gone");
		assert.equal((await hear(two.messages[0].audioUrl)).status, 200);
		await ada.ok("DELETE", `/api/conversations/${two._id}`);
		assert.equal(files("cache").length, cached - own.length);
		assert.deepEqual(files("parts").filter((f) => f.startsWith(nameOf(one.messages[0].audioUrl).slice(0, 22))), []);
	});

	test("of one that is deleted while it is made there is nothing", async () => {
		const { client, started, say } = await call({ auth: { token: ada.token } });
		upstream.speech.otherwise = speaks({ bytes: 480, pieceDelay: 150 });
		upstream.next(said(`This is deleted before it has been said to its end, ${unique()}.`, { confidence: 0.9 }));
		say(unique("delete"));
		const { audioUrl } = await client.when("ai_response");
		await waitFor("it grows", () => files("making").includes(nameOf(audioUrl)));
		await ada.ok("DELETE", `/api/conversations/${started.conversationId}`);
		await waitFor("nothing is made", () => files("making").length === 0);
		await pause(500);
		assert.ok(!files("public").includes(nameOf(audioUrl)));
		assert.equal((await hear(audioUrl)).status, 404);
		client.close();
	});
});

describe("a speech server that fails", () => {
	const failures = {
		"sends a page": () => ({ ...html(200) }),
		"sends a page as sound": () => ({ sound: Buffer.from("<!doctype html><title>Sign in</title>".repeat(20)), contentType: "audio/mpeg" }),
		"sends JSON": () => ({ body: "{\"ok\":true}", contentType: "application/json" }),
		"fails": () => serverError(500),
		"refuses": () => failure(400, { message: "Invalid voice" }),
		"breaks off": (r) => ({ sound: soundOf(r.body.input), bytes: 960, cut: 1 }),
		"hangs up": () => ({ cut: "accept" }),
		"says nothing": () => ({ sound: Buffer.alloc(0) }),
		"sends noise": () => ({ sound: Buffer.alloc(5000, 7) }),
	};
	for (const [what, step] of Object.entries(failures))
		test(`${what}: the text is there, no file is`, async () => {
			upstream.speech.otherwise = speaks();
			const { client, say } = await call();
			await client.when("conversation_started");
			upstream.speech.otherwise = step;
			upstream.next(said(`This is answered all the same, ${unique()}.`, { confidence: 0.9 }));
			say(unique("fail"));
			const response = await client.when("ai_response");
			assert.match(response.message, /answered all the same/);
			if (response.audioUrl) {
				const heard = await within(hear(response.audioUrl), 20_000, "an end");
				assert.ok([404, 502, 503].includes(heard.status) || heard.aborted, `${heard.status}: half of it does not look whole`);
				await waitFor("nothing is left", () => !files("making").includes(nameOf(response.audioUrl)));
				assert.ok(!files("public").includes(nameOf(response.audioUrl)));
				const again = await hear(response.audioUrl);
				assert.ok([404, 502, 503].includes(again.status) || again.aborted, `${again.status}`);
				assert.equal(again.status === 503, Number(again.headers["retry-after"]) > 0);
			}
			client.close();
			await pause(0);
		});
});

// A call, when the speech server is asked again after its failures.
const spokenCall = (options) => waitFor("the speech server is asked", async () => {
	const begun = await call(options);
	return begun.started.welcomeMessage.audioUrl ? begun : void begun.client.close();
}, { every: 1000 });

// An answer whose sound grows slowly, and what it is when it is whole.
async function growing({ client, say }, what, step = { bytes: 480, pieceDelay: 500 }) {
	const text = `${what}, ${unique()}.`;
	upstream.speech.otherwise = speaks(step);
	upstream.next(said(text, { confidence: 0.9 }));
	say(unique("grow"));
	const { audioUrl } = await client.when("ai_response", (r) => r.message === text);
	await waitFor("it grows", () => files("making").includes(nameOf(audioUrl)) && statSync(folder(`making/${nameOf(audioUrl)}`)).size > 0);
	return { audioUrl, bytes: soundOf(text) };
}

// Until it begins to come.
async function listening(url) {
	let res;
	const heard = new Promise((resolve, reject) => http.get(stack.url + url, { agent: false }, (r) => {
		const parts = [];
		res = r;
		r.on("data", (part) => parts.push(part));
		r.on("end", () => resolve({ bytes: Buffer.concat(parts), aborted: false }));
		r.on("aborted", () => resolve({ bytes: Buffer.concat(parts), aborted: true }));
		r.on("error", () => {});
	}).on("error", reject));
	await waitFor("its beginning", () => res);
	return heard;
}

describe("a sound that is broken off", () => {
	test("by the speech server: who listens is cut off, who asks next hears all of it", async () => {
		const c = await spokenCall();
		const { audioUrl, bytes } = await growing(c, "The server hangs up in the middle of this", { bytes: 480, pieceDelay: 400, cut: 4 });
		const heard = await within(hear(audioUrl), 20_000, "an end");
		assert.equal(heard.status, 200);
		assert.ok(heard.aborted, "it does not look whole");
		assert.ok(heard.bytes.length < bytes.length);
		upstream.speech.otherwise = speaks();
		const before = upstream.speech.requests.length;
		const [one, two] = await Promise.all([hear(audioUrl), hear(audioUrl)]);
		assert.deepEqual(one.bytes, bytes);
		assert.deepEqual(two.bytes, bytes);
		assert.equal(upstream.speech.requests.length, before + 1, "made once for both");
		assert.deepEqual((await whole(audioUrl)).bytes, bytes);
		await waitFor("nothing is owed", () => !files("orders").includes(nameOf(audioUrl)));
		c.client.close();
	});

	test("and whose server goes on failing: 502 or 503 and when to ask again, never half of it; then it is whole", async () => {
		const c = await spokenCall();
		const { audioUrl, bytes } = await growing(c, "The server does not come back soon", { bytes: 480, pieceDelay: 300, cut: 2 });
		await waitFor("it is given up", () => files("making").length === 0);
		upstream.speech.otherwise = () => serverError(500);
		let refused;
		for (let i = 0; i < 10 && refused?.status !== 503; i++) {
			refused = await hear(audioUrl);
			assert.ok([502, 503].includes(refused.status), `${refused.status}`);
		}
		assert.equal(refused.status, 503);
		assert.ok(Number(refused.headers["retry-after"]) >= 1);
		upstream.speech.otherwise = speaks();
		const again = await waitFor("it is said", async () => {
			const heard = await hear(audioUrl);
			return heard.status === 200 && heard;
		}, { every: 500 });
		assert.deepEqual(again.bytes, bytes);
		c.client.close();
	});

	test("of a conversation that is deleted is not made again", async () => {
		const c = await spokenCall({ auth: { token: ada.token } });
		const { audioUrl } = await growing(c, "Nobody will hear this", { bytes: 480, pieceDelay: 300, cut: 2 });
		await waitFor("it is given up", () => files("making").length === 0);
		assert.ok(files("orders").includes(nameOf(audioUrl)));
		await ada.ok("DELETE", `/api/conversations/${c.started.conversationId}`);
		upstream.speech.otherwise = speaks();
		assert.equal((await hear(audioUrl)).status, 404);
		assert.ok(!files("orders").includes(nameOf(audioUrl)));
		c.client.close();
	});
});

describe("a range of a sound that grows", () => {
	for (const range of ["bytes=96-191", "bytes=0-", "bytes=-96", "bytes=999999-", "lines=1-2"])
		test(`${range}: all of it, and that there are no ranges`, async () => {
			const c = await spokenCall();
			const { audioUrl, bytes } = await growing(c, "A part of this is asked for", { bytes: 960, pieceDelay: 200 });
			const heard = await hear(audioUrl, { headers: { range, "if-range": "\"x\"" } });
			assert.equal(heard.status, 200);
			assert.equal(heard.headers["accept-ranges"], "none");
			assert.equal(heard.headers["content-range"], undefined);
			assert.deepEqual(heard.bytes, bytes);
			c.client.close();
		});
});

describe("kill -9", () => {
	test("of the maker: who listens is cut off, who asks next hears all of it; the conversation goes on", async () => {
		const c = await spokenCall();
		const { audioUrl, bytes } = await growing(c, "The maker of this is killed while it is said");
		const heard = listening(audioUrl);
		await pause(0);
		await stack.kill("events");
		const { aborted, bytes: half } = await within(heard, 20_000, "the stream's end");
		assert.ok(aborted, "it does not look whole");
		assert.ok(half.length > 0 && half.length < bytes.length);
		assert.ok(!files("public").includes(nameOf(audioUrl)));
		upstream.speech.otherwise = speaks();
		assert.deepEqual((await hear(audioUrl)).bytes, bytes);
		assert.deepEqual((await whole(audioUrl)).bytes, bytes);
		await waitFor("it is cleaned up", () => !files("making").includes(nameOf(audioUrl)) && !files("orders").includes(nameOf(audioUrl)));
		const { client } = c;
		const next = await answer(`Here is the next one, ${unique()}.`);
		assert.equal((await whole(next.audioUrl)).status, 200);
		client.close();
	});

	test("of the program that is listened to: who listens is cut off, and asks again", async () => {
		const c = await spokenCall();
		const { audioUrl, bytes } = await growing(c, "The one that hands this on is killed", { bytes: 960, pieceDelay: 500 });
		const heard = listening(audioUrl);
		await pause(100);
		await stack.kill("desk");
		assert.ok((await within(heard, 20_000, "the stream's end")).aborted, "it does not look whole");
		const again = await waitFor("the program is there again", async () => {
			const r = await hear(audioUrl);
			return r.status === 200 && r;
		});
		assert.deepEqual(again.bytes, bytes);
		c.client.close();
	});

	test("of a maker whose welcome nobody has heard", async () => {
		const mine = await ada.agent({ name: unique("Killed"), voice: "onyx" });
		upstream.speech.otherwise = speaks({ bytes: 480, pieceDelay: 500 });
		const { messages: [{ audioUrl }] } = await ada.conversation(mine._id);
		await waitFor("it grows", () => files("making").includes(nameOf(audioUrl)) && statSync(folder(`making/${nameOf(audioUrl)}`)).size > 0);
		await stack.kill("desk");
		upstream.reset();
		upstream.speech.otherwise = speaks();
		const again = await waitFor("the program is there again", async () => {
			const r = await hear(audioUrl);
			return r.status === 200 && r;
		});
		assert.deepEqual(again.bytes, soundOfAll());
		assert.ok(upstream.speech.requests.every((r) => r.body.voice === "onyx"), "in the same voice");
	});
});

describe("bounds", () => {
	test("past the quota nothing new is said, text goes on; the cache is kept small", async () => {
		const small = await startStack({ upstream, env: { ...SPEAKS, MAX_AUDIO_BYTES: "60000", AUDIO_CACHE_SIZE: "20000" } });
		try {
			const eve = await Person.join(small, "Eve"), robin = await eve.agent();
			const c = await eve.conversation(robin._id);
			let last;
			for (let i = 0; i < 12; i++) {
				upstream.next(said(`Number ${i} of many answers that fill the disk, ${unique()}.`, { confidence: 0.9 }));
				last = await eve.say(c._id, unique("fill"));
				assert.match(last.content, /fill the disk/);
				await waitFor("it is said, or not", () => files("making", small).length === 0);
			}
			assert.equal(last.audioUrl, undefined, "the quota is used up");
			const seen = new Map();
			for (const place of ["public", "cache", "making", "parts"])
				for (const f of files(place, small)) {
					const st = statSync(path.join(small.dir, "audio", place, f));
					seen.set(st.ino, st.size);
				}
			assert.ok([...seen.values()].reduce((a, b) => a + b, 0) <= 60000);
			await waitFor("the cache is small", () => files("cache", small).reduce((n, f) => n + statSync(path.join(small.dir, "audio/cache", f)).size, 0) <= 20000);
		} finally {
			await small.stop();
		}
	});

	test("a server without speech is left alone, and OPENAI_TTS_MODEL=none asks none", async () => {
		upstream.speech.otherwise = () => failure(404, { message: "no such route" });
		const mute = await startStack({ upstream, env: SPEAKS });
		try {
			const eve = await Person.join(mute, "Eve"), robin = await eve.agent();
			await eve.conversation(robin._id);
			await waitFor("it was asked", () => upstream.speech.requests.length > 0);
			await waitFor("it is known", async () => (await eve.conversation(robin._id)).messages[0].audioUrl === undefined);
		} finally {
			await mute.stop();
		}
	});

	test("SPEECH_DELIVERY=base64 is for all that do not say it", async () => {
		const old = await startStack({ upstream, env: { ...SPEAKS, SPEECH_DELIVERY: "base64" } });
		try {
			const eve = await Person.join(old, "Eve"), robin = await eve.agent();
			const client = new Client(old.url);
			client.emit("start_conversation", { userId: eve.user._id, agentId: robin._id, isCallSimulator: false });
			const started = await client.when("conversation_started");
			assert.ok(started.welcomeMessage.audioData);
			upstream.next(said("It comes within the event.", { confidence: 0.9 }));
			client.emit("user_message", { conversationId: started.conversationId, message: "Hello there" });
			assert.ok((await client.when("ai_response")).audioData);
			client.close();
		} finally {
			await old.stop();
		}
	});
});

describe("what it costs", () => {
	const MONEY = { PRICE_INPUT: "0", PRICE_OUTPUT: "0", PRICE_SPEECH: "1000" };	// a thousandth each character
	const characters = () => spoken().reduce((n, words) => n + [...words].length, 0);

	test("each character that is asked for has its price, in the figures of its agent and day", async () => {
		const other = await startStack({ upstream, env: { ...SPEAKS, ...MONEY } });
		try {
			const eve = await Person.join(other, "Eve"), robin = await eve.agent();
			const cost = async () => (await eve.ok("GET", "/api/analytics")).totals.cost;
			const same = async () => Math.abs(await cost() - characters() / 1000) < 1e-6 && characters();
			const { _id: id, messages } = await eve.conversation(robin._id);
			await whole(messages[0].audioUrl, other);
			await waitFor("the welcome is paid for", same);
			upstream.next(said("Für Elise – two days.", { confidence: 0.9 }));
			await whole((await eve.say(id, "How long?")).audioUrl, other);
			await waitFor("the answer, too", same);
			const { byAgent, byDay } = await eve.ok("GET", "/api/analytics");
			assert.deepEqual(byAgent.map((row) => [row.agentId, row.cost]), [[robin._id, byDay.at(-1).cost]]);
			const before = await cost();
			await whole((await eve.conversation(robin._id)).messages[0].audioUrl, other);
			assert.equal(await cost(), before, "what was said before costs nothing");
		} finally {
			await other.stop();
		}
	});

	test("at the day's limit nothing is said any more; the text goes out, and says so", async () => {
		const other = await startStack({ upstream, env: { ...SPEAKS, ...MONEY, DAILY_SPEND_LIMIT: "0.01" } });
		try {
			const eve = await Person.join(other, "Eve"), robin = await eve.agent();
			const { _id: id, messages } = await eve.conversation(robin._id);
			assert.match(messages[0].audioUrl, URL_FORM, "there is money yet");
			await waitFor("it is spent", async () => (await eve.ok("GET", "/api/analytics")).totals.cost >= 0.01);
			const asked = upstream.speech.requests.length;
			const told = await eve.say(id, "I want to talk to a real person");
			assert.match(told.content, /I have asked a person/);
			assert.equal(told.audioUrl, undefined);
			assert.match(told.audioNotice, /spend limit/);
			const client = new Client(other.url, { auth: { token: eve.token } });
			client.emit("user_message", { conversationId: id, message: "Is the person there yet? I want to talk to a person" });
			const event = await client.when("ai_response");
			assert.deepEqual([event.audioUrl, event.audioNotice], [undefined, told.audioNotice]);
			client.close();
			assert.equal((await eve.read(id)).messages.at(-1).audioNotice, told.audioNotice);
			assert.equal((await eve.conversation(robin._id)).messages[0].audioUrl, undefined);
			assert.equal(upstream.speech.requests.length, asked);
		} finally {
			await other.stop();
		}
	});
});
