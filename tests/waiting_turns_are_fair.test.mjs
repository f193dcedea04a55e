// UPSTREAM_CONCURRENCY: no more requests than that are under way, and who has many waiting does not make others wait.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, waitFor } from "./harness.mjs";

const BOUND = 2, FLOOD = 16;
let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { UPSTREAM_CONCURRENCY: String(BOUND), TURN_TIMEOUT: "60000" } });
});
after(async () => {
	await stack?.stop();
	await upstream?.close();
});
beforeEach(() => upstream.reset());

const texts = () => upstream.chats.map((r) => r.body.messages.at(-1).content);

// Sixteen sessions of one visitor, each with a stored message; two of them are being answered, slowly.
async function flood(userId, delay) {
	upstream.otherwise = reply("One moment.", { delay });
	const ids = await Promise.all(Array.from({ length: FLOOD }, () => stack.session(userId)));
	const answers = ids.map((sessionId) => stack.post("/api/v1/chat/message", { sessionId, userId, message: `from ${userId}` }));
	await waitFor("all are stored", async () => (await Promise.all(ids.map((id) => stack.history(id)))).every((h) => h.length > 0));
	return answers;
}

test("the next visitor is asked for next, and all are answered", async () => {
	const other = await stack.session("other");
	const answers = await flood("flood", 2500);
	const answer = stack.post("/api/v1/chat/message", { sessionId: other, userId: "other", message: "from other" });
	await waitFor("it is his turn", () => texts().includes("from other"));
	assert.ok(upstream.chats.length < FLOOD, texts().join());
	upstream.otherwise = reply("Here.");
	for (const res of await Promise.all([...answers, answer]))
		assert.equal(res.status, 200, res.text);
	assert.equal(upstream.chats.length, FLOOD + 1);
	assert.ok(upstream.mostOpen <= BOUND, `${upstream.mostOpen} at once`);
});

test("a place is free again when an exchange fails, and when a turn that waits begins anew", async () => {
	upstream.otherwise = reply("Here.");
	for (let i = 0; i <= BOUND; i++) {
		upstream.next({ cut: "headers" });
		assert.equal((await stack.say(await stack.session(), "hello")).response, "Here.");
	}
	const answers = await flood("again", 1500);
	const id = await stack.session("patient");
	const burst = [stack.message(id, "the first half", { userId: "patient" })];
	await waitFor("it is stored", async () => (await stack.history(id)).length === 1);
	burst.push(stack.message(id, "the second half", { userId: "patient" }));
	await waitFor("that, too", async () => (await stack.history(id)).length === 2);
	upstream.otherwise = reply("Here.");
	for (const res of await Promise.all([...answers, ...burst]))
		assert.equal(res.status, 200, res.text);
	assert.deepEqual((await stack.history(id)).map((m) => m.role).filter((role) => role === "assistant"), ["assistant"]);
	assert.ok(upstream.mostOpen <= BOUND, `${upstream.mostOpen} at once`);
	assert.equal((await stack.say(await stack.session(), "hello")).response, "Here.");
});
