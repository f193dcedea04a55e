// RATE_LIMITS: by session, by visitor, by address; 429 with Retry-After, and nobody else pays for it.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem } from "./harness.mjs";

let upstream;
before(async () => { upstream = await startUpstream({ otherwise: reply("ok") }); });
after(() => upstream.close());

function assertLimited(res, most = 60) {
	assertProblem(res, 429);
	const wait = res.headers["retry-after"];
	assert.match(wait ?? "", /^[1-9]\d*$/, "Retry-After in whole seconds");
	assert.ok(Number(wait) <= most, wait);
}

describe("by session", () => {
	let stack;
	before(async () => {
		stack = await startStack({ upstream, env: { RATE_LIMITS: "on", RATE_LIMIT_SESSION: "5", RATE_LIMIT_VISITOR: "1000", RATE_LIMIT_ADDRESS: "100000" } });
	});
	after(() => stack?.stop());

	test("the sixth message in a minute is refused, another session is not", async () => {
		const id = await stack.session();
		for (let i = 0; i < 5; i++)
			await stack.say(id, `m ${i}`);
		const count = upstream.chats.length;
		assertLimited(await stack.message(id, "too much"));
		assert.equal(upstream.chats.length, count);
		assert.equal((await stack.history(id)).filter((m) => m.role === "user").length, 5, "what is refused is not stored");
		await stack.say(await stack.session(), "hello");
	});

	test("a socket gets an error event and lives on", async () => {
		const client = await stack.client();
		const sessionId = await client.join();
		const acks = [];
		for (let i = 0; i < 7; i++)
			acks.push(await client.ask("send-message", { sessionId, message: `m ${i}`, userId: "visitor-1", clientMessageId: `k${i}` }));
		assert.equal(acks.filter((a) => a.ok).length, 5);
		const error = await client.when("error", (e) => e.code === "too_many_requests");
		assert.ok(/^k\d$/.test(error.clientMessageId));
		assert.ok(error.message);
		assert.equal(client.socket.connected, true);
	});

	test("a repeated message is not counted twice against its answer", async () => {
		const id = await stack.session();
		for (let i = 0; i < 5; i++)
			await stack.say(id, `m ${i}`, { clientMessageId: `c${i}` });
		const again = await stack.message(id, "m 4", { clientMessageId: "c4" });
		assert.ok([200, 429].includes(again.status));
	});
});

describe("by visitor", () => {
	let stack;
	before(async () => {
		stack = await startStack({ upstream, env: { RATE_LIMITS: "on", RATE_LIMIT_SESSION: "1000", RATE_LIMIT_VISITOR: "6", RATE_LIMIT_ADDRESS: "100000" } });
	});
	after(() => stack?.stop());

	test("several sessions of one userId share the limit, other visitors do not", async () => {
		const statuses = [];
		for (let i = 0; i < 9; i++) {
			const res = await stack.post("/api/v1/chat/session", { userId: "greedy" });
			if (res.status === 429) {
				assertLimited(res);
				break;
			}
			const said = await stack.message(res.json.sessionId, "hi", { userId: "greedy" });
			statuses.push(said.status);
			if (said.status === 429)
				assertLimited(said);
		}
		assert.ok(statuses.filter((s) => s === 200).length <= 6);
		assert.ok(statuses.includes(200));
		await stack.say(await stack.session("modest"), "hi", { userId: "modest" });
	});
});

describe("by address", () => {
	let stack;
	before(async () => {
		stack = await startStack({ upstream, env: { RATE_LIMITS: "on", RATE_LIMIT_SESSION: "1000", RATE_LIMIT_VISITOR: "1000", RATE_LIMIT_ADDRESS: "30" } });
	});
	after(() => stack?.stop());

	test("requests beyond the limit are refused, whatever address a header claims", async () => {
		const results = [];
		for (let i = 0; i < 60; i++)
			results.push(await stack.post("/api/v1/chat/session", { userId: `u${i}` },
				{ "x-forwarded-for": `10.0.0.${i}`, "x-real-ip": `10.0.1.${i}`, forwarded: `for=10.0.2.${i}` }));
		const refused = results.filter((r) => r.status === 429);
		assert.ok(refused.length > 0 && refused.length < 60, `${refused.length} of 60 refused`);
		assertLimited(refused[0]);
		assert.ok(results.every((r) => [200, 429].includes(r.status)));
	});

	test("health stays reachable", async () => {
		assert.equal((await stack.get("/health")).status, 200);
	});
});

describe("off", () => {
	let stack;
	before(async () => {
		stack = await startStack({ upstream, env: { RATE_LIMITS: "off", RATE_LIMIT_SESSION: "1", RATE_LIMIT_VISITOR: "1", RATE_LIMIT_ADDRESS: "1" } });
	});
	after(() => stack?.stop());

	test("nobody is refused", async () => {
		const id = await stack.session();
		for (let i = 0; i < 20; i++)
			await stack.say(id, `m ${i}`);
	});
});
