// The scriptable upstream against the real openai client: what the other tests build on is right.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import http from "node:http";
import OpenAI from "openai";
import { hear, plainWords, speak } from "./sound.mjs";
import * as up from "./upstream.mjs";

let upstream, client;

before(async () => {
	upstream = await up.startUpstream();
	client = new OpenAI({ apiKey: "sk-test", baseURL: upstream.url, maxRetries: 0 });
});
after(() => upstream.close());
beforeEach(() => upstream.reset());

const ask = (more = {}, messages = [{ role: "user", content: "hé" }]) =>
	client.chat.completions.create({ model: "m", messages, ...more });

async function text(stream) {
	let out = "";
	for await (const chunk of stream)
		out += chunk.choices[0]?.delta?.content ?? "";
	return out;
}

const schema = {
	type: "object", additionalProperties: false, required: ["answer", "confidence", "sentiment", "intents", "person"],
	properties: {
		answer: { type: "string" }, confidence: { type: "number", minimum: 0, maximum: 1 },
		sentiment: { type: "string", enum: ["positive", "neutral"] },
		intents: { type: "array", items: { type: "string", enum: ["question", "general"] } },
		person: { type: "boolean" },
	},
};
const response_format = { type: "json_schema", json_schema: { name: "x", strict: true, schema } };

test("answers whole and streamed, with usage if asked", async () => {
	upstream.next(up.reply("One two three"));
	const whole = await ask();
	assert.equal(whole.choices[0].message.content, "One two three");
	assert.equal(whole.choices[0].finish_reason, "stop");
	upstream.next(up.reply("Eins zwei drei ☃"), up.reply("a b"));
	assert.equal(await text(await ask({ stream: true })), "Eins zwei drei ☃");
	const chunks = [];
	for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } }))
		chunks.push(chunk);
	assert.deepEqual(chunks.at(-1).choices, []);
	assert.equal(chunks.at(-1).usage.completion_tokens, 2);
	assert.equal(upstream.chats[0].body.messages[0].content, "hé");
	assert.equal(upstream.chats[0].headers.authorization, "Bearer sk-test");
});

test("fills a JSON schema, also in a stream and in one of any form", async () => {
	upstream.otherwise = up.said("Yes: \"quoted\"\n☃", { confidence: 0.2, person: true });
	const want = { answer: "Yes: \"quoted\"\n☃", confidence: 0.2, sentiment: "neutral", intents: ["general"], person: true };
	const whole = await ask({ response_format });
	assert.deepEqual(JSON.parse(whole.choices[0].message.content), want);
	assert.deepEqual(JSON.parse(await text(await ask({ response_format, stream: true }))), want);
	upstream.otherwise = { ...upstream.otherwise, newline: "\r\n", space: false, bytes: 1, comments: "OPENROUTER PROCESSING",
		emptyChoicesFirst: true, repeatRole: true, reasoning: "hm", done: false };
	assert.deepEqual(JSON.parse(await text(await ask({ response_format, stream: true }))), want);
});

test("fails in each way", async () => {
	const fails = async (step, status, more = {}) => {
		upstream.next(step);
		await assert.rejects(ask(), (error) => {
			assert.equal(error.status, status);
			for (const [k, v] of Object.entries(more))
				assert.equal(error[k], v, k);
			return true;
		});
	};
	await fails(up.rateLimited({ seconds: 3 }), 429, { code: "rate_limit_exceeded" });
	await fails(up.insufficientQuota(), 429, { code: "insufficient_quota" });
	await fails(up.serverError(), 500, { type: "server_error" });
	await fails(up.html(503), 503);
	await fails(up.empty(502), 502);
	await fails(up.invalidKey(), 401, { code: "invalid_api_key" });
	await fails(up.unsupportedParameter("max_tokens"), 400, { code: "unsupported_parameter", param: "max_tokens" });
	await fails(up.vllmError(), 400, { code: 400 });
	await fails(up.oldVllmError(), 400);
	await fails(up.geminiError(), 400);
	upstream.next(up.brokenJson());
	await assert.rejects(ask());
	upstream.next(up.rateLimited({ date: Date.now() + 2000 }));
	const error = await ask().catch((e) => e);
	assert.ok(Math.abs(new Date(new Headers(error.headers).get("retry-after")) - Date.now()) < 30_000);
});

test("refuses a parameter only where it is sent", async () => {
	upstream.otherwise = up.refusing({ temperature: (v) => v !== 1 }, up.reply("fine"), up.unsupportedValue);
	await assert.rejects(ask({ temperature: 0.2 }), { code: "unsupported_value", param: "temperature" });
	assert.equal((await ask({ temperature: 1 })).choices[0].message.content, "fine");
});

test("cuts, stalls, ends and errs where it is told to", async () => {
	for (const cut of ["accept", "headers", 0, 1]) {
		upstream.next(up.reply("a b c", { cut }));
		await assert.rejects(async () => text(await ask({ stream: true })), undefined, `cut ${cut}`);
	}
	upstream.next(up.reply("a b c", { end: 2 }));
	assert.equal(await text(await ask({ stream: true })), "a b ");
	upstream.next(up.reply("a b c", { streamError: { after: 1, error: { message: "The server had an error", type: "server_error" } } }));
	await assert.rejects(async () => text(await ask({ stream: true })), /server had an error/);
	upstream.next(up.reply("a b c", { garbage: { after: 1, text: "data: {broken" } }));
	await assert.rejects(async () => text(await ask({ stream: true })));
	for (const stall of ["accept", "headers", 1]) {
		upstream.next(up.reply("a b c", { stall }));
		const got = await client.chat.completions.create({ model: "m", messages: [], stream: true },
			{ signal: AbortSignal.timeout(150) }).then(text).catch(() => "");
		assert.ok(["", "a "].includes(got), `stall ${stall}: ${got}`);
	}
});

