// Every row of the REST table, as an existing web page would call it.

import { test, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startUpstream, reply, said } from "./upstream.mjs";
import { startStack, assertProblem, ISO } from "./harness.mjs";

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream });
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const near = (time) => Math.abs(Date.parse(time) - Date.now()) < 30_000;

test("a session is created", async () => {
	const res = await stack.post("/api/v1/chat/session", { userId: "visitor-1" });
	assert.equal(res.status, 200);
	assert.match(res.headers["content-type"], /^application\/json\b/);
	const { success, sessionId, userId, createdAt } = res.json;
	assert.equal(success, true);
	assert.equal(userId, "visitor-1");
	assert.match(createdAt, ISO);
	assert.ok(near(createdAt));
	assert.ok(typeof sessionId === "string" && sessionId.length >= 22, "128 random bits need 22 characters of base64");
	assert.match(sessionId, /^[\w-]+$/, "fits into a path as it is");
});

test("session ids do not repeat and share no pattern", async () => {
	const ids = await Promise.all(Array.from({ length: 200 }, () => stack.session("same")));
	assert.equal(new Set(ids).size, 200);
	const heads = new Set(ids.map((id) => id.slice(0, 12)));
	const tails = new Set(ids.map((id) => id.slice(-12)));
	assert.ok(heads.size > 190 || tails.size > 190);
});

test("a client cannot choose a session id", async () => {
	const res = await stack.post("/api/v1/chat/session", { userId: "visitor-1", sessionId: "my-own-session-id-12345678" });
	assert.ok([200, 400].includes(res.status));
	assert.notEqual(res.json.sessionId, "my-own-session-id-12345678");
	assertProblem(await stack.message("my-own-session-id-12345678", "hi"), 404);
});

test("metadata comes back to its owner and never reaches the model", async () => {
	const metadata = { plan: "gold-plan-77", nested: { list: [1, 2.5, null, true, "ü"] } };
	const id = await stack.session("visitor-1", metadata);
	await stack.say(id, "Hello");
	const res = await stack.get(`/api/v1/chat/history/${id}`);
	assert.deepEqual(res.json.sessionData.metadata, metadata);
	assert.equal(upstream.chats.length, 1);
	assert.doesNotMatch(upstream.last.raw, /gold-plan-77/);
});

test("a session without userId is refused in the old words", async () => {
	for (const body of [{}, { metadata: {} }, { userId: "" }, { userId: null }])
		assertProblem(await stack.post("/api/v1/chat/session", body), 400, "User ID is required", JSON.stringify(body));
});

test("a message is answered", async () => {
	upstream.next(said("Parcels take three days.", { confidence: 0.93 }));
	const id = await stack.session();
	const res = await stack.message(id, "How long does a parcel take?");
	assert.equal(res.status, 200, res.text);
	assert.match(res.headers["content-type"], /^application\/json\b/);
	const body = res.json;
	assert.equal(body.success, true);
	assert.equal(body.response, "Parcels take three days.");
	assert.equal(body.needsEscalation, false);
	assert.match(body.timestamp, ISO);
	assert.ok(near(body.timestamp));
	assert.equal(body.confidence, 0.93);
	assert.ok(typeof body.messageId === "string" && body.messageId.length > 0);
	assert.ok(Number.isInteger(body.seq) && body.seq > 0);
	assert.ok(typeof body.provider === "string" && body.provider !== "offline");
	assert.equal(body.escalation, null);
	assert.ok(Array.isArray(body.sources));
});

test("a message without its fields is refused in the old words", async () => {
	const id = await stack.session();
	const whole = { sessionId: id, message: "hi", userId: "visitor-1" };
	for (const field of Object.keys(whole))
		for (const value of [undefined, "", null])
			assertProblem(await stack.post("/api/v1/chat/message", { ...whole, [field]: value }), 400,
				"Session ID, message, and user ID are required", `${field}: ${value}`);
	assertProblem(await stack.post("/api/v1/chat/message", {}), 400, "Session ID, message, and user ID are required");
	assert.equal(upstream.requests.length, 0, "nothing reached the model");
});

test("wrong types are refused with a sentence that names the field", async () => {
	const id = await stack.session();
	const whole = { sessionId: id, message: "hi", userId: "visitor-1" };
	const names = { sessionId: /session ?id/i, message: /message/i, userId: /user ?id/i, clientMessageId: /client ?message ?id/i };
	for (const [field, pattern] of Object.entries(names))
		for (const value of [1, true, [], {}, ["x"], { a: 1 }])
			assertProblem(await stack.post("/api/v1/chat/message", { ...whole, [field]: value }), 400, pattern,
				`${field}: ${JSON.stringify(value)}`);
	for (const value of [1, true, [], {}])
		assertProblem(await stack.post("/api/v1/chat/session", { userId: value }), 400, /user ?id/i);
	for (const value of [1, true, [], "x"])
		assertProblem(await stack.post("/api/v1/chat/session", { userId: "u", metadata: value }), 400, /metadata/i);
});

test("a message to an unknown session is 404", async () => {
	assertProblem(await stack.message("A".repeat(32), "hi"), 404);
	const id = await stack.session();
	const other = id.slice(0, -1) + (id.endsWith("A") ? "B" : "A");
	assertProblem(await stack.message(other, "hi"), 404);
	assert.equal(upstream.requests.length, 0);
});

