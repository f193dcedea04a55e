// A store that is there and does not take anything in: 503 that says why and when to come back, over REST and sockets;
// nothing acknowledged is lost, and all is well again without a restart as soon as it is.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, waitFor, unique } from "./harness.mjs";

let upstream, stack, redis;

before(async () => {
	upstream = await startUpstream();
	upstream.otherwise = reply("Here.");
	stack = await startStack({ upstream });
	redis = await stack.redis();
});
after(async () => {
	await stack?.stop();
	await upstream?.close();
});

const cases = [
	{ name: "full", reason: /full/, enter: [["CONFIG", "SET", "maxmemory-policy", "noeviction"], ["CONFIG", "SET", "maxmemory", "1"]],
		leave: [["CONFIG", "SET", "maxmemory", "0"]] },
	{ name: "read-only", reason: /read-only/, enter: [["CONFIG", "SET", "replica-read-only", "yes"], ["REPLICAOF", "127.0.0.1", "1"]],
		leave: [["REPLICAOF", "NO", "ONE"]] },
	{ name: "short of replicas", reason: /replicas/, enter: [["CONFIG", "SET", "min-replicas-to-write", "1"]],
		leave: [["CONFIG", "SET", "min-replicas-to-write", "0"]] },
];

const all = async (commands) => {
	for (const command of commands)
		await redis.call(...command);
};

function assertRefused(res, reason) {
	assertProblem(res, 503, reason);
	assert.match(res.json.detail, reason);
	assert.equal(res.json.code, "store_unavailable");
	assert.ok(Number(res.headers["retry-after"]) >= 1, "Retry-After");
}

for (const { name, reason, enter, leave } of cases)
	test(`a store that is ${name}`, { timeout: 120_000 }, async () => {
		const id = await stack.session();
		const kept = await stack.say(id, `before it was ${name}`);
		const client = await stack.client();
		await client.ask("join-chat", { userId: "visitor-1", sessionId: id });
		const pids = async () => (await stack.programs()).map((p) => `${p.name} ${p.pid}`).sort();
		const before = await pids();
		const clientMessageId = unique(), bySocket = unique();
		await all(enter);
		const refusals = async () => {
			assertRefused(await stack.message(id, "into it", { clientMessageId }), reason);
			assertRefused(await stack.post("/api/v1/chat/session", { userId: "somebody" }), reason);
			for (const target of ["/health", "/ready"]) {
				const health = await stack.get(target);
				assert.equal(health.status, 503);
				assert.match(health.json.error, reason);
			}
			assert.equal((await stack.get("/health")).json.services.redis, "refusing");
			if (name !== "full")		// pushd tries for some seconds before it gives up: once is enough
				return;
			const ack = await client.ask("send-message", { sessionId: id, userId: "visitor-1", message: "by socket", clientMessageId: bySocket });
			assert.equal(ack.ok, false);
			assert.match(ack.error, reason);
			assert.equal(ack.code, "store_unavailable");
			await client.when("error", (e) => e.clientMessageId === bySocket && e.code === "store_unavailable");
			assert.deepEqual((await stack.history(id)).map((m) => m.content), [`before it was ${name}`, kept.response]);
		};
		try {
			await refusals();
		} finally {
			await all(leave);
		}
		// Nothing of it was stored.
		const answer = await waitFor("it is well again", async () => {
			const res = await stack.message(id, "into it", { clientMessageId });
			return res.status === 200 && res.json;
		});
		assert.equal(answer.response, "Here.");
		assert.equal((await stack.get("/health")).status, 200);
		const heard = await client.when("message-received", (m) => m.seq === answer.seq);
		assert.equal(heard.message, "Here.");
		const sent = await client.ask("send-message", { sessionId: id, userId: "visitor-1", message: "by socket", clientMessageId: bySocket });
		assert.equal(sent.ok, true);
		await client.when("message-received", (m) => m.clientMessageId === bySocket);
		assert.deepEqual((await stack.history(id)).filter((m) => m.role === "user").map((m) => m.content),
			[`before it was ${name}`, "into it", "by socket"]);
		assert.deepEqual(await pids(), before, "nothing was restarted");
	});

test("an answer that was on its way when the store became full is kept, and stored when it can be", { timeout: 120_000 }, async () => {
	const id = await stack.session();
	upstream.next(reply("A long thought.", { delay: 600 }));
	const answer = stack.message(id, "think");
	await waitFor("the model is asked", async () => upstream.requests.some((r) => r.body.messages.at(-1).content === "think"));
	await redis.call("CONFIG", "SET", "maxmemory", "1");
	await waitFor("the store says that it is full", async () => (await stack.get("/health")).status === 503);
	await new Promise((resolve) => { setTimeout(resolve, 900); });
	await redis.call("CONFIG", "SET", "maxmemory", "0");
	const res = await answer;
	assert.equal(res.status, 200, res.text);
	assert.equal(res.json.response, "A long thought.");
	assert.equal((await stack.history(id)).length, 2);
});
