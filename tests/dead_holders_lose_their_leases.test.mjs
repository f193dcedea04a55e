// Whose program was killed does not wait until its lease has run out; whose program only makes room for a new one keeps it.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, waitFor, pause } from "./harness.mjs";

let upstream, stack, redis;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
	redis = await stack.redis();
});
after(async () => {
	await stack?.stop();
	await upstream?.close();
});
beforeEach(() => upstream.reset());

// Milliseconds of Redis' clock, and when the only lease ends by it.
const now = async () => {
	const [seconds, micros] = await redis.call("TIME");
	return Number(seconds) * 1000 + Number(micros) / 1000;
};
const leaseEnd = async () => {
	const [, end] = await redis.call("ZRANGE", "due:{0}", 0, -1, "WITHSCORES");
	return Number(end);
};

for (const [name, ask] of [
	["chat", (id) => stack.message(id, "and now")],
	["events", async (id) => {
		const client = await stack.client();
		await client.join({ sessionId: id });
		await client.ask("send-message", { sessionId: id, message: "and now", userId: "visitor-1" });
		const answer = await client.when("message-received", (m) => m.isBot);
		return { json: { response: answer.message } };
	}],
])
	test(`an answer goes on at once when ${name} is killed`, async () => {
		upstream.otherwise = reply("Here I am.", { delay: 700 });
		const answer = ask(await stack.session());
		await upstream.arrived(1);
		const { pid } = await stack.program(name);
		const end = await leaseEnd();
		process.kill(pid, "SIGKILL");
		await upstream.arrived(2);
		const at = await now();
		assert.ok(at < end, `taken over ${Math.round(at - end)} ms after the lease would have run out`);
		assert.equal((await answer).json.response, "Here I am.");
	});

test("a program that was paused for longer than its lease tells nothing of its answer behind another's", async () => {
	const id = await stack.session(), client = await stack.client();
	await client.join({ sessionId: id });
	upstream.next(reply("old ".repeat(100), { tokenDelay: 100 }));
	upstream.otherwise = reply("Another's.");
	const first = stack.message(id, "and now");
	await client.when("message-delta", (d) => d.index > 1);
	const { pid } = await stack.program("chat");
	process.kill(pid, "SIGSTOP");
	const answer = await client.when("message-received", (m) => m.isBot);
	process.kill(pid, "SIGCONT");
	assert.equal((await first).json.messageId, answer.id);
	await waitFor("the model is not listened to any more", () => upstream.chats[0].aborted);
	assert.equal((await stack.say(id, "and then")).response, "Another's.");
	await client.when("message-received", (m) => m.seq > answer.seq);
	const over = client.events.findIndex((e) => e.name === "message-received");
	assert.deepEqual(client.events.slice(over).filter((e) => e.name === "message-delta" && /old/.test(e.data.text)), []);
});

test("a program that is replaced ends what it has begun, once", async () => {
	upstream.otherwise = reply("In my own time.", { delay: 4000 });
	const answer = stack.message(await stack.session(), "and now");
	await upstream.arrived(1);
	await stack.restart("chat");
	assert.equal((await answer).json.response, "In my own time.");
	assert.equal(upstream.chats.length, 1);
});

test("a program that ends while it looks for turns of the dead leaves them to others", async () => {
	upstream.otherwise = reply("In parts.", { tokenDelay: 300 });
	const id = await stack.session();
	await stack.say(id, "hello");
	const key = (await redis.call("KEYS", "c:*")).map(String).find((k) => /^c:\{0\}:[^:]+$/.test(k));
	// As a dead process would have left it, and found while the store keeps everybody waiting.
	await redis.call("HSET", key, "dn", "0");
	await redis.call("MULTI");
	await redis.call("ZADD", "due:{0}", "0", key.split(":").at(-1));
	await redis.call("CLIENT", "PAUSE", "1600");
	const done = redis.call("EXEC");
	await pause(1200);		// they all look once a second
	const old = await Promise.all(["chat", "desk", "events"].map((name) => stack.program(name)));
	for (const { pid } of old)
		process.kill(pid, "SIGTERM");
	await done;
	await waitFor("they have been replaced", async () => {
		const now = await stack.programs();
		return old.every(({ name, pid }) => now.find((p) => p.name === name).pid !== pid);
	});
	await waitFor("another one has done it", async () => Number(await redis.call("ZCARD", "due:{0}")) === 0);
	assert.deepEqual(stack.log().split("\n").filter((l) => /why="(was killed by signal 6|ended with status [1-9])/.test(l)), []);
});

test("names of the dead are forgotten", async () => {
	const names = () => redis.call("ZRANGE", "holders:{0}", 0, -1).then((list) => list.map(String));
	const { pid } = await stack.program("chat");
	await waitFor("chat is known", async () => (await names()).some((n) => n.includes(`.${pid}.`)));
	process.kill(pid, "SIGKILL");
	await waitFor("it no longer is", async () => !(await names()).some((n) => n.includes(`.${pid}.`)));
});
