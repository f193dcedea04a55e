// The same message sent twice is one message with one answer; an id used for something else is refused.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, pause, unique, waitFor } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => {
	upstream.reset();
	upstream.otherwise = (request, n) => reply(`Answer number ${n}.`);
});

const users = async (id) => (await stack.history(id)).filter((m) => m.role === "user").length;

test("a repeated clientMessageId gets the same answer", async () => {
	const id = await stack.session();
	const clientMessageId = unique();
	const first = await stack.say(id, "once", { clientMessageId });
	const second = await stack.say(id, "once", { clientMessageId });
	assert.deepEqual(second, first);
	assert.equal(upstream.chats.length, 1);
	assert.equal(await users(id), 1);
});

test("twenty at once are one turn", async () => {
	upstream.otherwise = reply("The one answer.", { delay: 200 });
	const id = await stack.session();
	const clientMessageId = unique();
	const all = await Promise.all(Array.from({ length: 20 }, () => stack.say(id, "all at once", { clientMessageId })));
	assert.equal(new Set(all.map((a) => JSON.stringify(a))).size, 1);
	assert.equal(upstream.chats.length, 1);
	assert.equal(await users(id), 1);
});

test("the same clientMessageId with another text is 422", async () => {
	const id = await stack.session();
	const clientMessageId = unique();
	await stack.say(id, "once", { clientMessageId });
	assertProblem(await stack.message(id, "something else", { clientMessageId }), 422);
	assert.equal(upstream.chats.length, 1);
	assert.equal(await users(id), 1);
});

test("the same clientMessageId in another session is another message", async () => {
	const clientMessageId = unique();
	const a = await stack.say(await stack.session(), "once", { clientMessageId });
	const b = await stack.say(await stack.session(), "once", { clientMessageId });
	assert.notEqual(a.messageId, b.messageId);
});

test("an Idempotency-Key counts within its session", async () => {
	const id = await stack.session();
	const key = { "idempotency-key": unique("key") };
	const first = await stack.say(id, "with a key", {}, key);
	assert.deepEqual(await stack.say(id, "with a key", {}, key), first);
	assertProblem(await stack.message(id, "another body", {}, key), 422);
	const other = await stack.session();
	assert.notEqual((await stack.say(other, "with a key", {}, key)).messageId, first.messageId);
	assert.equal(upstream.chats.length, 2);
});

test("a key that is repeated is kept once", async () => {
	const id = await stack.session(), redis = await stack.redis();
	const key = { "idempotency-key": unique("key") };
	const kept = async () => Promise.all((await redis.call("KEYS", "c:*:seen")).map((name) => redis.call("HLEN", name))).then((all) => all.reduce((a, b) => a + b, 0));
	await stack.message(id, "hello", {}, key);
	const before = await kept();
	for (let i = 0; i < 5; i++)
		assert.equal((await stack.message(id, "hello", {}, key)).status, 200);
	assert.equal(await kept(), before);
});

test("who repeats a message under ever new names leaves no names without end", async () => {
	const id = await stack.session(), redis = await stack.redis(), clientMessageId = unique();
	const before = new Set((await redis.call("KEYS", "c:*:seen")).map(String));
	const first = await stack.say(id, "hello", { clientMessageId });
	const key = (await redis.call("KEYS", "c:*:seen")).map(String).find((name) => !before.has(name));
	for (let i = 0; i < 200; i++)
		assert.equal((await stack.say(id, "hello", { clientMessageId }, { "idempotency-key": unique() })).messageId, first.messageId);
	assert.ok(await redis.call("HLEN", key) < 100);
});

test("an Idempotency-Key that comes with a known clientMessageId names that message, too", async () => {
	const id = await stack.session(), clientMessageId = unique(), headers = { "idempotency-key": unique() };
	const send = (message, more = {}, with_ = headers) => stack.call("POST", "/api/v1/chat/message",
		{ body: { sessionId: id, userId: "visitor-1", message, ...more }, headers: with_ });
	const first = await send("once", { clientMessageId }, {});
	assert.equal((await send("once", { clientMessageId })).json.messageId, first.json.messageId);
	assert.equal((await send("once")).json.messageId, first.json.messageId);
	assertProblem(await send("something else"), 422);
	assert.equal(await users(id), 1);
});

test("without any id the same words are two messages", async () => {
	const id = await stack.session();
	const a = await stack.say(id, "yes");
	const b = await stack.say(id, "yes");
	assert.notEqual(a.messageId, b.messageId);
	assert.equal(await users(id), 2);
});

test("over a socket, and across socket and REST", async () => {
	const client = await stack.client({ transports: ["websocket"] });
	const sessionId = await client.join();
	const clientMessageId = unique();
	const event = { sessionId, message: "over both", userId: "visitor-1", clientMessageId };
	assert.equal((await client.ask("send-message", event)).ok, true);
	assert.equal((await client.ask("send-message", event)).ok, true);
	const got = await client.when("message-received", (m) => m.isBot);
	const rest = await stack.say(sessionId, "over both", { clientMessageId });
	assert.equal(rest.messageId, got.id);
	assert.equal(upstream.chats.length, 1);
	assert.equal(await users(sessionId), 1);
	const before = client.all("error").length;
	const ack = await client.ask("send-message", { ...event, message: "changed" });
	assert.equal(ack.ok, false);
	await client.when("error", () => client.all("error").length > before);
	assert.equal(client.all("error").at(-1).clientMessageId, clientMessageId);
});

