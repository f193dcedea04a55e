// RATE_LIMITS: by session, by visitor, by address; 429 with Retry-After, and nobody else pays for it.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, pause } from "./harness.mjs";

let upstream;
before(async () => { upstream = await startUpstream({ otherwise: reply("ok") }); });
after(() => upstream.close());
beforeEach(() => { upstream.requests = []; });

function assertLimited(res, most = 60) {
	assertProblem(res, 429);
	const wait = res.headers["retry-after"];
	assert.match(wait ?? "", /^[1-9]\d*$/, "Retry-After in whole seconds");
	assert.ok(Number(wait) <= most, wait);
}

const LIMIT = 40;	// a minute; a share of it may come at once

async function until429(ask) {
	for (let taken = 0; taken <= LIMIT; taken++) {
		const refused = await ask(taken);
		if (refused.status === 429)
			return { taken, refused };
		assert.equal(refused.status, 200, refused.text);
	}
	return assert.fail(`${LIMIT + 1} were taken`);
}

describe("by session", () => {
	let stack;
	before(async () => {
		stack = await startStack({ upstream, env: { RATE_LIMITS: "on", RATE_LIMIT_SESSION: String(LIMIT), RATE_LIMIT_VISITOR: "1000", RATE_LIMIT_ADDRESS: "100000" } });
	});
	after(() => stack?.stop());

	test("more messages than the limit in one breath are refused, another session is not", async () => {
		const id = await stack.session();
		const { taken, refused } = await until429(() => stack.message(id, "hello"));
		assert.ok(taken >= LIMIT / 4 && taken <= LIMIT, `${taken} of ${LIMIT} a minute were taken at once`);
		assertLimited(refused);
		assert.equal(upstream.chats.length, taken);
		assert.equal((await stack.history(id)).filter((m) => m.role === "user").length, taken, "what is refused is not stored");
		await stack.say(await stack.session(), "hello");
	});

	test("who waits as long as Retry-After says is served again", async () => {
		const id = await stack.session();
		const { refused } = await until429(() => stack.message(id, "hello"));
		await pause(Number(refused.headers["retry-after"]) * 1000 + 50);
		await stack.say(id, "patience");
	});

	test("a clock that was set back does not shut anybody out", async () => {
		const id = await stack.session();
		await stack.say(id, "hello");
		const redis = await stack.redis();
		const keys = (await redis.call("KEYS", "rl:*")).map(String);
		assert.ok(keys.length > 0);
		for (const key of keys)		// as it stands an hour before it was counted
			await redis.call("SET", key, String(Number(await redis.call("GET", key)) + 3_600_000), "PX", 3_700_000);
		await stack.say(id, "hello again");
		await stack.say(await stack.session(), "somebody else");
	});

	test("a socket gets an error event and lives on", async () => {
		const client = await stack.client();
		const sessionId = await client.join();
		let refused;
		for (let i = 0; i <= LIMIT && !refused; i++) {
			const ack = await client.ask("send-message", { sessionId, message: `m ${i}`, userId: "visitor-1", clientMessageId: `k${i}` });
			refused = ack.ok ? undefined : { ack, id: `k${i}` };
		}
		assert.equal(refused.ack.ok, false);
		const error = await client.when("error", (e) => e.code === "too_many_requests");
		assert.equal(error.clientMessageId, refused.id);
		assert.ok(error.message);
		assert.equal(client.socket.connected, true);
	});

	test("a repeated message gets its answer, limit or not", async () => {
		const id = await stack.session();
		let last = -1;
		await until429((i) => stack.message(id, `m ${i}`, { clientMessageId: `c${i}` }).then((res) => {
			last = res.status === 200 ? i : last;
			return res;
		}));
		assert.equal((await stack.message(id, `m ${last}`, { clientMessageId: `c${last}` })).status, 200);
	});
});

describe("by visitor", () => {
	let stack;
	before(async () => {
		stack = await startStack({ upstream, env: { RATE_LIMITS: "on", RATE_LIMIT_SESSION: "1000", RATE_LIMIT_VISITOR: String(LIMIT), RATE_LIMIT_ADDRESS: "100000" } });
	});
	after(() => stack?.stop());

	test("several sessions of one userId share the limit, other visitors do not", async () => {
		const ids = await Promise.all([1, 2, 3].map(() => stack.session("greedy")));
		const { refused } = await until429((i) => stack.message(ids[i % 3], "hi", { userId: "greedy" }));
		assertLimited(refused);
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