test("a message of another user is 403 and leaves nothing behind", async () => {
	const id = await stack.session("owner");
	assertProblem(await stack.message(id, "let me in", { userId: "thief" }), 403);
	assert.equal(upstream.requests.length, 0);
	assert.deepEqual(await stack.history(id), []);
});

test("history tells the conversation in order", async () => {
	upstream.next(reply("First answer."), reply("Second answer."));
	const id = await stack.session();
	const first = await stack.say(id, "First question?");
	const second = await stack.say(id, "Second question?");
	const res = await stack.get(`/api/v1/chat/history/${id}`);
	assert.equal(res.status, 200);
	assert.equal(res.json.success, true);
	const { history, sessionData } = res.json;
	assert.deepEqual(history.map((m) => [m.role, m.content]), [
		["user", "First question?"], ["assistant", "First answer."],
		["user", "Second question?"], ["assistant", "Second answer."],
	]);
	for (const message of history)
		assert.match(message.timestamp, ISO);
	assert.equal(new Set(history.map((m) => m.id)).size, 4);
	assert.ok(history.every((m, i) => Number.isInteger(m.seq) && (i === 0 || m.seq > history[i - 1].seq)), "seq rises");
	assert.deepEqual([history[1].id, history[3].id], [first.messageId, second.messageId]);
	assert.deepEqual([history[1].seq, history[3].seq], [first.seq, second.seq]);
	assert.equal(sessionData.sessionId, id);
	assert.equal(sessionData.userId, "visitor-1");
	assert.match(sessionData.createdAt, ISO);
	assert.match(sessionData.lastActivity, ISO);
	assert.ok(sessionData.lastActivity >= sessionData.createdAt);
});

test("history of an unknown session is 404 in the old words", async () => {
	for (const id of ["A".repeat(32), "x", "a".repeat(200)])
		assertProblem(await stack.get(`/api/v1/chat/history/${id}`), 404, "Session not found", id);
});

for (const target of ["/health", "/api/v1/health"])
	test(`${target} says how it is`, async () => {
		const res = await stack.get(target);
		assert.equal(res.status, 200);
		assert.match(res.headers["content-type"], /^application\/json\b/);
		const { status, timestamp, services, version, environment } = res.json;
		assert.equal(status, "healthy");
		assert.match(timestamp, ISO);
		assert.equal(services.redis, "connected");
		assert.equal(services.openai, "configured");
		assert.equal(services.speech, "not configured");
		assert.ok(Number.isInteger(services.activeSessions));
		assert.ok(typeof version === "string" && version.length > 0);
		assert.equal(environment, "test");
	});

test("/health counts the sessions", async () => {
	const count = async () => (await stack.get("/health")).json.services.activeSessions;
	const before = await count();
	await Promise.all([stack.session("a"), stack.session("b"), stack.session("c")]);
	assert.equal(await count(), before + 3);
});

test("/ready answers 200", async () => {
	assert.equal((await stack.get("/ready")).status, 200);
});

test("HEAD of health is answered without a body", async () => {
	const res = await stack.call("HEAD", "/health");
	assert.ok([200, 405].includes(res.status));
	assert.equal(res.text, "");
});

test("every answer carries a request id, and the caller's own is not trusted blindly", async () => {
	const ids = new Set();
	for (const res of [await stack.get("/health"), await stack.get("/health"), await stack.post("/api/v1/chat/session", {}), await stack.get("/api/v1/nothing")]) {
		assert.match(res.headers["x-request-id"] ?? "", /^[\w-]{8,}$/);
		assert.equal(Number(res.headers["content-length"]), Buffer.byteLength(res.text), "cut off by a death it is not taken for whole");
		ids.add(res.headers["x-request-id"]);
	}
	assert.equal(ids.size, 4);
});

test("the page is served with a strict policy", async () => {
	const res = await stack.get("/");
	assert.equal(res.status, 200);
	assert.match(res.headers["content-type"], /^text\/html/);
	const policy = res.headers["content-security-policy"];
	assert.ok(policy, "a Content-Security-Policy");
	assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval/);
	assert.match(policy, /default-src 'self'|default-src 'none'/);
	assert.equal(res.headers["x-content-type-options"], "nosniff");
	assert.doesNotMatch(res.text, /(?:src|href)="(?:https?:)?\/\//, "nothing from another host");
	assert.doesNotMatch(res.headers.server ?? "", /\d/);
});

test("unusual but valid text survives the way there and back", async () => {
	const id = await stack.session("user ü 漢字 🙂");
	for (const message of ["日本語 🙂 ñ", "a\nb\tc\r\nd", "\"quoted\" \\ back", "<script>alert(1)</script>", "a\u2028b\u2029c", "𝕏".repeat(50), " padded "]) {
		upstream.next((request) => reply(request.body.messages.at(-1).content, { tokens: [request.body.messages.at(-1).content] }));
		const res = await stack.say(id, message, { userId: "user ü 漢字 🙂" });
		assert.ok(upstream.last.body.messages.at(-1).content.includes(message.trim()));
		assert.equal(res.response.trim(), message.trim());
		assert.equal((await stack.history(id)).at(-2).content.trim(), message.trim());
	}
});
