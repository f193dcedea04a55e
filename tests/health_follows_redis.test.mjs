// Redis goes away and comes back: 503 that names it, no lost words, and no restart needed.

import { test, describe, before, after } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, assertProblem, waitFor } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});

test("while Redis stands still everything says so, and heals by itself", async () => {
	upstream.otherwise = reply("Here.");
	const id = await stack.session();
	await stack.say(id, "before");
	const client = await stack.client();
	await client.ask("join-chat", { userId: "visitor-1", sessionId: id });
	const pids = async () => (await stack.programs()).map((p) => `${p.name} ${p.pid}`).sort();
	const before = await pids();
	const { pid } = await stack.program("redis");
	process.kill(pid, "SIGSTOP");
	try {
		for (const target of ["/health", "/api/v1/health", "/ready"]) {
			const res = await waitFor(`${target} is 503`, async () => {
				const now = await stack.get(target);
				return now.status === 503 && now;
			});
			if (target !== "/ready") {
				assert.equal(res.json.status, "unhealthy");
				assert.notEqual(res.json.services.redis, "connected");
				assert.match(JSON.stringify(res.json), /redis/i);
			}
		}
		assertProblem(await stack.post("/api/v1/chat/session", { userId: "u" }), [503, 504]);
		assertProblem(await stack.message(id, "into the void"), [503, 504]);
		assertProblem(await stack.get(`/api/v1/chat/history/${id}`), [503, 504]);
	} finally {
		process.kill(pid, "SIGCONT");
	}
	await waitFor("/health is 200 again", async () => (await stack.get("/health")).status === 200);
	assert.equal((await stack.get("/ready")).status, 200);
	const answer = await waitFor("messages are answered again", async () => {
		const res = await stack.message(id, "after");
		return res.status === 200 && res.json;
	});
	assert.equal(answer.response, "Here.");
	assert.deepEqual(await pids(), before, "nothing was restarted");
	const late = await stack.client();
	await late.ask("join-chat", { userId: "visitor-1", sessionId: id });
	await stack.say(id, "do sockets hear it");
	await late.when("message-received", (m) => m.isBot);
});

// Each program has a connection of its own, which comes back by itself.
const storeIsBack = (id) => waitFor("the chat has its store again", async () => (await stack.get(`/api/v1/chat/history/${id}`)).status === 200);

test("a killed Redis comes back with all that was acknowledged", async () => {
	const id = await stack.session();
	for (let i = 0; i < 5; i++)
		await stack.say(id, `kept ${i}`);
	await stack.kill("redis");
	await waitFor("/ready is 200", async () => (await stack.get("/ready")).status === 200);
	await storeIsBack(id);
	const kept = (await stack.history(id)).filter((m) => m.role === "user").map((m) => m.content);
	assert.deepEqual(kept, [0, 1, 2, 3, 4].map((i) => `kept ${i}`));
	const client = await stack.client();
	await client.ask("join-chat", { userId: "visitor-1", sessionId: id });
	await stack.say(id, "sockets are subscribed again");
	await client.when("message-received", (m) => m.isBot);
});

test("a socket that was joined before the kill hears what comes after it", async () => {
	const client = await stack.client();
	const id = await client.join();
	await stack.kill("redis");
	await waitFor("/ready is 200", async () => (await stack.get("/ready")).status === 200);
	await storeIsBack(id);
	const answer = await stack.say(id, "are you still listening");
	const got = await client.when("message-received", (m) => m.isBot);
	assert.equal(got.seq, answer.seq);
});

describe("a stream that is under way when Redis goes", () => {
	let own;
	before(async () => {
		own = await startStack({ upstream, env: { TURN_TIMEOUT: "3000" } });
	});
	after(() => own?.stop());

	// Redis is away from the first event on, until that says that it may come back, or until the stream has ended.
	async function streamed(until) {
		const sessionId = await own.session();
		const [supervisor, redis] = [await own.program("supervisor"), await own.program("redis")];
		upstream.next(reply("one two three four", { tokenDelay: 100 }));
		const stream = await own.stream({ sessionId, message: "count", userId: "visitor-1" });
		const events = [];
		let over = Promise.resolve();
		try {
			for await (const event of stream.events) {
				if (events.push(event) > 1)
					continue;
				process.kill(supervisor.pid, "SIGSTOP");
				process.kill(redis.pid, "SIGKILL");
				over = until(() => process.kill(supervisor.pid, "SIGCONT"));
			}
		} finally {
			process.kill(supervisor.pid, "SIGCONT");
		}
		await over;
		await waitFor("Redis is back", async () => (await own.get("/health")).status === 200);
		return { events, sessionId };
	}

	test("ends with its message when Redis is there again in time", { timeout: 120_000 }, async () => {
		const { events, sessionId } = await streamed(async (goOn) => {
			await waitFor("the turn is given up", () => own.log().includes("outcome=store_unavailable"), { ms: 60_000 });
			goOn();
		});
		assert.equal(events.at(-1).event, "message");
		assert.deepEqual((await own.history(sessionId)).slice(1).map((m) => m.content), [events.at(-1).json.response]);
	});

	test("says that it was given up when Redis does not come back", { timeout: 120_000 }, async () => {
		const { events } = await streamed(async () => {});
		assert.equal(events.at(-1).event, "error");
		assert.equal(events.at(-1).json.status, 503);
		assert.equal(events.at(-1).json.code, "store_unavailable");
	});
});
