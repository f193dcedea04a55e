// The model server fails, in every way it can: the customer always gets an answer, quickly enough, and a person if need be.

import { test, before, after, afterEach, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import * as up from "./upstream.mjs";
import { Person } from "./desk.mjs";
import { startStack, upstreamEnv, pause, waitFor } from "./harness.mjs";

let upstream;
before(async () => { upstream = await up.startUpstream(); });
after(() => upstream.close());
beforeEach(() => upstream.reset());

const good = up.reply("All is well.");
const gaps = (requests) => requests.slice(1).map((r, i) => r.at - (requests[i].endedAt ?? requests[i].at));

describe("one server", () => {
	let stack;
	before(async () => { stack = await startStack({ upstream, env: { TURN_TIMEOUT: "8000" } }); });
	after(() => stack?.stop());

	const ask = async () => stack.say(await stack.session(), "Where is my parcel?");
	// A success between them, so that no test finds the server left alone because of those before it.
	afterEach(async () => {
		upstream.reset();
		await ask();
	});
	const escalated = (body) => {
		assert.equal(body.needsEscalation, true, JSON.stringify(body));
		assert.equal(body.escalation?.reason, "ai_unavailable");
		assert.equal(body.confidence, 0);
		assert.ok(body.response.length > 0);
		assert.doesNotMatch(body.response, /429|500|error|quota|sk-|upstream|provider|http/i, "no machinery in the customer's words");
	};

	const passing = {
		"500": up.serverError(500), "502 with HTML": up.html(502), "503": up.serverError(503), "503 with HTML": up.html(503),
		"empty 502": up.empty(502), "504": up.serverError(504), "408": up.failure(408, { message: "timeout", type: "x" }),
		"409": up.failure(409, { message: "conflict", type: "x" }), "429, no hint": up.rateLimited(),
		"a connection closed at once": { cut: "accept" }, "a stream cut before its first token": { ...good, cut: "headers" },
		"a stream cut after the role": { ...good, cut: 0 }, "an error in a 200 stream before the first token":
			{ ...good, streamError: { after: 0, error: { message: "overloaded", type: "server_error" } } },
		"OpenRouter's error with a number": { streaming: false, body: { error: { code: 502, message: "Provider returned error", metadata: {} } } },
	};
	for (const [name, step] of Object.entries(passing))
		test(`${name}: tried again, and answered`, async () => {
			upstream.next(step, good);
			const body = await ask();
			assert.equal(body.response, "All is well.");
			assert.equal(body.needsEscalation, false);
			assert.equal(upstream.chats.length, 2);
		});

	const lasting = {
		"an invalid key": up.invalidKey(), "403": up.failure(403, { message: "Country not supported", type: "x", code: "unsupported_country" }),
		"an unknown model": up.failure(404, { message: "The model does not exist", type: "invalid_request_error", code: "model_not_found" }),
		"insufficient quota": up.insufficientQuota(), "a context that is too long": up.failure(400,
			{ message: "maximum context length", type: "invalid_request_error", param: "messages", code: "context_length_exceeded" }),
		"Gemini's array": up.geminiError(400), "vLLM's number": up.vllmError(400), "old vLLM's top level": up.oldVllmError(400),
		"402": up.failure(402, { message: "no credit", code: 402 }), "413": up.empty(413), "422": up.failure(422, { message: "bad" }),
	};
	test("a model that refuses its key is a warning in the log", async () => {
		upstream.next(up.invalidKey());
		escalated(await ask());
		assert.match(stack.log(), /level=warn program=chat .*event=turn outcome=escalated .*problem="openai: status 401 invalid_api_key"/);
	});

	for (const [name, step] of Object.entries(lasting))
		test(`${name}: not tried again, a person is called`, async () => {
			upstream.otherwise = step;
			const start = Date.now();
			escalated(await ask());
			assert.equal(upstream.chats.length, 1, "one request");
			assert.ok(Date.now() - start < 8000);
		});

	for (const [name, step] of Object.entries({
		"500 without end": up.serverError(500), "HTML without end": up.html(500), "cuts without end": { ...good, cut: "headers" },
		"broken JSON without end": up.brokenJson(), "an HTML page with status 200": up.html(200),
		"JSON of another kind": { streaming: false, body: [1, 2, 3] }, "an empty 200": up.empty(200),
	}))
		test(`${name}: a few tries with growing pauses, then a person`, async () => {
			upstream.otherwise = step;
			const start = Date.now();
			escalated(await ask());
			assert.ok(upstream.chats.length >= 1 && upstream.chats.length <= 6, `${upstream.chats.length} requests`);
			assert.ok(Date.now() - start < 10_000);
		});

	test("a refused connection: a person", async () => {
		await upstream.refuse();
		try {
			escalated(await ask());
		} finally {
			await upstream.listen();
		}
		assert.equal((await ask()).needsEscalation, false, "and it is asked again afterwards");
	});

	test("a server that comes back within the turn answers", async () => {
		await upstream.refuse();
		const body = ask();
		await pause(300);
		await upstream.listen();
		assert.equal((await body).needsEscalation, false);
	});

	test("Retry-After in seconds is obeyed", async () => {
		upstream.next(up.rateLimited({ seconds: 2 }), good);
		assert.equal((await ask()).response, "All is well.");
		const [gap] = gaps(upstream.chats);
		assert.ok(gap >= 1950, `${gap} ms`);
	});

	test("Retry-After as a date is obeyed", async () => {
		upstream.next(() => up.rateLimited({ date: Date.now() + 3000 }), good);
		assert.equal((await ask()).response, "All is well.");
		const [gap] = gaps(upstream.chats);
		assert.ok(gap >= 1800, `${gap} ms`);
	});

	test("retry-after-ms is obeyed, before Retry-After", async () => {
		upstream.next(up.rateLimited({ ms: 700, seconds: 5 }), good);
		assert.equal((await ask()).response, "All is well.");
		const [gap] = gaps(upstream.chats);
		assert.ok(gap >= 690 && gap < 4900, `${gap} ms`);
	});

	test("a Retry-After beyond the turn's time is not waited for", async () => {
		upstream.otherwise = up.rateLimited({ seconds: 3600 });
		const start = Date.now();
		escalated(await ask());
		assert.ok(Date.now() - start < 8000);
		assert.equal(upstream.chats.length, 1);
		escalated(await ask());
		assert.equal(upstream.chats.length, 1, "nor is it asked again before its time");
		await stack.kill("chat");
	});

	for (const header of ["-5", "soon", "99999999999999999999", "", "1e3", "Mon, 99 Foo 2020"])
		test(`a senseless Retry-After (${header}) does no harm`, async () => {
			upstream.next(up.rateLimited({ headers: { "retry-after": header } }), good);
			const body = await ask();
			assert.ok(body.response.length > 0);
			if (header === "1e3")		// taken for 1000 seconds
				await stack.kill("chat");
		});

	test("x-should-retry wins", async () => {
		upstream.next(up.failure(429, { message: "no" }, { headers: { "x-should-retry": "false" } }), good);
		escalated(await ask());
		assert.equal(upstream.chats.length, 1);
	});

	test("retries have jitter", async () => {
		const seen = [];
		for (let i = 0; i < 4; i++) {
			upstream.reset();
			upstream.next(up.serverError(500), good);
			await ask();
			seen.push(gaps(upstream.chats)[0]);
		}
		assert.ok(Math.max(...seen) - Math.min(...seen) >= 5, `${seen}`);
		assert.ok(Math.min(...seen) >= 50, `a pause: ${seen}`);
	});

	test("a stalled server: the turn ends in time, with a person", async () => {
		for (const stall of ["accept", "headers", 0]) {
			upstream.reset();
			upstream.otherwise = { ...good, stall };
			const start = Date.now();
			escalated(await ask());
			assert.ok(Date.now() - start < 10_000, `${stall}: ${Date.now() - start} ms`);
		}
	});

	for (const [name, step] of Object.entries({
		"a cut": { cut: 4 }, "a clean end without a finish reason": { end: 4 },
		"an error in the stream": { streamError: { after: 4, error: { message: "The server had an error", type: "server_error" } } },
	}))
		test(`${name} after the first words: no second try, an escalation`, async () => {
			upstream.otherwise = up.reply("One two three four five six seven eight nine ten.", { structured: false, tokenDelay: 20, ...step });
			const id = await stack.session();
			const body = await stack.say(id, "Count to ten");
			assert.equal(upstream.chats.length, 1);
			assert.equal(body.needsEscalation, true, JSON.stringify(body));
			assert.equal(body.escalation.reason, "ai_unavailable");
			assert.equal(body.confidence, 0);
			const history = await stack.history(id);
			assert.equal(history.at(-1).content, body.response);
		});

	test("after all that the next customer is served", async () => {
		assert.equal((await ask()).needsEscalation, false);
	});
});

describe("two servers", () => {
	let second, stack;
	before(async () => {
		second = await up.startUpstream();
		stack = await startStack({ env: {
			...upstreamEnv(upstream), FALLBACK_BASE_URL: second.url, FALLBACK_API_KEY: "sk-test-key-of-the-second",
			FALLBACK_MODEL: "second-model", TURN_TIMEOUT: "8000",
		} });
	});
	after(async () => {
		await stack?.stop();
		await second.close();
	});
	beforeEach(() => second.reset());

	const ask = async () => stack.say(await stack.session(), "Where is my parcel?");

	test("the second is not asked while the first answers", async () => {
		upstream.next(good);
		assert.equal((await ask()).response, "All is well.");
		assert.equal(second.chats.length, 0);
	});

	for (const [name, step] of Object.entries({ "a broken server": up.serverError(500), "an invalid key": up.invalidKey(),
		"no more quota": up.insufficientQuota(), "an unknown model": up.failure(404, { message: "no such model", code: "model_not_found" }),
		"a long Retry-After": up.rateLimited({ seconds: 3600 }) }))
		test(`${name}: the second answers, with its own key and model`, async () => {
			upstream.otherwise = step;
			second.otherwise = up.reply("Says the second.");
			const body = await ask();
			assert.equal(body.response, "Says the second.");
			assert.equal(body.needsEscalation, false);
			assert.equal(second.last.headers.authorization, "Bearer sk-test-key-of-the-second");
			assert.equal(second.last.body.model, "second-model");
			assert.equal(second.chats.length, 1);
			assert.ok(!upstream.requests.some((r) => r.headers.authorization?.includes("second")));
		});

	test("it is left alone as long as it said, and the next customer does not wait for it either", async () => {
		upstream.reset();
		second.otherwise = up.reply("Says the second.");
		assert.equal((await ask()).response, "Says the second.");
		assert.equal(upstream.chats.length, 0);
		await stack.kill("chat");
	});

	test("the provider is named in the answer", async () => {
		upstream.next(good);
		const first = (await ask()).provider;
		upstream.otherwise = up.invalidKey();
		const other = (await ask()).provider;
		assert.ok(first && other && first !== other);
	});

	test("both down: a person", async () => {
		upstream.otherwise = up.serverError(500);
		second.otherwise = up.serverError(503);
		const body = await ask();
		assert.equal(body.escalation?.reason, "ai_unavailable");
		assert.ok(second.chats.length >= 1);
	});

	test("after the first words of the first server the second is not asked", async () => {
		upstream.otherwise = up.reply("One two three four five six seven.", { structured: false, tokenDelay: 20, cut: 4 });
		const body = await ask();
		assert.equal(body.escalation?.reason, "ai_unavailable");
		assert.equal(second.chats.length, 0);
	});

	test("a server that refuses connections does not cost the turn", async () => {
		await upstream.refuse();
		try {
			second.otherwise = up.reply("Says the second.");
			assert.equal((await ask()).response, "Says the second.");
		} finally {
			await upstream.listen();
		}
	});
});

describe("a server that hangs", () => {
	let stack;
	before(async () => { stack = await startStack({ upstream, env: { TURN_TIMEOUT: "4000" } }); });
	after(() => stack?.stop());

	test("is left alone after a few failures: a person is called at once; one probe finds it well", async () => {
		upstream.otherwise = { ...good, stall: "accept" };
		const ask = async () => {
			const start = Date.now();
			const body = await stack.say(await stack.session(), "Where is my parcel?");
			return { ms: Date.now() - start, reason: body.escalation?.reason };
		};
		const slow = await Promise.all(Array.from({ length: 5 }, ask));
		assert.ok(slow.every((a) => a.reason === "ai_unavailable" && a.ms >= 3000), JSON.stringify(slow));
		upstream.reset();
		let answer;
		const held = new Promise((resolve) => { answer = resolve; });
		upstream.otherwise = () => held;
		const asked = [], told = [];
		await waitFor("it is asked again", async () => {
			asked.push(...Array.from({ length: 10 }, () => ask().then((a) => told.push(a))));
			await waitFor("all but the probe are told", () => told.length >= asked.length - upstream.chats.length);
			return upstream.chats.length > 0;
		}, { every: 100 });
		assert.ok(told.every((a) => a.reason === "ai_unavailable"), JSON.stringify(told));
		assert.equal(upstream.chats.length, 1, "one probe");
		answer(good);
		await Promise.all(asked);
		assert.equal(told.filter((a) => a.reason === undefined).length, 1);
		assert.equal((await ask()).reason, undefined, "and then everybody");
		assert.match(stack.log(), /event=provider_left_alone provider=openai/);
		assert.match(stack.log(), /event=provider_back provider=openai/);
	});
});

test("a question that a server was sent and not let answer has been read", async (t) => {
	const stack = await startStack({ upstream, env: { DAILY_SPEND_LIMIT: "1000000tokens" } });
	t.after(() => stack.stop());
	const redis = await stack.redis(), key = `spend:{0}:${new Date().toISOString().slice(0, 10)}`;
	const spent = async (talk) => {
		await redis.call("DEL", key);
		upstream.reset();
		upstream.otherwise = up.reply("Some words that cost something.", { usage: true });
		await talk(await stack.session());
		return waitFor("what it did cost", async () => await redis.call("EXISTS", `${key}:held`) === 0 && Number(await redis.call("HGET", key, "t")));
	};
	const once = await spent((id) => stack.say(id, "question"));
	const left = await spent(async (id) => {
		upstream.next(up.reply("never", { firstDelay: 30_000 }));
		const first = stack.say(id, "question");
		await upstream.arrived(1);
		await Promise.all([first, stack.say(id, "and another")]);
		assert.equal(upstream.chats.length, 2);
	});
	assert.ok(left > once + 50, `${left} tokens, ${once} when nothing was left`);
});

describe("a daily limit", () => {
	let stack;
	before(async () => { stack = await startStack({ upstream, env: { DAILY_SPEND_LIMIT: "300tokens" } }); });
	after(() => stack?.stop());

	test("at the limit the model is not asked, a person is", async () => {
		upstream.otherwise = up.reply("Some words that cost something.", { usage: true });
		const id = await stack.session();
		let body;
		for (let i = 0; i < 10; i++) {
			body = await stack.say(id, `question ${i}`);
			if (body.needsEscalation)
				break;
		}
		assert.equal(body.needsEscalation, true);
		assert.equal(body.confidence, 0);
		const asked = upstream.chats.length;
		assert.ok(asked >= 1 && asked < 10);
		await stack.say(id, "and one more");
		assert.equal(upstream.chats.length, asked);
	});

	test("the model is not asked while nobody can say whether the limit is reached", async () => {
		const redis = await stack.redis(), ada = await Person.join(stack), agent = await ada.agent();
		await redis.call("DEL", `spend:{0}:${new Date().toISOString().slice(0, 10)}`);
		upstream.reset();
		await redis.call("REPLICAOF", "127.0.0.1", "1");		// read, not written
		try {
			const res = await ada.post(`/api/agents/${agent._id}/test`, { message: "Hello" });
			assert.equal(res.status, 503, res.text);
		} finally {
			await redis.call("REPLICAOF", "NO", "ONE");
		}
		assert.equal(upstream.chats.length, 0);
	});

	test("many at once, in both programs, pass the limit by one answer at most", async () => {
		const redis = await stack.redis();
		await redis.call("DEL", `spend:{0}:${new Date().toISOString().slice(0, 10)}`);
		upstream.reset();
		upstream.otherwise = up.reply("Some words that cost something.", { usage: true, delay: 300 });
		const clients = await Promise.all(Array.from({ length: 15 }, () => stack.client()));
		const all = await Promise.all(Array.from({ length: 30 }, async (_, i) => {
			if (i % 2)
				return stack.say(await stack.session(), "everybody asks");
			const sessionId = await stack.session(), client = clients[i / 2];	// a socket is in one session
			await client.ask("send-message", { sessionId, userId: "visitor-1", message: `everybody asks ${i}` });
			return client.when("message-received", (m) => m.isBot);
		}));
		assert.ok(all.length === 30);
		assert.equal(upstream.chats.length, 1, "what is reserved for one answer is more than the limit");
		const spent = await redis.call("HGET", `spend:{0}:${new Date().toISOString().slice(0, 10)}`, "t");
		assert.ok(Number(spent) > 0 && Number(spent) < 1000, `settled with what it did cost: ${spent}`);
		await redis.call("HSET", `spend:{0}:${new Date().toISOString().slice(0, 10)}`, "t", "299");
		assert.ok(!(await stack.say(await stack.session(), "what is left may be used")).needsEscalation);
		await redis.call("HSET", `spend:{0}:${new Date().toISOString().slice(0, 10)}`, "t", "300");
		assert.equal((await stack.say(await stack.session(), "and now")).escalation?.reason, "ai_unavailable");
		await redis.call("RENAME", `spend:{0}:${new Date().toISOString().slice(0, 10)}`, "spend:{0}:2001-01-01");
		assert.ok(!(await stack.say(await stack.session(), "another day")).needsEscalation, "each day has its own");
	});
});
