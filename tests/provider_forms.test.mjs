// The forms in which OpenAI-compatible servers answer: each gives the customer the same plain answer.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const answer = 'Grüße: 漢字 🙂 "quoted" \\ and\na second line.';
const forms = {
	"OpenAI, structured": {},
	"plain text although structured output was asked": { structured: false },
	"JSON in a fence": { fenced: true },
	"one whole body although a stream was asked": { streaming: false },
	"one whole body of plain text": { streaming: false, structured: false },
	"Azure: empty choices first": { emptyChoicesFirst: true },
	"OpenRouter: comments": { comments: "OPENROUTER PROCESSING" },
	"Ollama: role in each chunk, reasoning, no usage": { repeatRole: true, reasoning: "The user wants …", usage: false },
	"CRLF": { newline: "\r\n" },
	"CR": { newline: "\r" },
	"no space after data:": { space: false },
	"one byte at a time": { bytes: 1, tokens: [answer] },
	"three bytes at a time, CRLF": { bytes: 3, newline: "\r\n", tokens: [answer] },
	"no [DONE]": { done: false },
	"usage though not asked": { usage: true },
	"unknown members": { extra: { obfuscation: "xyz", timings: { a: 1 }, system_fingerprint: null, service_tier: "default" } },
	"another content type": { contentType: "text/event-stream" },
	"all in one token": { tokens: [answer] },
	"many tiny tokens": { tokens: [...answer] },
};

for (const [name, form] of Object.entries(forms))
	test(name, async () => {
		upstream.next(reply(answer, form));
		const body = await stack.say(await stack.session(), "Greet me");
		assert.equal(body.response, answer);
		assert.equal(body.needsEscalation, false, JSON.stringify(body));
		assert.ok(body.confidence > 0 && body.confidence <= 1);
		assert.equal(upstream.chats.length, 1, "asked once");
	});

test("an answer cut by the length limit is still an answer", async () => {
	upstream.next(reply("This answer is as long as", { finish: "length", structured: false }));
	const body = await stack.say(await stack.session(), "Tell me more");
	assert.match(body.response, /^This answer is as long as/);
});

test("an empty answer, a refusal, a filtered one and an unasked tool call reach a person", async () => {
	for (const form of [reply("", { structured: false }), reply("", { refusal: "I cannot help with that.", structured: false }),
		reply("", { finish: "content_filter", structured: false }),
		reply("", { toolCalls: [{ id: "call_1", type: "function", function: { name: "get", arguments: "{}" } }] })]) {
		upstream.reset();
		upstream.otherwise = form;
		const body = await stack.say(await stack.session(), "Tell me");
		assert.ok(body.response.length > 0, "the customer gets words");
		assert.equal(body.needsEscalation, true, JSON.stringify(body));
	}
});

test("confidence out of range or of a wrong type does not leave the range", async () => {
	for (const confidence of [7, -3, "high", null, 1e308]) {
		upstream.next({ text: "Well.", said: { confidence } });
		const body = await stack.say(await stack.session(), "hm?");
		assert.ok(body.confidence >= 0 && body.confidence <= 1, `${confidence} → ${body.confidence}`);
		assert.equal(body.response, "Well.");
	}
});

test("a very long answer arrives whole", async () => {
	const long = Array.from({ length: 6000 }, (_, i) => `w${i}`).join(" ");
	upstream.next(reply(long, { tokens: long.match(/[^]{1,400}/g) }));
	const body = await stack.say(await stack.session(), "Tell me all");
	assert.equal(body.response, long);
});
