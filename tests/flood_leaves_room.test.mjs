// One visitor floods; the others are answered. Who is refused is told so before anything of his is stored.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, waitFor } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { MAX_WAITING_TURNS: "16" } });
});
after(async () => {
	await stack?.stop();
	await upstream?.close();
});

test("past half of the room a visitor who has his share is refused, others are not", async () => {
	upstream.otherwise = reply("Here.", { delay: 1500 });
	const floodIds = [];
	for (let i = 0; i < 40; i++)
		floodIds.push(await stack.session("flood"));
	const other = await stack.session("other");
	const refusedNow = [];
	const flood = floodIds.map(async (sessionId) => {
		const res = await stack.post("/api/v1/chat/message", { sessionId, userId: "flood", message: "me me me" });
		if (res.status !== 200)
			refusedNow.push(sessionId);
		return { sessionId, res };
	});
	await waitFor("the flood is refused", () => refusedNow.length === 32);
	const start = Date.now();
	const answer = await stack.post("/api/v1/chat/message", { sessionId: other, userId: "other", message: "and I" });
	assert.equal(answer.status, 200, answer.text);
	assert.ok(Date.now() - start < 10_000);
	const refused = (await Promise.all(flood)).filter(({ res }) => res.status !== 200);
	assert.equal(refused.length, 32);
	for (const { sessionId, res } of refused.slice(0, 5)) {
		assertProblem(res, 503, /waiting/);
		assert.equal(res.json.code, "busy");
		assert.ok(Number(res.headers["retry-after"]) >= 1);
		assert.deepEqual(await stack.history(sessionId), [], "nothing was stored");
	}
	// The room is given back.
	upstream.otherwise = reply("Here.");
	for (const { sessionId } of refused.slice(0, 20))
		assert.equal((await stack.post("/api/v1/chat/message", { sessionId, userId: "flood", message: "again" })).status, 200);
});

test("a socket is told the same", async () => {
	upstream.otherwise = reply("Here.", { delay: 1000 });
	const client = await stack.client();
	const acks = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
		const sessionId = await stack.session("socket");
		return client.ask("send-message", { sessionId, userId: "socket", message: "me", clientMessageId: `m${i}` });
	}));
	const refused = acks.filter((ack) => !ack.ok);
	assert.ok(refused.length > 0 && refused.length < 20, `${refused.length} refused`);
	assert.ok(refused.every((ack) => ack.code === "busy"));
	assert.ok(client.all("error").some((e) => e.code === "busy" && e.clientMessageId));
});