test("calls tools, in pieces and whole", async () => {
	const call = { id: "call_1", type: "function", function: { name: "get", arguments: '{"a":1,"b":"two"}' } };
	upstream.otherwise = up.reply("", { toolCalls: [call] });
	assert.deepEqual((await ask()).choices[0].message.tool_calls, [call]);
	let args = "", name;
	for await (const chunk of await ask({ stream: true }))
		for (const c of chunk.choices[0]?.delta?.tool_calls ?? []) {
			args += c.function?.arguments ?? "";
			name ??= c.function?.name;
		}
	assert.equal(name, "get");
	assert.deepEqual(JSON.parse(args), { a: 1, b: "two" });
});

test("refuses connections and comes back on the same port", async () => {
	const port = upstream.port;
	await upstream.refuse();
	await assert.rejects(ask(), (e) => e.cause?.code === "ECONNREFUSED" || /Connection/.test(e.message));
	await upstream.listen();
	assert.equal(upstream.port, port);
	assert.ok((await ask()).choices.length);
});

test("is scripted from outside too", async () => {
	const post = (path, body) => fetch(`http://127.0.0.1:${upstream.port}${path}`, { method: "POST", body: JSON.stringify(body) });
	await post("/control/next", [up.reply("from outside")]);
	assert.equal((await ask()).choices[0].message.content, "from outside");
	const seen = await (await fetch(`http://127.0.0.1:${upstream.port}/control/requests`)).json();
	assert.equal(seen.requests.length, 1);
});

test("speaks, and hears what was really said, in every form", { timeout: 300_000 }, async () => {
	upstream.sound = true;
	const said = "How long does delivery take?";
	for (const [format, file] of [["mp3", "a.mp3"], ["wav", "a.wav"], ["opus", "a.ogg"]]) {
		const sound = Buffer.from(await (await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: said, response_format: format })).arrayBuffer());
		const heard = await client.audio.transcriptions.create({ model: "whisper-1", file: await OpenAI.toFile(sound, file) });
		assert.deepEqual(plainWords(heard.text), plainWords(said), format);
	}
	for (const format of ["webm", "m4a"]) {
		const heard = await client.audio.transcriptions.create({ model: "whisper-1", file: await OpenAI.toFile(await speak(said, { format }), `a.${format}`) });
		assert.deepEqual(plainWords(heard.text), plainWords(said), format);
	}
	assert.equal(upstream.speech.requests.length, 3);
	assert.equal(upstream.hearing.requests[0].form.fields.model, "whisper-1");
	const twice = Buffer.concat([await speak(said, { format: "mp3" }), await speak("Can I speak to a person please?", { format: "mp3" })]);
	assert.match(await hear(twice), /how long does delivery take.*can i speak to a person please/, "mp3 may be joined");
	upstream.sound = false;
});

test("the sound routes fail, wait, stall and are cut as they are told", async () => {
	const speech = { model: "tts-1", voice: "alloy", input: "Hello" };
	const file = () => OpenAI.toFile(Buffer.from("no sound at all"), "a.webm");
	const hearing = async () => (await client.audio.transcriptions.create({ model: "whisper-1", file: await file() })).text;
	upstream.speech.next(up.serverError(), up.rateLimited({ seconds: 1 }), { cut: 1, bytes: 100 });
	for (const status of [500, 429])
		await assert.rejects(client.audio.speech.create(speech), (e) => e.status === status);
	await assert.rejects(async () => (await client.audio.speech.create(speech)).arrayBuffer());
	upstream.speech.next(up.html(200));
	assert.match(await (await client.audio.speech.create(speech)).text(), /<html>/);
	await assert.rejects(client.audio.speech.create({ ...speech, input: "x".repeat(4097) }), (e) => e.status === 400);
	upstream.hearing.next({ text: "as the test says", delay: 10 }, up.serverError(503), up.html(502));
	assert.equal(await hearing(), "as the test says");
	for (const status of [503, 502])
		await assert.rejects(hearing(), (e) => e.status === status);
	upstream.hearing.otherwise = { stall: "accept" };
	await assert.rejects(client.audio.transcriptions.create({ model: "whisper-1", file: await file() }, { signal: AbortSignal.timeout(100) }));
	upstream.sound = true;
	upstream.hearing.otherwise = {};
	await assert.rejects(hearing(), (e) => e.status === 400);
	upstream.sound = false;
});

test("holds 4,000 requests at once", async () => {
	upstream.record = false;
	let release;
	const gate = new Promise((resolve) => { release = resolve; });
	upstream.otherwise = async () => {
		await gate;
		return up.reply("done");
	};
	const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
	const body = JSON.stringify({ model: "m", messages: [] });
	const one = () => new Promise((resolve, reject) => {
		const req = http.request(`${upstream.url}/chat/completions`, { method: "POST", agent }, (res) => {
			res.resume();
			res.on("end", () => resolve(res.statusCode));
		});
		req.on("error", reject);
		req.end(body);
	});
	const all = Array.from({ length: 4000 }, one);
	while (upstream.open < 4000)
		await new Promise((resolve) => setTimeout(resolve, 5));
	release();
	assert.deepEqual([...new Set(await Promise.all(all))], [200]);
	assert.equal(upstream.mostOpen, 4000);
	agent.destroy();
	upstream.record = true;
});
