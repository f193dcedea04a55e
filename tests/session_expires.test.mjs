// SESSION_TIMEOUT: a session is forgotten after that much silence, and each message begins the time anew.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, waitFor, pause } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream({ otherwise: reply("ok") });
	stack = await startStack({ upstream, env: { SESSION_TIMEOUT: "1500" } });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});

const status = async (id) => (await stack.get(`/api/v1/chat/history/${id}`)).status;

test("silence ends it, for REST and for sockets, and leaves nothing in Redis", async () => {
	const id = await stack.session();
	await stack.say(id, "hello");
	assert.equal(await status(id), 200);
	// Without asking: reading it could keep it alive.
	await pause(2000);
	assertProblem(await stack.get(`/api/v1/chat/history/${id}`), 404, "Session not found");
	assertProblem(await stack.message(id, "anyone?"), 404);
	const client = await stack.client();
	assert.equal((await client.ask("join-chat", { userId: "visitor-1", sessionId: id })).ok, false);
	assert.equal((await client.ask("send-message", { sessionId: id, message: "x", userId: "visitor-1" })).ok, false);
	const redis = await stack.redis();
	await waitFor("no conversation is left", async () => (await redis.call("KEYS", "c:*")).length === 0);
	assert.equal((await stack.get("/health")).json.services.activeSessions, 0);
});

test("messages keep it alive", async () => {
	const id = await stack.session();
	for (let i = 0; i < 4; i++) {
		await pause(700);
		await stack.say(id, `still here ${i}`);
	}
	assert.equal(await status(id), 200);
	assert.equal((await stack.history(id)).length, 8);
});

test("an answer that takes longer than the timeout still arrives", async () => {
	upstream.next(reply("Slow but sure.", { delay: 2500 }));
	const id = await stack.session();
	assert.equal((await stack.say(id, "take your time")).response, "Slow but sure.");
	assert.equal(await status(id), 200);
});

test("an open escalation keeps its conversation, and what has been seen in it", async () => {
	const id = await stack.session(), once = { clientMessageId: "1" };
	const said = await stack.say(id, "This is urgent", once);
	assert.equal(said.needsEscalation, true);
	await pause(2200);
	assert.equal(await status(id), 200);
	assert.equal((await stack.say(id, "This is urgent", once)).messageId, said.messageId);
	assert.equal((await stack.history(id)).length, 2);
});

test("while an answer is owed a repetition is one, however long that takes", async () => {
	const id = await stack.session(), once = { clientMessageId: "1" };
	await stack.say(id, "hello");
	upstream.next(reply("Slow but sure.", { delay: 3500 }));
	const slow = stack.say(id, "take your time", once);
	await pause(2500);
	const again = await stack.say(id, "take your time", once);
	assert.equal(again.messageId, (await slow).messageId);
	assert.equal((await stack.history(id)).length, 4);
});