test("an id of one message and a key of another, of the same words, name none", async () => {
	const id = await stack.session();
	const first = await stack.say(id, "the same", { clientMessageId: "a" });
	const second = await stack.message(id, "the same", {}, { "idempotency-key": "k" });
	assert.notEqual(second.json.seq, first.seq);
	assertProblem(await stack.message(id, "the same", { clientMessageId: "a" }, { "idempotency-key": "k" }), 422);
	assert.equal((await stack.message(id, "the same", {}, { "idempotency-key": "k" })).json.seq, second.json.seq);
});

test("bad ids are refused: too long, control characters", async () => {
	const id = await stack.session();
	assertProblem(await stack.message(id, "hi", { clientMessageId: "x".repeat(5000) }), 400, /client ?message ?id/i);
	assertProblem(await stack.message(id, "hi", { clientMessageId: "a\u0000b" }), 400);
	assertProblem(await stack.message(id, "hi", {}, { "idempotency-key": "k".repeat(2000) }), [400, 413, 431]);
	assert.equal(upstream.chats.length, 0);
});

test("messages that arrive while the model writes are one next turn, in order", async () => {
	upstream.next(reply("First, slowly told indeed.", { tokenDelay: 60 }));
	const id = await stack.session();
	const first = stack.say(id, "m1");
	await upstream.arrived(1);
	await new Promise((resolve) => { setTimeout(resolve, 150); });
	const [second, third] = [stack.say(id, "m2"), stack.say(id, "m3")];
	const all = await Promise.all([first, second, third]);
	assert.ok(all.every((a) => a.response));
	const history = await stack.history(id);
	assert.deepEqual(history.filter((m) => m.role === "user").map((m) => m.content).sort(), ["m1", "m2", "m3"]);
	assert.equal(history.at(-1).role, "assistant");
	assert.ok(upstream.chats.length <= 3);
	const seqs = history.map((m) => m.seq);
	assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b));
});

// The second half comes to another program than the one that asks the model.
test("a question that goes on while the model is silent gets one answer, to the whole of it", async () => {
	upstream.otherwise = reply("To both halves.", { delay: 300 });
	const client = await stack.client();
	const id = await client.join();
	await client.ask("send-message", { sessionId: id, message: "the first half", userId: "visitor-1" });
	await upstream.arrived(1);
	assert.equal((await stack.say(id, "the second half")).response, "To both halves.");
	await client.when("message-received", (m) => m.isBot);
	await client.when("typing", (on) => on === false);
	assert.deepEqual((await stack.history(id)).map((m) => m.content), ["the first half", "the second half", "To both halves."]);
	assert.equal(client.all("message-delta").map((d) => d.text).join(""), "To both halves.");
	assert.match(JSON.stringify(upstream.chats[1].body.messages), /the first half.*the second half/);
	assert.equal(upstream.chats.length, 2);
});

test("also when its halves reach two programs, and nobody sees the model write", async () => {
	let asked = 0;
	upstream.otherwise = () => reply(`Answer number ${++asked}.`, { delay: 600 });
	const id = await stack.session();
	const first = stack.say(id, "the first half");
	await upstream.arrived(1);
	const client = await stack.client();
	await client.join({ sessionId: id });
	await client.ask("send-message", { sessionId: id, message: "the second half", userId: "visitor-1" });
	assert.equal((await first).response, "Answer number 2.");
	assert.match(JSON.stringify(upstream.chats[1].body.messages), /the first half.*the second half/);
	assert.equal((await stack.say(id, "and now?")).response, "Answer number 3.");
	assert.deepEqual((await stack.history(id)).map((m) => m.content),
		["the first half", "the second half", "Answer number 2.", "and now?", "Answer number 3."]);
});

test("who never stops writing is answered all the same", async () => {
	upstream.otherwise = reply("There you are.", { delay: 150 });
	const id = await stack.session();
	const answers = [];
	let answered = 0;
	while (answered === 0 && answers.length < 60) {
		answers.push(stack.say(id, `line ${answers.length}`).then(() => answered++));
		await pause(50);	// the pace of the writer: each message comes before an answer to the last one could
	}
	assert.ok(answered > 0, "no answer came while messages did");
	await Promise.all(answers);
	assert.equal(await users(id), answers.length);
});

const lives = (pid) => {
	try {
		return process.kill(pid, 0);
	} catch {
		return false;
	}
};

test("who never stops writing does not keep a process that is to end", async () => {
	upstream.otherwise = reply("There you are.", { delay: 300 });
	const id = await stack.session();
	const { pid } = await stack.program("chat");
	const answers = [];
	let writing = true;
	const writer = (async () => {
		for (; writing; await pause(150))
			answers.push(stack.say(id, `line ${answers.length}`));
	})();
	await waitFor("the first answer is under way", () => upstream.chats.length > 0);
	const restarted = stack.restart("chat");
	try {
		await waitFor("the process that is replaced has ended", () => !lives(pid), { ms: 30_000 });
		const then = answers.length;
		await waitFor("more is written", () => answers.length > then);
	} finally {
		writing = false;
		await writer;
		await restarted;
	}
	await Promise.all(answers);
	assert.equal(await users(id), answers.length);
});
