// A conversation may become longer than what one answer, one prompt or one look into it holds: everybody is still answered.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply, said } from "./upstream.mjs";
import { startStack, unique } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { ESCALATION_KEEP: "60000" } });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => {
	upstream.reset();
	upstream.otherwise = (request, n) => reply(`Answer number ${n}.`, { delay: 300 });
});

const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));

test("what is written while an answer is made may be longer than a prompt", async () => {
	const id = await stack.session();
	upstream.otherwise = reply("The one answer.", { delay: 3000 });
	const all = await Promise.all(times(36, (i) => stack.say(id, `${i} ${"long ".repeat(3200)}`)));
	assert.ok(all.every((a) => a.provider === "openai"), JSON.stringify(all.map((a) => a.provider)));
});

test("an answer that is too long to be kept hands over instead of being asked for again", async () => {
	const id = await stack.session();
	const tokens = times(60, () => "\u0001".repeat(1000));	// six times as long in JSON, and twice in what an escalation says
	upstream.otherwise = said(tokens.join(""), { confidence: 0.1 }, { tokens });
	const answer = await stack.say(id, "Tell me everything");
	assert.equal(answer.escalation?.reason, "ai_unavailable");
	assert.equal(upstream.chats.length, 1);
});

test("of a history that is too long for one answer the newest messages are given", async () => {
	const id = await stack.session();
	const redis = await stack.redis();
	const known = (await redis.call("KEYS", "c:{0}:*:log")).map(String);
	await stack.say(id, `x${"\u0001".repeat(15999)}`);		// 96 KB in JSON
	const log = (await redis.call("KEYS", "c:{0}:*:log")).map(String).find((key) => !known.includes(key));
	const message = await redis.call("LINDEX", log, "0");
	for (let i = 0; i < 120; i++)
		await redis.call("RPUSH", log, message);
	await redis.call("HSET", log.replace(/:log$/, ""), "seq", "122");
	const history = await stack.history(id);
	assert.ok(history.length > 20 && history.length < 122, `${history.length} messages`);
	assert.deepEqual(history.map((m) => m.seq), times(history.length, (i) => 122 - history.length + 1 + i));
	const client = await stack.client();
	await client.join({ sessionId: id, seq: 0 });
	assert.equal((await client.when("chat-joined")).history.at(-1).seq, 122);
});

test("an answer that came a hundred messages later is found again", async () => {
	const id = await stack.session();
	const clientMessageId = unique();
	upstream.otherwise = reply("The one answer.", { delay: 1000 });
	const [first] = await Promise.all([stack.say(id, "the first", { clientMessageId }),
		...times(100, (i) => stack.say(id, `another ${i}`))]);
	assert.ok(first.seq > 70, `seq ${first.seq}`);
	assert.deepEqual(await stack.say(id, "the first", { clientMessageId }), first);
});

test("an escalation lives as long as its conversation, and is opened again when it is gone", async () => {
	const id = await stack.session();
	const redis = await stack.redis();
	const { escalation } = await stack.say(id, "I want to talk to a human being");
	const record = `e:{0}:${escalation.id}`;
	assert.equal(await redis.call("EXISTS", record), 1);
	await redis.call("PEXPIRE", record, 20_000);
	await stack.say(id, "And where is my parcel?");
	assert.ok(await redis.call("PTTL", record) > 50_000);
	await redis.call("DEL", record);
	await stack.say(id, "I want to talk to a human being, now");
	assert.equal(await redis.call("EXISTS", record), 1);
});
